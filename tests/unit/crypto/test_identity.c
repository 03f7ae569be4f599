/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/crypto.h>

#include <errno.h>
#include <sodium.h>

#include "vectors.h"

static void from_seed(void **state)
{
	/* RFC 8032 section 7.1, test 1. */
	static const char *const public =
	    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
	uint8_t seed[32], x[32];
	struct lm_identity *id;
	char text[65];

	(void)state;
	assert_int_equal(
	    lm_unhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", seed, 32),
	    0);
	id = lm_identity_from_seed(seed);
	assert_non_null(id);
	assert_string_equal(lm_hex(id->ed_public, 32, text), public);
	assert_memory_equal(id->ed_secret, seed, 32);
	assert_int_equal(lm_identity_x_public(id->ed_public, x), 0);
	assert_memory_equal(x, id->x_public, 32);
	lm_identity_free(id);
}

static void generated_differ(void **state)
{
	struct lm_identity *a = lm_identity_generate(), *b = lm_identity_generate();
	uint8_t ab[32], ba[32];

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	assert_memory_not_equal(a->ed_public, b->ed_public, 32);
	assert_int_equal(crypto_scalarmult(ab, a->x_secret, b->x_public), 0);
	assert_int_equal(crypto_scalarmult(ba, b->x_secret, a->x_public), 0);
	assert_memory_equal(ab, ba, 32);
	lm_identity_free(a);
	lm_identity_free(b);
	lm_identity_free(NULL);
}

static void signatures(void **state)
{
	struct lm_identity *id = lm_identity_generate();
	uint8_t sig[64], data[300];

	(void)state;
	randombytes_buf(data, sizeof(data));
	assert_int_equal(lm_sign(id, "cert", data, sizeof(data), sig), 0);
	assert_true(lm_verify(id->ed_public, "cert", data, sizeof(data), sig));
	assert_false(lm_verify(id->ed_public, "announcement", data, sizeof(data), sig));
	assert_false(lm_verify(id->ed_public, "cer", data, sizeof(data), sig));
	assert_false(lm_verify(id->ed_public, "cert", data, sizeof(data) - 1, sig));
	for (unsigned i = 0; i < 64; i++) {
		sig[i] ^= 1;
		assert_false(lm_verify(id->ed_public, "cert", data, sizeof(data), sig));
		sig[i] ^= 1;
	}
	assert_int_equal(lm_sign(id, "", NULL, 0, sig), 0);
	assert_true(lm_verify(id->ed_public, "", NULL, 0, sig));
	/* A stranger makes the same: plain Ed25519 over the joined bytes. */
	assert_int_equal(crypto_sign_verify_detached(sig, (const uint8_t *)"", 1, id->ed_public),
			 0);
	lm_identity_free(id);
}

/* Keys that would give everybody the same shared secret, or one key two names. */
static void bad_keys(void **state)
{
	static const char *const bad[] = {
	    /* small order */
	    "0100000000000000000000000000000000000000000000000000000000000000",
	    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	    "0000000000000000000000000000000000000000000000000000000000000080",
	    "0000000000000000000000000000000000000000000000000000000000000000",
	    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	    /* not on the curve */
	    "0200000000000000000000000000000000000000000000000000000000000000",
	};
	uint8_t key[32], out[32], mixed[32];
	struct lm_identity *id;

	(void)state;
	for (unsigned i = 0; i < LM_ARRAY_SIZE(bad); i++) {
		assert_int_equal(lm_unhex(bad[i], key, 32), 0);
		assert_int_equal(lm_identity_x_public(key, out), -EINVAL);
	}
	/* A y of p to p + 18 is a second encoding of a small y, with either sign. */
	for (unsigned y = 0; y < 19 * 2; y++) {
		memset(key, 0xff, sizeof(key));
		key[0] = (uint8_t)(0xed + y / 2);
		key[31] = y % 2 == 0 ? 0x7f : 0xff;
		assert_int_equal(lm_identity_x_public(key, out), -EINVAL);
	}
	/* A good point plus one of order 8 is on the curve, but outside the main subgroup. */
	id = lm_identity_generate();
	assert_int_equal(lm_unhex(bad[4], key, 32), 0);
	assert_int_equal(crypto_core_ed25519_add(mixed, id->ed_public, key), 0);
	assert_int_equal(lm_identity_x_public(mixed, out), -EINVAL);
	lm_identity_free(id);
}

/* The messages that have the form context || 0 || data go through lm_verify itself, the others
 * through the libsodium call that it stands on. */
static void wycheproof(void **state)
{
	json_t *root = vectors_third_party("wycheproof_ed25519.json"), *group, *t;
	unsigned total = 0;
	size_t gi, ti;

	(void)state;
	if (root == NULL)
		skip();
	json_array_foreach(json_object_get(root, "testGroups"), gi, group)
	{
		uint8_t pk[32];

		assert_int_equal(vec_hex(json_object_get(group, "publicKey"), "pk", pk, 32), 32);
		json_array_foreach(json_object_get(group, "tests"), ti, t)
		{
			uint8_t msg[1024], sig[256], *zero;
			size_t len = vec_hex(t, "msg", msg, sizeof(msg));
			size_t sig_len = vec_hex(t, "sig", sig, sizeof(sig));
			bool good = false;

			total++;
			if (sig_len != 64) {
				/* Our callers hold exactly 64 bytes. */
				assert_string_not_equal(vec_str(t, "result"), "valid");
				continue;
			}
			zero = memchr(msg, 0, len);
			if (zero != NULL)
				good = lm_verify(pk, (const char *)msg, zero + 1,
						 len - (size_t)(zero + 1 - msg), sig);
			else
				good = crypto_sign_verify_detached(sig, msg, len, pk) == 0;
			if (good != (strcmp(vec_str(t, "result"), "valid") == 0))
				fail_msg("tcId %d",
					 (int)json_integer_value(json_object_get(t, "tcId")));
		}
	}
	assert_true(total >= 100);
	json_decref(root);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(from_seed),  cmocka_unit_test(generated_differ),
	    cmocka_unit_test(signatures), cmocka_unit_test(bad_keys),
	    cmocka_unit_test(wycheproof),
	};

	if (lm_crypto_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
