/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/crypto.h>
#include <lanemesh/noise.h>

#include <errno.h>
#include <setjmp.h>
#include <sodium.h>

#include <cmocka.h>

#include "vectors.h"

/* The bytes of a hex string, in malloc'ed memory of at least one byte. */
static uint8_t *unhex_alloc(const json_t *text, size_t *len)
{
	uint8_t *out;

	assert_non_null(json_string_value(text));
	*len = json_string_length(text) / 2;
	out = malloc(*len + 1);
	assert_non_null(out);
	assert_int_equal(lm_unhex(json_string_value(text), out, *len), 0);
	return out;
}

static void unhex_key(const json_t *text, uint8_t out[32])
{
	assert_non_null(json_string_value(text));
	assert_int_equal(lm_unhex(json_string_value(text), out, 32), 0);
}

static const json_t *field(const json_t *v, const char *name, const char *other)
{
	const json_t *x = json_object_get(v, name);

	return x != NULL ? x : json_object_get(v, other);
}

static void start(struct lm_noise *ns, bool initiator, const json_t *v)
{
	const json_t *psk = field(v, "psk", "init_psks");
	uint8_t s[32], s_pub[32], e[32], other[32], rs[32], psk_raw[32], *prologue;
	size_t len;

	unhex_key(json_object_get(v, initiator ? "init_static" : "resp_static"), s);
	unhex_key(json_object_get(v, initiator ? "init_ephemeral" : "resp_ephemeral"), e);
	unhex_key(json_object_get(v, "resp_static"), other);
	assert_int_equal(crypto_scalarmult_base(s_pub, s), 0);
	assert_int_equal(crypto_scalarmult_base(rs, other), 0);
	prologue = unhex_alloc(field(v, "prologue", "init_prologue"), &len);
	if (json_is_array(psk))
		psk = json_array_get(psk, 0);
	if (json_is_string(psk))
		unhex_key(psk, psk_raw);
	lm_noise_init(ns, initiator, s, s_pub, e, initiator ? rs : NULL,
		      json_is_string(psk) ? psk_raw : NULL, prologue, len);
	free(prologue);
}

/* Writes a message on one side, compares it with the vector, reads it on the other. */
static void handshake_step(struct lm_noise *from, struct lm_noise *to, const json_t *message)
{
	size_t plain_len, cipher_len;
	uint8_t *plain = unhex_alloc(json_object_get(message, "payload"), &plain_len);
	uint8_t *cipher = unhex_alloc(json_object_get(message, "ciphertext"), &cipher_len);
	uint8_t *out = malloc(cipher_len), *got = malloc(plain_len + 1);
	size_t overhead = from->initiator ? LM_NOISE_MSG1_OVERHEAD : LM_NOISE_MSG2_OVERHEAD;

	assert_true(out != NULL && got != NULL);
	assert_int_equal(cipher_len, plain_len + overhead);
	assert_int_equal(lm_noise_write(from, plain, plain_len, out), 0);
	assert_memory_equal(out, cipher, cipher_len);
	assert_int_equal(lm_noise_read(to, cipher, cipher_len, got), 0);
	assert_memory_equal(got, plain, plain_len);
	free(plain);
	free(cipher);
	free(out);
	free(got);
}

static void transport_step(const uint8_t seal[32], const uint8_t open[32], uint64_t counter,
			   const json_t *message)
{
	size_t plain_len, cipher_len;
	uint8_t *plain = unhex_alloc(json_object_get(message, "payload"), &plain_len);
	uint8_t *cipher = unhex_alloc(json_object_get(message, "ciphertext"), &cipher_len);
	uint8_t *out = malloc(cipher_len), *got = malloc(plain_len + 1);

	assert_true(out != NULL && got != NULL);
	assert_int_equal(cipher_len, plain_len + 16);
	lm_noise_seal(seal, counter, NULL, 0, plain, plain_len, out);
	assert_memory_equal(out, cipher, cipher_len);
	assert_int_equal(lm_noise_open(open, counter, NULL, 0, cipher, cipher_len, got), 0);
	assert_memory_equal(got, plain, plain_len);
	free(plain);
	free(cipher);
	free(out);
	free(got);
}

static void run(const json_t *v)
{
	const json_t *messages = json_object_get(v, "messages");
	const json_t *hash = json_object_get(v, "handshake_hash");
	struct lm_noise ini, resp;
	struct lm_noise_keys ki, kr;
	uint8_t s[32], s_pub[32];

	start(&ini, true, v);
	start(&resp, false, v);
	handshake_step(&ini, &resp, json_array_get(messages, 0));
	unhex_key(json_object_get(v, "init_static"), s);
	assert_int_equal(crypto_scalarmult_base(s_pub, s), 0);
	assert_memory_equal(resp.rs, s_pub, 32);
	assert_memory_equal(resp.re, ini.e_pub, 32);
	handshake_step(&resp, &ini, json_array_get(messages, 1));
	assert_int_equal(lm_noise_split(&ini, &ki), 0);
	assert_int_equal(lm_noise_split(&resp, &kr), 0);
	assert_memory_equal(ki.hash, kr.hash, 64);
	assert_memory_equal(ki.esp_root, kr.esp_root, 64);
	if (hash != NULL) {
		uint8_t want[64];

		assert_int_equal(lm_unhex(json_string_value(hash), want, 64), 0);
		assert_memory_equal(ki.hash, want, 64);
	}
	for (size_t i = 2; i < json_array_size(messages); i++) {
		bool from_ini = i % 2 == 0;

		transport_step(from_ini ? ki.send : kr.send, from_ini ? kr.recv : ki.recv,
			       (i - 2) / 2, json_array_get(messages, i));
	}
}

static void run_all(json_t *root, size_t at_least)
{
	const json_t *list = json_object_get(root, "vectors");

	assert_true(json_array_size(list) >= at_least);
	for (size_t i = 0; i < json_array_size(list); i++)
		run(json_array_get(list, i));
	json_decref(root);
}

static void test_own(void **state)
{
	(void)state;
	run_all(vectors_own("noise_ik_chachapoly_blake2b.json"), 16);
}

static void test_cacophony(void **state)
{
	json_t *root = vectors_third_party("noise_cacophony_subset.json");

	(void)state;
	if (root == NULL)
		skip();
	run_all(root, 2);
}

/*
 * With e = s = the vector's private key, both DHs of message 1 give the vector's shared secret, and
 * the chaining key afterwards is two HKDFs away from the protocol's name.
 */
static void x25519_case(const json_t *t, unsigned *refused)
{
	static const uint8_t zero[32];
	uint8_t secret[32], public[32], shared[32], own[32], msg[LM_NOISE_MSG1_OVERHEAD];
	uint8_t ck[64] = "Noise_IK_25519_ChaChaPoly_BLAKE2b", out[2][64];
	struct lm_noise ns;
	int rc;

	unhex_key(json_object_get(t, "private"), secret);
	unhex_key(json_object_get(t, "public"), public);
	unhex_key(json_object_get(t, "shared"), shared);
	assert_int_equal(crypto_scalarmult_base(own, secret), 0);
	lm_noise_init(&ns, true, secret, own, secret, public, NULL, NULL, 0);
	rc = lm_noise_write(&ns, NULL, 0, msg);
	if (memcmp(shared, zero, 32) == 0) {
		assert_int_equal(rc, -EKEYREJECTED);
		assert_int_equal(lm_noise_write(&ns, NULL, 0, msg), -EPROTO);
		(*refused)++;
		return;
	}
	assert_int_equal(rc, 0);
	for (int i = 0; i < 2; i++) {
		lm_noise_hkdf(ck, shared, 32, 2, out);
		memcpy(ck, out[0], 64);
	}
	assert_memory_equal(ns.ck, ck, 64);
}

static void test_wycheproof_x25519(void **state)
{
	json_t *root = vectors_third_party("wycheproof_x25519.json");
	const json_t *groups = json_object_get(root, "testGroups");
	unsigned n = 0, refused = 0;

	(void)state;
	if (root == NULL)
		skip();
	for (size_t g = 0; g < json_array_size(groups); g++) {
		const json_t *tests = json_object_get(json_array_get(groups, g), "tests");

		for (size_t i = 0; i < json_array_size(tests); i++, n++)
			x25519_case(json_array_get(tests, i), &refused);
	}
	assert_true(n >= 500);
	assert_true(refused >= 30);
	json_decref(root);
}

/* Only nonces that start with 4 zero bytes can be said as a counter. */
static bool aead_case(const json_t *t)
{
	size_t iv_len, aad_len, msg_len, ct_len, tag_len;
	uint8_t *iv = unhex_alloc(json_object_get(t, "iv"), &iv_len);
	uint8_t *aad = unhex_alloc(json_object_get(t, "aad"), &aad_len);
	uint8_t *msg = unhex_alloc(json_object_get(t, "msg"), &msg_len);
	uint8_t *ct = unhex_alloc(json_object_get(t, "ct"), &ct_len);
	uint8_t *tag = unhex_alloc(json_object_get(t, "tag"), &tag_len);
	bool valid = strcmp(json_string_value(json_object_get(t, "result")), "valid") == 0;
	bool usable = iv_len == 12 && memcmp(iv, "\0\0\0\0", 4) == 0 && tag_len == 16;
	uint8_t key[32], *sealed = malloc(ct_len + 16), *plain = malloc(msg_len + 1);
	uint64_t counter = 0;

	assert_true(sealed != NULL && plain != NULL);
	unhex_key(json_object_get(t, "key"), key);
	if (usable) {
		for (int i = 7; i >= 0; i--)
			counter = counter << 8 | iv[4 + i];
		memcpy(sealed, ct, ct_len);
		memcpy(sealed + ct_len, tag, 16);
		assert_int_equal(
		    lm_noise_open(key, counter, aad, aad_len, sealed, ct_len + 16, plain),
		    valid ? 0 : -EBADMSG);
		if (valid) {
			assert_memory_equal(plain, msg, msg_len);
			lm_noise_seal(key, counter, aad, aad_len, msg, msg_len, sealed);
			assert_memory_equal(sealed, ct, ct_len);
			assert_memory_equal(sealed + ct_len, tag, 16);
		}
	}
	free(iv);
	free(aad);
	free(msg);
	free(ct);
	free(tag);
	free(sealed);
	free(plain);
	return usable;
}

static void test_wycheproof_chacha20_poly1305(void **state)
{
	json_t *root = vectors_third_party("wycheproof_chacha20_poly1305.json");
	const json_t *groups = json_object_get(root, "testGroups");
	unsigned n = 0;

	(void)state;
	if (root == NULL)
		skip();
	for (size_t g = 0; g < json_array_size(groups); g++) {
		const json_t *tests = json_object_get(json_array_get(groups, g), "tests");

		for (size_t i = 0; i < json_array_size(tests); i++)
			n += aead_case(json_array_get(tests, i));
	}
	assert_true(n >= 10);
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_own),
	    cmocka_unit_test(test_cacophony),
	    cmocka_unit_test(test_wycheproof_x25519),
	    cmocka_unit_test(test_wycheproof_chacha20_poly1305),
	};

	if (lm_crypto_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
