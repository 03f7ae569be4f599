/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of esp share: a pair of SAs, inner packets, and ESP made by hand. */
#ifndef LM_TEST_ESP_H
#define LM_TEST_ESP_H

#include <arpa/inet.h>
#include <endian.h>
#include <lanemesh/esp.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

/* A small deterministic generator: a failure repeats. */
static inline uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* Both ends of one lane. */
struct pair {
	struct lm_aead_key *key;
	struct lm_sa_out out;
	struct lm_sa_in in;
};

static inline struct lm_aead *test_aead(void)
{
	struct lm_error err = {""};
	struct lm_aead *a = lm_aead_new(NULL, &err);

	if (a == NULL)
		fail_msg("%s", err.text);
	return a;
}

static inline void pair_init(struct pair *p, const struct lm_aead *aead, uint32_t n)
{
	uint8_t raw[32], salt[4] = {0xde, 0xad, (uint8_t)(n >> 8), (uint8_t)n};

	for (unsigned i = 0; i < sizeof(raw); i++)
		raw[i] = (uint8_t)(i + n);
	p->key = aligned_alloc(64, (lm_aead_key_size(aead) + 63) & ~(size_t)63);
	assert_non_null(p->key);
	lm_aead_key_init(aead, p->key, raw);
	lm_sa_out_init(&p->out, p->key, salt, LM_SPI_MIN + n, LM_ESP_HARD_LIMIT);
	lm_sa_in_init(&p->in, p->key, salt, LM_SPI_MIN + n, n);
}

static inline void pair_free(struct pair *p)
{
	free(p->key);
}

/* A valid header, then counting bytes. len >= 20 or 40. */
static inline void inner4(uint8_t *p, unsigned len)
{
	struct lm_ip4_hdr ip = {
	    .ver_ihl = 0x45, .ttl = 64, .proto = 17, .len = htons((uint16_t)len)};

	memcpy(ip.src, "\x0a\x01\x00\x0a", 4);
	memcpy(ip.dst, "\x0a\x02\x00\x0a", 4);
	for (unsigned i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7 + len);
	ip.csum = lm_csum_finish(lm_csum_add(0, &ip, sizeof(ip)));
	memcpy(p, &ip, sizeof(ip));
}

static inline void inner6(uint8_t *p, unsigned len)
{
	struct lm_ip6_hdr ip = {.ver_tc_flow = htonl(0x60000000),
				.next = 17,
				.hop_limit = 64,
				.payload_len = htons((uint16_t)(len - 40))};

	ip.src[0] = ip.dst[0] = 0xfd;
	ip.src[15] = 1;
	ip.dst[15] = 2;
	for (unsigned i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 5 + len);
	memcpy(p, &ip, sizeof(ip));
}

/* ESP by hand: any plaintext, trailer included, under any number. Returns the ESP length. */
static inline uint32_t craft(struct lm_aead *aead, const struct pair *p, uint32_t seq,
			     const uint8_t *plain, uint32_t len, uint8_t *esp)
{
	uint32_t spi_be = htonl(p->in.spi), seq_be = htonl(seq);
	uint64_t iv = htobe64(seq ^ UINT64_C(0x1122334400000000));
	struct lm_aead_op op = {.key = p->key,
				.src = esp + 16,
				.dst = esp + 16,
				.tag = esp + 16 + len,
				.aad = esp,
				.len = len,
				.aad_len = 8};

	memcpy(esp, &spi_be, 4);
	memcpy(esp + 4, &seq_be, 4);
	memcpy(esp + 8, &iv, 8);
	memcpy(esp + 16, plain, len);
	memcpy(op.iv, p->in.salt, 4);
	memcpy(op.iv + 4, &iv, 8);
	lm_aead_seal(aead, &op, 1);
	return 16 + len + 16;
}

/* A whole good ESP packet around an inner IPv4 packet of len bytes. */
static inline uint32_t craft4(struct lm_aead *aead, const struct pair *p, uint32_t seq,
			      unsigned len, uint8_t *esp)
{
	uint8_t plain[2048];
	unsigned pad = -(len + 2) & 3;

	inner4(plain, len);
	for (unsigned i = 0; i < pad; i++)
		plain[len + i] = (uint8_t)(i + 1);
	plain[len + pad] = (uint8_t)pad;
	plain[len + pad + 1] = 4;
	return craft(aead, p, seq, plain, len + pad + 2, esp);
}

static inline unsigned open_one(struct lm_aead *aead, struct lm_esp_rx *rx, struct lm_sa_in *sa,
				uint8_t *esp, uint32_t len)
{
	/* What is out only starts with rubbish, as in a descriptor that is used again. */
	*rx = (struct lm_esp_rx){
	    .sa = sa, .data = esp, .len = len, .next = 0xee, .status = 0xee, .newest = true};
	lm_esp_open(aead, rx, 1);
	return rx->status;
}

#endif
