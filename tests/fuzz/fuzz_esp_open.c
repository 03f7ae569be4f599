/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lm_esp_open on bursts. A forger cannot find an ICV, but a hostile member can
 * seal anything: so an item is either ESP bytes as they are, or a plaintext,
 * trailer included, that the harness seals properly.
 *
 * Input: items of kind u8, number u32, length u16, bytes. Kind: bit 0 = seal it,
 * bit 1 = which SA.
 */
#include "fuzz.h"

#include <arpa/inet.h>
#include <lanemesh/esp.h>

#define KEY_MAX	  8192
#define PLAIN_MAX 4096

struct bench {
	struct lm_aead *aead;
	struct lm_sa_in sa[2];
	struct lm_esp_rx rx[LM_ESP_BURST];
	bool sealed[LM_ESP_BURST];
	uint8_t *block[LM_ESP_BURST];
	uint32_t block_len[LM_ESP_BURST], seq[LM_ESP_BURST];
	unsigned n;
};

static void seal(struct bench *b, const struct lm_sa_in *sa, uint8_t *esp, uint32_t len)
{
	struct lm_aead_op op = {.key = sa->key,
				.src = esp + 16,
				.dst = esp + 16,
				.tag = esp + 16 + len,
				.aad = esp,
				.len = len,
				.aad_len = 8};

	memcpy(op.iv, sa->salt, 4);
	memcpy(op.iv + 4, esp + 8, 8);
	lm_aead_seal(b->aead, &op, 1);
}

/* A heap block of exactly the packet's size: a sanitizer sees any step outside. */
static void add(struct bench *b, uint8_t kind, uint32_t seq, const uint8_t *bytes, uint32_t n)
{
	struct lm_sa_in *sa = &b->sa[kind >> 1 & 1];
	uint32_t len = (kind & 1) != 0 ? 16 + n + 16 : n, i = b->n++;
	uint32_t head[4] = {htonl(sa->spi), htonl(seq), 0, htonl(seq)};
	uint8_t *p = malloc(len > 0 ? len : 1);

	FUZZ_CHECK(p != NULL);
	if ((kind & 1) != 0) {
		memcpy(p, head, 16);
		memcpy(p + 16, bytes, n);
		seal(b, sa, p, n);
	} else {
		memcpy(p, bytes, n);
	}
	b->sealed[i] = (kind & 1) != 0;
	b->seq[i] = seq;
	b->block[i] = p;
	b->block_len[i] = len;
	b->rx[i] = (struct lm_esp_rx){.sa = sa, .data = p, .len = len};
}

static void judge(const struct bench *b, unsigned good)
{
	uint64_t counted = b->sa[0].packets + b->sa[1].packets;
	unsigned ok = 0;

	for (unsigned i = 0; i < b->n; i++) {
		const struct lm_esp_rx *r = &b->rx[i];

		FUZZ_CHECK(r->status < LM_ESP_EXPIRED);
		if (r->status != LM_ESP_OK) {
			FUZZ_CHECK(r->data == b->block[i] && r->len == b->block_len[i]);
			continue;
		}
		ok++;
		FUZZ_CHECK(b->sealed[i]); /* else the fuzzer has forged an ICV */
		FUZZ_CHECK(r->data == b->block[i] + 16 && r->len > 0);
		FUZZ_CHECK(r->len <= b->block_len[i] - 16 - 16 - LM_ESP_TRAILER_LEN);
		for (unsigned j = 0; j < i; j++) /* no number delivers twice */
			FUZZ_CHECK(b->rx[j].status != LM_ESP_OK || b->rx[j].sa != r->sa ||
				   b->seq[j] != b->seq[i]);
	}
	FUZZ_CHECK(ok == good && ok == counted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t raw[32] = {1, 2, 3}, salts[2][4] = {{4, 5, 6, 7}, {8, 9, 10, 11}};
	struct lm_reader r = lm_reader(data, size);
	/* Made once: a new cipher for each input would take most of the time. */
	static _Alignas(64) uint8_t key_memory[KEY_MAX];
	static struct lm_aead *aead;
	struct lm_aead_key *key = (struct lm_aead_key *)key_memory;
	struct bench b = {.n = 0};
	uint8_t plain[PLAIN_MAX];

	if (aead == NULL) {
		aead = lm_aead_new(NULL, NULL);
		FUZZ_CHECK(aead != NULL && lm_aead_key_size(aead) <= KEY_MAX);
		lm_aead_key_init(aead, key, raw);
	}
	b.aead = aead;
	for (unsigned i = 0; i < 2; i++)
		lm_sa_in_init(&b.sa[i], key, salts[i], LM_SPI_MIN + i, i);

	while (b.n < LM_ESP_BURST && lm_r_left(&r) >= 7) {
		uint8_t kind = lm_r_u8(&r);
		uint32_t seq = lm_r_u32(&r), n = lm_r_u16(&r);

		n = n > lm_r_left(&r) ? (uint32_t)lm_r_left(&r) : n;
		n = n > PLAIN_MAX ? PLAIN_MAX : n;
		lm_r_copy(&r, plain, n);
		/* What is sealed is a multiple of 4, or it would not come to be opened. */
		if ((kind & 1) != 0)
			n &= ~3u;
		add(&b, kind, seq, plain, n);
	}
	judge(&b, lm_esp_open(b.aead, b.rx, b.n));

	for (unsigned i = 0; i < b.n; i++)
		free(b.block[i]);
	return 0;
}
