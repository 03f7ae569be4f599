/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * FAULTS row 31: a scan of a WAN port. Every IP protocol of both families, every
 * ethertype, every TCP flag, many ports, and plaintext that claims inner addresses. No
 * frame gets to a LAN, and only what wan_filter.c means to pass gets to the kernel.
 */
#include "steps.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define US  "192.0.2.1"
#define US6 "2001:db8::1"

/* Room for what comes next without filling the ring to the control thread. */
static void let_in(struct rig *r)
{
	if (r->fed % 64 == 0)
		rig_settle(r);
}

static void offer(struct rig *r, const struct rig_ip *d)
{
	uint8_t frame[RIG_FRAME_MAX];

	assert_true(rig_feed(r, RIG_WAN, 0, frame, rig_frame(RIG_WAN, d, frame)));
	let_in(r);
}

/* Offers d alone: does the kernel get it? */
static bool passes(struct rig *r, const struct rig_ip *d)
{
	rig_settle(r);
	rig_forget(r);
	offer(r, d);
	rig_settle(r);
	if (r->n_punts == 0)
		return false;
	assert_int_equal(rig_the_punt(r, LM_PUNT_TWIN)->p.port, RIG_WAN);
	return true;
}

static void l4_ports(uint8_t l4[20], uint16_t src, uint16_t dst)
{
	l4[0] = (uint8_t)(src >> 8);
	l4[1] = (uint8_t)src;
	l4[2] = (uint8_t)(dst >> 8);
	l4[3] = (uint8_t)dst;
}

static void protocols(void **state)
{
	/* Ports that nobody opened, no TCP flags; the first byte is no ICMP type that passes. */
	static const uint8_t l4[40] = {0xd0, 0x00, 0xd0, 0x01, 0, 40};
	static const struct {
		const char *src, *dst;
	} pairs[] = {{"203.0.113.66", US},	 {"203.0.113.66", "10.1.0.10"},
		     {"10.2.0.5", "10.1.0.10"},	 {"10.1.0.10", US},
		     {"2001:db8::66", US6},	 {"2001:db8::66", "fd00:1::10"},
		     {"fd00:2::5", "fd00:1::10"}};
	struct rig *r = rig_of(state);
	uint64_t filtered = rig_count(r, LM_C_WAN_FILTERED);

	for (unsigned i = 0; i < LM_ARRAY_SIZE(pairs); i++)
		for (unsigned proto = 0; proto < 256; proto++)
			if (proto != 44 || i < 4) /* IPv6 fragments have a counter of their own */
				offer(r, &(struct rig_ip){pairs[i].src, pairs[i].dst,
							  .proto = (uint8_t)proto, .ttl = 255,
							  .payload = sizeof(l4), .l4 = l4});
	rig_settle(r);
	assert_int_equal(rig_count(r, LM_C_WAN_FILTERED) - filtered, 7 * 256 - 3);
	assert_int_equal(r->n_punts, 0);
	rig_nothing_sent(r);
}

/* Good inner packets behind IPIP, GRE, SIT, VXLAN, raw ESP. */
static void tunnels(void **state)
{
	static const uint8_t protos[] = {4, 41, 47, 50, 51, 94, 97, 115, 137, 143};
	static const uint16_t ports[] = {4789, 4754, 6081, 500, 1701, 51820, 4501, 4499};
	const struct rig_ip inner = {"10.2.0.5", "10.1.0.10", .proto = 17, .ttl = 64,
				     .payload = 40};
	struct rig *r = rig_of(state);
	uint8_t ip[RIG_FRAME_MAX], outer[RIG_FRAME_MAX], frame[RIG_FRAME_MAX];
	size_t len = rig_ip(&inner, ip);
	uint64_t drops = rig_drops(r);

	for (unsigned i = 0; i < LM_ARRAY_SIZE(protos); i++)
		offer(r, &(struct rig_ip){"198.51.100.2", US, .proto = protos[i], .ttl = 64,
					  .payload = len, .l4 = ip});
	for (unsigned i = 0; i < LM_ARRAY_SIZE(ports); i++) {
		size_t n = rig_udp("198.51.100.2", ports[i], US, ports[i], ip, len, outer);

		assert_true(rig_feed(r, RIG_WAN, 0, frame,
				     rig_eth(RIG_WAN, LM_ETHERTYPE_IP4, outer, n, frame)));
	}
	/* And in the clear, to our MAC address. */
	offer(r, &inner);
	rig_settle(r);
	assert_int_equal(rig_drops(r), drops + LM_ARRAY_SIZE(protos) + LM_ARRAY_SIZE(ports) + 1);
	assert_int_equal(r->n_punts, 0);
	rig_nothing_sent(r);
}

static void ethertypes(void **state)
{
	struct rig *r = rig_of(state);
	uint8_t body[60] = {0}, frame[RIG_FRAME_MAX];
	size_t len;

	for (unsigned type = 0; type < 0x10000; type++) {
		if (type == LM_ETHERTYPE_ARP || type == LM_ETHERTYPE_IP4 ||
		    type == LM_ETHERTYPE_IP6)
			continue;
		len = rig_eth(RIG_WAN, (uint16_t)type, body, sizeof(body), frame);
		while (!rig_feed(r, RIG_WAN, 0, frame, len))
			rig_settle(r);
	}
	rig_settle(r);
	assert_int_equal(r->n_punts, 0);
	rig_nothing_sent(r);
	memset(frame, 0xff, 6);
	frame[12] = 8;
	frame[13] = 6;
	rig_offer(r, RIG_WAN, frame, 60);
	rig_the_punt(r, LM_PUNT_TWIN);
}

static void tcp(void **state)
{
	struct rig *r = rig_of(state);
	uint8_t l4[20] = {0};
	struct rig_ip d = {"203.0.113.66", US, .proto = 6, .ttl = 64, .payload = 20, .l4 = l4};
	struct rig_ip d6 = {"2001:db8::66", US6, .proto = 6, .ttl = 64, .payload = 20, .l4 = l4};

	for (unsigned flags = 0; flags < 256; flags++) {
		bool established = (flags & 0x14) != 0;

		l4[13] = (uint8_t)flags;
		l4_ports(l4, 50000, 23);
		assert_int_equal(passes(r, &d), established);
		assert_int_equal(passes(r, &d6), established);
	}
	l4[13] = 2;
	l4_ports(l4, 50000, 22); /* opened by the operator */
	assert_true(passes(r, &d));
	assert_true(passes(r, &d6));
	d.payload = 19;
	assert_false(passes(r, &d));
	d.payload = 20;
	d.dst = "192.0.2.2";
	assert_false(passes(r, &d));
	d.dst = "10.1.0.1"; /* an address of ours, but not of this port */
	assert_false(passes(r, &d));
}

static void udp(void **state)
{
	static const struct {
		const char *src, *dst;
		uint16_t sport, dport;
		bool pass;
	} cases[] = {
	    {"203.0.113.66", US, 53, 40000, true},
	    {"203.0.113.66", US, 123, 40000, true},
	    {"203.0.113.66", US, 53, 123, false},
	    {"203.0.113.66", US, 54, 40000, false},
	    {"203.0.113.66", US, 40000, 53, false},
	    {"203.0.113.66", US, 9, 5353, true},
	    {"203.0.113.66", US, 67, 68, true},
	    {"203.0.113.66", "255.255.255.255", 67, 68, true},
	    {"203.0.113.66", "192.0.2.9", 67, 68, false},
	    {"203.0.113.66", US, 68, 67, false},
	    {"2001:db8::66", US6, 53, 40000, true},
	    {"2001:db8::66", US6, 547, 546, false},
	    {"fe80::66", "fe80::1", 547, 546, true},
	    {"fe80::66", "fe80::1", 53, 40000, false},
	    {"203.0.113.66", "192.0.2.9", 53, 40000, false},
	};
	struct rig *r = rig_of(state);
	uint8_t l4[20] = {0};
	struct lm_ip us[2];

	for (unsigned i = 0; i < LM_ARRAY_SIZE(cases); i++) {
		l4_ports(l4, cases[i].sport, cases[i].dport);
		l4[5] = 20;
		assert_int_equal(passes(r, &(struct rig_ip){cases[i].src, cases[i].dst, .proto = 17,
							    .ttl = 64, .payload = 20, .l4 = l4}),
				 cases[i].pass);
	}
	/* Before there is an address, DHCP's answer may come to the one that is offered. */
	assert_int_equal(lm_ip_parse(US, &us[0]), 0);
	assert_int_equal(lm_ip_parse(US6, &us[1]), 0);
	assert_int_equal(lm_dp_addresses_set(r->dp, RIG_WAN, &us[1], 1), 0);
	l4_ports(l4, 67, 68);
	assert_true(passes(r, &(struct rig_ip){"203.0.113.66", "192.0.2.9", .proto = 17, .ttl = 64,
					       .payload = 20, .l4 = l4}));
	assert_int_equal(lm_dp_addresses_set(r->dp, RIG_WAN, us, 2), 0);
}

/* The mesh's port is never the kernel's, by broadcast either. */
static void mesh_port(void **state)
{
	struct rig *r = rig_of(state);
	uint8_t ip[RIG_FRAME_MAX], frame[RIG_FRAME_MAX], data[20] = {0};
	size_t len = rig_udp("203.0.113.66", 53, US, 4500, data, sizeof(data), ip);
	uint64_t filtered = rig_count(r, LM_C_WAN_FILTERED);

	len = rig_eth(RIG_WAN, LM_ETHERTYPE_IP4, ip, len, frame);
	memset(frame, 0xff, 6);
	rig_offer(r, RIG_WAN, frame, len);
	assert_int_equal(rig_count(r, LM_C_WAN_FILTERED), filtered + 1);
	assert_int_equal(r->n_punts, 0);
}

static void icmp(void **state)
{
	struct rig *r = rig_of(state);
	uint8_t l4[24] = {0};

	for (unsigned type = 0; type < 256; type++) {
		struct rig_ip d4 = {"203.0.113.66", US,	     .proto = 1, .ttl = 64,
				    .payload = 24,  .l4 = l4};
		struct rig_ip d6 = {"fe80::66", "ff02::1",     .proto = 58,
				    .ttl = 255, .payload = 24, .l4 = l4};
		bool want4 = type == 0 || type == 3 || type == 8 || type == 11 || type == 12;
		bool want6 = (type >= 1 && type <= 4) || (type >= 128 && type <= 130) ||
			     (type >= 134 && type <= 136);

		l4[0] = (uint8_t)type;
		assert_int_equal(passes(r, &d4), want4);
		assert_int_equal(passes(r, &d6), want6);
		d6.dst = US6;
		assert_int_equal(passes(r, &d6), want6);
		d6.dst = "fd00:1::1";
		assert_false(passes(r, &d6));
	}
	/* A listener query comes behind a router alert; nothing else does. */
	memcpy(l4, "\x3a\x00\x05\x02\x00\x00\x00\x00\x82", 9);
	assert_true(passes(r, &(struct rig_ip){"fe80::66", "ff02::1", .proto = 0, .ttl = 1,
					       .payload = 24, .l4 = l4}));
	l4[0] = 17;
	assert_false(passes(r, &(struct rig_ip){"fe80::66", "ff02::1", .proto = 0, .ttl = 1,
						.payload = 24, .l4 = l4}));
	l4[0] = 58;
	l4[1] = 1; /* longer than there is */
	assert_false(passes(r, &(struct rig_ip){"fe80::66", "ff02::1", .proto = 0, .ttl = 1,
						.payload = 24, .l4 = l4}));
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
	rig_nothing_sent(*state);
	rig_stop(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(protocols), cmocka_unit_test(tunnels), cmocka_unit_test(ethertypes),
	    cmocka_unit_test(tcp),	 cmocka_unit_test(udp),	    cmocka_unit_test(icmp),
	    cmocka_unit_test(mesh_port),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
