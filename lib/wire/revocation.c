/* SPDX-License-Identifier: BSD-3-Clause */
#include "field.h"

#include <errno.h>

#define SERIAL_LEN 8

/* Strictly ascending, so that there is one encoding of a set and lookups can bisect. */
static bool ascending(const uint8_t *p, uint32_t n, size_t size)
{
	for (uint32_t i = 1; i < n; i++)
		if (memcmp(p + (i - 1) * size, p + i * size, size) >= 0)
			return false;
	return true;
}

static bool revocation_valid(const struct lm_revocation *v)
{
	if (v->n_nodes > LM_REVOKED_NODES_MAX || v->n_serials > LM_REVOKED_SERIALS_MAX ||
	    v->number > INT64_MAX || v->issued < 0 || v->next_update <= v->issued ||
	    !lm_name_valid(v->mesh, LM_MESH_ID_MAX))
		return false;
	/* The greatest serial is the last: a certificate's is at most INT64_MAX. */
	return ascending(v->nodes, v->n_nodes, LM_KEY_LEN) &&
	       ascending(v->serials, v->n_serials, SERIAL_LEN) &&
	       (v->n_serials == 0 || v->serials[(v->n_serials - 1) * SERIAL_LEN] < 0x80);
}

int lm_revocation_encode(const struct lm_revocation *v, uint8_t *buf, size_t cap)
{
	struct lm_writer w = lm_writer(
	    buf, cap < LM_REVOCATION_MAX - LM_SIG_LEN ? cap : LM_REVOCATION_MAX - LM_SIG_LEN);

	if (!revocation_valid(v))
		return -EINVAL;
	lm_w_u8(&w, LM_RECORD_VERSION);
	lm_w_copy(&w, v->issuer, sizeof(v->issuer));
	lm_field_name_write(&w, v->mesh);
	lm_w_u64(&w, v->number);
	lm_w_u64(&w, (uint64_t)v->issued);
	lm_w_u64(&w, (uint64_t)v->next_update);
	lm_w_u32(&w, v->n_nodes);
	lm_w_copy(&w, v->nodes, (size_t)v->n_nodes * LM_KEY_LEN);
	lm_w_u32(&w, v->n_serials);
	lm_w_copy(&w, v->serials, (size_t)v->n_serials * SERIAL_LEN);
	return w.bad ? -EMSGSIZE : (int)lm_w_len(&w);
}

static uint32_t list_read(struct lm_reader *r, uint32_t max, size_t size, const uint8_t **out)
{
	uint32_t n = lm_r_u32(r);

	if (n > max)
		r->bad = true;
	*out = lm_r_bytes(r, (size_t)n * size);
	return r->bad ? 0 : n;
}

int lm_revocation_decode(const uint8_t *buf, size_t len, struct lm_revocation *out,
			 size_t *body_len)
{
	struct lm_reader r;

	memset(out, 0, sizeof(*out));
	*body_len = 0;
	if (len < LM_SIG_LEN || len > LM_REVOCATION_MAX)
		return -EBADMSG;
	r = lm_reader(buf, len - LM_SIG_LEN);
	if (lm_r_u8(&r) != LM_RECORD_VERSION)
		return -EBADMSG;
	lm_r_copy(&r, out->issuer, sizeof(out->issuer));
	lm_field_name_read(&r, out->mesh, LM_MESH_ID_MAX);
	out->number = lm_field_u63_read(&r);
	out->issued = (int64_t)lm_field_u63_read(&r);
	out->next_update = (int64_t)lm_field_u63_read(&r);
	out->n_nodes = list_read(&r, LM_REVOKED_NODES_MAX, LM_KEY_LEN, &out->nodes);
	out->n_serials = list_read(&r, LM_REVOKED_SERIALS_MAX, SERIAL_LEN, &out->serials);
	if (r.bad || r.p != r.end || !revocation_valid(out))
		return -EBADMSG;
	*body_len = len - LM_SIG_LEN;
	return 0;
}
