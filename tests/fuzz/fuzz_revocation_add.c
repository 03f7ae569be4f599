/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A revocation list from a stranger, offered to a table that holds a good one.
 * Its issuer is taken for a configured authority; it must not get in, since
 * nobody can sign for the authority of the good one, nor push that one out.
 */
#include <lanemesh/trust.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t seed[32] = {1};
	struct lm_revocation good = {.mesh = "fuzz", .number = 7, .next_update = 1}, list;
	struct lm_authorities au = {.mesh = "fuzz", .n = 2};
	struct lm_revocations rs = {0};
	struct lm_identity *id;
	uint8_t buf[512], *copy = malloc(size + 1);
	size_t body_len;
	bool changed;
	int n;

	if (copy == NULL || lm_crypto_init() != 0 || (id = lm_identity_from_seed(seed)) == NULL)
		abort();
	memcpy(copy + 1, data, size);
	memcpy(au.keys[0], id->ed_public, LM_KEY_LEN);
	if (lm_revocation_decode(copy + 1, size, &list, &body_len) == 0)
		memcpy(au.keys[1], list.issuer, LM_KEY_LEN);
	n = lm_revocation_sign(id, &good, buf, sizeof(buf), NULL);
	if (n < 0 || lm_revocations_add(&rs, &au, buf, (size_t)n, &changed) != LM_TRUSTED)
		abort();
	(void)!lm_revocations_add(&rs, &au, copy + 1, size, &changed);
	lm_revocations_has(&rs, &au, au.keys[1], au.keys[0], 5);
	if (rs.of[0].list.number != 7)
		abort();
	lm_revocations_free(&rs);
	lm_identity_free(id);
	free(copy);
	return 0;
}
