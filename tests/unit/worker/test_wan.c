/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes from a WAN: from peers to the LAN, and what is refused. */
#include "steps.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void peer_to_lan(void **state)
{
	static const struct rig_ip cases[] = {
	    {"10.2.0.5", "10.1.0.10", .proto = 17, .ttl = 64, .payload = 64, .tos = 0xb8},
	    {"10.2.0.5", "10.1.0.10", .proto = 1, .ttl = 2, .payload = 0},
	    {"fd00:2::5", "fd00:1::10", .proto = 17, .ttl = 64, .payload = 1000},
	};
	struct rig *r = rig_of(state);

	for (unsigned i = 0; i < LM_ARRAY_SIZE(cases); i++) {
		struct lm_mac host = rig_host_mac(RIG_LAN), us = rig_mac(RIG_LAN);
		uint8_t frame[RIG_FRAME_MAX], want[RIG_FRAME_MAX];
		size_t len;

		rig_from_peer(r, &cases[i], 0);
		len = rig_read(r, RIG_LAN, frame);
		assert_int_equal(len, 14 + rig_next_hop(&cases[i], want));
		assert_memory_equal(frame, host.b, 6);
		assert_memory_equal(frame + 6, us.b, 6);
		assert_int_equal(frame[12] << 8 | frame[13],
				 cases[i].src[0] == 'f' ? 0x86dd : 0x800);
		assert_memory_equal(frame + 14, want, len - 14);
		rig_nothing_sent(r);
	}
}

static void peer_refuses(void **state)
{
	struct rig *r = rig_of(state);
	struct rig_ip ok = {"10.2.0.5", "10.1.0.10", .proto = 17, .ttl = 64, .payload = 20}, d = ok;
	static const char *const foreign[] = {"10.3.0.5", "10.1.0.10", "8.8.8.8", "0.0.0.0",
					      "127.0.0.1"};
	static const char *const nowhere[] = {"10.99.0.1", "192.168.1.1", "203.0.113.9",
					      "127.0.0.1", "224.0.0.1",	  "255.255.255.255"};

	rig_from_peer(r, &ok, 0); /* makes the note about the first packet */
	rig_read(r, RIG_LAN, (uint8_t[RIG_FRAME_MAX]){0});
	for (unsigned i = 0; i < LM_ARRAY_SIZE(foreign); i++) {
		d.src = foreign[i];
		rig_peer_drops(r, &d, LM_C_INNER_SOURCE_DENIED);
	}
	for (unsigned i = 0; i < LM_ARRAY_SIZE(nowhere); i++) {
		d = ok;
		d.dst = nowhere[i];
		rig_peer_drops(r, &d, LM_C_INNER_NO_ROUTE);
	}
	d = ok;
	d.dst = "10.3.0.1"; /* sealed a second time it is not */
	rig_peer_drops(r, &d, LM_C_INNER_TO_MESH);
	d.dst = "10.2.0.1";
	rig_peer_drops(r, &d, LM_C_INNER_TO_MESH);
	d = (struct rig_ip){"::ffff:10.2.0.5", "fd00:1::10", .proto = 17, .ttl = 64, .payload = 20};
	rig_peer_drops(r, &d, LM_C_INNER_SOURCE_DENIED);
	d.src = "fd00:3::5";
	rig_peer_drops(r, &d, LM_C_INNER_SOURCE_DENIED);
	assert_int_equal(r->n_punts, 0);
	for (d = ok, d.ttl = 0; d.ttl < 2; d.ttl++) {
		rig_peer_drops(r, &d, LM_C_INNER_TTL_EXPIRED);
		assert_int_equal(rig_the_punt(r, LM_PUNT_ERROR)->p.peer, 0);
	}
}

/* A peer whose certificate carries everything still may not send from what is another site's. */
static void default_route_peer(void **state)
{
	struct rig *r = rig_of(state);
	struct rig_ip d = {"10.3.0.5", "10.1.0.10", .proto = 17, .ttl = 64, .payload = 20};
	struct lm_prefix all[4];
	uint8_t frame[RIG_FRAME_MAX];

	assert_int_equal(lm_prefix_parse("0.0.0.0/0", &all[0]), 0);
	assert_int_equal(lm_prefix_parse("::/0", &all[1]), 0);
	assert_int_equal(lm_prefix_parse("10.2.0.0/16", &all[2]), 0);
	assert_int_equal(lm_prefix_parse("fd00:2::/48", &all[3]), 0);
	assert_int_equal(lm_dp_peer_set(r->dp, 0, all, 4), 0);
	rig_peer_drops(r, &d, LM_C_INNER_SOURCE_DENIED);
	d.src = "10.1.0.99";
	rig_peer_drops(r, &d, LM_C_INNER_SOURCE_DENIED);
	d = (struct rig_ip){"::ffff:8.8.8.8", "fd00:1::10", .proto = 17, .ttl = 64, .payload = 20};
	rig_peer_drops(r, &d, LM_C_INNER_SOURCE_DENIED);
	d = (struct rig_ip){"8.8.8.8", "10.1.0.10", .proto = 17, .ttl = 64, .payload = 20};
	rig_from_peer(r, &d, 0);
	assert_int_equal(rig_read(r, RIG_LAN, frame), 14 + 40);
	assert_int_equal(lm_dp_peer_set(r->dp, 0, all + 2, 2), 0);
	rig_peer_drops(r, &d, LM_C_INNER_SOURCE_DENIED);
}

static void peer_to_me(void **state)
{
	struct rig *r = rig_of(state);
	struct rig_ip d = {"10.2.0.5", "10.1.0.1", .proto = 1, .ttl = 1, .payload = 20};
	uint8_t want[RIG_FRAME_MAX];
	size_t len = rig_ip(&d, want);

	rig_from_peer(r, &d, 0);
	assert_int_equal(rig_the_punt(r, LM_PUNT_LOCAL)->p.peer, 0);
	assert_int_equal(r->punts[0].p.len, len);
	assert_memory_equal(r->punts[0].data, want, len);
	rig_forget(r);
	d.dst = "10.1.0.77";
	d.ttl = 5;
	rig_from_peer(r, &d, 0);
	assert_int_equal(rig_the_punt(r, LM_PUNT_NEIGHBOUR)->p.port, RIG_LAN);
	assert_int_equal(r->punts[0].data[8], 4);
	rig_nothing_sent(r);
}

static void replay_and_forgery(void **state)
{
	struct rig *r = rig_of(state);
	struct rig_ip d = {"10.2.0.5", "10.1.0.10", .proto = 17, .ttl = 64, .payload = 20};
	uint8_t ip[RIG_FRAME_MAX], frame[RIG_FRAME_MAX], got[RIG_FRAME_MAX];
	uint64_t replays = rig_count(r, LM_C_ESP_REPLAY), icv = rig_count(r, LM_C_ESP_ICV);
	uint64_t unknown = rig_count(r, LM_C_ESP_UNKNOWN_SPI);
	size_t len = rig_ip(&d, ip);

	len = rig_seal(r, 0, 0, 4, ip, len, 0, frame);
	frame[len - 1] ^= 1;
	rig_offer(r, RIG_WAN, frame, len);
	assert_int_equal(rig_count(r, LM_C_ESP_ICV), icv + 1);
	frame[len - 1] ^= 1;
	rig_offer(r, RIG_WAN, frame, len);
	assert_true(rig_read(r, RIG_LAN, got) > 0);
	for (unsigned i = 0; i < 100; i++)
		rig_offer(r, RIG_WAN, frame, len);
	assert_int_equal(rig_count(r, LM_C_ESP_REPLAY), replays + 100);
	frame[14 + 28 + 1] ^= 0x55; /* another SPI */
	rig_offer(r, RIG_WAN, frame, len);
	assert_int_equal(rig_count(r, LM_C_ESP_UNKNOWN_SPI), unknown + 1);
	rig_nothing_sent(r);
}

/* RFC 6040: marks of the way show inside, and one that cannot is a loss. */
static void congestion_marks(void **state)
{
	struct rig *r = rig_of(state);
	struct rig_ip d4 = {"10.2.0.5", "10.1.0.10", .proto = 17, .ttl = 64, .payload = 20};
	struct rig_ip d6 = {"fd00:2::5", "fd00:1::10", .proto = 17, .ttl = 64, .payload = 20};
	uint8_t frame[RIG_FRAME_MAX], want[RIG_FRAME_MAX];
	uint64_t drops = rig_count(r, LM_C_INNER_ECN);

	d4.tos = d6.tos = 0xb8 | 2; /* ECT(0), and CE outside */
	rig_from_peer(r, &d4, 3);
	assert_true(rig_read(r, RIG_LAN, frame) > 0);
	d4.tos |= 3;
	assert_memory_equal(frame + 14, want, rig_next_hop(&d4, want));
	rig_from_peer(r, &d6, 3);
	assert_true(rig_read(r, RIG_LAN, frame) > 0);
	d6.tos |= 3;
	assert_memory_equal(frame + 14, want, rig_next_hop(&d6, want));
	d4.tos = 0;
	rig_from_peer(r, &d4, 3);
	assert_int_equal(rig_count(r, LM_C_INNER_ECN), drops + 1);
	rig_nothing_sent(r);
}

static void usage(void **state)
{
	struct rig *r = rig_of(state);
	struct rig_ip in = {"10.2.0.5", "10.1.0.10", .proto = 17, .ttl = 64, .payload = 80};
	struct rig_ip out = {"10.1.0.10", "10.2.0.5", .proto = 17, .ttl = 64, .payload = 30};
	struct lm_dp_usage before, after;
	struct lm_dp_port_info port;
	struct lm_dp_worker_info worker;
	uint8_t frame[RIG_FRAME_MAX];

	assert_int_equal(lm_dp_usage(r->dp, r->peer[0].spi_in, &before), 0);
	rig_from_peer(r, &in, 0);
	rig_from_lan(r, &out);
	assert_int_equal(lm_dp_usage(r->dp, r->peer[0].spi_in, &after), 0);
	assert_int_equal(after.rx_packets, before.rx_packets + 1);
	assert_int_equal(after.rx_bytes, before.rx_bytes + 100);
	assert_int_equal(after.tx_packets, before.tx_packets + 1);
	assert_int_equal(after.tx_bytes, before.tx_bytes + 50);
	assert_int_equal(after.highest_seq, before.highest_seq + 1);
	assert_true(after.last_rx >= before.last_rx && after.last_rx > 0);
	assert_int_equal(lm_dp_usage(r->dp, 0x8ffff000, &after), -ENOENT);
	assert_int_equal(lm_dp_usage(r->dp, r->peer[0].spi_in + 1, &after), -ENOENT);
	assert_int_equal(lm_dp_port_count(r->dp), RIG_PORTS);
	assert_int_equal(lm_dp_port_info(r->dp, RIG_WAN, &port), 0);
	assert_string_equal(port.name, "wan");
	assert_string_equal(port.driver, "net_ring");
	assert_int_equal(port.mac.b[5], RIG_WAN);
	assert_false(port.steers); /* net_ring has no flow rules */
	assert_int_equal(lm_dp_port_info(r->dp, RIG_PORTS, &port), -ENOENT);
	assert_int_equal(lm_dp_worker_info(r->dp, 0, &worker), 0);
	assert_true(worker.rx_packets >= r->fed && worker.busy_loops > 0);
	assert_true(worker.busy > 0 && worker.busy <= worker.running);
	assert_true(worker.rx_bursts <= worker.rx_packets && worker.busy_loops <= worker.loops);
	assert_int_equal(lm_dp_worker_info(r->dp, r->workers, &worker), -ENOENT);
	assert_int_equal(lm_dp_workers(r->dp), r->workers);
	assert_non_null(lm_dp_aead(r->dp));
	rig_read(r, RIG_LAN, frame);
	rig_read(r, RIG_WAN, frame);
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
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(peer_to_lan),
	    cmocka_unit_test(peer_refuses),
	    cmocka_unit_test(default_route_peer),
	    cmocka_unit_test(peer_to_me),
	    cmocka_unit_test(replay_and_forgery),
	    cmocka_unit_test(congestion_marks),
	    cmocka_unit_test(usage),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
