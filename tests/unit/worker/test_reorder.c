/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * FAULTS row 6, with real packets through a real worker: what the path reorders inside the replay
 * window is delivered, all of it; what is older is dropped and counted.
 */
#include "steps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define PACKETS	 20000
#define DELAY_MS 20
#define INNER	 40

struct packet {
	uint32_t number;
	uint64_t arrives; /* us */
	uint16_t len;
	uint8_t frame[160];
};

static void seal(struct rig *r, uint32_t number, struct packet *p)
{
	uint8_t ip[RIG_FRAME_MAX];
	size_t len = rig_ip(
	    &(struct rig_ip){
		.src = "10.2.0.5", .dst = "10.1.0.10", .proto = 99, .ttl = 64, .payload = INNER},
	    ip);

	p->number = number;
	r->peer[0].lane[0].out.seq = number - 1;
	p->len = (uint16_t)rig_seal(r, 0, 0, 4, ip, len, 0, p->frame);
	assert_true(p->len <= sizeof(p->frame));
}

static unsigned drain(struct rig *r)
{
	uint8_t frame[RIG_FRAME_MAX];
	unsigned n = 0;

	while (rig_read(r, RIG_LAN, frame) > 0)
		n++;
	return n;
}

/* The packet of this number arrives: delivered, or dropped for this reason. */
static void arrives(struct rig *r, uint32_t number, enum lm_ctr why)
{
	uint64_t drops = rig_drops(r), count = rig_count(r, why);
	bool delivered = why == LM_C_OPENED_PACKETS;
	struct packet p;

	seal(r, number, &p);
	rig_offer(r, RIG_WAN, p.frame, p.len);
	assert_int_equal(drain(r), delivered);
	assert_int_equal(rig_count(r, why), count + 1);
	assert_int_equal(rig_drops(r), drops + !delivered);
}

static void edges(void **state)
{
	static const uint32_t tops[] = {4097,	 5000,	     8191,	  8192,
					1000000, 0x7fffffff, 0x80000000u, LM_ESP_HARD_LIMIT - 2};
	struct rig *r = rig_of(state);

	for (unsigned i = 0; i < LM_ARRAY_SIZE(tops); i++) {
		uint32_t top = tops[i], edge = top - LM_REPLAY_WINDOW + 1;

		rig_rekey_in(r, 0, 0x80020000 + i * 64, 1);
		arrives(r, top, LM_C_OPENED_PACKETS);
		arrives(r, top, LM_C_ESP_REPLAY);
		arrives(r, edge - 1, LM_C_ESP_OLD);
		arrives(r, edge, LM_C_OPENED_PACKETS);
		arrives(r, edge, LM_C_ESP_REPLAY);
		arrives(r, edge + 1, LM_C_OPENED_PACKETS);
		arrives(r, top + 1, LM_C_OPENED_PACKETS);
		arrives(r, edge, LM_C_ESP_OLD);
		arrives(r, edge + 1, LM_C_ESP_REPLAY);
		arrives(r, edge + 2, LM_C_OPENED_PACKETS);
		rig_forget(r);
	}
}

static int by_arrival(const void *a, const void *b)
{
	const struct packet *p = *(const struct packet *const *)a,
			    *q = *(const struct packet *const *)b;

	if (p->arrives != q->arrives)
		return p->arrives < q->arrives ? -1 : 1;
	return p->number < q->number ? -1 : p->number > q->number;
}

/* Packets at a rate of which each fourth, by chance, is 20 ms late. Returns how many are so late
 * that they are left of the window. */
static unsigned reordered(struct rig *r, uint32_t pps, struct packet *p, struct packet **order)
{
	uint32_t top = 0, late = 0;

	srand(6);
	for (uint32_t i = 0; i < PACKETS; i++) {
		seal(r, i + 1, &p[i]);
		p[i].arrives = (uint64_t)i * 1000000 / pps;
		if (rand() % 4 == 0)
			p[i].arrives += DELAY_MS * 1000;
		order[i] = &p[i];
	}
	qsort(order, PACKETS, sizeof(*order), by_arrival);
	for (uint32_t i = 0; i < PACKETS; i++) {
		if (order[i]->number > top)
			top = order[i]->number;
		late += top - order[i]->number >= LM_REPLAY_WINDOW;
	}
	return late;
}

static void late_packets(void **state)
{
	static const uint32_t rates[] = {1000, 20000, LM_REPLAY_WINDOW * 1000 / DELAY_MS - 1000,
					 LM_REPLAY_WINDOW * 1000 / DELAY_MS + 1000, 400000};
	struct rig *r = rig_of(state);
	struct packet *p = calloc(PACKETS, sizeof(*p)), **order = calloc(PACKETS, sizeof(*order));

	assert_non_null(p);
	assert_non_null(order);
	for (unsigned i = 0; i < LM_ARRAY_SIZE(rates); i++) {
		uint64_t drops = rig_drops(r), old = rig_count(r, LM_C_ESP_OLD);
		bool fits = rates[i] < LM_REPLAY_WINDOW * 1000 / DELAY_MS;
		unsigned late, got = 0;

		rig_rekey_in(r, 0, 0x80030000 + i * 64, 1);
		late = reordered(r, rates[i], p, order);
		assert_int_equal(late == 0, fits);
		for (unsigned k = 0; k < PACKETS; k++) {
			assert_true(rig_feed(r, RIG_WAN, 0, order[k]->frame, order[k]->len));
			if (k % 512 == 511 || k == PACKETS - 1) {
				rig_settle(r);
				got += drain(r);
			}
		}
		assert_int_equal(rig_count(r, LM_C_ESP_OLD) - old, late);
		assert_int_equal(rig_drops(r) - drops, late);
		assert_int_equal(got, PACKETS - late);
		rig_forget(r);
	}
	free(order);
	free(p);
}

static int start(void **state)
{
	static struct rig r;

	rig_start(&r, &(struct rig_config){.workers = 1});
	*state = &r;
	return 0;
}

static int stop(void **state)
{
	rig_stop(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(edges), cmocka_unit_test(late_packets)};

	return cmocka_run_group_tests(tests, start, stop);
}
