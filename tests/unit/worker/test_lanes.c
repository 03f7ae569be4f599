/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many workers: lanes belong to one worker each, whichever queue a packet arrives on,
 * and ports may have fewer queues than there are workers. Arguments: workers, queues.
 */
#include "../../../lib/worker/worker_internal.h"
#include "steps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROUNDS 8
#define PROTO  99

static unsigned workers, queues;

/* An inner packet with a number, in bytes 20..23 of IPv4. */
static size_t numbered(const char *src, const char *dst, uint32_t number, uint8_t *ip)
{
	uint8_t l4[60] = {0};

	memcpy(l4, &number, 4);
	return rig_ip(
	    &(struct rig_ip){
		.src = src, .dst = dst, .proto = PROTO, .ttl = 64, .payload = sizeof(l4), .l4 = l4},
	    ip);
}

static uint32_t number_of(const uint8_t *ip)
{
	uint32_t number;

	memcpy(&number, ip + 20, 4);
	return number;
}

/* Marks what arrived on a LAN: each number once. Returns how many. */
static unsigned collect(struct rig *r, uint8_t *seen, unsigned max)
{
	uint8_t frame[RIG_FRAME_MAX];
	unsigned n = 0;

	while (rig_read(r, RIG_LAN, frame) > 0) {
		uint32_t number = number_of(frame + 14);

		assert_true(number < max);
		assert_int_equal(seen[number]++, 0);
		n++;
	}
	return n;
}

/* What workers say of hand-over: all that was passed on was taken. */
static void handed_both_ways(struct rig *r)
{
	uint64_t in = 0, out = 0;

	for (unsigned i = 0; i < workers; i++) {
		struct lm_dp_worker_info w;

		assert_int_equal(lm_dp_worker_info(r->dp, i, &w), 0);
		in += w.handed_in;
		out += w.handed_out;
	}
	assert_int_equal(in, out);
	assert_int_equal(out, rig_count(r, LM_C_HANDED_OVER));
}

/* Every lane on every queue: all packets arrive once, each lane's window is its owner's. */
static void every_lane_on_every_queue(void **state)
{
	struct rig *r = rig_of(state);
	unsigned total = ROUNDS * LM_LANES_MAX * queues, sent = 0, got = 0, away = 0;
	uint64_t handed = rig_count(r, LM_C_HANDED_OVER);
	uint8_t *seen = calloc(total, 1), ip[RIG_FRAME_MAX], frame[RIG_FRAME_MAX];
	struct lm_dp_usage usage;

	assert_non_null(seen);
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned lane = 0; lane < LM_LANES_MAX; lane++) {
			for (unsigned q = 0; q < queues; q++) {
				size_t len = numbered("10.2.0.5", "10.1.0.10", sent, ip);

				len = rig_seal(r, 0, lane, 4, ip, len, 0, frame);
				while (!rig_feed(r, RIG_WAN, q, frame, len))
					got += collect(r, seen, total);
				away += lane % workers != q;
				if (++sent % 32 == 0) {
					rig_settle(r);
					got += collect(r, seen, total);
				}
			}
		}
	}
	rig_settle(r);
	got += collect(r, seen, total);
	assert_int_equal(got, total);
	/* Those for lanes of others, and then frames of workers without a queue of their own. */
	assert_true(rig_count(r, LM_C_HANDED_OVER) - handed >= away);
	if (queues == workers)
		assert_int_equal(rig_count(r, LM_C_HANDED_OVER) - handed, away);
	assert_int_equal(lm_dp_usage(r->dp, r->peer[0].spi_in, &usage), 0);
	assert_int_equal(usage.rx_packets, total);
	handed_both_ways(r);
	free(seen);
}

/* The same frame on all queues at once is delivered once. */
static void replay_on_all_queues(void **state)
{
	struct rig *r = rig_of(state);
	uint64_t replays = rig_count(r, LM_C_ESP_REPLAY), expected = 0;
	uint8_t ip[RIG_FRAME_MAX], frame[RIG_FRAME_MAX], seen[LM_LANES_MAX] = {0};

	for (unsigned lane = 0; lane < LM_LANES_MAX; lane++) {
		size_t len = numbered("10.2.0.5", "10.1.0.10", lane, ip);

		len = rig_seal(r, 0, lane, 4, ip, len, 0, frame);
		for (unsigned copy = 0; copy < 2; copy++)
			for (unsigned q = 0; q < queues; q++)
				assert_true(rig_feed(r, RIG_WAN, q, frame, len));
		expected += 2 * queues - 1;
		rig_settle(r);
	}
	assert_int_equal(collect(r, seen, LM_LANES_MAX), LM_LANES_MAX);
	assert_int_equal(rig_count(r, LM_C_ESP_REPLAY), replays + expected);
}

/* Each worker seals on its own lane, so numbers of a lane never repeat; the peer accepts all. */
static void every_queue_seals(void **state)
{
	struct rig *r = rig_of(state);
	unsigned total = ROUNDS * queues * 4, sent = 0, got = 0;
	uint8_t *seen = calloc(total, 1), ip[RIG_FRAME_MAX], frame[RIG_FRAME_MAX];

	assert_non_null(seen);
	while (sent < total) {
		for (unsigned q = 0; q < queues; q++) {
			size_t len = numbered("10.1.0.10", "10.2.0.5", sent++, ip);

			len = rig_eth(RIG_LAN, LM_ETHERTYPE_IP4, ip, len, frame);
			assert_true(rig_feed(r, RIG_LAN, q, frame, len));
		}
		rig_settle(r);
		for (size_t len; (len = rig_read(r, RIG_WAN, frame)) > 0; got++) {
			assert_int_equal(rig_open(r, 0, frame, len, ip), 80);
			assert_int_equal(seen[number_of(ip)]++, 0);
		}
	}
	assert_int_equal(got, total);
	free(seen);
}

/* Offers each queue so many packets and looks at what leaves for the peer: numbers go up by one on
 * each lane, and the IV is the number. Returns how many left. */
static unsigned offer_each(struct rig *r, unsigned each, uint32_t *newest)
{
	uint8_t ip[RIG_FRAME_MAX], frame[RIG_FRAME_MAX];
	unsigned n = 0;

	for (unsigned q = 0; q < queues; q++) {
		for (unsigned i = 0; i < each; i++) {
			size_t len = numbered("10.1.0.10", "10.2.0.5", i, ip);

			len = rig_eth(RIG_LAN, LM_ETHERTYPE_IP4, ip, len, frame);
			assert_true(rig_feed(r, RIG_LAN, q, frame, len));
		}
	}
	rig_settle(r);
	for (size_t len; (len = rig_read(r, RIG_WAN, frame)) > 0; n++) {
		uint32_t spi, number;
		uint64_t iv;

		memcpy(&spi, frame + 42, 4);
		memcpy(&number, frame + 46, 4);
		memcpy(&iv, frame + 50, 8);
		spi = ntohl(spi);
		number = ntohl(number);
		assert_true(be64toh(iv) == number);
		assert_int_equal(spi - spi % LM_LANES_MAX, r->peer[0].spi_out);
		assert_int_equal(number, newest[spi % LM_LANES_MAX] + 1);
		assert_true(number <= LM_ESP_HARD_LIMIT);
		newest[spi % LM_LANES_MAX] = number;
		assert_int_equal(rig_open(r, 0, frame, len, ip), 80);
	}
	return n;
}

/* FAULTS row 18, on every lane that has a queue: the last ten numbers are used once each, then
 * sending stops, until there are new keys; with new keys in time nothing is lost. */
static void numbers_end(void **state)
{
	struct rig *r = rig_of(state);
	uint64_t expired = rig_count(r, LM_C_SEAL_EXPIRED);
	uint32_t newest[LM_LANES_MAX];
	struct lm_dp_usage usage;

	for (unsigned end = 0; end < 2; end++) {
		for (unsigned lane = 0; lane < workers; lane++)
			r->dp->peer[0].out->sa[lane].seq = newest[lane] = LM_ESP_HARD_LIMIT - 10;
		if (end == 0) { /* the peer takes part in a rekey */
			assert_int_equal(offer_each(r, 9, newest), 9 * queues);
		} else {
			assert_int_equal(offer_each(r, 25, newest), 10 * queues);
			assert_int_equal(offer_each(r, 5, newest), 0);
			expired += 20 * queues;
			assert_int_equal(lm_dp_usage(r->dp, r->peer[0].spi_in, &usage), 0);
			assert_int_equal(usage.highest_seq, LM_ESP_HARD_LIMIT);
		}
		assert_int_equal(rig_count(r, LM_C_SEAL_EXPIRED), expired);
		rig_rekey_out(r, 0, 0x90020000 + end * 64);
		memset(newest, 0, sizeof(newest));
		assert_int_equal(offer_each(r, 20, newest), 20 * queues);
		assert_int_equal(rig_count(r, LM_C_SEAL_EXPIRED), expired);
	}
}

/* More for one lane than its worker takes: dropped and counted by who hands over. */
static void flood_of_one_lane(void **state)
{
	struct rig *r = rig_of(state);
	uint64_t full = rig_count(r, LM_C_HANDOVER_FULL);
	uint8_t ip[RIG_FRAME_MAX], frame[RIG_FRAME_MAX], got[RIG_FRAME_MAX];
	size_t len = numbered("10.2.0.5", "10.1.0.10", 0, ip);

	len = rig_seal(r, 0, workers - 1, 4, ip, len, 0, frame);
	for (unsigned round = 0; round < 50; round++) {
		/* A full queue while all sleep. */
		rig_settle(r);
		while (rig_feed(r, RIG_WAN, 0, frame, len))
			continue;
	}
	rig_settle(r);
	while (rig_read(r, RIG_LAN, got) > 0)
		continue;
	if (workers > 16) /* rings shorter than the port's queue */
		assert_true(rig_count(r, LM_C_HANDOVER_FULL) > full);
}

/* Lanes that the peer did not announce are unknown. */
static void fewer_lanes(void **state)
{
	struct rig *r = rig_of(state);
	uint8_t ip[RIG_FRAME_MAX], frame[RIG_FRAME_MAX];
	uint64_t unknown = rig_count(r, LM_C_ESP_UNKNOWN_SPI);
	size_t len = numbered("10.2.0.5", "10.1.0.10", 0, ip);

	rig_rekey_in(r, 0, 0x80050000, 3);
	for (unsigned lane = 0; lane < 3; lane++) {
		size_t n = rig_seal(r, 0, lane, 4, ip, len, 0, frame);

		assert_true(rig_feed(r, RIG_WAN, 0, frame, n));
		frame[14 + 28 + 3] = (uint8_t)(3 + lane * 20);
		assert_true(rig_feed(r, RIG_WAN, 0, frame, n));
	}
	rig_settle(r);
	assert_int_equal(rig_count(r, LM_C_ESP_UNKNOWN_SPI), unknown + 3);
	while (rig_read(r, RIG_LAN, frame) > 0)
		continue;
}

static int start(void **state)
{
	static struct rig r;

	rig_start(&r, &(struct rig_config){.workers = workers, .queues = queues});
	*state = &r;
	return 0;
}

static int stop(void **state)
{
	rig_stop(*state);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_lane_on_every_queue), cmocka_unit_test(replay_on_all_queues),
	    cmocka_unit_test(every_queue_seals),	 cmocka_unit_test(numbers_end),
	    cmocka_unit_test(flood_of_one_lane),	 cmocka_unit_test(fewer_lanes),
	};

	if (argc != 3)
		return 2;
	workers = (unsigned)atoi(argv[1]);
	queues = (unsigned)atoi(argv[2]);
	return cmocka_run_group_tests(tests, start, stop);
}
