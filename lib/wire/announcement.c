/* SPDX-License-Identifier: BSD-3-Clause */
#include "field.h"

#include <errno.h>

static bool announcement_valid(const struct lm_announcement *a)
{
	if (a->sequence > INT64_MAX || !lm_name_valid(a->mesh, LM_MESH_ID_MAX) || a->lanes < 1 ||
	    a->lanes > LM_LANES_MAX || a->n_endpoints > LM_ENDPOINTS_MAX)
		return false;
	for (unsigned i = 0; i < a->n_endpoints; i++) {
		const struct lm_endpoint *ep = &a->endpoints[i].ep;

		/* Nobody shall be made to send to multicast, broadcast or itself. */
		if (!lm_field_endpoint_valid(ep) || lm_ip_is_special(&ep->ip))
			return false;
		for (unsigned j = 0; j < i; j++)
			if (a->endpoints[j].kind == a->endpoints[i].kind &&
			    lm_endpoint_equal(&a->endpoints[j].ep, ep))
				return false;
	}
	return lm_field_prefixes_valid(a->prefixes, a->n_prefixes);
}

int lm_announcement_encode(const struct lm_announcement *a, uint8_t *buf, size_t cap)
{
	struct lm_writer w =
	    lm_writer(buf, cap < LM_ANNOUNCE_MAX - LM_SIG_LEN ? cap : LM_ANNOUNCE_MAX - LM_SIG_LEN);

	if (!announcement_valid(a))
		return -EINVAL;
	lm_w_u8(&w, LM_RECORD_VERSION);
	lm_w_copy(&w, a->node, sizeof(a->node));
	lm_w_u64(&w, a->sequence);
	lm_field_name_write(&w, a->mesh);
	lm_w_u8(&w, a->lanes);
	lm_w_u8(&w, a->n_endpoints);
	for (unsigned i = 0; i < a->n_endpoints; i++) {
		lm_w_u8(&w, a->endpoints[i].kind);
		lm_field_endpoint_write(&w, &a->endpoints[i].ep);
	}
	lm_field_prefixes_write(&w, a->prefixes, a->n_prefixes);
	return w.bad ? -EMSGSIZE : (int)lm_w_len(&w);
}

int lm_announcement_decode(const uint8_t *buf, size_t len, struct lm_announcement *out,
			   size_t *body_len)
{
	struct lm_reader r;

	memset(out, 0, sizeof(*out));
	*body_len = 0;
	if (len < LM_SIG_LEN || len > LM_ANNOUNCE_MAX)
		return -EBADMSG;
	r = lm_reader(buf, len - LM_SIG_LEN);
	if (lm_r_u8(&r) != LM_RECORD_VERSION)
		return -EBADMSG;
	lm_r_copy(&r, out->node, sizeof(out->node));
	out->sequence = lm_field_u63_read(&r);
	lm_field_name_read(&r, out->mesh, LM_MESH_ID_MAX);
	out->lanes = lm_r_u8(&r);
	out->n_endpoints = lm_field_count_read(&r, LM_ENDPOINTS_MAX);
	for (unsigned i = 0; i < out->n_endpoints; i++) {
		out->endpoints[i].kind = lm_r_u8(&r);
		out->endpoints[i].ep = lm_field_endpoint_read(&r);
	}
	out->n_prefixes = lm_field_prefixes_read(&r, out->prefixes);
	if (r.bad || r.p != r.end || !announcement_valid(out))
		return -EBADMSG;
	*body_len = len - LM_SIG_LEN;
	return 0;
}
