/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/crypto.h>

#include <sodium.h>

void lm_noise_hkdf(const uint8_t ck[64], const void *ikm, size_t ikm_len, unsigned n,
		   uint8_t out[][64])
{
	uint8_t temp[64];

	lm_hmac_blake2b(temp, ck, 64, ikm, ikm_len, NULL, 0);
	for (unsigned i = 0; i < n; i++) {
		uint8_t number = (uint8_t)(i + 1);

		lm_hmac_blake2b(out[i], temp, sizeof(temp), i == 0 ? NULL : out[i - 1],
				i == 0 ? 0 : 64, &number, 1);
	}
	sodium_memzero(temp, sizeof(temp));
}

void lm_esp_key_derive(const uint8_t root[64], uint8_t direction, uint8_t lane,
		       struct lm_esp_key *out)
{
	/* RFC 5869 section 2.3: T(1) = HMAC(PRK, info || 0x01); 64 bytes cover key and salt. */
	static const char label[] = "lanemesh esp";
	const uint8_t tail[3] = {direction, lane, 1};
	uint8_t okm[64];

	_Static_assert(LM_ESP_KEY_LEN + LM_ESP_SALT_LEN <= sizeof(okm), "one block is enough");
	lm_hmac_blake2b(okm, root, 64, label, sizeof(label) - 1, tail, sizeof(tail));
	memcpy(out->key, okm, LM_ESP_KEY_LEN);
	memcpy(out->salt, okm + LM_ESP_KEY_LEN, LM_ESP_SALT_LEN);
	sodium_memzero(okm, sizeof(okm));
}
