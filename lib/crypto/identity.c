/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/crypto.h>

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

int lm_crypto_init(void)
{
	return sodium_init() < 0 ? -EIO : 0;
}

struct lm_identity *lm_identity_from_seed(const uint8_t seed[32])
{
	struct lm_identity *id = sodium_malloc(sizeof(*id));

	if (id == NULL)
		return NULL;
	if (crypto_sign_seed_keypair(id->ed_public, id->ed_secret, seed) != 0 ||
	    crypto_sign_ed25519_sk_to_curve25519(id->x_secret, id->ed_secret) != 0 ||
	    crypto_scalarmult_base(id->x_public, id->x_secret) != 0) {
		sodium_free(id);
		return NULL;
	}
	return id;
}

struct lm_identity *lm_identity_generate(void)
{
	uint8_t seed[32];
	struct lm_identity *id;

	randombytes_buf(seed, sizeof(seed));
	id = lm_identity_from_seed(seed);
	sodium_memzero(seed, sizeof(seed));
	return id;
}

void lm_identity_free(struct lm_identity *id)
{
	sodium_free(id);
}

/*
 * libsodium refuses what is off the curve, of small order or outside the main
 * subgroup. That also leaves a key only one encoding: a second one has a y below
 * 19, and of those points only the neutral element is in the main subgroup.
 */
int lm_identity_x_public(const uint8_t ed_public[32], uint8_t out[32])
{
	return crypto_sign_ed25519_pk_to_curve25519(out, ed_public) == 0 ? 0 : -EINVAL;
}

/* context || 0x00 || data; NULL when memory cannot be had. libsodium has no multi-part form of
 * pure Ed25519, only of Ed25519ph, which a stranger's library often lacks. */
static uint8_t *join(const char *context, const void *data, size_t len, size_t *joined)
{
	size_t head = strlen(context) + 1;
	uint8_t *m;

	if (len > SIZE_MAX - head)
		return NULL;
	m = malloc(head + len);
	if (m == NULL)
		return NULL;
	memcpy(m, context, head);
	if (len > 0)
		memcpy(m + head, data, len);
	*joined = head + len;
	return m;
}

int lm_sign(const struct lm_identity *id, const char *context, const void *data, size_t len,
	    uint8_t sig[64])
{
	size_t joined;
	uint8_t *m = join(context, data, len, &joined);

	if (m == NULL) {
		memset(sig, 0, 64);
		return -ENOMEM;
	}
	crypto_sign_detached(sig, NULL, m, joined, id->ed_secret);
	free(m);
	return 0;
}

bool lm_verify(const uint8_t ed_public[32], const char *context, const void *data, size_t len,
	       const uint8_t sig[64])
{
	size_t joined;
	uint8_t *m = join(context, data, len, &joined);
	bool good;

	if (m == NULL)
		return false;
	good = crypto_sign_verify_detached(sig, m, joined, ed_public) == 0;
	free(m);
	return good;
}
