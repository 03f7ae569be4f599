/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tables change while traffic flows: ten thousand new inbound and outbound SAs, paths,
 * routes and source checks, and not a packet is lost. And floods: rings stay bounded.
 */
#include "../../../lib/worker/worker_internal.h"
#include "steps.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define SWAPS 10000
#define PEERS 1000

/* Both directions through lane 0 or 1, checked against the keys in force. */
struct flow {
	struct rig *r;
	uint64_t to_lan, to_wan, got_lan, got_wan;
	uint8_t out4[RIG_FRAME_MAX], in4[RIG_FRAME_MAX];
	size_t out_len, in_len;
};

static void flow_init(struct flow *f, struct rig *r)
{
	const struct rig_ip out = {"10.1.0.10", "10.2.0.5", .proto = 99, .ttl = 64, .payload = 80};
	const struct rig_ip in = {"10.2.0.5", "10.1.0.10", .proto = 99, .ttl = 64, .payload = 80};

	*f = (struct flow){.r = r};
	f->out_len = rig_frame(RIG_LAN, &out, f->out4);
	f->in_len = rig_ip(&in, f->in4);
}

static void flow_receive_only(struct flow *f)
{
	uint8_t frame[RIG_FRAME_MAX];

	while (rig_read(f->r, RIG_LAN, frame) > 0)
		f->got_lan++;
	while (rig_read(f->r, RIG_WAN, frame) > 0)
		f->got_wan++;
}

static void flow_receive(struct flow *f)
{
	flow_receive_only(f);
	rig_poll(f->r);
	rig_forget(f->r);
}

static void flow_send(struct flow *f)
{
	unsigned lane = (unsigned)(f->to_lan % 2), queue = (unsigned)(f->to_wan % f->r->queues);
	uint8_t frame[RIG_FRAME_MAX];
	size_t len;

	/* A worker that does not get its turn must not find more than the rings hold. */
	while (f->to_lan + f->to_wan - f->got_lan - f->got_wan > 256)
		flow_receive(f);
	len = rig_seal(f->r, 0, lane, 4, f->in4, f->in_len, 0, frame);

	f->to_lan += rig_feed(f->r, RIG_WAN, queue, frame, len);
	f->to_wan += rig_feed(f->r, RIG_LAN, queue, f->out4, f->out_len);
}

/* As rekeying does it: new inbound, then outbound, then the old inbound goes, when what was sent to
 * it is through. */
static void swap_sessions(void **state)
{
	struct rig *r = rig_of(state);
	uint64_t drops = rig_drops(r);
	struct flow *f = malloc(sizeof(*f));

	assert_non_null(f);
	flow_init(f, r);
	for (uint32_t i = 0; i < SWAPS; i++) {
		flow_send(f);
		/* The peer's old session is removed here: nothing may be on its way to it. */
		while (f->got_lan < f->to_lan)
			flow_receive(f);
		rig_rekey_in(r, 0, 0x81000000 + i * 64, r->workers);
		rig_rekey_out(r, 0, 0x91000000 + i * 64);
		flow_send(f);
		flow_receive(f);
	}
	rig_settle(r);
	flow_receive(f);
	assert_int_equal(f->got_lan, f->to_lan);
	assert_int_equal(f->got_wan, f->to_wan);
	assert_true(f->to_lan > SWAPS && f->to_wan > SWAPS);
	assert_int_equal(rig_drops(r), drops);
	free(f);
}

static void swap_the_rest(void **state)
{
	struct rig *r = rig_of(state);
	struct lm_mac ours = rig_mac(RIG_WAN), router = rig_host_mac(RIG_WAN);
	struct lm_endpoint us = {rig_addr("192.0.2.1"), 4500}, them = {rig_addr("198.51.100.2"), 1};
	struct lm_route host = {
	    .kind = LM_ROUTE_NEIGHBOUR, .port = RIG_LAN, .mac = rig_host_mac(RIG_LAN)};
	struct lm_prefix own[3], theirs, route, more;
	struct lm_ip wan[3] = {us.ip, rig_addr("192.0.2.99"), rig_addr("2001:db8::99")};
	uint64_t drops = rig_drops(r);
	struct flow *f = malloc(sizeof(*f));
	struct lm_outer outer;

	assert_non_null(f);
	flow_init(f, r);
	assert_int_equal(lm_prefix_parse("10.1.0.0/16", &own[0]), 0);
	assert_int_equal(lm_prefix_parse("fd00:1::/48", &own[1]), 0);
	assert_int_equal(lm_prefix_parse("192.168.0.0/24", &own[2]), 0);
	assert_int_equal(lm_prefix_parse("10.2.0.0/16", &theirs), 0);
	assert_int_equal(lm_prefix_parse("10.1.0.10/32", &route), 0);
	assert_int_equal(lm_prefix_parse("10.2.0.0/24", &more), 0);
	for (unsigned i = 0; i < SWAPS / 5; i++) {
		flow_send(f);
		them.port = (uint16_t)(1000 + i);
		assert_int_equal(lm_outer_build(&outer, &ours, &router, &us, &them, true), 0);
		outer.port = RIG_WAN;
		assert_int_equal(lm_dp_path_set(r->dp, 0, &outer, (uint16_t)(RIG_MTU - i % 9)), 0);
		flow_send(f);
		assert_int_equal(lm_dp_own_set(r->dp, own, 2 + i % 2), 0);
		assert_int_equal(lm_dp_addresses_set(r->dp, RIG_WAN, wan, 1 + i % 3), 0);
		flow_send(f);
		assert_int_equal(lm_dp_peer_set(r->dp, 0, &theirs, 1), 0);
		assert_int_equal(lm_dp_route_set(r->dp, &route, &host), 0);
		assert_int_equal(
		    lm_dp_route_set(r->dp, &more, &(struct lm_route){.kind = LM_ROUTE_PEER}), 0);
		flow_send(f);
		assert_int_equal(lm_dp_route_del(r->dp, &more), 0);
		flow_receive(f);
	}
	rig_settle(r);
	flow_receive(f);
	assert_int_equal(f->got_lan, f->to_lan);
	assert_int_equal(f->got_wan, f->to_wan);
	assert_int_equal(rig_drops(r), drops);
	free(f);
}

/* Many sessions at once: the table of SPIs grows, and every one of them is found. */
static void many_sessions(void **state)
{
	struct rig *r = rig_of(state);
	const struct lm_esp_key keys[1] = {{{1}, {2}}};
	struct lm_dp_usage usage;

	for (uint32_t i = 0; i < 5000; i++)
		assert_int_equal(lm_dp_sa_in_add(r->dp, 1, 0xa0000000 + i * 64, 1, keys), 0);
	assert_int_equal(lm_dp_sa_in_add(r->dp, 1, 0xa0000000, 1, keys), -EEXIST);
	for (uint32_t i = 0; i < 5000; i++)
		assert_int_equal(lm_dp_usage(r->dp, 0xa0000000 + i * 64, &usage), 0);
	for (uint32_t i = 0; i < 5000; i++)
		lm_dp_sa_in_del(r->dp, 0xa0000000 + i * 64);
	for (uint32_t i = 0; i < 5000; i++)
		assert_int_equal(lm_dp_usage(r->dp, 0xa0000000 + i * 64, &usage), -ENOENT);
	lm_dp_sa_in_del(r->dp, 0xa0000000); /* not there: nothing happens */
}

/* A WAN port fails: every peer gets another path. Few of the calls wait for the workers. */
static void many_paths(void **state)
{
	struct rig *r = rig_of(state);
	struct lm_mac ours = rig_mac(RIG_WAN), router = rig_host_mac(RIG_WAN);
	struct lm_endpoint us = {rig_addr("192.0.2.1"), 4500}, them = {rig_addr("198.51.100.9"), 1};
	struct timespec from, to;
	struct lm_outer outer;
	uint64_t waits;

	assert_int_equal(lm_outer_build(&outer, &ours, &router, &us, &them, true), 0);
	outer.port = RIG_WAN;
	for (unsigned round = 0; round < 4; round++) {
		waits = __atomic_load_n(&r->dp->qsbr->token, __ATOMIC_RELAXED);
		(void)clock_gettime(CLOCK_MONOTONIC, &from);
		for (uint32_t peer = RIG_PEERS; peer < PEERS; peer++)
			assert_int_equal(lm_dp_path_set(r->dp, peer, &outer, 1400), 0);
		(void)clock_gettime(CLOCK_MONOTONIC, &to);
		waits = __atomic_load_n(&r->dp->qsbr->token, __ATOMIC_RELAXED) - waits;
		printf("%u paths in %.1f ms, %u waits\n", PEERS - RIG_PEERS,
		       (double)(to.tv_sec - from.tv_sec) * 1e3 +
			   (double)(to.tv_nsec - from.tv_nsec) / 1e6,
		       (unsigned)waits);
		assert_true(waits <= 1);
	}
	/* Peers that go take theirs along, and what was set aside is given back by then. */
	for (uint32_t peer = RIG_PEERS; peer < PEERS; peer++)
		assert_int_equal(lm_dp_peer_set(r->dp, peer, NULL, 0), 0);
	assert_int_equal(r->dp->n_retired, 0);
}

/* Objects of every size that there can be at once: sessions of 1 to 64 lanes, source checks of 1 to
 * as many prefixes as fit. */
static void all_sizes(void **state)
{
	struct rig *r = rig_of(state);
	const struct lm_esp_key keys[LM_LANES_MAX] = {{{1}, {2}}};
	struct lm_prefix p[LM_SRCCHECK_MAX];

	for (unsigned n = 1; n <= LM_LANES_MAX; n++)
		assert_int_equal(lm_dp_sa_in_add(r->dp, 1, 0xa0000000 + n * 64, n, keys), 0);
	for (unsigned n = 1; n <= LM_SRCCHECK_MAX; n++) {
		char text[32];

		snprintf(text, sizeof(text), "fd01:%x::/32", n);
		assert_int_equal(lm_prefix_parse(text, &p[n - 1]), 0);
		assert_int_equal(lm_dp_peer_set(r->dp, PEERS - n, p, n), 0);
	}
	for (unsigned n = 1; n <= LM_SRCCHECK_MAX; n++)
		assert_int_equal(lm_dp_peer_set(r->dp, PEERS - n, NULL, 0), 0);
	for (unsigned n = 1; n <= LM_LANES_MAX; n++)
		lm_dp_sa_in_del(r->dp, 0xa0000000 + n * 64);
}

/* There are as many classes as there can be sizes, and no more is taken. */
static void sizes_are_bounded(void **state)
{
	struct lm_prefix p[LM_SRCCHECK_MAX];
	struct lm_slab s = {0};

	(void)state;
	for (unsigned six = 0; six <= LM_SRCCHECK_MAX; six++) {
		for (unsigned i = 0; i < LM_SRCCHECK_MAX; i++)
			assert_int_equal(
			    lm_prefix_parse(i < six ? "fd00::/16" : "10.0.0.0/8", &p[i]), 0);
		for (unsigned n = 1; n <= LM_SRCCHECK_MAX; n++)
			assert_non_null(lm_slab_take(&s, lm_srccheck_size(p, n)));
	}
	assert_int_equal(s.n, LM_SLAB_SOURCES);
	for (unsigned n = 0; n < LM_LANES_MAX + 2; n++)
		assert_non_null(lm_slab_take(&s, (LM_SLAB_SOURCES + 1 + n) * LM_SLAB_LINE));
	assert_int_equal(s.n, LM_SLAB_CLASSES);
	assert_null(lm_slab_take(&s, LM_SLAB_LINE * 1000));
	lm_slab_free(&s);
}

static void refused_arguments(void **state)
{
	struct rig *r = rig_of(state);
	const struct lm_esp_key keys[LM_LANES_MAX] = {{{0}, {0}}};
	struct lm_ip ips[LM_DP_ADDRESSES_MAX + 1] = {{0}};
	struct lm_outer outer = {.port = RIG_LAN};
	struct lm_prefix p, *many = calloc(1, 300000 * sizeof(*many));
	unsigned sizes = r->dp->slab.n;

	assert_non_null(many);
	assert_int_equal(lm_prefix_parse("10.200.0.0/16", &p), 0);
	assert_int_equal(lm_dp_sa_in_add(r->dp, PEERS, 0xb0000000, 1, keys), -EINVAL);
	assert_int_equal(lm_dp_sa_in_add(r->dp, 0, 0xb0000001, 1, keys), -EINVAL);
	assert_int_equal(lm_dp_sa_in_add(r->dp, 0, 0x70000000, 1, keys), -EINVAL);
	assert_int_equal(lm_dp_sa_in_add(r->dp, 0, 0xb0000000, 0, keys), -EINVAL);
	assert_int_equal(lm_dp_sa_in_add(r->dp, 0, 0xb0000000, 65, keys), -EINVAL);
	assert_int_equal(lm_dp_sa_out_set(r->dp, PEERS, 0xb0000000, r->workers, keys), -EINVAL);
	assert_int_equal(lm_dp_sa_out_set(r->dp, 0, 0xb0000000, r->workers + 1, keys), -EINVAL);
	assert_int_equal(lm_dp_path_set(r->dp, PEERS, NULL, 0), -EINVAL);
	assert_int_equal(lm_dp_path_set(r->dp, 0, &outer, 1400), -EINVAL); /* a LAN port */
	assert_int_equal(lm_dp_peer_set(r->dp, PEERS, &p, 1), -EINVAL);
	/* Too many are refused before memory is taken, of a size that never comes again. */
	assert_int_equal(lm_dp_peer_set(r->dp, 0, many, LM_SRCCHECK_MAX + 1), -EINVAL);
	assert_int_equal(lm_dp_peer_set(r->dp, 0, many, 300000), -EINVAL);
	assert_int_equal(r->dp->slab.n, sizes);
	free(many);
	assert_int_equal(lm_dp_addresses_set(r->dp, RIG_PORTS, ips, 1), -EINVAL);
	assert_int_equal(lm_dp_addresses_set(r->dp, RIG_WAN, ips, LM_DP_ADDRESSES_MAX + 1),
			 -EINVAL);
	assert_int_equal(
	    lm_dp_route_set(r->dp, &p, &(struct lm_route){.kind = LM_ROUTE_PEER, .peer = PEERS}),
	    -EINVAL);
	assert_int_equal(
	    lm_dp_route_set(r->dp, &p,
			    &(struct lm_route){.kind = LM_ROUTE_NEIGHBOUR, .port = RIG_PORTS}),
	    -EINVAL);
	assert_int_equal(lm_dp_route_del(r->dp, &p), -ENOENT);
}

/* Nobody polls: what does not fit the rings is dropped and counted, and other traffic flows. */
static void punt_flood(void **state)
{
	static const uint8_t marker[100] = {0, 0, 0, 0, 1};
	struct rig *r = rig_of(state);
	const struct rig_ip ttl = {"10.1.0.10", "10.2.0.5", .proto = 17, .ttl = 1, .payload = 20};
	uint8_t arp[60] = {0}, control[RIG_FRAME_MAX], error[RIG_FRAME_MAX], ip[RIG_FRAME_MAX];
	uint64_t full = rig_count(r, LM_C_PUNT_FULL), punted = rig_count(r, LM_C_PUNTED), n = 0;
	size_t error_len = rig_frame(RIG_LAN, &ttl, error);
	size_t len = rig_udp("198.51.100.2", 4500, "192.0.2.1", 4500, marker, sizeof(marker), ip);
	struct flow *f = malloc(sizeof(*f));

	assert_non_null(f);
	flow_init(f, r);
	len = rig_eth(RIG_WAN, LM_ETHERTYPE_IP4, ip, len, control);
	memset(arp, 0xff, 6);
	arp[12] = 8;
	arp[13] = 6;
	/* Errors alone leave half a ring to ARP. */
	while (n < 8000) {
		n += rig_feed(r, RIG_LAN, 0, error, error_len);
		flow_receive_only(f);
	}
	while (!rig_balanced(r))
		flow_receive_only(f);
	assert_int_equal(rig_count(r, LM_C_PUNT_FULL), full);
	for (n = 0; n < 100; n++)
		assert_true(rig_feed(r, RIG_LAN, 0, arp, sizeof(arp)));
	while (!rig_balanced(r))
		flow_receive_only(f);
	assert_int_equal(rig_count(r, LM_C_PUNTED), punted + 100);
	assert_int_equal(rig_count(r, LM_C_PUNT_FULL), full);
	/* An ARP flood leaves control messages alone. */
	for (n = 0; n < 8000;) {
		n += rig_feed(r, RIG_LAN, 0, arp, sizeof(arp));
		flow_receive_only(f);
	}
	while (!rig_balanced(r))
		flow_receive_only(f);
	full = rig_count(r, LM_C_PUNT_FULL);
	punted = rig_count(r, LM_C_PUNTED);
	assert_true(full > 5000);
	for (n = 0; n < 50; n++)
		assert_true(rig_feed(r, RIG_WAN, 0, control, len));
	flow_send(f);
	while (!rig_balanced(r))
		flow_receive_only(f);
	flow_receive_only(f);
	assert_int_equal(rig_count(r, LM_C_PUNTED), punted + 50);
	assert_int_equal(rig_count(r, LM_C_PUNT_FULL), full);
	assert_int_equal(f->got_lan, 1);
	assert_int_equal(f->got_wan, 1);
	/* And all that was kept is still there. */
	rig_poll(r);
	assert_true(r->n_punts >= 50 + 100);
	free(f);
}

/* FAULTS row 1: strangers' control messages, made up and more than the control thread takes, leave
 * room to those of live sessions. */
static void stranger_flood(void **state)
{
	static const uint8_t type[] = {LM_MSG_INIT, LM_MSG_RESP, LM_MSG_COOKIE, LM_MSG_TRANSPORT};
	uint8_t ip[RIG_FRAME_MAX], frame[RIG_FRAME_MAX], msg[LM_TRANSPORT_OVERHEAD + 31] = {0};
	struct rig *r = rig_of(state);
	struct flow *f = malloc(sizeof(*f));
	uint64_t full, punted;
	size_t len;

	assert_non_null(f);
	flow_init(f, r);
	rig_poll(r);
	for (unsigned n = 0; n < 8000;) {
		lm_msg_transport_header(msg, 0xf0000000u | n << 6, n);
		msg[LM_TYPE_OFF] = type[n % LM_ARRAY_SIZE(type)];
		len = rig_udp("198.51.100.9", 4500, "192.0.2.1", 4500, msg, sizeof(msg), ip);
		len = rig_eth(RIG_WAN, LM_ETHERTYPE_IP4, ip, len, frame);
		n += rig_feed(r, RIG_WAN, 0, frame, len);
		flow_receive_only(f);
	}
	while (!rig_balanced(r))
		flow_receive_only(f);
	full = rig_count(r, LM_C_PUNT_FULL);
	punted = rig_count(r, LM_C_PUNTED);
	assert_true(full > 1000);
	lm_msg_transport_header(msg, r->peer[0].spi_in, 1);
	len = rig_udp("198.51.100.9", 4500, "192.0.2.1", 4500, msg, sizeof(msg), ip);
	len = rig_eth(RIG_WAN, LM_ETHERTYPE_IP4, ip, len, frame);
	for (unsigned n = 0; n < 100; n++)
		assert_true(rig_feed(r, RIG_WAN, 0, frame, len));
	while (!rig_balanced(r))
		flow_receive_only(f);
	assert_int_equal(rig_count(r, LM_C_PUNTED), punted + 100);
	assert_int_equal(rig_count(r, LM_C_PUNT_FULL), full);
	rig_poll(r);
	free(f);
}

/* One LAN host asks for all peers without a session: their notes leave half a ring to ARP. */
static void wanted_flood(void **state)
{
	struct rig *r = rig_of(state);
	uint64_t full = rig_count(r, LM_C_PUNT_FULL), punted = rig_count(r, LM_C_PUNTED);
	uint64_t lost = rig_count(r, LM_C_NO_SESSION);
	struct flow *f = malloc(sizeof(*f));
	unsigned notes = 0;

	assert_non_null(f);
	flow_init(f, r);
	rig_forget(r);
	for (uint32_t peer = RIG_PEERS; peer < PEERS; peer++) {
		char text[32];
		const struct rig_ip d = {"10.1.0.10", text, .proto = 17, .ttl = 9, .payload = 20};
		struct lm_route route = {.kind = LM_ROUTE_PEER, .peer = peer};
		uint8_t frame[RIG_FRAME_MAX];
		struct lm_prefix p;
		size_t len;

		snprintf(text, sizeof(text), "10.201.%u.%u", peer / 250, 1 + peer % 250);
		p = lm_prefix_of(&(struct lm_ip){0}, 0);
		p.ip = rig_addr(text);
		p.len = 32;
		assert_int_equal(lm_dp_route_set(r->dp, &p, &route), 0);
		len = rig_frame(RIG_LAN, &d, frame);
		while (!rig_feed(r, RIG_LAN, 0, frame, len))
			flow_receive_only(f);
	}
	while (!rig_balanced(r))
		flow_receive_only(f);
	assert_int_equal(rig_count(r, LM_C_NO_SESSION) - lost, PEERS - RIG_PEERS);
	for (unsigned n = 0; n < 100; n++) {
		uint8_t arp[60] = {[0] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, [12] = 8, 6};

		assert_true(rig_feed(r, RIG_LAN, 0, arp, sizeof(arp)));
	}
	while (!rig_balanced(r))
		flow_receive_only(f);
	assert_int_equal(rig_count(r, LM_C_PUNT_FULL), full);
	assert_int_equal(rig_count(r, LM_C_PUNTED), punted + 100);
	rig_poll(r);
	for (unsigned i = 0; i < r->n_punts; i++)
		notes += r->punts[i].p.kind == LM_PUNT_WANTED;
	assert_true(notes >= 100); /* and those that found room are there */
	free(f);
}

/* Nobody takes the frames from a port. */
static void port_full(void **state)
{
	struct rig *r = rig_of(state);
	uint64_t full = rig_count(r, LM_C_TX_RING_FULL);
	struct flow *f = malloc(sizeof(*f));
	unsigned fed = 0;

	assert_non_null(f);
	flow_init(f, r);
	while (fed < 3000) {
		if (rig_feed(r, RIG_LAN, 0, f->out4, f->out_len))
			fed++;
		else
			rig_settle(r);
	}
	rig_settle(r);
	assert_true(rig_count(r, LM_C_TX_RING_FULL) > full + 1000);
	flow_receive(f);
	assert_int_equal(f->got_wan + rig_count(r, LM_C_TX_RING_FULL) - full, fed);
	free(f);
}

/* The control thread sends more than worker 0 takes. */
static void inject_flood(void **state)
{
	struct rig *r = rig_of(state);
	uint8_t frame[60] = {0}, got[RIG_FRAME_MAX];
	uint64_t full = 0, counted = rig_count(r, LM_C_INJECT_FULL);

	for (unsigned i = 0; i < 20000; i++) {
		int e = lm_dp_send(r->dp, RIG_LAN, frame, sizeof(frame));

		assert_true(e == 0 || e == -ENOBUFS);
		r->injected += e == 0;
		full += e != 0;
		if (i % 100 == 0)
			while (rig_read(r, RIG_LAN, got) > 0)
				continue;
	}
	rig_settle(r);
	assert_int_equal(rig_count(r, LM_C_INJECT_FULL), counted + full);
	while (rig_read(r, RIG_LAN, got) > 0)
		continue;
}

/* Traffic has filled the WAN port's queue: what is urgent waits for the first place that is free,
 * and the kernel's frames, of which there are too many, do not keep it from getting there. */
static void urgent_waits(void **state)
{
	struct rig *r = rig_of(state);
	uint8_t data[60] = {0}, urgent[60] = {1}, got[RIG_FRAME_MAX];
	unsigned total = 0, at = 0, after = 0;
	uint64_t full;

	full = rig_count(r, LM_C_TX_RING_FULL);
	while (rig_count(r, LM_C_TX_RING_FULL) == full) {
		for (unsigned i = 0; i < 256; i++)
			r->injected += lm_dp_send(r->dp, RIG_WAN, data, sizeof(data)) == 0;
		rig_settle(r);
	}
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(lm_dp_send_urgent(r->dp, RIG_WAN, urgent, sizeof(urgent)), 0);
		r->injected++;
	}
	/* The queue stays full, so that no more than 16 wait. */
	full = rig_count(r, LM_C_TX_RING_FULL);
	while (rig_count(r, LM_C_TX_RING_FULL) < full + 4)
		rig_poll(r);
	assert_false(rig_balanced(r));
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(rig_read(r, RIG_WAN, got), sizeof(data));
	rig_settle(r); /* all 16 found their place */
	r->injected += lm_dp_send(r->dp, RIG_WAN, data, sizeof(data)) == 0;
	rig_settle(r);
	assert_int_equal(rig_count(r, LM_C_TX_RING_FULL), full + 4 + 1);
	while (rig_read(r, RIG_WAN, got) > 0) {
		at += got[0];
		after += at > 0 && got[0] == 0;
		total++;
	}
	assert_int_equal(at, 16);
	assert_int_equal(after, 0);
	assert_true(total > 16);
}

/* The kernel's ring is full: there is room for what is urgent. */
static void urgent_has_room(void **state)
{
	struct rig *r = rig_of(state);
	uint8_t frame[60] = {0}, got[RIG_FRAME_MAX];
	uint64_t counted = rig_count(r, LM_C_INJECT_FULL);

	for (unsigned tries = 0; rig_count(r, LM_C_INJECT_FULL) == counted; tries++) {
		assert_true(tries < 1000000);
		r->injected += lm_dp_send(r->dp, RIG_LAN, frame, sizeof(frame)) == 0;
	}
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(lm_dp_send_urgent(r->dp, RIG_LAN, frame, sizeof(frame)), 0);
		r->injected++;
	}
	for (unsigned port = RIG_LAN; !rig_balanced(r);)
		(void)rig_read(r, port, got);
	rig_settle(r);
	while (rig_read(r, RIG_LAN, got) > 0)
		continue;
}

static int start(void **state)
{
	static struct rig r;

	rig_start(&r, &(struct rig_config){.workers = 2, .peers = PEERS});
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
	    cmocka_unit_test(swap_sessions),	 cmocka_unit_test(swap_the_rest),
	    cmocka_unit_test(many_sessions),	 cmocka_unit_test(many_paths),
	    cmocka_unit_test(all_sizes),	 cmocka_unit_test(sizes_are_bounded),
	    cmocka_unit_test(refused_arguments), cmocka_unit_test(punt_flood),
	    cmocka_unit_test(wanted_flood),	 cmocka_unit_test(stranger_flood),
	    cmocka_unit_test(inject_flood),	 cmocka_unit_test(urgent_waits),
	    cmocka_unit_test(urgent_has_room),	 cmocka_unit_test(port_full),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
