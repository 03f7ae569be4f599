/* SPDX-License-Identifier: BSD-3-Clause */
/* Sealing of control messages after the handshake, and in it. */
#include <errno.h>
#include <lanemesh/noise.h>
#include <sodium.h>

#define TAG_LEN 16

/* Noise 12.3: 32 zero bits, then the counter in little-endian. */
static void nonce(uint64_t counter, uint8_t out[12])
{
	memset(out, 0, 4);
	for (unsigned i = 0; i < 8; i++)
		out[4 + i] = (uint8_t)(counter >> (8 * i));
}

void lm_noise_seal(const uint8_t key[32], uint64_t counter, const void *ad, size_t ad_len,
		   const void *plain, size_t len, uint8_t *out)
{
	uint8_t n[12];

	nonce(counter, n);
	crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain, len, ad, ad_len, NULL, n, key);
}

int lm_noise_open(const uint8_t key[32], uint64_t counter, const void *ad, size_t ad_len,
		  const uint8_t *in, size_t len, uint8_t *out)
{
	uint8_t n[12];

	if (len < TAG_LEN)
		return -EBADMSG;
	nonce(counter, n);
	if (crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, in, len, ad, ad_len, n,
						      key) != 0)
		return -EBADMSG;
	return 0;
}
