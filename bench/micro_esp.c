/* SPDX-License-Identifier: BSD-3-Clause */
/* ESP bursts over 16 SAs in turn, beside the cipher alone; and the replay window. */
#include "micro.h"

#include "raw.h"
#include <lanemesh/esp_replay.h>

#include <stdio.h>
#include <stdlib.h>

#define BURST 64
#define SAS   16
#define ROOM  2048

struct esp {
	struct raw_cipher *raw;
	struct lm_aead *aead;
	char *keys;
	struct lm_outer outer;
	struct lm_sa_out out[SAS];
	struct lm_sa_in in[SAS];
	struct lm_esp_tx tx[BURST];
	struct lm_esp_rx rx[BURST];
	uint16_t len;
	uint8_t sealed[BURST][ROOM]; /* for open: a burst as it came in */
	uint8_t data[BURST][ROOM];
};

static void raw_seal(void *ctx)
{
	raw_burst(((struct esp *)ctx)->raw, true, RAW_ESP);
}

static void raw_open(void *ctx)
{
	raw_burst(((struct esp *)ctx)->raw, false, RAW_ESP);
}

static void seal(void *ctx)
{
	struct esp *e = ctx;

	for (unsigned i = 0; i < BURST; i++)
		e->tx[i] = (struct lm_esp_tx){.sa = &e->out[i % SAS],
					      .outer = &e->outer,
					      .data = e->data[i] + LM_ESP_HEADROOM,
					      .len = e->len,
					      .headroom = LM_ESP_HEADROOM,
					      .tailroom = ROOM / 4,
					      .next = LM_PROTO_IP4};
	if (lm_esp_seal(e->aead, e->tx, BURST) != BURST)
		exit(1);
}

/* A copy of the burst is opened each time; `copy` says what the copying costs. */
static void copy(void *ctx)
{
	struct esp *e = ctx;

	for (unsigned i = 0; i < BURST; i++) {
		memcpy(e->data[i], e->sealed[i], (size_t)e->len + 64);
		e->rx[i] = (struct lm_esp_rx){.sa = &e->in[i % SAS],
					      .data = e->data[i],
					      .len = e->tx[i].len - e->outer.hdr_len};
	}
	for (unsigned i = 0; i < SAS; i++) {
		e->in[i].replay.top = 0;
		e->in[i].replay.newest = 0;
	}
}

static void open_burst(void *ctx)
{
	struct esp *e = ctx;

	copy(e);
	if (lm_esp_open(e->aead, e->rx, BURST) != BURST)
		exit(1);
}

static void start(struct esp *e)
{
	static const struct lm_mac mac;
	const struct lm_endpoint here = {.ip = lm_ip4((const uint8_t[]){192, 0, 2, 1}),
					 .port = 4500};
	struct lm_error err = {0};
	size_t stride;

	e->aead = lm_aead_new(NULL, &err);
	if (e->aead == NULL || lm_outer_build(&e->outer, &mac, &mac, &here, &here, true) != 0)
		exit(1);
	stride = (lm_aead_key_size(e->aead) + 63) / 64 * 64;
	e->keys = micro_alloc(stride * SAS);
	for (uint32_t i = 0; i < SAS; i++) {
		struct lm_aead_key *key = (struct lm_aead_key *)(e->keys + stride * i);
		const uint8_t raw[32] = {(uint8_t)i}, salt[4] = {0};

		lm_aead_key_init(e->aead, key, raw);
		lm_sa_out_init(&e->out[i], key, salt, LM_SPI_MIN + 64 * i, UINT32_MAX);
		lm_sa_in_init(&e->in[i], key, salt, LM_SPI_MIN + 64 * i, i);
	}
}

/* Seals the burst that open_burst opens, with numbers from 1. */
static void prepare_open(struct esp *e)
{
	for (unsigned i = 0; i < SAS; i++)
		e->out[i].seq = 0;
	for (unsigned i = 0; i < BURST; i++) {
		struct lm_ip4_hdr *ip = (struct lm_ip4_hdr *)(e->data[i] + LM_ESP_HEADROOM);

		memset(e->data[i], 0, ROOM);
		ip->ver_ihl = 0x45;
		ip->len = (uint16_t)(e->len >> 8 | e->len << 8);
	}
	seal(e);
	for (unsigned i = 0; i < BURST; i++)
		memcpy(e->sealed[i], e->tx[i].data + e->outer.hdr_len,
		       e->tx[i].len - e->outer.hdr_len);
}

void micro_esp(void)
{
	static const uint16_t sizes[] = {64, 512, 1400};
	struct esp *e = micro_alloc(sizeof(*e));
	const struct micro_work sealing[] = {{"raw", raw_seal, e, BURST}, {"seal", seal, e, BURST}};
	const struct micro_work opening[] = {{"raw", raw_open, e, BURST},
					     {"copy", copy, e, BURST},
					     {"copy_open", open_burst, e, BURST}};
	char name[32];

	start(e);
	for (unsigned i = 0; i < LM_ARRAY_SIZE(sizes); i++) {
		e->len = sizes[i];
		e->raw = raw_new(&e->len, 1);
		if (e->raw == NULL)
			exit(1);
		snprintf(name, sizeof(name), "esp/seal/%u", sizes[i]);
		micro_measure(name, sealing, LM_ARRAY_SIZE(sealing));
		prepare_open(e);
		snprintf(name, sizeof(name), "esp/open/%u", sizes[i]);
		micro_measure(name, opening, LM_ARRAY_SIZE(opening));
		raw_free(e->raw);
	}
	lm_aead_free(e->aead);
	free(e->keys);
	free(e);
}

/* -------------------------------------------------------------- replay -- */

#define STEPS 1024

struct replay {
	struct lm_replay window;
	uint32_t next;
	uint16_t shuffle[STEPS]; /* places within a stretch of numbers, mixed within 64 */
};

static void number(struct lm_replay *w, uint32_t seq)
{
	if (lm_replay_check(w, seq) != LM_ESP_OK || lm_replay_commit(w, seq) != LM_ESP_OK)
		exit(1);
}

static void wrap(struct replay *r)
{
	r->next += STEPS;
	if (r->next > UINT32_MAX - 2 * STEPS) {
		memset(&r->window, 0, sizeof(r->window));
		r->next = 1;
	}
}

static void in_order(void *ctx)
{
	struct replay *r = ctx;

	for (uint32_t i = 0; i < STEPS; i++)
		number(&r->window, r->next + i);
	wrap(r);
}

static void mixed(void *ctx)
{
	struct replay *r = ctx;

	for (uint32_t i = 0; i < STEPS; i++)
		number(&r->window, r->next + r->shuffle[i]);
	wrap(r);
}

void micro_replay(void)
{
	struct replay *order = micro_alloc(sizeof(*order)), *mix = micro_alloc(sizeof(*mix));
	const struct micro_work work[] = {{"in_order", in_order, order, STEPS},
					  {"mixed_64", mixed, mix, STEPS}};
	uint64_t seed = 1;

	order->next = mix->next = 1;
	for (unsigned i = 0; i < STEPS; i++)
		mix->shuffle[i] = (uint16_t)i;
	for (unsigned i = 0; i < STEPS; i++) {
		unsigned k = i / 64 * 64 + micro_random(&seed) % 64;
		uint16_t t = mix->shuffle[i];

		mix->shuffle[i] = mix->shuffle[k];
		mix->shuffle[k] = t;
	}
	micro_measure("replay", work, LM_ARRAY_SIZE(work));
	free(order);
	free(mix);
}
