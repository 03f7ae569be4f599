/* SPDX-License-Identifier: BSD-3-Clause */
#include "record.h"

int lm_cert_sign(const struct lm_identity *authority, const struct lm_cert *c, uint8_t *buf,
		 size_t cap, struct lm_error *err)
{
	struct lm_cert signed_by = *c;

	memcpy(signed_by.issuer, authority->ed_public, sizeof(signed_by.issuer));
	return lm_record_sign(authority, LM_SIGN_CERT, "certificate",
			      lm_cert_encode(&signed_by, buf, cap), buf, cap, err);
}

/* The wall time to judge by: see LM_TRUST_GRACE. */
static int64_t judged_time(const struct lm_authorities *au, const struct lm_revocations *rs,
			   int64_t wall)
{
	for (unsigned i = 0; rs != NULL && i < rs->n; i++) {
		const struct lm_revocation *list = &rs->of[i].list;

		if (list->issued > wall && lm_authorities_have(au, list->issuer))
			wall = list->issued;
	}
	return wall;
}

/* Times of a decoded certificate are not negative, those of a clock can be anything: the first test
 * leaves nothing to the second that could overflow. */
static enum lm_verdict judge_times(const struct lm_cert *c, int64_t t)
{
	if (t < c->not_before - LM_TRUST_GRACE)
		return LM_NOT_YET_VALID;
	if (t - LM_TRUST_GRACE >= c->not_after)
		return LM_EXPIRED;
	return LM_TRUSTED;
}

enum lm_verdict lm_cert_recheck(const struct lm_cert *c, const struct lm_authorities *au,
				const struct lm_revocations *rs, int64_t wall)
{
	if (!lm_authorities_have(au, c->issuer))
		return LM_UNKNOWN_AUTHORITY;
	if (strcmp(c->mesh, au->mesh) != 0)
		return LM_BAD_MESH;
	/* Before the times: "revoked" is what an operator must see of a node that is both. */
	if (rs != NULL && lm_revocations_has(rs, au, c->issuer, c->node, c->serial))
		return LM_REVOKED;
	return judge_times(c, judged_time(au, rs, wall));
}

enum lm_verdict lm_cert_check(const uint8_t *data, size_t len, const struct lm_authorities *au,
			      const struct lm_revocations *rs, int64_t wall, struct lm_cert *out)
{
	size_t body_len;

	if (lm_cert_decode(data, len, out, &body_len) != 0) {
		memset(out, 0, sizeof(*out));
		return LM_BAD_ENCODING;
	}
	/* The signature costs most, and only makes sense of a key that we know. */
	if (!lm_authorities_have(au, out->issuer))
		return LM_UNKNOWN_AUTHORITY;
	if (!lm_verify(out->issuer, LM_SIGN_CERT, data, body_len, data + body_len))
		return LM_BAD_SIGNATURE;
	return lm_cert_recheck(out, au, rs, wall);
}

bool lm_cert_carries(const struct lm_cert *c, const struct lm_ip *ip)
{
	/* A v4-mapped address is in no prefix, see lm_prefix_contains. */
	if (lm_ip_is_special(ip))
		return false;
	for (unsigned i = 0; i < c->n_prefixes; i++)
		if (lm_prefix_contains(&c->prefixes[i], ip))
			return true;
	for (unsigned i = 0; i < c->n_overlays; i++)
		if (lm_ip_equal(&c->overlays[i], ip))
			return true;
	return false;
}
