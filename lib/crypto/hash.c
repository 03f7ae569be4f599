/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/crypto.h>

#include <sodium.h>

void lm_blake2b(uint8_t *out, size_t out_len, const void *key, size_t key_len, const void *a,
		size_t a_len, const void *b, size_t b_len)
{
	crypto_generichash_blake2b_state st;

	crypto_generichash_blake2b_init(&st, key, key_len, out_len);
	if (a_len > 0)
		crypto_generichash_blake2b_update(&st, a, a_len);
	if (b_len > 0)
		crypto_generichash_blake2b_update(&st, b, b_len);
	crypto_generichash_blake2b_final(&st, out, out_len);
	sodium_memzero(&st, sizeof(st));
}

#define HMAC_BLOCK 128 /* of BLAKE2b, RFC 7693 section 2.1 */

void lm_hmac_blake2b(uint8_t out[64], const void *key, size_t key_len, const void *a, size_t a_len,
		     const void *b, size_t b_len)
{
	crypto_generichash_blake2b_state st;
	uint8_t block[HMAC_BLOCK] = {0};

	/* RFC 2104 section 2: keys longer than the block are hashed first. */
	if (key_len > sizeof(block))
		lm_blake2b(block, 64, NULL, 0, key, key_len, NULL, 0);
	else if (key_len > 0)
		memcpy(block, key, key_len);

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] ^= 0x36;
	crypto_generichash_blake2b_init(&st, NULL, 0, 64);
	crypto_generichash_blake2b_update(&st, block, sizeof(block));
	if (a_len > 0)
		crypto_generichash_blake2b_update(&st, a, a_len);
	if (b_len > 0)
		crypto_generichash_blake2b_update(&st, b, b_len);
	crypto_generichash_blake2b_final(&st, out, 64);

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] ^= 0x36 ^ 0x5c;
	lm_blake2b(out, 64, NULL, 0, block, sizeof(block), out, 64);
	sodium_memzero(block, sizeof(block));
	sodium_memzero(&st, sizeof(st));
}
