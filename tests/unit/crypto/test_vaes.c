/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the check of ipsec-mb's VAES code finds. The program defines the three functions
 * itself, in front of the library's: libsodium's GCM, with one fault at a time. So it says
 * the same with a library that has VAES code and one that has none.
 */
#include <lanemesh/crypto.h>

#include <intel-ipsec-mb.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdlib.h>

#include <cmocka.h>

/* Found by name, as the library's are. */
void aes_gcm_pre_256_vaes_avx2(const void *raw, struct gcm_key_data *key);
void aes_gcm_enc_256_vaes_avx2(const struct gcm_key_data *key, struct gcm_context_data *ctx,
			       uint8_t *dst, const uint8_t *src, uint64_t len, const uint8_t *iv,
			       const uint8_t *aad, uint64_t aad_len, uint8_t *tag,
			       uint64_t tag_len);
void aes_gcm_dec_256_vaes_avx2(const struct gcm_key_data *key, struct gcm_context_data *ctx,
			       uint8_t *dst, const uint8_t *src, uint64_t len, const uint8_t *iv,
			       const uint8_t *aad, uint64_t aad_len, uint8_t *tag,
			       uint64_t tag_len);

#define LEN_MAX 9216

static uint64_t calls;
static enum fault {
	GOOD,
	SEAL_ONE_LENGTH,
	SEAL_TAG,
	SEAL_IN_PLACE,
	SEAL_LONG,
	SEAL_BEHIND,
	SEAL_AAD,
	OPEN_ONE_LENGTH,
	OPEN_TAG,
	OPEN_ODD_ADDRESS,
	OPEN_BEHIND,
	KEY,
	FAULTS
} fault;

void aes_gcm_pre_256_vaes_avx2(const void *raw, struct gcm_key_data *key)
{
	memcpy(key->expanded_keys, raw, 32);
	if (fault == KEY)
		key->expanded_keys[31] ^= 1;
}

static void seal(const struct gcm_key_data *key, uint8_t *dst, const uint8_t *src, uint64_t len,
		 const uint8_t *iv, const uint8_t *aad, uint64_t aad_len, uint8_t *tag)
{
	crypto_aead_aes256gcm_encrypt_detached(dst, tag, NULL, src, len, aad, aad_len, NULL, iv,
					       key->expanded_keys);
}

void aes_gcm_enc_256_vaes_avx2(const struct gcm_key_data *key, struct gcm_context_data *ctx,
			       uint8_t *dst, const uint8_t *src, uint64_t len, const uint8_t *iv,
			       const uint8_t *aad, uint64_t aad_len, uint8_t *tag, uint64_t tag_len)
{
	bool in_place = src == dst;

	(void)ctx;
	calls++;
	seal(key, dst, src, len, iv, aad, aad_len, tag);
	if ((fault == SEAL_ONE_LENGTH && len == 1399) || (fault == SEAL_IN_PLACE && in_place) ||
	    (fault == SEAL_LONG && len > 4080))
		dst[len / 2] ^= 0x80;
	if ((fault == SEAL_TAG && len == 0) || (fault == SEAL_AAD && aad_len == 12))
		tag[tag_len - 1] ^= 1;
	if (fault == SEAL_BEHIND && len == 33)
		dst[len] = 0;
}

void aes_gcm_dec_256_vaes_avx2(const struct gcm_key_data *key, struct gcm_context_data *ctx,
			       uint8_t *dst, const uint8_t *src, uint64_t len, const uint8_t *iv,
			       const uint8_t *aad, uint64_t aad_len, uint8_t *tag, uint64_t tag_len)
{
	static uint8_t plain[LEN_MAX], sealed[LEN_MAX];

	(void)ctx;
	(void)tag_len;
	calls++;
	seal(key, plain, src, len, iv, aad, aad_len, tag); /* counter mode is its own inverse */
	seal(key, sealed, plain, len, iv, aad, aad_len, tag);
	memcpy(dst, plain, len);
	if ((fault == OPEN_ONE_LENGTH && len == 2047) ||
	    (fault == OPEN_ODD_ADDRESS && len > 0 && (uintptr_t)dst % 16 == 15))
		dst[len - 1] ^= 1;
	if (fault == OPEN_TAG && len == 16)
		tag[0] ^= 1;
	if (fault == OPEN_BEHIND && len == 255)
		dst[len + 15] = 0;
}

/* A seal by a, checked against the reference: whatever code was taken, it must be right. */
static void seals_well(struct lm_aead *a)
{
	struct lm_aead *ref = lm_aead_new("sodium", NULL);
	uint8_t raw[32] = {9}, aad[8] = {1}, sealed[1399] = {3}, tag[16];
	struct lm_aead *both[2] = {a, ref};
	struct lm_aead_op op = {
	    .src = sealed, .dst = sealed, .tag = tag, .aad = aad, .len = 1399, .aad_len = 8};

	assert_non_null(ref);
	for (unsigned i = 0; i < 2; i++) {
		struct lm_aead_key *key =
		    aligned_alloc(64, (lm_aead_key_size(both[i]) + 63) & ~(size_t)63);

		assert_non_null(key);
		lm_aead_key_init(both[i], key, raw);
		op.key = key;
		if (i == 0)
			lm_aead_seal(both[i], &op, 1);
		else
			assert_int_equal(lm_aead_open(both[i], &op, 1), 0);
		free(key);
	}
	assert_int_equal(sealed[0], 3);
	lm_aead_free(ref);
}

static bool uses_vaes(const char *backend)
{
	struct lm_aead *a = lm_aead_new(backend, NULL);
	bool has;

	assert_non_null(a);
	has = strstr(lm_aead_description(a), "(VAES AVX2)") != NULL;
	lm_aead_free(a);
	return has;
}

/* No VAES here, or so much more that the library takes AVX-512, or its VAES code unasked. */
static void skip_other_machines(void)
{
	fault = GOOD;
	if (!uses_vaes(NULL) || uses_vaes("ipsec-mb"))
		skip();
}

static void good_code_is_used(void **state)
{
	struct lm_aead *a;

	(void)state;
	skip_other_machines();
	a = lm_aead_new(NULL, NULL);
	assert_null(lm_aead_warning(a));
	calls = 0;
	seals_well(a);
	assert_int_equal(calls, 1);
	lm_aead_free(a);
}

static void faulty_code_is_refused(void **state)
{
	(void)state;
	skip_other_machines();
	for (fault = GOOD + 1; fault < FAULTS; fault++) {
		struct lm_aead *a = lm_aead_new(NULL, NULL);

		assert_non_null(a);
		if (lm_aead_warning(a) == NULL)
			fail_msg("fault %u was not found", fault);
		assert_non_null(strstr(lm_aead_warning(a), "fails its check"));
		assert_null(strstr(lm_aead_description(a), "VAES"));
		calls = 0;
		seals_well(a);
		assert_int_equal(calls, 0);
		lm_aead_free(a);
	}
}

/* aead = "ipsec-mb": not even tried. */
static void can_be_forbidden(void **state)
{
	struct lm_aead *a;

	(void)state;
	skip_other_machines();
	fault = KEY;
	calls = 0;
	a = lm_aead_new("ipsec-mb", NULL);
	assert_non_null(a);
	assert_null(lm_aead_warning(a));
	assert_int_equal(calls, 0);
	seals_well(a);
	assert_int_equal(calls, 0);
	lm_aead_free(a);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(good_code_is_used),
	    cmocka_unit_test(faulty_code_is_refused),
	    cmocka_unit_test(can_be_forbidden),
	};

	if (lm_crypto_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
