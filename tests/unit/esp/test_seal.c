/* SPDX-License-Identifier: BSD-3-Clause */
/* Sealing, and that our own opening gives the same packet back. */
#include "esp_test.h"

#include "vectors.h"

#define FRAME_MAX 65600

static const struct lm_mac mac_a = {{2, 0, 0, 0, 0, 1}}, mac_b = {{2, 0, 0, 0, 0, 2}};
static struct lm_outer outer4, outer6;
static struct lm_aead *aead;

static uint32_t be32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return ntohl(v);
}

/* A descriptor around len bytes at room + LM_ESP_HEADROOM, with exactly the room promised. */
static struct lm_esp_tx tx_at(uint8_t *room, struct pair *p, const struct lm_outer *o, uint32_t len,
			      uint8_t next)
{
	return (struct lm_esp_tx){.sa = &p->out,
				  .outer = o,
				  .data = room + LM_ESP_HEADROOM,
				  .len = len,
				  .headroom = LM_ESP_HEADROOM,
				  .tailroom = LM_ESP_TAILROOM,
				  .next = next};
}

/* Everything outside the ESP packet that a receiver or a router would check. */
static void check_outer(const struct lm_esp_tx *t, uint8_t tos)
{
	const uint8_t *ip = t->data + 14;
	unsigned udp_end = t->outer->hdr_len - t->outer->relay_len;
	const struct lm_udp_hdr *udp = (const struct lm_udp_hdr *)(t->data + udp_end - 8);
	struct lm_ip_view v;

	assert_int_equal(lm_ip_view(ip, t->len - 14, &v), 0);
	assert_int_equal(v.total_len, t->len - 14);
	assert_int_equal(v.proto, LM_PROTO_UDP);
	assert_int_equal(ntohs(udp->len), t->len - udp_end + 8);
	assert_memory_equal(t->data + udp_end, t->outer->hdr + udp_end, t->outer->relay_len);
	if (t->outer->ip6) {
		assert_int_equal(ntohl(((const struct lm_ip6_hdr *)ip)->ver_tc_flow),
				 0x60000000u | (uint32_t)tos << 20);
		assert_int_not_equal(udp->csum, 0);
		/* With a correct checksum in it, the sum is zero, which pseudo turns to ffff. */
		assert_int_equal(lm_csum_pseudo(&v.src, &v.dst, LM_PROTO_UDP, udp, ntohs(udp->len)),
				 0xffff);
	} else {
		assert_int_equal(ip[1], tos);
		assert_int_equal(lm_csum_finish(lm_csum_add(0, ip, 20)), 0);
		assert_int_equal(udp->csum, 0);
	}
}

static void round_trip(struct pair *p, const struct lm_outer *o, uint32_t len, uint8_t next,
		       uint8_t tos)
{
	static uint8_t room[FRAME_MAX + 200], inner[FRAME_MAX];
	struct lm_esp_tx t = tx_at(room, p, o, len, next);
	uint32_t sealed = (len + 2 + 3) & ~3u, seq = p->out.seq + 1;
	struct lm_esp_rx r;

	if (next == LM_PROTO_IP6)
		inner6(inner, len);
	else
		inner4(inner, len);
	memcpy(t.data, inner, len);
	t.tos = tos;
	room[LM_ESP_HEADROOM + len + LM_ESP_TAILROOM] = 0xa5;
	assert_int_equal(lm_esp_seal(aead, &t, 1), 1);
	assert_int_equal(t.status, LM_ESP_OK);
	assert_int_equal(room[LM_ESP_HEADROOM + len + LM_ESP_TAILROOM], 0xa5);
	assert_ptr_equal(t.data, room + LM_ESP_HEADROOM - 16 - o->hdr_len);
	assert_int_equal(t.len, o->hdr_len + 16 + sealed + 16);
	check_outer(&t, tos);

	/* RFC 4303 header, then the number again as 64-bit IV. */
	r = (struct lm_esp_rx){
	    .sa = &p->in, .data = t.data + o->hdr_len, .len = t.len - o->hdr_len};
	assert_int_equal(be32(r.data), p->in.spi);
	assert_int_equal(be32(r.data + 4), seq);
	assert_int_equal(be32(r.data + 8), 0);
	assert_int_equal(be32(r.data + 12), seq);
	if (len >= 8)
		assert_memory_not_equal(r.data + 16, inner, len);

	assert_int_equal(lm_esp_open(aead, &r, 1), 1);
	assert_int_equal(r.status, LM_ESP_OK);
	assert_int_equal(r.next, next);
	assert_int_equal(r.len, len);
	assert_true(r.newest);
	assert_memory_equal(r.data, inner, len);
}

static void sizes(void **state)
{
	struct pair p;
	uint64_t bytes = 0;
	unsigned n = 0;

	(void)state;
	pair_init(&p, aead, 1);
	for (uint32_t len = 20; len <= 9000; len += len < 1600 ? 1 : 97) {
		round_trip(&p, &outer4, len, LM_PROTO_IP4, (uint8_t)len);
		round_trip(&p, &outer6, len, LM_PROTO_ETHERNET, (uint8_t)(len * 3));
		bytes += 2 * len;
		n += 2;
		if (len >= 40) {
			round_trip(&p, &outer6, len, LM_PROTO_IP6, (uint8_t)(len * 5));
			bytes += len;
			n++;
		}
	}
	assert_int_equal(p.out.seq, n);
	assert_int_equal(p.out.bytes, bytes);
	assert_int_equal(p.in.packets, n);
	assert_int_equal(p.in.bytes, bytes);
	round_trip(&p, &outer4, LM_ESP_INNER_MAX, LM_PROTO_IP4, 0);
	pair_free(&p);
}

/* The same with a relay's header in front, which the IPv6 checksum covers. */
static void relayed(void **state)
{
	struct lm_outer o4 = outer4, o6 = outer6;
	struct lm_msg_relay msg;
	struct pair p;
	uint8_t room[400] = {0};
	struct lm_esp_tx t;

	(void)state;
	pair_init(&p, aead, 1);
	lm_outer_relay(&o4, 0x0123456789abcdef);
	lm_outer_relay(&o6, UINT64_MAX);
	assert_int_equal(o4.hdr_len, 42 + 16);
	assert_int_equal(o6.hdr_len, LM_OUTER_MAX);
	for (uint32_t len = 40; len <= 1500; len++) {
		round_trip(&p, &o4, len, LM_PROTO_IP4, (uint8_t)len);
		round_trip(&p, &o6, len, LM_PROTO_IP6, (uint8_t)(len * 3));
		round_trip(&p, &outer4, len, LM_PROTO_IP4, 0);
	}
	round_trip(&p, &o4, LM_ESP_INNER_MAX, LM_PROTO_IP4, 0);
	t = tx_at(room, &p, &o4, 100, LM_PROTO_ETHERNET);
	assert_int_equal(lm_esp_seal(aead, &t, 1), 1);
	assert_int_equal(lm_msg_relay_decode(t.data + 42, t.len - 42, &msg), 0);
	assert_true(msg.id == 0x0123456789abcdef);
	t = tx_at(room, &p, &o4, 100, LM_PROTO_ETHERNET);
	t.headroom = o4.hdr_len + 15;
	assert_int_equal(lm_esp_seal(aead, &t, 1), 0);
	assert_int_equal(t.status, LM_ESP_NO_ROOM);
	pair_free(&p);
}

/* Cover traffic: sealed like any packet, and thrown away by the other side. */
static void dummy(void **state)
{
	uint8_t room[400] = {0};
	struct lm_esp_tx t;
	struct lm_esp_rx r;
	struct pair p;

	(void)state;
	pair_init(&p, aead, 1);
	t = tx_at(room, &p, &outer4, 0, LM_PROTO_DUMMY);
	assert_int_equal(lm_esp_seal(aead, &t, 1), 1);
	r = (struct lm_esp_rx){.sa = &p.in, .data = t.data + 42, .len = t.len - 42};
	assert_int_equal(lm_esp_open(aead, &r, 1), 0);
	assert_int_equal(r.status, LM_ESP_DUMMY);
	assert_int_equal(p.in.replay.top, 1);
	assert_int_equal(p.in.packets, 0);
	pair_free(&p);
}

/* RFC 8200 section 8.1: a checksum that comes out as zero is sent as ffff, which no sum gives. */
static void zero_checksum(void **state)
{
	uint8_t room[256];
	unsigned seen = 0;
	struct pair p;

	(void)state;
	pair_init(&p, aead, 1);
	for (unsigned i = 0; i < 400000; i++) {
		struct lm_esp_tx t = tx_at(room, &p, &outer6, 20, LM_PROTO_IP4);
		uint16_t csum;

		assert_int_equal(lm_esp_seal(aead, &t, 1), 1);
		memcpy(&csum, t.data + 60, 2);
		assert_int_not_equal(csum, 0);
		seen += csum == 0xffff;
	}
	assert_true(seen > 0);
	pair_free(&p);
}

/* The IPv4 ids of lanes that count in step are apart. */
static void ids_of_lanes(void **state)
{
	static bool used[65536];
	uint8_t room[256];

	(void)state;
	for (uint32_t lane = 0; lane < LM_LANES_MAX; lane++) {
		struct pair p;

		pair_init(&p, aead, lane);
		for (unsigned i = 0; i < 1023; i++) {
			struct lm_esp_tx t = tx_at(room, &p, &outer4, 20, LM_PROTO_IP4);
			uint16_t id;

			inner4(t.data, 20);
			assert_int_equal(lm_esp_seal(aead, &t, 1), 1);
			memcpy(&id, t.data + 18, 2);
			assert_false(used[id]);
			used[id] = true;
		}
		pair_free(&p);
	}
}

static void mixed_burst(void **state)
{
	enum { SAS = 7 };
	static uint8_t room[LM_ESP_BURST][2400], inner[LM_ESP_BURST][2048];
	struct lm_esp_tx t[LM_ESP_BURST];
	struct lm_esp_rx r[LM_ESP_BURST];
	uint64_t seed = 42424242;
	struct pair p[SAS];

	(void)state;
	for (uint32_t i = 0; i < SAS; i++)
		pair_init(&p[i], aead, i);
	for (unsigned round = 0; round < 300; round++) {
		unsigned n = 1 + (unsigned)(next_random(&seed) % LM_ESP_BURST), ok = 0, m = 0;

		for (unsigned i = 0; i < n; i++) {
			uint32_t len = 20 + (uint32_t)(next_random(&seed) % 2000);
			const struct lm_outer *o = next_random(&seed) & 1 ? &outer6 : &outer4;

			inner4(inner[i], len);
			t[i] = tx_at(room[i], &p[next_random(&seed) % SAS], o, len, LM_PROTO_IP4);
			memcpy(t[i].data, inner[i], len);
			if (next_random(&seed) % 8 == 0)
				t[i].headroom = o->hdr_len + 15;
			else
				ok++;
		}
		assert_int_equal(lm_esp_seal(aead, t, n), ok);
		for (unsigned i = 0; i < n; i++) {
			struct pair *from = LM_CONTAINER_OF(t[i].sa, struct pair, out);

			if (t[i].status == LM_ESP_NO_ROOM)
				continue;
			assert_int_equal(t[i].status, LM_ESP_OK);
			check_outer(&t[i], 0);
			r[m++] = (struct lm_esp_rx){.sa = &from->in,
						    .data = t[i].data + t[i].outer->hdr_len,
						    .len = t[i].len - t[i].outer->hdr_len};
		}
		assert_int_equal(m, ok);
		assert_int_equal(lm_esp_open(aead, r, m), m);
		m = 0;
		for (unsigned i = 0; i < n; i++) {
			if (t[i].status != LM_ESP_OK)
				continue;
			assert_int_equal(r[m].len, ntohs(((struct lm_ip4_hdr *)inner[i])->len));
			assert_memory_equal(r[m].data, inner[i], r[m].len);
			assert_true(r[m].newest); /* each SA's numbers follow array order */
			m++;
		}
	}
	for (unsigned i = 0; i < SAS; i++) {
		/* What was refused used no number. */
		assert_int_equal(p[i].in.packets, p[i].out.seq);
		pair_free(&p[i]);
	}
}

static void room_needed(void **state)
{
	static uint8_t room[FRAME_MAX + 200];
	struct pair p;

	(void)state;
	pair_init(&p, aead, 1);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		const struct lm_outer *o = v6 ? &outer6 : &outer4;

		for (uint32_t len = 20; len < 28; len++) {
			uint16_t head = LM_ESP_HEADROOM, tail = LM_ESP_TAILROOM;

			for (unsigned which = 0; which < 3; which++) {
				struct lm_esp_tx t = tx_at(room, &p, o, len, LM_PROTO_IP4), was;

				t.headroom = which == 1 ? head - 1 : head;
				t.tailroom = which == 2 ? tail - 1 : tail;
				was = t;
				if (which == 0) {
					assert_int_equal(lm_esp_seal(aead, &t, 1), 1);
					continue;
				}
				assert_int_equal(lm_esp_seal(aead, &t, 1), 0);
				assert_int_equal(t.status, LM_ESP_NO_ROOM);
				assert_ptr_equal(t.data, was.data);
				assert_int_equal(t.len, was.len);
			}
		}
	}
	assert_int_equal(p.out.seq, 16);
	for (uint32_t len = LM_ESP_INNER_MAX + 1; len != 0; len = len < 70000 ? 0xffffffff : 0) {
		struct lm_esp_tx t = tx_at(room, &p, &outer4, len, LM_PROTO_IP4);

		assert_int_equal(lm_esp_seal(aead, &t, 1), 0);
		assert_int_equal(t.status, LM_ESP_NO_ROOM);
	}
	assert_int_equal(p.out.seq, 16);
	pair_free(&p);
}

/* FAULTS row 18: no number above the limit, none twice, and sending stays stopped. */
static void hard_limit(void **state)
{
	static const uint32_t limits[] = {LM_ESP_HARD_LIMIT, 0xffffffffu, 100};
	static uint8_t room[8][256];

	(void)state;
	for (unsigned l = 0; l < LM_ARRAY_SIZE(limits); l++) {
		uint32_t last = limits[l] - 10;
		unsigned sent = 0;
		struct pair p;

		pair_init(&p, aead, 3);
		p.out.seq = last;
		p.out.hard = limits[l];
		for (unsigned burst = 0; burst < 4; burst++) {
			struct lm_esp_tx t[8];

			for (unsigned i = 0; i < 8; i++)
				t[i] = tx_at(room[i], &p, &outer4, 20, LM_PROTO_IP4);
			sent += lm_esp_seal(aead, t, 8);
			for (unsigned i = 0; i < 8; i++) {
				uint32_t seq;

				if (t[i].status != LM_ESP_OK) {
					assert_int_equal(t[i].status, LM_ESP_EXPIRED);
					assert_int_equal(t[i].len, 20);
					continue;
				}
				memcpy(&seq, t[i].data + 46, 4);
				assert_int_equal(ntohl(seq), ++last);
			}
		}
		assert_int_equal(sent, 10);
		assert_int_equal(last, limits[l]);
		assert_int_equal(p.out.seq, limits[l]);
		pair_free(&p);
	}
}

/* The largest inner packet fits the MTU, one byte more does not. */
static void overhead(void **state)
{
	json_t *root = vectors_own("pmtu_expect.json"), *value;
	const char *const tables[] = {"esp_in_udp_over_ipv4", "esp_in_udp_over_ipv6"};
	static uint8_t room[10000];
	const char *mtu_text;
	struct pair p;

	(void)state;
	pair_init(&p, aead, 4);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		json_t *table = json_object_get(root, tables[v6]);

		assert_true(json_object_size(table) >= 6);
		json_object_foreach(table, mtu_text, value)
		{
			uint32_t mtu = (uint32_t)atoi(mtu_text);
			uint32_t max = (uint32_t)json_integer_value(value);

			assert_int_equal(lm_esp_inner_mtu(mtu, v6), max);
			for (uint32_t more = 0; more < 2; more++) {
				struct lm_esp_tx t = tx_at(room, &p, v6 ? &outer6 : &outer4,
							   max + more, LM_PROTO_IP4);

				assert_int_equal(lm_esp_seal(aead, &t, 1), 1);
				assert_int_equal(t.len - 14 > mtu, more);
			}
		}
	}
	pair_free(&p);
	json_decref(root);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sizes),	     cmocka_unit_test(relayed),
	    cmocka_unit_test(dummy),	     cmocka_unit_test(ids_of_lanes),
	    cmocka_unit_test(zero_checksum), cmocka_unit_test(mixed_burst),
	    cmocka_unit_test(room_needed),   cmocka_unit_test(hard_limit),
	    cmocka_unit_test(overhead),
	};
	struct lm_endpoint a, b;
	int failed;

	if (lm_crypto_init() != 0 || lm_endpoint_parse("192.0.2.1:4500", 0, &a) != 0 ||
	    lm_endpoint_parse("198.51.100.2:4500", 0, &b) != 0 ||
	    lm_outer_build(&outer4, &mac_a, &mac_b, &a, &b, true) != 0 ||
	    lm_endpoint_parse("[2001:db8::1]:4500", 0, &a) != 0 ||
	    lm_endpoint_parse("[2001:db8::ffff:2]:4501", 0, &b) != 0 ||
	    lm_outer_build(&outer6, &mac_a, &mac_b, &a, &b, true) != 0)
		return 1;
	aead = lm_aead_new(NULL, NULL);
	if (aead == NULL)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	lm_aead_free(aead);
	return failed;
}
