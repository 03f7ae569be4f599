/* SPDX-License-Identifier: BSD-3-Clause */
/* mac1 and mac2 in WireGuard's manner: one keyed hash decides what is worth a DH. */
#include <lanemesh/crypto.h>
#include <lanemesh/noise.h>
#include <sodium.h>

#define MAC_LEN 16

static void labelled_key(const char *label, const uint8_t receiver[32], uint8_t out[32])
{
	lm_blake2b(out, 32, NULL, 0, label, strlen(label), receiver, 32);
}

void lm_mac1_key(const uint8_t receiver_x_public[32], uint8_t out[32])
{
	labelled_key("lanemesh mac1", receiver_x_public, out);
}

void lm_cookie_key(const uint8_t receiver_x_public[32], uint8_t out[32])
{
	labelled_key("lanemesh cookie", receiver_x_public, out);
}

void lm_mac1(const uint8_t mac1_key[32], const uint8_t *msg, size_t covered, uint8_t out[16])
{
	lm_blake2b(out, MAC_LEN, mac1_key, 32, msg, covered, NULL, 0);
}

bool lm_mac1_ok(const uint8_t mac1_key[32], const uint8_t *msg, size_t covered,
		const uint8_t mac[16])
{
	uint8_t want[MAC_LEN];

	lm_mac1(mac1_key, msg, covered, want);
	return crypto_verify_16(want, mac) == 0;
}

void lm_mac2(const uint8_t cookie[16], const uint8_t *msg, size_t covered, uint8_t out[16])
{
	lm_blake2b(out, MAC_LEN, cookie, 16, msg, covered, NULL, 0);
}
