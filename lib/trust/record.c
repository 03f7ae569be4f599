/* SPDX-License-Identifier: BSD-3-Clause */
#include "record.h"

#include <errno.h>

int lm_record_sign(const struct lm_identity *id, const char *context, const char *what,
		   int body_len, uint8_t *buf, size_t cap, struct lm_error *err)
{
	int rc;

	if (body_len == -EMSGSIZE || (body_len >= 0 && cap - (size_t)body_len < LM_SIG_LEN))
		return lm_error_set(err, EMSGSIZE,
				    "the %s would be too long: put fewer entries into it", what);
	if (body_len < 0)
		return lm_error_set(err, -body_len,
				    "the %s has a field that no peer would accept: check names, "
				    "addresses, times, and that nothing is listed twice",
				    what);
	rc = lm_sign(id, context, buf, (size_t)body_len, buf + body_len);
	if (rc != 0)
		return lm_error_set(err, -rc, "the %s cannot be signed: out of memory", what);
	return body_len + LM_SIG_LEN;
}

bool lm_authorities_have(const struct lm_authorities *au, const uint8_t key[LM_KEY_LEN])
{
	for (unsigned i = 0; i < au->n; i++)
		if (memcmp(au->keys[i], key, LM_KEY_LEN) == 0)
			return true;
	return false;
}
