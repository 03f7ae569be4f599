/* SPDX-License-Identifier: BSD-3-Clause */
/* Relayed datagrams: passing them on, what is refused, and being one of the two ends. */
#include "steps.h"

#include "relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define US  "192.0.2.1"
#define US6 "2001:db8::1"
#define A   "198.51.100.2"
#define A6  "2001:db8:a::2"
#define B   "198.51.100.3"
#define B6  "2001:db8:b::3"
/* ESP that fits a relayed datagram over IPv6. */
#define MOST6 ((RIG_PORT_MTU - 48u - LM_RELAY_HDR_LEN) & ~3u)
#define ID_A  0x0102030405060708
#define ID_B  0xf1f2f3f4f5f6f7f8

static struct lm_outer outer_to(const char *src, const char *dst, uint64_t id)
{
	struct lm_mac ours = rig_mac(RIG_WAN), router = rig_host_mac(RIG_WAN);
	struct lm_endpoint us = {rig_addr(src), 4500}, them = {rig_addr(dst), 4600};
	struct lm_outer o;

	assert_int_equal(lm_outer_build(&o, &ours, &router, &us, &them, true), 0);
	o.port = RIG_WAN;
	lm_outer_relay(&o, id);
	return o;
}

/* What comes from A's port 4501 goes to B's 4600. */
static void pair(struct rig *r, const char *a, const char *b)
{
	struct lm_outer o = outer_to(strchr(b, ':') != NULL ? US6 : US, b, ID_B);
	struct lm_dp_relay d = {
	    .port = RIG_WAN, .from = {rig_addr(a), 4501}, .outer = &o, .member = 0};

	assert_int_equal(lm_dp_relay_set(r->dp, ID_A, &d), 0);
}

/* The next packet of a flow. */
static size_t esp(uint8_t *out, size_t len)
{
	static uint32_t number;
	const uint32_t head[2] = {htobe32(0x9a3c5040), htobe32(++number)};

	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)rand();
	memcpy(out, head, sizeof(head));
	return len;
}

static size_t wrap(uint64_t id, const void *inner, size_t len, uint8_t *out)
{
	lm_msg_relay_header(out, id);
	memcpy(out + LM_RELAY_HDR_LEN, inner, len);
	return LM_RELAY_HDR_LEN + len;
}

/* A frame from a to us. IPv6 with a UDP checksum if csum. */
static size_t frame_of(const char *a, uint16_t sport, const char *us, const void *data, size_t len,
		       bool csum, uint8_t *frame)
{
	uint8_t ip[RIG_FRAME_MAX];
	size_t n = rig_udp(a, sport, us, 4500, data, len, ip);
	struct lm_ip src = rig_addr(a), dst = rig_addr(us);

	if (csum && src.family == 6) {
		struct lm_udp_hdr *udp = (struct lm_udp_hdr *)(ip + 40);

		udp->csum = lm_csum_pseudo(&src, &dst, LM_PROTO_UDP, udp, n - 40);
	}
	return rig_eth(RIG_WAN, src.family == 4 ? LM_ETHERTYPE_IP4 : LM_ETHERTYPE_IP6, ip, n,
		       frame);
}

static void offer(struct rig *r, uint64_t id, const void *inner, size_t len)
{
	uint8_t data[RIG_FRAME_MAX], frame[RIG_FRAME_MAX];
	size_t n = wrap(id, inner, len, data);

	rig_offer(r, RIG_WAN, frame, frame_of(A, 4501, US, data, n, false, frame));
}

/* Offers something that must be dropped, for this reason alone. */
static void drops(struct rig *r, const uint8_t *frame, size_t len, enum lm_ctr why)
{
	uint64_t before = rig_count(r, why), all = rig_drops(r);

	rig_offer(r, RIG_WAN, frame, len);
	assert_int_equal(rig_count(r, why), before + 1);
	assert_int_equal(rig_drops(r), all + 1);
	assert_int_equal(r->n_punts, 0);
	rig_nothing_sent(r);
}

/* The one frame sent: to b under ID_B, with inner untouched. The UDP checksum as it is. */
static uint16_t passed_on(struct rig *r, const char *us, const char *b, const void *inner,
			  size_t len, uint8_t tos)
{
	struct lm_ip src = rig_addr(us), dst = rig_addr(b);
	struct lm_mac ours = rig_mac(RIG_WAN), router = rig_host_mac(RIG_WAN);
	unsigned header = src.family == 4 ? 20 : 40;
	uint8_t frame[RIG_FRAME_MAX], want[RIG_FRAME_MAX], *ip = frame + 14;
	struct lm_udp_hdr *udp = (struct lm_udp_hdr *)(ip + header);
	size_t n = rig_read(r, RIG_WAN, frame);
	struct lm_ip_view v;
	uint16_t csum;

	assert_int_equal(n, 14 + header + 8 + LM_RELAY_HDR_LEN + len);
	assert_memory_equal(frame, router.b, 6);
	assert_memory_equal(frame + 6, ours.b, 6);
	assert_int_equal(lm_ip_view(ip, n - 14, &v), 0);
	assert_true(lm_ip_equal(&v.src, &src) && lm_ip_equal(&v.dst, &dst));
	assert_int_equal(v.ttl, 64);
	assert_int_equal(v.total_len, n - 14);
	assert_true(v.dont_fragment);
	if (header == 20)
		assert_int_equal(lm_csum_finish(lm_csum_add(0, ip, 20)), 0);
	assert_int_equal(header == 20 ? ip[1] : ((ip[0] & 15) << 4 | ip[1] >> 4), tos);
	assert_int_equal(ntohs(udp->src), 4500);
	assert_int_equal(ntohs(udp->dst), 4600);
	assert_int_equal(ntohs(udp->len), n - 14 - header);
	wrap(ID_B, inner, len, want);
	assert_memory_equal(udp + 1, want, LM_RELAY_HDR_LEN + len);
	rig_nothing_sent(r);
	csum = udp->csum;
	if (csum != 0) { /* right, or wrong by as much as before */
		assert_int_equal(header, 40);
		udp->csum = 0;
		return (uint16_t)(csum - lm_csum_pseudo(&src, &dst, LM_PROTO_UDP, udp, n - 54));
	}
	assert_int_equal(header, 20);
	return 0;
}

static void all_ways(void **state)
{
	static const char *const from[] = {A, A6}, *const in[] = {US, US6}, *const to[] = {B, B6};
	struct rig *r = rig_of(state);
	uint8_t inner[1500], data[RIG_FRAME_MAX], frame[RIG_FRAME_MAX];
	uint64_t packets = rig_count(r, LM_C_RELAYED_PACKETS);
	uint64_t bytes = rig_count(r, LM_C_RELAYED_BYTES);
	struct lm_dp_relay_usage u;
	unsigned n = 0;

	for (unsigned way = 0; way < 8; way++) {
		unsigned a = way & 1, b = way >> 1 & 1;
		bool csum = (way & 4) != 0;

		pair(r, from[a], to[b]);
		for (size_t len = 36; len <= 1400; len += len < 100 ? 4 : 132) {
			uint8_t tos = (uint8_t)(len * 7);
			size_t f;

			esp(inner, len);
			f = frame_of(from[a], 4501, in[a], data, wrap(ID_A, inner, len, data), csum,
				     frame);
			if (a == 0) {
				frame[15] = tos;
				memset(frame + 24, 0, 2);
				memcpy(frame + 24,
				       &(uint16_t){lm_csum_finish(lm_csum_add(0, frame + 14, 20))},
				       2);
			} else {
				frame[14] |= tos >> 4;
				frame[15] |= (uint8_t)(tos << 4);
			}
			rig_offer(r, RIG_WAN, frame, f);
			assert_int_equal(passed_on(r, in[b], to[b], inner, len, tos), 0);
			n++;
			bytes += LM_RELAY_HDR_LEN + len;
		}
	}
	assert_int_equal(rig_count(r, LM_C_RELAYED_PACKETS), packets + n);
	assert_int_equal(rig_count(r, LM_C_RELAYED_BYTES), bytes);
	assert_int_equal(lm_dp_relay_usage(r->dp, ID_A, &u), 0);
	assert_int_equal(u.packets, n);
	/* An error of the first half of the way is still one on the second. */
	pair(r, A6, B6);
	esp(inner, 100);
	drops(r, frame, frame_of(A6, 4502, US6, data, wrap(ID_A, inner, 100, data), true, frame),
	      LM_C_RELAY_SOURCE);
	n = (unsigned)frame_of(A6, 4501, US6, data, wrap(ID_A, inner, 100, data), true, frame);
	frame[n - 1] ^= 1;
	inner[99] ^= 1;
	rig_offer(r, RIG_WAN, frame, n);
	assert_int_not_equal(passed_on(r, US6, B6, inner, 100, 0), 0);
}

/* Control messages of all types pass, nothing else; the codec agrees in every case. */
static void what_is_inside(void **state)
{
	struct rig *r = rig_of(state);
	uint8_t data[RIG_FRAME_MAX], inner[1300] = {0};
	struct lm_msg_relay msg;

	pair(r, A, B);
	for (unsigned type = 0; type < 8; type++)
		for (size_t len = 0; len <= 1300; len += len < 60 || len > 1190 ? 1 : 97) {
			uint64_t bad = rig_count(r, LM_C_RELAY_MALFORMED);
			size_t n;

			esp(inner, sizeof(inner));
			memset(inner, 0, 8);
			inner[4] = (uint8_t)type;
			n = wrap(ID_A, inner, len, data);
			offer(r, ID_A, inner, len);
			if (lm_msg_relay_decode(data, n, &msg) == 0)
				(void)passed_on(r, US, B, inner, len, 0);
			else
				assert_int_equal(rig_count(r, LM_C_RELAY_MALFORMED), bad + 1);
		}
	for (unsigned i = 0; i < 3000; i++) {
		static const size_t lens[] = {7, 12, 20, 35, 36, 37, 38, 40, 100, 1200, 1201, 1204};
		size_t len = lens[(unsigned)rand() % LM_ARRAY_SIZE(lens)], n;
		uint64_t bad = rig_count(r, LM_C_RELAY_MALFORMED);
		uint64_t unknown = rig_count(r, LM_C_RELAY_UNKNOWN);
		uint8_t frame[RIG_FRAME_MAX];

		esp(inner, sizeof(inner));
		if (i % 2 != 0)
			memset(inner, 0, 8);
		if (i % 4 == 1)
			inner[4] = (uint8_t)(rand() % 6);
		n = wrap(ID_A, inner, len, data);
		if (i % 3 == 0)
			data[5 + (unsigned)rand() % 20] ^= (uint8_t)(1 << rand() % 8);
		rig_offer(r, RIG_WAN, frame, frame_of(A, 4501, US, data, n, false, frame));
		if (lm_msg_relay_decode(data, n, &msg) != 0)
			assert_int_equal(rig_count(r, LM_C_RELAY_MALFORMED), bad + 1);
		else if (msg.id != ID_A)
			assert_int_equal(rig_count(r, LM_C_RELAY_UNKNOWN), unknown + 1);
		else
			(void)passed_on(r, US, B, data + LM_RELAY_HDR_LEN, len, 0);
	}
	assert_int_equal(r->n_punts, 0);
}

static void refused(void **state)
{
	static const uint8_t stun[36] = {0, 1, 0, 16, 0x21, 0x12, 0xa4, 0x42};
	struct rig *r = rig_of(state);
	uint8_t inner[1500], data[RIG_FRAME_MAX], frame[RIG_FRAME_MAX];
	struct lm_dp_relay d = {.port = RIG_WAN2, .from = {rig_addr(A), 4501}, .member = 1};
	struct lm_outer o = outer_to(US, B, ID_B);
	size_t n;

	pair(r, A, B);
	esp(inner, 100);
	n = wrap(ID_A + 1, inner, 100, data);
	drops(r, frame, frame_of(A, 4501, US, data, n, false, frame), LM_C_RELAY_UNKNOWN);
	n = wrap(0, inner, 100, data);
	drops(r, frame, frame_of(A, 4501, US, data, n, false, frame), LM_C_RELAY_UNKNOWN);
	/* The other end's id is not this end's. */
	n = wrap(ID_B, inner, 100, data);
	drops(r, frame, frame_of(A, 4501, US, data, n, false, frame), LM_C_RELAY_UNKNOWN);
	n = wrap(ID_A, inner, 100, data);
	drops(r, frame, frame_of(A, 4500, US, data, n, false, frame), LM_C_RELAY_SOURCE);
	drops(r, frame, frame_of(B, 4501, US, data, n, false, frame), LM_C_RELAY_SOURCE);
	drops(r, frame, frame_of(A6, 4501, US6, data, n, false, frame), LM_C_RELAY_SOURCE);
	/* It came to another WAN port than the one that the id is good for. */
	d.outer = &o;
	assert_int_equal(lm_dp_relay_set(r->dp, ID_A, &d), 0);
	drops(r, frame, frame_of(A, 4501, US, data, n, false, frame), LM_C_RELAY_SOURCE);
	pair(r, A, B);
	/* Inside: another relayed message, STUN, a keepalive, nothing. */
	n = wrap(ID_A, data, n, inner);
	drops(r, frame, frame_of(A, 4501, US, inner, n, false, frame), LM_C_RELAY_MALFORMED);
	n = wrap(ID_A, stun, sizeof(stun), data);
	drops(r, frame, frame_of(A, 4501, US, data, n, false, frame), LM_C_RELAY_MALFORMED);
	n = wrap(ID_A, "\xff", 1, data);
	drops(r, frame, frame_of(A, 4501, US, data, n, false, frame), LM_C_RELAY_MALFORMED);
	n = wrap(ID_A, "", 0, data);
	drops(r, frame, frame_of(A, 4501, US, data, n, false, frame), LM_C_RELAY_MALFORMED);
	/* Larger than what the other end's IPv6 can hold. */
	pair(r, A, B6);
	n = wrap(ID_A, inner, esp(inner, MOST6 + 4), data);
	drops(r, frame, frame_of(A, 4501, US, data, n, false, frame), LM_C_RELAY_TOO_BIG);
	offer(r, ID_A, inner, esp(inner, MOST6));
	(void)passed_on(r, US6, B6, inner, MOST6, 0);
	lm_dp_relay_end(r->dp, ID_A);
	n = wrap(ID_A, inner, esp(inner, 100), data);
	drops(r, frame, frame_of(A, 4501, US, data, n, false, frame), LM_C_RELAY_UNKNOWN);
}

/* Lets the workers take what was fed; how many frames they send. */
static unsigned sent(struct rig *r)
{
	uint8_t out[RIG_FRAME_MAX];
	unsigned n = 0;

	rig_settle(r);
	while (rig_read(r, RIG_WAN, out) > 0)
		n++;
	return n;
}

/* FAULTS row 21: of an id, the newest as many as the filter has tags. */
static void copies(void **state)
{
	enum { N = 4 * LM_RELAY_SETS };
	uint8_t(*frame)[200] = calloc(N, sizeof(*frame));
	size_t *len = calloc(N, sizeof(*len));
	struct rig *r = rig_of(state);
	uint8_t inner[200], data[200], out[RIG_FRAME_MAX];
	uint64_t copies = rig_count(r, LM_C_RELAY_DUPLICATE);

	assert_true(frame != NULL && len != NULL);
	pair(r, A, B);
	for (unsigned i = 0; i < N; i++) {
		size_t n = esp(inner, 36 + 4 * (i % 16));

		len[i] = frame_of(A, 4501, US, data, wrap(ID_A, inner, n, data), false, frame[i]);
		assert_true(rig_feed(r, RIG_WAN, 0, frame[i], len[i]));
		if (i % 64 == 0) { /* at once, in one burst */
			for (unsigned k = 0; k < 5; k++)
				assert_true(rig_feed(r, RIG_WAN, 0, frame[i], len[i]));
			copies += 5;
		}
		if (i % 32 == 31)
			assert_int_equal(sent(r), 32);
	}
	/* A change of the ends' addresses does not forget. */
	pair(r, A, B6);
	for (unsigned i = 0; i < N; i++) {
		assert_true(rig_feed(r, RIG_WAN, 0, frame[i], len[i]));
		if (i % 32 == 31)
			assert_int_equal(sent(r), 0);
	}
	assert_int_equal(rig_count(r, LM_C_RELAY_DUPLICATE), copies + N);
	/* One bit of it is another datagram. */
	for (unsigned i = 0; i < N; i += 64) {
		frame[i][len[i] - 1 - i / 64 % 32] ^= (uint8_t)(1 << i / 64 % 8);
		rig_offer(r, RIG_WAN, frame[i], len[i]);
		assert_true(rig_read(r, RIG_WAN, out) > 0);
	}
	/* So is a control message, and it is remembered like any other one. */
	memset(inner, 0, 60);
	inner[4] = LM_MSG_TRANSPORT;
	for (unsigned i = 0; i < 100; i++) {
		inner[30] = (uint8_t)i;
		offer(r, ID_A, inner, 60);
		assert_true(rig_read(r, RIG_WAN, out) > 0);
		offer(r, ID_A, inner, 60);
		rig_nothing_sent(r);
	}
	assert_int_equal(rig_count(r, LM_C_RELAY_DUPLICATE), copies + N + 100);
	lm_dp_relay_end(r->dp, ID_A);
	free(frame);
	free(len);
}

/* So many ids that what is known of them is asked for ahead. */
static void many(void **state)
{
	enum { N = 200 };
	struct rig *r = rig_of(state);
	struct lm_outer o = outer_to(US, B, ID_B);
	struct lm_dp_relay d = {.port = RIG_WAN, .from = {rig_addr(A), 4501}, .outer = &o};
	uint8_t inner[RIG_FRAME_MAX], data[RIG_FRAME_MAX], frame[RIG_FRAME_MAX];
	uint64_t unknown = rig_count(r, LM_C_RELAY_UNKNOWN);
	uint64_t malformed = rig_count(r, LM_C_RELAY_MALFORMED);

	for (unsigned i = 0; i < N; i++) {
		d.outer = i % 8 != 0 ? &o : NULL;
		assert_int_equal(lm_dp_relay_set(r->dp, ID_A + i, &d), 0);
	}
	for (unsigned i = 0; i < N; i++) {
		if (i % 8 == 0)
			continue;
		offer(r, ID_A + i, inner, esp(inner, 100));
		(void)passed_on(r, US, B, inner, 100, 0);
		offer(r, ID_A + i, inner, 100);
		rig_nothing_sent(r);
	}
	offer(r, ID_A + N, inner, esp(inner, 100));
	assert_int_equal(rig_count(r, LM_C_RELAY_UNKNOWN), unknown + 1);
	for (size_t len = 8; len < LM_RELAY_HDR_LEN; len++) {
		(void)wrap(ID_A, inner, 100, data);
		rig_offer(r, RIG_WAN, frame, frame_of(A, 4501, US, data, len, false, frame));
	}
	assert_int_equal(rig_count(r, LM_C_RELAY_MALFORMED), malformed + 8);
	for (unsigned i = 0; i < N; i++)
		lm_dp_relay_end(r->dp, ID_A + i);
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* Bytes of N datagrams from A that got through. */
static uint64_t flood(struct rig *r, uint64_t id, unsigned n)
{
	uint64_t before = rig_count(r, LM_C_RELAYED_BYTES);
	uint8_t inner[1000], data[1100], frame[RIG_FRAME_MAX], out[RIG_FRAME_MAX];

	for (unsigned i = 0; i < n; i++) {
		size_t len = wrap(id, inner, esp(inner, 984), data);

		assert_true(rig_feed(r, RIG_WAN, i % r->queues, frame,
				     frame_of(A, 4501, US, data, len, false, frame)));
		if (i % 32 == 0)
			rig_settle(r);
		while (rig_read(r, RIG_WAN, out) > 0)
			continue;
	}
	rig_settle(r);
	while (rig_read(r, RIG_WAN, out) > 0)
		continue;
	return rig_count(r, LM_C_RELAYED_BYTES) - before;
}

/* FAULTS row 20: a member's cap is over all of its ids, and its own. */
static void quota(void **state)
{
	enum { RATE = 200000, N = 2000 };
	struct rig *r = rig_of(state);
	struct lm_outer o = outer_to(US, B, ID_B);
	struct lm_dp_relay d = {.port = RIG_WAN, .from = {rig_addr(A), 4501}, .outer = &o};
	uint64_t drops = rig_count(r, LM_C_RELAY_QUOTA), got;
	double begin, most;

	for (unsigned i = 0; i < 3; i++) {
		d.member = i / 2;
		assert_int_equal(lm_dp_relay_set(r->dp, ID_A + i, &d), 0);
	}
	assert_int_equal(flood(r, ID_A, 100), 100 * 1000);
	lm_dp_relay_quota(r->dp, RATE);
	begin = seconds();
	got = flood(r, ID_A, N) + flood(r, ID_A + 1, N);
	/* What it may be ahead, and what each worker may hold of each id. */
	most = RATE * (seconds() - begin + 0.05) + 2 * 2048 * (r->workers + 1);
	assert_true(got > 0 && (double)got <= most);
	assert_int_equal(rig_count(r, LM_C_RELAY_QUOTA) - drops, 2 * N - got / 1000);
	/* The other member has its own, all of it. */
	assert_true(flood(r, ID_A + 2, 8) == 8000);
	lm_dp_relay_quota(r->dp, 0);
	assert_int_equal(flood(r, ID_A, 100), 100 * 1000);
	for (unsigned i = 0; i < 3; i++)
		lm_dp_relay_end(r->dp, ID_A + i);
}

/* ----------------------------------------------------------------- ends -- */

#define RELAY "203.0.113.9"

static size_t through_relay(const char *src, uint64_t id, const uint8_t *sealed, size_t len,
			    uint8_t *frame)
{
	uint8_t data[RIG_FRAME_MAX];

	return frame_of(src, 4777, US, data, wrap(id, sealed + 42, len - 42, data), false, frame);
}

/* ESP and control of every lane, whichever worker it belongs to. */
static void receiving(void **state)
{
	const struct rig_ip ip = {"10.2.0.5", "10.1.0.10", .proto = 17, .ttl = 64, .payload = 500};
	struct rig *r = rig_of(state);
	struct lm_dp_relay d = {.port = RIG_WAN, .from = {rig_addr(RELAY), 4777}};
	struct lm_endpoint there = {rig_addr(RELAY), 4777};
	uint8_t inner[RIG_FRAME_MAX], sealed[RIG_FRAME_MAX], frame[RIG_FRAME_MAX];
	uint8_t want[RIG_FRAME_MAX], marker[64] = {0, 0, 0, 0, 4};
	const struct lm_punt *p;
	size_t len, n, want_len;

	assert_int_equal(lm_dp_relay_set(r->dp, ID_A, &d), 0);
	rig_rekey_in(r, 0, 0x80050000, 8);
	for (unsigned i = 0; i < 24; i++) {
		len = rig_seal(r, 0, i % 8, 4, inner, rig_ip(&ip, inner), 0, sealed);
		n = through_relay(RELAY, ID_A, sealed, len, frame);
		/* Not under another id, nor from elsewhere. */
		rig_forget(r);
		drops(r, want, through_relay(RELAY, ID_A + 1, sealed, len, want),
		      LM_C_RELAY_UNKNOWN);
		drops(r, want, through_relay("203.0.113.8", ID_A, sealed, len, want),
		      LM_C_RELAY_SOURCE);
		rig_forget(r);
		rig_offer(r, RIG_WAN, frame, n);
		want_len = rig_next_hop(&ip, want);
		n = rig_read(r, RIG_LAN, frame);
		assert_int_equal(n, 14 + want_len);
		assert_memory_equal(frame + 14, want, want_len);
		/* Each lane's first packet makes a note of the way. */
		assert_int_equal(r->n_punts, i < 8);
		if (i < 8) {
			p = &rig_the_punt(r, LM_PUNT_MOVED)->p;
			assert_true(p->relay == ID_A);
			assert_true(lm_endpoint_equal(&p->from, &there));
			assert_int_equal(p->session, 0x80050000);
		}
	}
	/* Straight from the relay's own address is another way. */
	len = rig_seal(r, 0, 0, 4, inner, rig_ip(&ip, inner), 0, sealed);
	n = frame_of(RELAY, 4777, US, sealed + 42, len - 42, false, frame);
	rig_forget(r);
	rig_offer(r, RIG_WAN, frame, n);
	assert_true(rig_the_punt(r, LM_PUNT_MOVED)->p.relay == 0);
	assert_true(rig_read(r, RIG_LAN, frame) > 0);
	/* A replay through the relay is one. */
	n = rig_count(r, LM_C_ESP_REPLAY);
	rig_offer(r, RIG_WAN, frame, through_relay(RELAY, ID_A, sealed, len, frame));
	assert_int_equal(rig_count(r, LM_C_ESP_REPLAY), n + 1);

	rig_forget(r);
	n = frame_of(RELAY, 4777, US, inner, wrap(ID_A, marker, sizeof(marker), inner), false,
		     frame);
	rig_offer(r, RIG_WAN, frame, n);
	p = &rig_the_punt(r, LM_PUNT_CONTROL)->p;
	assert_true(p->relay == ID_A);
	assert_true(lm_endpoint_equal(&p->from, &there));
	assert_int_equal(p->len, sizeof(marker));
	assert_memory_equal(r->punts[0].data, marker, sizeof(marker));
	rig_forget(r);
	n = frame_of(RELAY, 4777, US, marker, sizeof(marker), false, frame);
	rig_offer(r, RIG_WAN, frame, n);
	assert_true(rig_the_punt(r, LM_PUNT_CONTROL)->p.relay == 0);
	lm_dp_relay_end(r->dp, ID_A);
}

static void sending(void **state)
{
	const struct rig_ip d = {"10.1.0.10", "10.2.0.5", .proto = 17, .ttl = 64, .payload = 700};
	struct rig *r = rig_of(state);
	struct lm_outer through = outer_to(US, RELAY, ID_A), straight = outer_to(US, A, ID_A);
	uint8_t frame[RIG_FRAME_MAX], inner[RIG_FRAME_MAX], want[RIG_FRAME_MAX];
	struct lm_msg_relay msg;
	size_t n, len;

	assert_int_equal(lm_dp_path_set(r->dp, 0, &through, RIG_MTU), 0);
	rig_from_lan(r, &d);
	n = rig_read(r, RIG_WAN, frame);
	assert_int_equal(lm_msg_relay_decode(frame + 42, n - 42, &msg), 0);
	assert_true(msg.id == ID_A);
	memmove(frame + 42, msg.inner, msg.inner_len);
	len = rig_open(r, 0, frame, n - LM_RELAY_HDR_LEN, inner);
	assert_int_equal(len, rig_next_hop(&d, want));
	assert_memory_equal(inner, want, len);
	/* Numbers go on on another path. */
	straight.relay_len = 0;
	straight.hdr_len -= LM_RELAY_HDR_LEN;
	assert_int_equal(lm_dp_path_set(r->dp, 0, &straight, RIG_MTU), 0);
	rig_from_lan(r, &d);
	n = rig_read(r, RIG_WAN, frame);
	assert_int_equal(rig_open(r, 0, frame, n, inner), len);
}

static int start(void **state)
{
	static struct rig r;

	rig_start(&r, &(struct rig_config){.workers = 2, .wan2 = true});
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
	    cmocka_unit_test(all_ways),	 cmocka_unit_test(what_is_inside),
	    cmocka_unit_test(refused),	 cmocka_unit_test(copies),
	    cmocka_unit_test(many),	 cmocka_unit_test(quota),
	    cmocka_unit_test(receiving), cmocka_unit_test(sending),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
