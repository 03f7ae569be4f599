/* SPDX-License-Identifier: BSD-3-Clause */
/* bench-tester: what it sends, what it takes for its own, its percentiles. */
#include "tester.h"

#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct tester_port from = {
    .mac = {{2, 0, 0, 0, 0, 1}}, .gateway = {{2, 0, 0, 0, 1, 1}}, .ip = {10, 1, 0, 10}};
static const struct tester_port to = {.mac = {{2, 0, 0, 0, 0, 2}}, .ip = {10, 2, 0, 10}};

/* An mbuf without a pool. */
struct packet {
	struct rte_mbuf m;
	uint8_t room[2048];
};

static struct rte_mbuf *packet(struct packet *p)
{
	memset(p, 0, sizeof(*p));
	p->m.buf_addr = p->room;
	p->m.buf_len = sizeof(p->room);
	return &p->m;
}

static void filled(void **state)
{
	struct tester_template t;
	struct packet p;
	struct rte_mbuf *m = packet(&p);
	struct lm_ip_view v;
	struct lm_eth_hdr *eth = (struct lm_eth_hdr *)p.room;

	(void)state;
	tester_template(&t, &from, &to, TESTER_SIZE_MIN);
	tester_fill(m, &t, 7, 65);
	assert_int_equal(m->pkt_len, TESTER_SIZE_MIN + sizeof(*eth));
	assert_memory_equal(eth->dst, from.gateway.b, 6);
	assert_memory_equal(eth->src, from.mac.b, 6);
	assert_int_equal(lm_ip_view((uint8_t *)(eth + 1), TESTER_SIZE_MIN, &v), 0);
	assert_int_equal(v.proto, LM_PROTO_UDP);
	assert_true(v.dont_fragment);
	assert_int_equal(lm_csum_finish(lm_csum_add(0, eth + 1, sizeof(struct lm_ip4_hdr))), 0);
	assert_int_equal(p.room[34] << 8 | p.room[35], 49152 + 65 % TESTER_FLOWS);
	assert_true(tester_is_ours(m, 7));
	assert_false(tester_is_ours(m, 8));
	assert_int_equal(tester_stamp_of(m)->seq, 65);
	m->data_len = 60;
	assert_false(tester_is_ours(m, 7));
}

static void answers_arp(void **state)
{
	static const uint8_t request[42] = {255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 9,  9, 8, 6,
					    0,	 1,   8,   0,	6,   4,	  0, 1, 2, 0, 0,  0, 9, 9,
					    10,	 1,   0,   1,	0,   0,	  0, 0, 0, 0, 10, 1, 0, 10};
	struct packet p;
	struct rte_mbuf *m = packet(&p);

	(void)state;
	memcpy(p.room, request, sizeof(request));
	m->data_len = sizeof(request);
	assert_false(tester_arp(m, &to)); /* of another address */
	m->data_len = 41;
	assert_false(tester_arp(m, &from));
	m->data_len = sizeof(request);
	assert_true(tester_arp(m, &from));
	assert_memory_equal(p.room, request + 6, 6);
	assert_memory_equal(p.room + 6, from.mac.b, 6);
	assert_int_equal(p.room[21], 2); /* a reply */
	assert_memory_equal(p.room + 22, from.mac.b, 6);
	assert_memory_equal(p.room + 28, from.ip, 4);
	assert_memory_equal(p.room + 32, request + 22, 10);
	assert_false(tester_arp(m, &from)); /* which is no request */
}

static void percentiles(void **state)
{
	struct histogram *h = calloc(1, sizeof(*h));

	(void)state;
	assert_non_null(h);
	assert_int_equal(histogram_at(h, 0.5), 0);
	for (uint64_t v = 1; v <= 1000000; v++)
		histogram_add(h, v);
	for (unsigned percent = 1; percent <= 100; percent++) {
		uint64_t v = histogram_at(h, percent / 100.0);

		assert_in_range(v, percent * 10000, percent * 10000 * 1016 / 1000);
	}
	assert_int_equal(histogram_at(h, 1), 1000000);
	histogram_add(h, UINT64_MAX);
	assert_int_equal(h->max, UINT64_MAX);
	assert_int_equal(histogram_at(h, 0.5), histogram_at(h, 0.500001));
	free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(filled),
	    cmocka_unit_test(answers_arp),
	    cmocka_unit_test(percentiles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
