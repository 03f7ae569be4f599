/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * FAULTS row 37 in the real worker: a member sends ESP as fast as the port brings it, ten packets
 * for each of another one, over all of its lanes. Each lot of packets is in the queue before the
 * worker finds the first of it, so it is overloaded on any machine.
 */
#include "steps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define RING	16384 /* four epochs of a worker's shares: lib/worker/share.h */
#define FRAMES	(RING - 1)
#define LOTS	2
#define FLOODER 0
#define VICTIM	1
#define EACH	11 /* of so many packets one is the victim's */
#define INNER	1200
#define ENOUGH	2000

static uint64_t fed[RIG_PEERS];

static size_t seal(struct rig *r, unsigned peer, unsigned lane, uint8_t *frame)
{
	const char *const from[] = {"10.2.0.5", "10.3.0.5"};
	uint8_t ip[RIG_FRAME_MAX];
	size_t len = rig_ip(&(struct rig_ip){.src = from[peer],
					     .dst = "10.1.0.10",
					     .proto = 99,
					     .ttl = 64,
					     .payload = INNER - 20},
			    ip);

	return rig_seal(r, peer, lane, 4, ip, len, 0, frame);
}

/* Opened, that is: the LAN port's queue may be full later. */
static uint64_t delivered(struct rig *r, unsigned peer)
{
	struct lm_dp_usage u;

	assert_int_equal(lm_dp_usage(r->dp, r->peer[peer].spi_in, &u), 0);
	return u.rx_packets;
}

static void drain(struct rig *r)
{
	uint8_t frame[RIG_FRAME_MAX];

	while (rig_read(r, RIG_LAN, frame) > 0)
		continue;
}

/* As much as the queue holds. */
static void flood(struct rig *r, struct rig_frame *frames, unsigned victim_each)
{
	for (unsigned i = 0; i < FRAMES; i++) {
		unsigned peer = i % EACH < victim_each ? VICTIM : FLOODER;

		frames[i].len = (uint16_t)seal(r, peer, i / EACH % LM_LANES_MAX, frames[i].data);
		fed[peer]++;
	}
	rig_feed_all(r, RIG_WAN, 0, frames, FRAMES);
	rig_settle(r);
	drain(r);
}

/* A queue full of one peer's packets: there is nobody to protect. */
static void nobody_else_is_there(void **state)
{
	struct rig *r = rig_of(state);
	struct rig_frame *frames = calloc(FRAMES, sizeof(*frames));

	assert_non_null(frames);
	for (unsigned i = 0; i < LOTS; i++)
		flood(r, frames, 0);
	assert_int_equal(rig_count(r, LM_C_PEER_OVER_SHARE), 0);
	assert_int_equal(delivered(r, FLOODER), fed[FLOODER]);
	free(frames);
}

static void a_member_floods(void **state)
{
	struct rig *r = rig_of(state);
	struct rig_frame *frames = calloc(FRAMES, sizeof(*frames));
	uint64_t cut;

	assert_non_null(frames);
	for (unsigned i = 0; i < LOTS; i++)
		flood(r, frames, 1);
	cut = rig_count(r, LM_C_PEER_OVER_SHARE);
	print_message("%u of %u packets dropped\n", (unsigned)cut, LOTS * FRAMES);
	assert_true(cut >= ENOUGH);
	assert_int_equal(delivered(r, VICTIM), fed[VICTIM]);
	assert_int_equal(delivered(r, FLOODER) + cut, fed[FLOODER]);
	free(frames);
}

/* It may send again as much as fits. Less than a burst at a time: nothing waits. */
static void then_it_does_not(void **state)
{
	struct rig *r = rig_of(state);
	struct rig_frame frames[32];
	unsigned in_a_row = 0;

	for (unsigned i = 0; i < 10000 && in_a_row < 8; i++) {
		uint64_t cut = rig_count(r, LM_C_PEER_OVER_SHARE);

		for (unsigned k = 0; k < LM_ARRAY_SIZE(frames); k++)
			frames[k].len = (uint16_t)seal(r, FLOODER, 0, frames[k].data);
		rig_feed_all(r, RIG_WAN, 0, frames, LM_ARRAY_SIZE(frames));
		rig_settle(r);
		in_a_row = rig_count(r, LM_C_PEER_OVER_SHARE) == cut ? in_a_row + 1 : 0;
		drain(r);
	}
	assert_int_equal(in_a_row, 8);
}

static int start(void **state)
{
	static struct rig r;

	rig_start(&r, &(struct rig_config){.workers = 1, .ring = RING, .poll = true});
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
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nobody_else_is_there),
	    cmocka_unit_test(a_member_floods),
	    cmocka_unit_test(then_it_does_not),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
