/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/crypto.h>

#include <stdlib.h>

#include "vectors.h"

#define LEN_MAX 2100
#define KEYS	5
#define BURST	64

/* A small deterministic generator: a failure repeats. */
static uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static void fill(uint8_t *p, size_t n, uint64_t *s)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)next_random(s);
}

/* The fastest, what ipsec-mb picks by itself (which may be the same code), and the reference. */
enum { FASTEST, IPSEC_MB, SODIUM, KINDS };

static struct lm_aead *backend(unsigned i)
{
	static const char *const names[KINDS] = {NULL, "ipsec-mb", "sodium"};
	struct lm_error err = {""};
	struct lm_aead *a = lm_aead_new(names[i], &err);

	if (a == NULL)
		fail_msg("%s", err.text);
	return a;
}

static struct lm_aead_key *make_key(const struct lm_aead *a, const uint8_t raw[32])
{
	struct lm_aead_key *k = aligned_alloc(64, (lm_aead_key_size(a) + 63) & ~(size_t)63);

	assert_non_null(k);
	lm_aead_key_init(a, k, raw);
	return k;
}

static void names(void **state)
{
	struct lm_error err;
	struct lm_aead *a;

	(void)state;
	assert_null(lm_aead_new("nonesuch", &err));
	assert_non_null(strstr(err.text, "nonesuch"));
	a = lm_aead_new(NULL, &err);
	assert_non_null(a);
	assert_int_equal(strncmp(lm_aead_description(a), "ipsec-mb ", 9), 0);
	assert_null(lm_aead_warning(a));
	lm_aead_free(a);
	lm_aead_free(NULL);
	assert_string_equal(lm_aead_backends()[0], "ipsec-mb");
	assert_string_equal(lm_aead_backends()[1], "sodium");
	assert_null(lm_aead_backends()[2]);
}

static void wycheproof_case(struct lm_aead *a, const json_t *t)
{
	uint8_t raw[32], aad[2048], msg[2048], ct[2048], tag[16], out[2048], out_tag[16];
	struct lm_aead_op op = {.aad = aad};
	bool valid = strcmp(vec_str(t, "result"), "valid") == 0;
	struct lm_aead_key *key;

	assert_int_equal(vec_hex(t, "key", raw, 32), 32);
	assert_int_equal(vec_hex(t, "iv", op.iv, 12), 12);
	assert_int_equal(vec_hex(t, "tag", tag, 16), 16);
	op.aad_len = (uint32_t)vec_hex(t, "aad", aad, sizeof(aad));
	op.len = (uint32_t)vec_hex(t, "msg", msg, sizeof(msg));
	assert_int_equal(vec_hex(t, "ct", ct, sizeof(ct)), op.len);
	op.key = key = make_key(a, raw);

	op.src = ct;
	op.dst = out;
	op.tag = tag;
	assert_int_equal(lm_aead_open(a, &op, 1), valid ? 0 : 1);
	assert_int_equal(op.ok, valid);
	if (valid) {
		assert_memory_equal(out, msg, op.len);
		op.src = msg;
		op.tag = out_tag;
		lm_aead_seal(a, &op, 1);
		assert_memory_equal(out, ct, op.len);
		assert_memory_equal(out_tag, tag, 16);
	}
	free(key);
}

static void wycheproof(void **state)
{
	json_t *root = vectors_third_party("wycheproof_aes256_gcm.json"), *group, *t;
	unsigned total = 0;
	size_t gi, ti;

	(void)state;
	if (root == NULL)
		skip();
	for (unsigned b = 0; b < KINDS; b++) {
		struct lm_aead *a = backend(b);

		json_array_foreach(json_object_get(root, "testGroups"), gi, group)
		{
			if (json_integer_value(json_object_get(group, "ivSize")) != 96 ||
			    json_integer_value(json_object_get(group, "tagSize")) != 128)
				continue;
			json_array_foreach(json_object_get(group, "tests"), ti, t)
			{
				wycheproof_case(a, t);
				total++;
			}
		}
		lm_aead_free(a);
	}
	assert_true(total >= KINDS * 50);
	json_decref(root);
}

/* With the reference byte for byte, at every length, in place and not. */
static void agrees_with_reference(unsigned kind)
{
	static uint8_t plain[LEN_MAX], one[LEN_MAX], two[LEN_MAX];
	struct lm_aead *a = backend(kind), *b = backend(SODIUM);
	uint64_t seed = 88172645463325252u;
	struct lm_aead_key *ka, *kb;
	uint8_t raw[32], aad[20];

	fill(raw, sizeof(raw), &seed);
	ka = make_key(a, raw);
	kb = make_key(b, raw);
	for (uint32_t len = 0; len <= LEN_MAX; len++) {
		uint8_t tag_a[16], tag_b[16];
		struct lm_aead_op op = {.key = ka, .src = plain, .dst = one, .tag = tag_a};

		op.len = len;
		op.aad = aad;
		op.aad_len = (uint32_t)(next_random(&seed) % sizeof(aad));
		fill(aad, sizeof(aad), &seed);
		fill(op.iv, sizeof(op.iv), &seed);
		fill(plain, len, &seed);
		lm_aead_seal(a, &op, 1);
		memcpy(two, plain, len);
		op.key = kb;
		op.src = op.dst = two;
		op.tag = tag_b;
		lm_aead_seal(b, &op, 1);
		assert_memory_equal(one, two, len);
		assert_memory_equal(tag_a, tag_b, 16);

		/* Each opens what the other made. */
		op.src = op.dst = one;
		assert_int_equal(lm_aead_open(b, &op, 1), 0);
		assert_memory_equal(one, plain, len);
		op.key = ka;
		op.src = op.dst = two;
		assert_int_equal(lm_aead_open(a, &op, 1), 0);
		assert_memory_equal(two, plain, len);
	}
	free(ka);
	free(kb);
	lm_aead_free(a);
	lm_aead_free(b);
}

static void backends_agree(void **state)
{
	(void)state;
	agrees_with_reference(FASTEST);
	agrees_with_reference(IPSEC_MB);
}

/* Bursts of mixed keys and lengths give what one at a time gives; damage hits one packet only. */
static void mixed(unsigned kind)
{
	static uint8_t plain[BURST][LEN_MAX], ct[2][BURST][LEN_MAX], tag[2][BURST][16];
	struct lm_aead *a[2] = {backend(kind), backend(SODIUM)};
	struct lm_aead_key *key[2][KEYS];
	struct lm_aead_op op[2][BURST];
	uint64_t seed = 0x9e3779b97f4a7c15u;

	for (unsigned k = 0; k < KEYS; k++) {
		uint8_t raw[32];

		fill(raw, sizeof(raw), &seed);
		for (unsigned b = 0; b < 2; b++)
			key[b][k] = make_key(a[b], raw);
	}
	for (unsigned round = 0; round < 200; round++) {
		unsigned n = 1 + (unsigned)(next_random(&seed) % BURST), bad = 0, failed;
		bool hurt[BURST];

		for (unsigned i = 0; i < n; i++) {
			unsigned k = (unsigned)(next_random(&seed) % KEYS);
			uint8_t iv[12];

			fill(iv, sizeof(iv), &seed);
			for (unsigned b = 0; b < 2; b++) {
				op[b][i] = (struct lm_aead_op){.key = key[b][k],
							       .src = plain[i],
							       .dst = ct[b][i],
							       .tag = tag[b][i],
							       .aad = plain[(i + 1) % n],
							       .aad_len = 8};
				memcpy(op[b][i].iv, iv, sizeof(iv));
			}
			op[0][i].len = op[1][i].len = (uint32_t)(next_random(&seed) % LEN_MAX);
			fill(plain[i], op[0][i].len, &seed);
		}
		/* Out of place; the aad is another packet's plaintext, which stays as it is. */
		for (unsigned i = 0; i < n; i++)
			lm_aead_seal(a[1], &op[1][i], 1);
		lm_aead_seal(a[0], op[0], n);
		for (unsigned i = 0; i < n; i++) {
			assert_memory_equal(ct[0][i], ct[1][i], op[0][i].len);
			assert_memory_equal(tag[0][i], tag[1][i], 16);
			hurt[i] = next_random(&seed) % 4 == 0;
			bad += hurt[i];
			for (unsigned b = 0; b < 2; b++) {
				op[b][i].src = ct[b][i];
				if (hurt[i])
					tag[b][i][i % 16] ^= (uint8_t)(1u << (i % 8));
			}
		}
		for (unsigned b = 0; b < 2; b++) {
			failed = lm_aead_open(a[b], op[b], n);
			assert_int_equal(failed, bad);
			for (unsigned i = 0; i < n; i++) {
				assert_int_equal(op[b][i].ok, !hurt[i]);
				if (!hurt[i])
					assert_memory_equal(ct[b][i], plain[i], op[b][i].len);
			}
		}
	}
	for (unsigned b = 0; b < 2; b++) {
		for (unsigned k = 0; k < KEYS; k++)
			free(key[b][k]);
		lm_aead_free(a[b]);
	}
}

static void mixed_bursts(void **state)
{
	(void)state;
	mixed(FASTEST);
	mixed(IPSEC_MB);
}

/* A key of one instance works with another: the control thread expands, workers use. */
static void keys_are_shared(void **state)
{
	(void)state;
	for (unsigned b = 0; b < KINDS; b++) {
		struct lm_aead *maker = backend(b), *user = backend(b);
		uint8_t raw[32] = {7}, aad[8] = {1}, buf[100] = {3}, tag[16];
		struct lm_aead_key *k = make_key(maker, raw);
		struct lm_aead_op op = {.key = k,
					.src = buf,
					.dst = buf,
					.tag = tag,
					.aad = aad,
					.len = 100,
					.aad_len = 8};

		lm_aead_seal(maker, &op, 1);
		lm_aead_free(maker);
		assert_int_equal(lm_aead_open(user, &op, 1), 0);
		assert_int_equal(buf[0], 3);
		free(k);
		lm_aead_free(user);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names),	       cmocka_unit_test(wycheproof),
	    cmocka_unit_test(backends_agree),  cmocka_unit_test(mixed_bursts),
	    cmocka_unit_test(keys_are_shared),
	};

	if (lm_crypto_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
