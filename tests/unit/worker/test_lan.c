/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes from a LAN: to peers, to the kernel, to another LAN, or nowhere. */
#include "../../../lib/worker/worker_internal.h"
#include "steps.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void lan_to_peer(void **state)
{
	static const struct rig_ip cases[] = {
	    {"10.1.0.10", "10.2.0.5", .proto = 17, .ttl = 64, .payload = 64, .tos = 0xb8},
	    {"10.1.0.10", "10.2.255.255", .proto = 99, .ttl = 2, .payload = 0},
	    {"10.1.0.10", "10.2.0.5", .proto = 6, .ttl = 255, .payload = RIG_MTU - 20, .df = true},
	    {"fd00:1::10", "fd00:2::5", .proto = 58, .ttl = 64, .payload = 17, .tos = 0x03},
	    {"fd00:1::10", "fd00:2::5", .proto = 17, .ttl = 2, .payload = RIG_MTU - 40},
	};
	struct rig *r = rig_of(state);

	for (unsigned i = 0; i < LM_ARRAY_SIZE(cases); i++) {
		uint8_t frame[RIG_FRAME_MAX], inner[RIG_FRAME_MAX], want[RIG_FRAME_MAX];
		struct lm_mac router = rig_host_mac(RIG_WAN);
		size_t len;

		rig_from_lan(r, &cases[i]);
		len = rig_read(r, RIG_WAN, frame);
		assert_true(len > 0 && len <= RIG_PORT_MTU + 14);
		assert_memory_equal(frame, router.b, 6);
		assert_int_equal(frame[15], cases[i].tos); /* DSCP and ECN go outside */
		len = rig_open(r, 0, frame, len, inner);
		assert_int_equal(len, rig_next_hop(&cases[i], want));
		assert_memory_equal(inner, want, len);
		rig_nothing_sent(r);
	}
	assert_int_equal(r->n_punts, 0);
}

/* Frames are padded to 60 bytes; the padding is not the packet's. */
static void ethernet_padding(void **state)
{
	struct rig *r = rig_of(state);
	struct rig_ip d = {"10.1.0.10", "10.2.0.5", .proto = 17, .ttl = 9, .payload = 8};
	uint8_t frame[RIG_FRAME_MAX] = {0}, inner[RIG_FRAME_MAX];
	size_t len;

	rig_frame(RIG_LAN, &d, frame);
	rig_offer(r, RIG_LAN, frame, 60);
	len = rig_read(r, RIG_WAN, frame);
	assert_int_equal(rig_open(r, 0, frame, len, inner), 28);
}

static void lan_refuses(void **state)
{
	struct rig *r = rig_of(state);
	struct rig_ip ok = {"10.1.0.10", "10.2.0.5", .proto = 17, .ttl = 64, .payload = 20}, d;
	static const char *const foreign[] = {"10.2.0.7", "8.8.8.8", "127.0.0.1", "224.0.0.1",
					      "255.255.255.255"};

	for (unsigned i = 0; i < LM_ARRAY_SIZE(foreign); i++) {
		d = ok;
		d.src = foreign[i];
		rig_lan_drops(r, &d, LM_C_LAN_SOURCE_NOT_OURS);
		assert_int_equal(r->n_punts, 0);
	}
	d = (struct rig_ip){"fd00:2::7", "fd00:2::5", .proto = 17, .ttl = 64, .payload = 20};
	rig_lan_drops(r, &d, LM_C_LAN_SOURCE_NOT_OURS);
	d.src = "::ffff:10.1.0.10";
	rig_lan_drops(r, &d, LM_C_LAN_SOURCE_NOT_OURS);

	d = ok;
	d.dst = "192.168.7.7";
	rig_lan_drops(r, &d, LM_C_LAN_NO_ROUTE);
	assert_int_equal(rig_the_punt(r, LM_PUNT_ERROR)->p.error, LM_ICMP_NO_ROUTE);
	d.dst = "10.99.1.1";
	rig_lan_drops(r, &d, LM_C_LAN_NO_ROUTE);
	assert_int_equal(rig_the_punt(r, LM_PUNT_ERROR)->p.error, LM_ICMP_PROHIBITED);
	d.dst = "203.0.113.9"; /* a neighbour on the WAN: never in the clear */
	rig_lan_drops(r, &d, LM_C_LAN_NO_ROUTE);
	d = ok;
	d.dst = "239.1.2.3";
	rig_lan_drops(r, &d, LM_C_LAN_MULTICAST);
	d.dst = "127.0.0.1";
	rig_lan_drops(r, &d, LM_C_LAN_MULTICAST);
	for (d = ok, d.ttl = 0; d.ttl < 2; d.ttl++) {
		rig_lan_drops(r, &d, LM_C_LAN_TTL_EXPIRED);
		assert_int_equal(rig_the_punt(r, LM_PUNT_ERROR)->p.error, LM_ICMP_TIME_EXCEEDED);
		assert_int_equal(r->punts[0].p.len, 40);
		assert_int_equal(r->punts[0].data[0], 0x45);
	}
}

static void lan_too_big(void **state)
{
	struct rig *r = rig_of(state);
	struct rig_ip d = {"10.1.0.10", "10.2.0.5", .proto = 17,
			   .ttl = 64,	.df = true, .payload = RIG_MTU - 19};
	uint64_t punted;

	rig_lan_drops(r, &d, LM_C_LAN_TOO_BIG);
	assert_int_equal(rig_the_punt(r, LM_PUNT_ERROR)->p.error, LM_ICMP_TOO_BIG);
	assert_int_equal(r->punts[0].p.mtu, RIG_MTU);
	assert_int_equal(r->punts[0].data[8], 64); /* as it came */
	d = (struct rig_ip){"fd00:1::10", "fd00:2::5", .proto = 17, .ttl = 64,
			    .payload = RIG_MTU - 39};
	rig_lan_drops(r, &d, LM_C_LAN_TOO_BIG);
	assert_int_equal(rig_the_punt(r, LM_PUNT_ERROR)->p.mtu, RIG_MTU);
	/* May be fragmented: that is the control thread's work, and no drop. */
	d = (struct rig_ip){"10.1.0.10", "10.2.0.5", .proto = 17, .ttl = 64,
			    .payload = RIG_MTU - 19};
	rig_forget(r);
	punted = rig_count(r, LM_C_PUNTED);
	rig_from_lan(r, &d);
	assert_int_equal(rig_count(r, LM_C_PUNTED), punted + 1);
	assert_int_equal(rig_the_punt(r, LM_PUNT_ERROR)->p.mtu, RIG_MTU);
	assert_int_equal(r->punts[0].p.peer, UINT32_MAX);
	rig_nothing_sent(r);
}

/* Every header that lies, and every length of a frame. */
static void lan_malformed(void **state)
{
	struct rig *r = rig_of(state);
	struct rig_ip d4 = {"10.1.0.10", "10.2.0.5", .proto = 17, .ttl = 64, .payload = 20};
	struct rig_ip d6 = {"fd00:1::10", "fd00:2::5", .proto = 17, .ttl = 64, .payload = 20};
	uint8_t frame[RIG_FRAME_MAX];
	uint64_t bad = rig_count(r, LM_C_LAN_MALFORMED);
	size_t len = rig_frame(RIG_LAN, &d4, frame);

	for (size_t cut = 0; cut < len; cut++)
		rig_offer(r, RIG_LAN, frame, cut);
	assert_int_equal(rig_count(r, LM_C_LAN_MALFORMED), bad += len);
	len = rig_frame(RIG_LAN, &d6, frame);
	for (size_t cut = 0; cut < len; cut++)
		rig_offer(r, RIG_LAN, frame, cut);
	assert_int_equal(rig_count(r, LM_C_LAN_MALFORMED), bad += len);
	frame[14] = 0x40; /* version 4 behind the ethertype of 6 */
	rig_offer(r, RIG_LAN, frame, len);
	assert_int_equal(rig_count(r, LM_C_LAN_MALFORMED), bad += 1);
	len = rig_frame(RIG_LAN, &d4, frame);
	for (unsigned bit = 0; bit < 20 * 8; bit++) { /* the header checksum sees every one */
		frame[14 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		rig_offer(r, RIG_LAN, frame, len);
		frame[14 + bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(rig_count(r, LM_C_LAN_MALFORMED), bad += 160);
	rig_nothing_sent(r);
	assert_int_equal(r->n_punts, 0);
}

/* What the kernel's own protocols need gets to the twin, whole; other frames do not. */
static void lan_to_kernel(void **state)
{
	static const struct rig_ip ip[] = {
	    {"10.1.0.10", "10.1.0.1", .proto = 6, .ttl = 1, .payload = 20},
	    {"172.16.0.9", "10.1.0.1", .proto = 6, .ttl = 64, .payload = 20},
	    {"0.0.0.0", "255.255.255.255", .proto = 17, .ttl = 64, .payload = 300},
	    {"10.1.0.10", "224.0.0.5", .proto = 89, .ttl = 1, .payload = 44},
	    {"10.1.0.10", "239.1.2.3", .proto = 2, .ttl = 1, .payload = 8},
	    {"fe80::10", "ff02::1", .proto = 58, .ttl = 255, .payload = 24},
	    {"fe80::10", "fe80::1", .proto = 6, .ttl = 64, .payload = 24},
	    {"fe80::10", "fd00:1::1", .proto = 58, .ttl = 255, .payload = 24},
	    {"::", "ff02::1:ff00:1", .proto = 58, .ttl = 255, .payload = 24},
	    {"fd00:1::10", "fd00:1::1", .proto = 58, .ttl = 1, .payload = 24},
	};
	static const uint16_t types[] = {0x0806, 0x8100, 0x88cc, 0x888e, 0x8809, 0x0026};
	struct rig *r = rig_of(state);
	uint8_t frame[RIG_FRAME_MAX], body[60] = {0};
	uint64_t drops = rig_drops(r);
	size_t len;

	for (unsigned i = 0; i < LM_ARRAY_SIZE(ip); i++) {
		rig_forget(r);
		len = rig_frame(RIG_LAN, &ip[i], frame);
		rig_offer(r, RIG_LAN, frame, len);
		assert_int_equal(rig_the_punt(r, LM_PUNT_TWIN)->p.len, len);
		assert_memory_equal(r->punts[0].data, frame, len < 256 ? len : 256);
		assert_int_equal(r->punts[0].p.port, RIG_LAN);
	}
	for (unsigned i = 0; i < LM_ARRAY_SIZE(types); i++) {
		rig_forget(r);
		len = rig_eth(RIG_LAN, types[i], body, sizeof(body), frame);
		memset(frame, 0xff, 6);
		rig_offer(r, RIG_LAN, frame, len);
		assert_int_equal(rig_the_punt(r, LM_PUNT_TWIN)->p.len, len);
	}
	assert_int_equal(rig_drops(r), drops);
	rig_offer(r, RIG_LAN, frame, rig_eth(RIG_LAN, 0x8847, body, sizeof(body), frame));
	assert_int_equal(rig_drops(r), drops + 1);
	len = rig_frame(RIG_LAN, &ip[0], frame);
	frame[5] ^= 1; /* another station's */
	drops = rig_count(r, LM_C_LAN_NOT_FOR_US);
	rig_offer(r, RIG_LAN, frame, len);
	assert_int_equal(rig_count(r, LM_C_LAN_NOT_FOR_US), drops + 1);
	/* A LAN host that claims to be another site does not even get to the box itself. */
	rig_lan_drops(r,
		      &(struct rig_ip){"10.2.0.5", "10.1.0.1", .proto = 6, .ttl = 9, .payload = 20},
		      LM_C_LAN_SOURCE_NOT_OURS);
	rig_nothing_sent(r);
}

static void lan_to_lan(void **state)
{
	struct rig *r = rig_of(state);
	struct rig_ip d = {"10.1.0.10", "10.1.1.10", .proto = 17, .ttl = 64, .payload = 20};
	struct lm_mac host = rig_host_mac(RIG_LAN2), us = rig_mac(RIG_LAN2);
	struct lm_ip via;
	uint8_t frame[RIG_FRAME_MAX], want[RIG_FRAME_MAX];

	rig_from_lan(r, &d);
	assert_int_equal(rig_read(r, RIG_LAN2, frame), 14 + 40);
	assert_memory_equal(frame, host.b, 6);
	assert_memory_equal(frame + 6, us.b, 6);
	assert_memory_equal(frame + 14, want, rig_next_hop(&d, want));
	/* Nobody knows this host yet. */
	d.dst = "10.1.1.77";
	via = rig_addr("10.1.1.77");
	rig_from_lan(r, &d);
	assert_int_equal(rig_the_punt(r, LM_PUNT_NEIGHBOUR)->p.port, RIG_LAN2);
	assert_true(lm_ip_equal(&r->punts[0].p.via, &via));
	assert_memory_equal(r->punts[0].data, want, rig_next_hop(&d, want));
	rig_forget(r);
	d.dst = "10.1.2.77"; /* behind a router that nobody knows yet */
	via = rig_addr("10.1.1.254");
	rig_from_lan(r, &d);
	assert_true(lm_ip_equal(&rig_the_punt(r, LM_PUNT_NEIGHBOUR)->p.via, &via));
	rig_nothing_sent(r);
}

static void no_session(void **state)
{
	struct rig *r = rig_of(state);
	struct rig_ip d = {"10.1.0.10", "10.3.0.5", .proto = 17, .ttl = 64, .payload = 20};
	uint8_t frame[RIG_FRAME_MAX], inner[RIG_FRAME_MAX];
	size_t len;

	assert_int_equal(lm_dp_sa_out_set(r->dp, 1, 0, 0, NULL), 0);
	rig_lan_drops(r, &d, LM_C_NO_SESSION);
	assert_int_equal(rig_the_punt(r, LM_PUNT_WANTED)->p.peer, 1);
	rig_rekey_out(r, 1, 0x90020000);
	rig_from_lan(r, &d);
	len = rig_read(r, RIG_WAN, frame);
	assert_int_equal(rig_open(r, 1, frame, len, inner), 40);
}

static void inject(void **state)
{
	struct rig *r = rig_of(state);
	struct rig_ip d = {"10.1.0.1", "10.2.0.5", .proto = 1, .ttl = 64, .payload = 56};
	uint8_t ip[RIG_FRAME_MAX], frame[RIG_FRAME_MAX], inner[RIG_FRAME_MAX];
	size_t len = rig_ip(&d, ip), n;

	r->injected++;
	assert_int_equal(lm_dp_inject(r->dp, ip, len), 0);
	rig_settle(r);
	n = rig_read(r, RIG_WAN, frame);
	assert_int_equal(rig_open(r, 0, frame, n, inner), len);
	assert_memory_equal(inner, ip, rig_next_hop(&d, ip));
	/* As it is, on a port. */
	memset(frame, 0xee, 60);
	r->injected++;
	assert_int_equal(lm_dp_send(r->dp, RIG_LAN2, frame, 60), 0);
	rig_settle(r);
	assert_int_equal(rig_read(r, RIG_LAN2, inner), 60);
	assert_memory_equal(frame, inner, 60);
	/* Too large, and too small. */
	assert_int_equal(lm_dp_send(r->dp, RIG_LAN2, frame, RIG_PORT_MTU + 23), -EMSGSIZE);
	assert_int_equal(lm_dp_send(r->dp, RIG_LAN2, frame, 13), -EMSGSIZE);
	assert_int_equal(lm_dp_send(r->dp, RIG_PORTS, frame, 60), -EMSGSIZE);
	assert_int_equal(lm_dp_inject(r->dp, ip, 19), -EMSGSIZE);
	assert_int_equal(lm_dp_inject(r->dp, ip, 60000), -EMSGSIZE);
	/* The kernel's IPv6 chatter on lm0, and nonsense. */
	d = (struct rig_ip){"fe80::1", "ff02::2", .proto = 58, .ttl = 255, .payload = 8};
	len = rig_ip(&d, ip);
	n = rig_count(r, LM_C_INJECT_MALFORMED);
	r->injected += 2;
	assert_int_equal(lm_dp_inject(r->dp, ip, len), 0);
	assert_int_equal(lm_dp_inject(r->dp, ip, 20), 0);
	rig_settle(r);
	assert_int_equal(rig_count(r, LM_C_INJECT_MALFORMED), n + 2);
	rig_nothing_sent(r);
}

static void mss(void **state)
{
	uint8_t syn[24] = {0x12, 0x34, 0, 80, [12] = 0x60, [13] = 2, [20] = 2, 4, 0x05, 0xb4};
	struct rig_ip d = {"10.1.0.10", "10.2.0.5", .proto = 6, .ttl = 64, .payload = sizeof(syn),
			   .l4 = syn};
	struct rig *r = rig_of(state);
	uint8_t frame[RIG_FRAME_MAX], inner[RIG_FRAME_MAX];
	size_t len;

	rig_from_lan(r, &d);
	len = rig_read(r, RIG_WAN, frame);
	assert_int_equal(rig_open(r, 0, frame, len, inner), 44);
	assert_int_equal(inner[42] << 8 | inner[43], RIG_MTU - 40);
}

/* A path over IPv6: the UDP checksum is right, whether we compute it or the device. */
static void outer_ip6(void **state)
{
	const struct lm_mac ours = rig_mac(RIG_WAN), router = rig_host_mac(RIG_WAN);
	const struct lm_endpoint v6[] = {{rig_addr("2001:db8::1"), 4500},
					 {rig_addr("2001:db8::2"), 4500}};
	const struct lm_endpoint v4[] = {{rig_addr("192.0.2.1"), 4500},
					 {rig_addr("198.51.100.2"), 4500}};
	struct rig_ip d = {"10.1.0.10", "10.2.0.5", .proto = 17, .ttl = 64};
	struct rig *r = rig_of(state);
	struct lm_outer outer;

	assert_int_equal(lm_outer_build(&outer, &ours, &router, &v6[0], &v6[1], true), 0);
	outer.port = RIG_WAN;
	assert_int_equal(lm_dp_path_set(r->dp, 0, &outer, RIG_MTU), 0);
	for (unsigned device = 0; device < 2; device++) {
		r->dp->port[RIG_WAN].udp_csum = device == 1;
		for (d.payload = 0; d.payload < 40; d.payload++) {
			unsigned done = r->device_checksums;
			uint8_t frame[RIG_FRAME_MAX];
			const struct lm_ip6_hdr *ip = (const struct lm_ip6_hdr *)(frame + 14);
			uint16_t pseudo[2] = {0, htobe16(17)};
			size_t len;
			uint32_t sum;

			rig_from_lan(r, &d);
			len = rig_read(r, RIG_WAN, frame);
			assert_int_equal(len, 14 + sizeof(*ip) + be16toh(ip->payload_len));
			assert_int_equal(r->device_checksums, done + device);
			pseudo[0] = ip->payload_len;
			sum = lm_csum_add(0, pseudo, sizeof(pseudo));
			sum = lm_csum_add(sum, ip->src, 32);
			assert_int_equal(lm_csum_finish(lm_csum_add(sum, ip + 1, len - 54)), 0);
			assert_true(frame[14 + 40 + 6] != 0 || frame[14 + 40 + 7] != 0);
		}
	}
	r->dp->port[RIG_WAN].udp_csum = false;
	assert_int_equal(lm_outer_build(&outer, &ours, &router, &v4[0], &v4[1], true), 0);
	outer.port = RIG_WAN;
	assert_int_equal(lm_dp_path_set(r->dp, 0, &outer, RIG_MTU), 0);
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
	    cmocka_unit_test(lan_to_peer),   cmocka_unit_test(ethernet_padding),
	    cmocka_unit_test(lan_refuses),   cmocka_unit_test(lan_too_big),
	    cmocka_unit_test(lan_malformed), cmocka_unit_test(lan_to_kernel),
	    cmocka_unit_test(lan_to_lan),    cmocka_unit_test(no_session),
	    cmocka_unit_test(inject),	     cmocka_unit_test(mss),
	    cmocka_unit_test(outer_ip6),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
