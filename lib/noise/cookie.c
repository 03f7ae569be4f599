/* SPDX-License-Identifier: BSD-3-Clause */
/* Cookies: a proof of return path before a loaded responder does any DH, without state per peer. */
#include <errno.h>
#include <lanemesh/crypto.h>
#include <lanemesh/noise.h>
#include <sodium.h>

#define MAC_LEN 16

void lm_cookie_jar_turn(struct lm_cookie_jar *jar, lm_time now, const uint8_t fresh[32])
{
	lm_time age = now > jar->changed ? now - jar->changed : 0;

	if (jar->has[0] && age < LM_COOKIE_LIFE)
		return;
	/* After a quiet time the old secret is too old even to be the one before. */
	jar->has[1] = jar->has[0] && age < 2 * LM_COOKIE_LIFE;
	if (jar->has[1])
		memcpy(jar->secret[1], jar->secret[0], sizeof(jar->secret[1]));
	else
		sodium_memzero(jar->secret[1], sizeof(jar->secret[1]));
	memcpy(jar->secret[0], fresh, sizeof(jar->secret[0]));
	jar->has[0] = true;
	jar->changed = now;
}

static void cookie_of(const uint8_t secret[32], const struct lm_endpoint *from, uint8_t cookie[16])
{
	uint8_t text[1 + sizeof(from->ip.b) + 2];
	struct lm_writer w = lm_writer(text, sizeof(text));

	lm_w_u8(&w, from->ip.family);
	lm_w_copy(&w, from->ip.b, sizeof(from->ip.b));
	lm_w_u16(&w, from->port);
	lm_blake2b(cookie, MAC_LEN, secret, 32, text, lm_w_len(&w), NULL, 0);
}

void lm_cookie_make(const struct lm_cookie_jar *jar, const struct lm_endpoint *from,
		    uint8_t cookie[16])
{
	cookie_of(jar->secret[0], from, cookie);
}

bool lm_mac2_ok(const struct lm_cookie_jar *jar, const struct lm_endpoint *from, const uint8_t *msg,
		size_t covered, const uint8_t mac[16])
{
	for (unsigned i = 0; i < LM_ARRAY_SIZE(jar->secret); i++) {
		uint8_t cookie[16], want[MAC_LEN];

		if (!jar->has[i])
			continue;
		cookie_of(jar->secret[i], from, cookie);
		lm_mac2(cookie, msg, covered, want);
		if (crypto_verify_16(want, mac) == 0)
			return true;
	}
	return false;
}

void lm_cookie_seal(const uint8_t cookie_key[32], const uint8_t nonce[24], const uint8_t mac1[16],
		    const uint8_t cookie[16], uint8_t out[32])
{
	crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, cookie, 16, mac1, MAC_LEN, NULL,
						   nonce, cookie_key);
}

int lm_cookie_open(const uint8_t cookie_key[32], const uint8_t nonce[24], const uint8_t mac1[16],
		   const uint8_t in[32], uint8_t cookie[16])
{
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(cookie, NULL, NULL, in, 32, mac1, MAC_LEN,
						       nonce, cookie_key) != 0)
		return -EBADMSG;
	return 0;
}
