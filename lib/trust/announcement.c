/* SPDX-License-Identifier: BSD-3-Clause */
#include "record.h"

int lm_announcement_sign(const struct lm_identity *node, const struct lm_announcement *a,
			 uint8_t *buf, size_t cap, struct lm_error *err)
{
	struct lm_announcement signed_by = *a;

	memcpy(signed_by.node, node->ed_public, sizeof(signed_by.node));
	return lm_record_sign(node, LM_SIGN_ANNOUNCEMENT, "announcement",
			      lm_announcement_encode(&signed_by, buf, cap), buf, cap, err);
}

static bool certified(const struct lm_cert *cert, const struct lm_prefix *p)
{
	for (unsigned i = 0; i < cert->n_prefixes; i++)
		if (lm_prefix_covers(&cert->prefixes[i], p))
			return true;
	return false;
}

/* Would packets to this endpoint go into the tunnel that leads to it? */
static bool inside_overlay(const struct lm_cert *cert, const struct lm_ip *ip)
{
	for (unsigned i = 0; i < cert->n_prefixes; i++)
		if (cert->prefixes[i].len > 0 && lm_prefix_contains(&cert->prefixes[i], ip))
			return true;
	for (unsigned i = 0; i < cert->n_overlays; i++)
		if (lm_ip_equal(&cert->overlays[i], ip))
			return true;
	return false;
}

enum lm_verdict lm_announcement_check(const uint8_t *data, size_t len, const struct lm_cert *cert,
				      struct lm_announcement *out)
{
	size_t body_len;

	if (lm_announcement_decode(data, len, out, &body_len) != 0) {
		memset(out, 0, sizeof(*out));
		return LM_BAD_ENCODING;
	}
	if (memcmp(out->node, cert->node, sizeof(out->node)) != 0)
		return LM_WRONG_NODE;
	if (!lm_verify(out->node, LM_SIGN_ANNOUNCEMENT, data, body_len, data + body_len))
		return LM_BAD_SIGNATURE;
	if (strcmp(out->mesh, cert->mesh) != 0)
		return LM_BAD_MESH;
	for (unsigned i = 0; i < out->n_prefixes; i++)
		if (!certified(cert, &out->prefixes[i]))
			return LM_OUTSIDE_CERT;
	for (unsigned i = 0; i < out->n_endpoints; i++)
		if (inside_overlay(cert, &out->endpoints[i].ep.ip))
			return LM_BAD_OVERLAY_ENDPOINT;
	return LM_TRUSTED;
}
