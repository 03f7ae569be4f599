/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets that the Linux kernel sealed: each opens to its inner packet, and with any
 * other length or any byte changed it is refused and leaves no trace (FAULTS row 7).
 */
#include "esp_test.h"

#include "vectors.h"

#define LENGTHS 1600
#define VECTORS 55

static struct vector {
	uint32_t spi, seq;
	uint8_t next;
	uint8_t esp[LENGTHS], inner[LENGTHS];
	uint32_t esp_len, inner_len;
} vectors[VECTORS];
static uint8_t salt[4];
static struct lm_aead *aead;
static struct lm_aead_key *key;

static void load(void)
{
	json_t *root = vectors_own("esp_linux_gcm256.json"), *v;
	uint8_t raw[32], outer[LENGTHS];
	size_t i;

	assert_int_equal(vec_hex(root, "key", raw, 32), 32);
	assert_int_equal(vec_hex(root, "salt", salt, 4), 4);
	key = aligned_alloc(64, (lm_aead_key_size(aead) + 63) & ~(size_t)63);
	assert_non_null(key);
	lm_aead_key_init(aead, key, raw);
	assert_int_equal(json_array_size(json_object_get(root, "vectors")), VECTORS);
	json_array_foreach(json_object_get(root, "vectors"), i, v)
	{
		struct vector *out = &vectors[i];
		size_t skip = json_is_true(json_object_get(v, "udp_encap")) ? 28 : 20;
		size_t n = vec_hex(v, "outer", outer, sizeof(outer));

		out->spi = (uint32_t)strtoul(vec_str(v, "spi"), NULL, 16);
		out->seq = (uint32_t)json_integer_value(json_object_get(v, "seq64"));
		out->next = (uint8_t)json_integer_value(json_object_get(v, "nh"));
		out->inner_len = (uint32_t)vec_hex(v, "inner", out->inner, sizeof(out->inner));
		out->esp_len = (uint32_t)(n - skip);
		memcpy(out->esp, outer + skip, out->esp_len);
	}
	json_decref(root);
}

static void opens(void **state)
{
	static uint8_t buf[VECTORS][LENGTHS];
	struct lm_esp_rx r[VECTORS];
	struct lm_sa_in sa[VECTORS];
	unsigned sas = 0;

	(void)state;
	/* One SA for each SPI, and all packets in one burst. */
	for (unsigned i = 0; i < VECTORS; i++) {
		const struct vector *v = &vectors[i];
		unsigned s = 0;

		while (s < sas && sa[s].spi != v->spi)
			s++;
		if (s == sas)
			lm_sa_in_init(&sa[sas++], key, salt, v->spi, 0);
		memcpy(buf[i], v->esp, v->esp_len);
		r[i] = (struct lm_esp_rx){.sa = &sa[s], .data = buf[i], .len = v->esp_len};
	}
	assert_int_equal(sas, 3);
	assert_int_equal(lm_esp_open(aead, r, VECTORS), VECTORS);
	for (unsigned i = 0; i < VECTORS; i++) {
		assert_int_equal(r[i].status, LM_ESP_OK);
		assert_int_equal(r[i].next, vectors[i].next);
		assert_int_equal(r[i].len, vectors[i].inner_len);
		assert_memory_equal(r[i].data, vectors[i].inner, r[i].len);
		assert_true(r[i].newest);
	}
	/* And none of them twice. */
	for (unsigned i = 0; i < VECTORS; i++) {
		memcpy(buf[i], vectors[i].esp, vectors[i].esp_len);
		assert_int_equal(open_one(aead, &r[0], r[i].sa, buf[i], vectors[i].esp_len),
				 LM_ESP_REPLAY);
	}
}

/* A heap block of exactly len bytes, so that a sanitizer sees any read beyond it. */
static void refuse(const uint8_t *bytes, uint32_t len, struct lm_sa_in *sa)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	struct lm_sa_in before = *sa;
	struct lm_esp_rx r;
	unsigned status;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	status = open_one(aead, &r, sa, copy, len);
	if (status == LM_ESP_OK || status > LM_ESP_ICV)
		fail_msg("status %u for %u bytes", status, len);
	assert_memory_equal(&before, sa, sizeof(before));
	assert_ptr_equal(r.data, copy);
	assert_int_equal(r.len, len);
	assert_false(r.newest);
	free(copy);
}

static void still_opens(const struct vector *v, struct lm_sa_in *sa)
{
	uint8_t copy[LENGTHS];
	struct lm_esp_rx r;

	memcpy(copy, v->esp, v->esp_len);
	assert_int_equal(open_one(aead, &r, sa, copy, v->esp_len), LM_ESP_OK);
}

static void wrong_lengths(void **state)
{
	(void)state;
	for (unsigned i = 0; i < VECTORS; i++) {
		const struct vector *v = &vectors[i];
		struct lm_sa_in sa;

		lm_sa_in_init(&sa, key, salt, v->spi, 0);
		/* Longer ones are filled up with zeros. */
		for (uint32_t len = 0; len < LENGTHS; len++)
			if (len != v->esp_len)
				refuse(v->esp, len, &sa);
		still_opens(v, &sa);
	}
}

static void byte_flips(void **state)
{
	(void)state;
	for (unsigned i = 0; i < VECTORS; i++) {
		struct vector *v = &vectors[i];
		struct lm_sa_in sa;

		lm_sa_in_init(&sa, key, salt, v->spi, 0);
		for (uint32_t at = 0; at < v->esp_len; at++)
			for (unsigned bit = 0; bit < 9; bit++) {
				uint8_t flip = bit < 8 ? (uint8_t)(1u << bit) : 0xff;

				v->esp[at] ^= flip;
				refuse(v->esp, v->esp_len, &sa);
				v->esp[at] ^= flip;
			}
		still_opens(v, &sa);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(opens),
	    cmocka_unit_test(wrong_lengths),
	    cmocka_unit_test(byte_flips),
	};
	int failed;

	if (lm_crypto_init() != 0)
		return 1;
	aead = test_aead();
	load();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(key);
	lm_aead_free(aead);
	return failed;
}
