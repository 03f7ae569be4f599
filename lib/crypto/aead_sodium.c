/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AES-256-GCM of libsodium: the independent reference that the tests hold the fast
 * backend against, and a fallback that shares no code with it.
 */
#include "aead.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>

struct lm_aead_key {
	crypto_aead_aes256gcm_state gcm;
};
_Static_assert(_Alignof(struct lm_aead_key) <= 64, "the contract promises 64");

static int start(struct lm_aead *a, struct lm_error *err)
{
	if (!crypto_aead_aes256gcm_is_available())
		return lm_error_set(err, ENOTSUP,
				    "libsodium's AES-256-GCM cannot run on this CPU: "
				    "it needs AES-NI and PCLMULQDQ");
	snprintf(a->description, sizeof(a->description), "sodium %s", sodium_version_string());
	return 0;
}

static void stop(struct lm_aead *a)
{
	(void)a;
}

static void key_init(const struct lm_aead *a, struct lm_aead_key *key, const uint8_t raw[32])
{
	(void)a;
	crypto_aead_aes256gcm_beforenm(&key->gcm, raw);
}

static void seal_burst(struct lm_aead *a, struct lm_aead_op *ops, unsigned n)
{
	(void)a;
	for (struct lm_aead_op *op = ops; op < ops + n; op++)
		crypto_aead_aes256gcm_encrypt_detached_afternm(op->dst, op->tag, NULL, op->src,
							       op->len, op->aad, op->aad_len, NULL,
							       op->iv, &op->key->gcm);
}

static unsigned open_burst(struct lm_aead *a, struct lm_aead_op *ops, unsigned n)
{
	unsigned failed = 0;

	(void)a;
	for (struct lm_aead_op *op = ops; op < ops + n; op++) {
		op->ok = crypto_aead_aes256gcm_decrypt_detached_afternm(
			     op->dst, NULL, op->src, op->len, op->tag, op->aad, op->aad_len, op->iv,
			     &op->key->gcm) == 0;
		failed += !op->ok;
	}
	return failed;
}

const struct aead_backend lm_aead_sodium = {
    .name = "sodium",
    .key_size = sizeof(struct lm_aead_key),
    .start = start,
    .stop = stop,
    .key_init = key_init,
    .seal = seal_burst,
    .open = open_burst,
};
