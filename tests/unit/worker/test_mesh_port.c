/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes to the mesh's UDP port beside good ESP, and notes about peers that move. */
#include "steps.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define WAKE_UPS 20000
#define US	 "192.0.2.1"
#define THEM	 "198.51.100.2"
#define US6	 "2001:db8::1"

static size_t datagram(const char *src, uint16_t sport, const char *dst, const void *data,
		       size_t len, uint8_t *frame)
{
	uint8_t ip[RIG_FRAME_MAX];
	size_t n = rig_udp(src, sport, dst, 4500, data, len, ip);

	return rig_eth(RIG_WAN, ip[0] >> 4 == 4 ? LM_ETHERTYPE_IP4 : LM_ETHERTYPE_IP6, ip, n,
		       frame);
}

static void offer(struct rig *r, const char *src, const char *dst, const void *data, size_t len)
{
	uint8_t frame[RIG_FRAME_MAX];

	rig_forget(r);
	rig_offer(r, RIG_WAN, frame, datagram(src, 4501, dst, data, len, frame));
}

static void control(void **state)
{
	static const uint8_t marker[1200] = {0, 0, 0, 0, 1};
	static const uint8_t stun[20] = {1, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42};
	static const struct {
		const char *src, *dst;
		const uint8_t *data;
		size_t len;
	} cases[] = {
	    {THEM, US, marker, sizeof(marker)},
	    {THEM, US, marker, 8},
	    {THEM, US, stun, sizeof(stun)},
	    {"2001:db8::2", US6, marker, sizeof(marker)},
	};
	struct rig *r = rig_of(state);
	uint64_t drops = rig_drops(r);

	for (unsigned i = 0; i < LM_ARRAY_SIZE(cases); i++) {
		struct lm_endpoint from = {rig_addr(cases[i].src), 4501};
		struct lm_endpoint to = {rig_addr(cases[i].dst), 4500};
		const struct lm_punt *p;

		offer(r, cases[i].src, cases[i].dst, cases[i].data, cases[i].len);
		p = &rig_the_punt(r, LM_PUNT_CONTROL)->p;
		assert_int_equal(p->len, cases[i].len);
		assert_memory_equal(r->punts[0].data, cases[i].data,
				    cases[i].len < 256 ? cases[i].len : 256);
		assert_true(lm_endpoint_equal(&p->from, &from));
		assert_true(lm_endpoint_equal(&p->to, &to));
		assert_int_equal(p->port, RIG_WAN);
	}
	assert_int_equal(rig_drops(r), drops);
}

/* Senders to whom an answer cannot or must not go. */
static void senders(void **state)
{
	static const uint8_t marker[64] = {0, 0, 0, 0, 1};
	static const char *const bad4[] = {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"};
	static const char *const bad6[] = {"::", "::1", "ff02::1", "fe80::1",
					   "::ffff:198.51.100.2"};
	struct rig *r = rig_of(state);
	uint64_t bad = rig_count(r, LM_C_WAN_MALFORMED);
	uint8_t frame[RIG_FRAME_MAX];

	for (unsigned i = 0; i < LM_ARRAY_SIZE(bad4); i++)
		offer(r, bad4[i], US, marker, sizeof(marker));
	for (unsigned i = 0; i < LM_ARRAY_SIZE(bad6); i++)
		offer(r, bad6[i], US6, marker, sizeof(marker));
	assert_int_equal(rig_count(r, LM_C_WAN_MALFORMED), bad + 9);
	rig_offer(r, RIG_WAN, frame, datagram(THEM, 0, US, marker, sizeof(marker), frame));
	assert_int_equal(rig_count(r, LM_C_WAN_MALFORMED), bad + 10);
	assert_int_equal(r->n_punts, 0);
}

static void not_a_message(void **state)
{
	struct rig *r = rig_of(state);
	uint64_t alive = rig_count(r, LM_C_KEEPALIVE_RX), bad = rig_count(r, LM_C_DEMUX_BAD);
	uint64_t unknown = rig_count(r, LM_C_ESP_UNKNOWN_SPI), all = rig_drops(r);
	uint8_t data[1400];

	offer(r, THEM, US, "\xff", 1);
	assert_int_equal(rig_count(r, LM_C_KEEPALIVE_RX), alive + 1);
	offer(r, THEM, US, NULL, 0);
	offer(r, THEM, US, "\x00", 1);
	offer(r, THEM, US, "\xff\xff\xff\xff", 4);
	offer(r, THEM, US, "ABCDEFGHIJ", 10);
	assert_int_equal(rig_count(r, LM_C_DEMUX_BAD), bad + 4);
	memset(data, 0xaa, sizeof(data));
	for (size_t len = 8; len < sizeof(data); len += 13) {
		offer(r, THEM, US, data, len);
		unknown++;
	}
	assert_int_equal(rig_count(r, LM_C_ESP_UNKNOWN_SPI), unknown);
	assert_int_equal(rig_drops(r), all + 4 + (sizeof(data) - 8 + 12) / 13);
	rig_nothing_sent(r);
}

/* Wrong address, wrong MAC, wrong UDP length, fragments: none gets through. */
static void wrong_headers(void **state)
{
	struct rig *r = rig_of(state);
	static const uint8_t marker[64] = {0, 0, 0, 0, 1};
	uint64_t not_us = rig_count(r, LM_C_WAN_NOT_FOR_US);
	uint64_t malformed = rig_count(r, LM_C_WAN_MALFORMED);
	uint64_t fragments = rig_count(r, LM_C_WAN_FRAGMENT);
	uint8_t frame[RIG_FRAME_MAX], f[RIG_FRAME_MAX];
	size_t len = datagram(THEM, 4500, US, marker, sizeof(marker), frame);

	offer(r, THEM, "192.0.2.2", marker, sizeof(marker));
	offer(r, THEM, "10.1.0.1", marker, sizeof(marker));
	assert_int_equal(rig_count(r, LM_C_WAN_NOT_FOR_US), not_us += 2);
	memcpy(f, frame, len);
	f[4] ^= 8;
	rig_offer(r, RIG_WAN, f, len);
	assert_int_equal(rig_count(r, LM_C_WAN_NOT_FOR_US), not_us += 1);
	for (size_t cut = 0; cut < len; cut++)
		rig_offer(r, RIG_WAN, frame, cut);
	assert_int_equal(rig_count(r, LM_C_WAN_MALFORMED) - malformed, len);
	malformed += len;
	for (unsigned udp_len = 0; udp_len < 80; udp_len++) {
		memcpy(f, frame, len);
		f[14 + 24] = 0;
		f[14 + 25] = (uint8_t)udp_len;
		rig_forget(r);
		rig_offer(r, RIG_WAN, f, len);
		malformed += udp_len < 8 || udp_len > 72;
		assert_int_equal(rig_count(r, LM_C_WAN_MALFORMED), malformed);
		if (udp_len >= 16 && udp_len <= 72)
			assert_int_equal(rig_the_punt(r, LM_PUNT_CONTROL)->p.len, udp_len - 8);
	}
	memcpy(f, frame, len);
	memset(f + 14 + 10, 0, 2);
	f[14 + 6] = 0x20; /* more fragments */
	memcpy(f + 14 + 10, &(uint16_t){lm_csum_finish(lm_csum_add(0, f + 14, 20))}, 2);
	rig_offer(r, RIG_WAN, f, len);
	assert_int_equal(rig_count(r, LM_C_WAN_FRAGMENT), fragments + 1);
	len = datagram("2001:db8::2", 4500, US6, marker, sizeof(marker), f);
	f[14 + 6] = 44;
	rig_offer(r, RIG_WAN, f, len);
	assert_int_equal(rig_count(r, LM_C_WAN_FRAGMENT), fragments + 2);
	rig_nothing_sent(r);
}

/* A frame that the peer sealed, but from another address. */
static size_t sealed_from(struct rig *r, unsigned lane, const char *src, uint16_t port,
			  uint8_t *frame)
{
	const struct rig_ip d = {"10.2.0.5", "10.1.0.10", .proto = 17, .ttl = 64, .payload = 20};
	struct lm_ip ip = rig_addr(src);
	uint8_t inner[RIG_FRAME_MAX];
	size_t len = rig_ip(&d, inner);

	len = rig_seal(r, 0, lane, 4, inner, len, 0, frame);
	memcpy(frame + 14 + 12, ip.b, 4);
	frame[14 + 20] = (uint8_t)(port >> 8);
	frame[14 + 21] = (uint8_t)port;
	memset(frame + 14 + 10, 0, 2);
	memcpy(frame + 14 + 10, &(uint16_t){lm_csum_finish(lm_csum_add(0, frame + 14, 20))}, 2);
	return len;
}

static unsigned notes(struct rig *r)
{
	unsigned n = r->n_punts;

	for (unsigned i = 0; i < n; i++)
		assert_int_equal(r->punts[i].p.kind, LM_PUNT_MOVED);
	rig_forget(r);
	return n;
}

static void moved(void **state)
{
	struct rig *r = rig_of(state);
	uint8_t frame[RIG_FRAME_MAX], late[RIG_FRAME_MAX];
	struct lm_endpoint there = {rig_addr("203.0.113.50"), 999};
	size_t len, late_len;

	rig_rekey_in(r, 0, 0x80030000, 4);
	for (unsigned i = 0; i < 10; i++) {
		len = sealed_from(r, 1, THEM, 4500, frame);
		rig_offer(r, RIG_WAN, frame, len);
	}
	assert_int_equal(notes(r), 1); /* the first of the lane */
	late_len = sealed_from(r, 1, THEM, 4500, late);
	for (unsigned i = 0; i < 10; i++) {
		len = sealed_from(r, 1, "203.0.113.50", 999, frame);
		rig_offer(r, RIG_WAN, frame, len);
		if (i == 0) {
			assert_int_equal(r->n_punts, 1);
			assert_true(lm_endpoint_equal(&r->punts[0].p.from, &there));
			assert_int_equal(r->punts[0].p.session, 0x80030000);
			assert_int_equal(r->punts[0].p.port, RIG_WAN);
		}
	}
	assert_int_equal(notes(r), 1);
	/* Neither an older packet, nor a forged, nor a replayed one moves anything. */
	rig_offer(r, RIG_WAN, late, late_len);
	rig_offer(r, RIG_WAN, late, late_len);
	len = sealed_from(r, 1, "203.0.113.51", 999, frame);
	frame[len - 1] ^= 1;
	rig_offer(r, RIG_WAN, frame, len);
	frame[len - 1] ^= 1;
	assert_int_equal(notes(r), 0);
	rig_offer(r, RIG_WAN, frame, len); /* now it is good, and the newest */
	assert_int_equal(notes(r), 1);
	len = sealed_from(r, 1, "203.0.113.51", 1000, frame); /* only the port: a NAT's rebinding */
	rig_offer(r, RIG_WAN, frame, len);
	assert_int_equal(notes(r), 1);
	len = sealed_from(r, 1, "224.0.0.1", 1000, frame);
	rig_offer(r, RIG_WAN, frame, len);
	assert_int_equal(notes(r), 0);
	while (rig_read(r, RIG_LAN, frame) > 0)
		continue;
}

/* Cover traffic says that the peer lives; frames for bridging and others are not carried. */
static void next_headers(void **state)
{
	struct rig *r = rig_of(state);
	uint8_t inner[64] = {0}, frame[RIG_FRAME_MAX];
	struct lm_dp_usage usage;
	size_t len;

	rig_rekey_in(r, 0, 0x80040000, 4);
	assert_int_equal(lm_dp_usage(r->dp, 0x80040000, &usage), 0);
	assert_int_equal(usage.last_rx, 0);
	len = rig_seal(r, 0, 0, LM_PROTO_DUMMY, inner, sizeof(inner), 0, frame);
	rig_offer(r, RIG_WAN, frame, len);
	assert_int_equal(lm_dp_usage(r->dp, 0x80040000, &usage), 0);
	assert_true(usage.last_rx > 0);
	len = rig_seal(r, 0, 0, LM_PROTO_ETHERNET, inner, sizeof(inner), 0, frame);
	rig_offer(r, RIG_WAN, frame, len);
	len = rig_seal(r, 0, 0, LM_PROTO_TCP, inner, sizeof(inner), 0, frame);
	rig_offer(r, RIG_WAN, frame, len);
	len = rig_seal(r, 0, 0, LM_PROTO_IP4, inner, sizeof(inner), 0, frame);
	rig_offer(r, RIG_WAN, frame, len);
	assert_int_equal(rig_count(r, LM_C_ESP_DUMMY), 1);
	assert_int_equal(rig_count(r, LM_C_ESP_NEXT_HEADER), 2);
	assert_int_equal(rig_count(r, LM_C_ESP_INNER_MALFORMED), 1);
	rig_nothing_sent(r);
}

static void count_one(void *user, const struct lm_punt *p)
{
	(void)p;
	++*(unsigned *)user;
}

/* The descriptor alone says when to poll, however little is taken at a time. */
static void wake_ups(void **state)
{
	struct rig *r = rig_of(state);
	struct pollfd fd = {.fd = lm_dp_event_fd(r->dp), .events = POLLIN};
	uint8_t arp[60] = {[12] = 8, [13] = 6};
	unsigned got = 0, sent = 0;

	memset(arp, 0xff, 6);
	while (got < 3000) {
		for (unsigned burst = sent % 7; sent < 3000 && burst > 0 && sent - got < 50;
		     burst--)
			sent += rig_feed(r, RIG_LAN, 0, arp, sizeof(arp));
		if (sent < WAKE_UPS && sent == got)
			sent += rig_feed(r, RIG_LAN, 0, arp, sizeof(arp));
		/* Sometimes unasked. */
		if (rand() % 4 != 0)
			assert_int_equal(poll(&fd, 1, 60000), 1);
		lm_dp_poll(r->dp, 1 + sent % 3, count_one, &got);
	}
	assert_int_equal(sent, got);
	rig_settle(r);
	assert_int_equal(poll(&fd, 1, 0), 0);
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
	    cmocka_unit_test(control),	     cmocka_unit_test(senders),
	    cmocka_unit_test(not_a_message), cmocka_unit_test(wrong_headers),
	    cmocka_unit_test(moved),	     cmocka_unit_test(next_headers),
	    cmocka_unit_test(wake_ups),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
