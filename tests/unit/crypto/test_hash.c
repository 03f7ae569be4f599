/* SPDX-License-Identifier: BSD-3-Clause */
/* Expected values come from Python's hashlib and hmac. */
#include <lanemesh/crypto.h>

#include <setjmp.h>

#include <cmocka.h>

static void counting(uint8_t *out, size_t n, uint8_t first)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(first + i);
}

static void is_hex(const uint8_t *got, size_t n, const char *expect)
{
	char text[2 * 64 + 1];

	assert_string_equal(lm_hex(got, n, text), expect);
}

static void blake2b(void **state)
{
	uint8_t out[64], key[32];

	(void)state;
	lm_blake2b(out, 64, NULL, 0, NULL, 0, NULL, 0);
	is_hex(out, 64,
	       "786a02f742015903c6c6fd852552d272912f4740e15847618a86e217f71f5419"
	       "d25e1031afee585313896444934eb04b903a685b1448b755d56f701afe9be2ce");
	lm_blake2b(out, 32, NULL, 0, "abc", 3, "def", 3);
	is_hex(out, 32, "755b8c020bf6b81a3e1d069e177e19e3892c256595c1a94ddb5a902b9e3c6212");
	memset(key, 'k', sizeof(key));
	lm_blake2b(out, 16, key, sizeof(key), "hello", 5, "world", 5);
	is_hex(out, 16, "65872f009832f2942b3d6f4a6aa3fb3a");
}

static void hmac(void **state)
{
	uint8_t key[200], out[64];

	(void)state;
	counting(key, sizeof(key), 0);
	lm_hmac_blake2b(out, NULL, 0, NULL, 0, NULL, 0);
	is_hex(out, 64,
	       "198cd2006f66ff83fbbd913f78aca2251caf4f19fe9475aade8cf2091b99a684"
	       "66775177424f58286886cbae8229644cec747237d4b721735485e17372fdf59c");
	lm_hmac_blake2b(out, "key", 3, "The quick brown fox ", 20, "jumps over the lazy dog", 23);
	is_hex(out, 64,
	       "92294f92c0dfb9b00ec9ae8bd94d7e7d8a036b885a499f149dfe2fd2199394aa"
	       "af6b8894a1730cccb2cd050f9bcf5062a38b51b0dab33207f8ef35ae2c9df51b");
	lm_hmac_blake2b(out, key, 128, NULL, 0, "xyz", 3);
	is_hex(out, 64,
	       "7129d09fbbc1b50a51dddac0b5f10fe2528040d61354bcd4af72e1ad5a32aa2f"
	       "126a8aeb3eee70855590055ee546e4346d32d782504d4ec18cc58bdef0687fde");
	lm_hmac_blake2b(out, key, 200, "abc", 3, NULL, 0);
	is_hex(out, 64,
	       "feb09eb5b1c557085c0a53bdf39ef7bc9af291f21d7c917cd1cf09542aab9536"
	       "2de79b3925fe55d92997423b5a68be1bda2f6518df34fa1053bb3ef559b08200");
}

static void noise_hkdf(void **state)
{
	static const char *const expect[3] = {
	    "2262ed5f40c3324574d00a1e0849a7cc67fb5b6a80211c3c59404bb8e47512b1"
	    "cb95e73840718c5d68ca345f934f39a52f1f31e8f6d3ed521f0664f46feddae4",
	    "f6a6559fa2aaab64d3d2666b83fe3f4fed6fae1959537fedd6a39b6f8d411e61"
	    "32593234cc2a750244335da5021c27bf7eacbb65cfa608457de6ecc144b90077",
	    "07c82c1301c70e885f4662f1f3f7b7bb9e04d81c94a6e1882f812c02ffb69580"
	    "c93095bb599ad2fced3d3cf38c9c17df4fb3c0029f231247fca69b040e16449e"};
	uint8_t ck[64], ikm[32], out[3][64];

	(void)state;
	counting(ck, sizeof(ck), 0);
	counting(ikm, sizeof(ikm), 100);
	for (unsigned n = 2; n <= 3; n++) {
		memset(out, 0xee, sizeof(out));
		lm_noise_hkdf(ck, ikm, sizeof(ikm), n, out);
		for (unsigned i = 0; i < n; i++)
			is_hex(out[i], 64, expect[i]);
		if (n == 2)
			assert_int_equal(out[2][0], 0xee);
	}
}

static void esp_keys(void **state)
{
	struct lm_esp_key k;
	uint8_t root[64];

	(void)state;
	counting(root, sizeof(root), 0);
	lm_esp_key_derive(root, 0, 0, &k);
	is_hex(k.key, 32, "b5a8644953ee66cc037f36b691f103dc7a0ef74719ef00b3485f9b81b77b6ba2");
	is_hex(k.salt, 4, "51943310");
	lm_esp_key_derive(root, 1, 42, &k);
	is_hex(k.key, 32, "cf7b6568c1a068073dee2eb1b6510b1392286d4f672d58f7e4b45ad1a1862f52");
	is_hex(k.salt, 4, "21cc4a8e");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(blake2b),
	    cmocka_unit_test(hmac),
	    cmocka_unit_test(noise_hkdf),
	    cmocka_unit_test(esp_keys),
	};

	if (lm_crypto_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
