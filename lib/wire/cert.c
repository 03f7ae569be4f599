/* SPDX-License-Identifier: BSD-3-Clause */
#include "field.h"

#include <errno.h>

static bool lists_valid(const struct lm_cert *c)
{
	if (c->n_overlays > LM_OVERLAYS_MAX || c->n_segments > LM_SEGMENTS_MAX ||
	    c->n_tags > LM_TAGS_MAX)
		return false;
	for (unsigned i = 0; i < c->n_overlays; i++) {
		if (!lm_field_ip_valid(&c->overlays[i]) || lm_ip_is_special(&c->overlays[i]))
			return false;
		if (i > 0 && lm_ip_equal(&c->overlays[i], &c->overlays[0]))
			return false;
	}
	for (unsigned i = 0; i < c->n_segments; i++)
		for (unsigned j = 0; j < i; j++)
			if (c->segments[i] == c->segments[j])
				return false;
	for (unsigned i = 0; i < c->n_tags; i++) {
		if (!lm_name_valid(c->tags[i], LM_TAG_STR_MAX))
			return false;
		for (unsigned j = 0; j < i; j++)
			if (strcmp(c->tags[i], c->tags[j]) == 0)
				return false;
	}
	return lm_field_prefixes_valid(c->prefixes, c->n_prefixes);
}

static bool cert_valid(const struct lm_cert *c)
{
	return c->serial <= INT64_MAX && c->not_before >= 0 && c->not_after > c->not_before &&
	       lm_name_valid(c->mesh, LM_MESH_ID_MAX) && lm_name_valid(c->name, LM_NAME_MAX) &&
	       lists_valid(c);
}

int lm_cert_encode(const struct lm_cert *c, uint8_t *buf, size_t cap)
{
	struct lm_writer w =
	    lm_writer(buf, cap < LM_CERT_MAX - LM_SIG_LEN ? cap : LM_CERT_MAX - LM_SIG_LEN);

	if (!cert_valid(c))
		return -EINVAL;
	lm_w_u8(&w, LM_RECORD_VERSION);
	lm_w_copy(&w, c->node, sizeof(c->node));
	lm_w_copy(&w, c->issuer, sizeof(c->issuer));
	lm_w_u64(&w, c->serial);
	lm_w_u64(&w, (uint64_t)c->not_before);
	lm_w_u64(&w, (uint64_t)c->not_after);
	lm_w_u32(&w, c->roles);
	lm_field_name_write(&w, c->mesh);
	lm_field_name_write(&w, c->name);
	lm_w_u8(&w, c->n_overlays);
	for (unsigned i = 0; i < c->n_overlays; i++)
		lm_field_ip_write(&w, &c->overlays[i]);
	lm_field_prefixes_write(&w, c->prefixes, c->n_prefixes);
	lm_w_u8(&w, c->n_segments);
	for (unsigned i = 0; i < c->n_segments; i++)
		lm_w_u32(&w, c->segments[i]);
	lm_w_u8(&w, c->n_tags);
	for (unsigned i = 0; i < c->n_tags; i++)
		lm_field_name_write(&w, c->tags[i]);
	return w.bad ? -EMSGSIZE : (int)lm_w_len(&w);
}

int lm_cert_decode(const uint8_t *buf, size_t len, struct lm_cert *out, size_t *body_len)
{
	struct lm_reader r;

	memset(out, 0, sizeof(*out));
	*body_len = 0;
	if (len < LM_SIG_LEN || len > LM_CERT_MAX)
		return -EBADMSG;
	r = lm_reader(buf, len - LM_SIG_LEN);
	if (lm_r_u8(&r) != LM_RECORD_VERSION)
		return -EBADMSG;
	lm_r_copy(&r, out->node, sizeof(out->node));
	lm_r_copy(&r, out->issuer, sizeof(out->issuer));
	out->serial = lm_field_u63_read(&r);
	out->not_before = (int64_t)lm_field_u63_read(&r);
	out->not_after = (int64_t)lm_field_u63_read(&r);
	out->roles = lm_r_u32(&r);
	lm_field_name_read(&r, out->mesh, LM_MESH_ID_MAX);
	lm_field_name_read(&r, out->name, LM_NAME_MAX);
	out->n_overlays = lm_field_count_read(&r, LM_OVERLAYS_MAX);
	for (unsigned i = 0; i < out->n_overlays; i++)
		out->overlays[i] = lm_field_ip_read(&r);
	out->n_prefixes = lm_field_prefixes_read(&r, out->prefixes);
	out->n_segments = lm_field_count_read(&r, LM_SEGMENTS_MAX);
	for (unsigned i = 0; i < out->n_segments; i++)
		out->segments[i] = lm_r_u32(&r);
	out->n_tags = lm_field_count_read(&r, LM_TAGS_MAX);
	for (unsigned i = 0; i < out->n_tags; i++)
		lm_field_name_read(&r, out->tags[i], LM_TAG_STR_MAX);
	if (r.bad || r.p != r.end || !cert_valid(out))
		return -EBADMSG;
	*body_len = len - LM_SIG_LEN;
	return 0;
}
