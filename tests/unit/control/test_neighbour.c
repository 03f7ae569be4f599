/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbours: packets that wait for one, and scans that must not hurt anybody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway.h"

#include <stdlib.h>

static int setup(void **state)
{
	struct gateway *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	gateway_up(g, "");
	UNTIL(g, has_route, "fd00:1::/64");
	fake_frames_clear(g->c->dp);
	*state = g;
	return 0;
}

static int teardown(void **state)
{
	gateway_down(*state);
	free(*state);
	return 0;
}

/* A packet from the mesh to a host of the LAN that is not known yet. */
static void packet_for(struct gateway *g, const struct lm_ip *to, uint16_t number)
{
	uint8_t pkt[64] = {0x45, 0, 0, sizeof(pkt), 0, 0, 0, 0, 63, 17, 0, 0, 10, 2, 0, 10};

	if (to->family == 6) {
		memset(pkt, 0, sizeof(pkt));
		pkt[0] = 0x60;
		pkt[5] = sizeof(pkt) - 40;
		pkt[6] = 17;
		memcpy(pkt + 24, to->b, 16);
	} else {
		memcpy(pkt + 16, to->b, 4);
	}
	pkt[60] = (uint8_t)(number >> 8);
	pkt[61] = (uint8_t)number;
	fake_punt(g->c->dp, &(struct lm_punt){.kind = LM_PUNT_NEIGHBOUR,
					      .port = LAN,
					      .peer = UINT32_MAX,
					      .via = *to,
					      .data = pkt,
					      .len = sizeof(pkt)});
}

/* The n-th of the test's packets that left by the LAN port; NULL when there are fewer. */
static const struct fake_frame *delivered(struct gateway *g, unsigned n)
{
	for (unsigned i = 0; i < fake_frames(g->c->dp); i++) {
		const struct fake_frame *f = fake_frame(g->c->dp, i);

		if (f->port == LAN && f->len == 14 + 64 && n-- == 0)
			return f;
	}
	return NULL;
}

static bool is_asked_for(struct gateway *g, const void *text)
{
	struct lm_ip want = ip(text), who;

	for (unsigned i = 0; asked_for(g->c->dp, LAN, i, &who); i++)
		if (lm_ip_equal(&who, &want))
			return true;
	return false;
}

static bool has_delivered(struct gateway *g, const void *n)
{
	return delivered(g, *(const unsigned *)n - 1) != NULL;
}

static uint64_t unresolved(const struct gateway *g)
{
	return g->c->counters.v[LM_C_NEIGHBOUR_UNRESOLVED];
}

static bool is_unresolved(struct gateway *g, const void *n)
{
	return unresolved(g) >= *(const unsigned *)n;
}

static void test_packets_wait(void **state)
{
	struct gateway *g = *state;
	struct lm_ip to = ip("10.1.0.9");
	const struct fake_frame *f;
	unsigned n = 16;

	/* More than may wait for one host. */
	for (uint16_t i = 0; i < 20; i++)
		packet_for(g, &to, i);
	UNTIL(g, is_asked_for, "10.1.0.9");
	assert_null(delivered(g, 0));
	arp_reply(g, LAN, "10.1.0.9", "02:00:00:00:00:09");
	UNTIL(g, has_delivered, &n);
	assert_int_equal(unresolved(g), 4);
	for (unsigned i = 0; i < n; i++) {
		f = delivered(g, i);
		assert_int_equal(f->data[5], 9); /* to its MAC address */
		assert_memory_equal(f->data + 6, g->c->twins[LAN].mac.b, 6);
		assert_int_equal(f->data[12] << 8 | f->data[13], 0x0800);
		assert_int_equal(f->data[14 + 61], i); /* in order */
	}
	/* Known now: straight out, also should the workers not have heard of it yet. */
	packet_for(g, &to, 77);
	n++;
	UNTIL(g, has_delivered, &n);
	assert_int_equal(fake_route(g->c->dp, "10.1.0.9/32")->kind, LM_ROUTE_NEIGHBOUR);
}

static void test_ipv6_packets_wait(void **state)
{
	struct gateway *g = *state;
	struct lm_ip to = ip("fd00:1::9");
	unsigned n = 1;

	packet_for(g, &to, 1);
	UNTIL(g, is_asked_for, "fd00:1::9");
	sh("ip neigh replace fd00:1::9 lladdr 02:00:00:00:00:09 dev lan0 nud reachable");
	UNTIL(g, has_delivered, &n);
	assert_int_equal(delivered(g, 0)->data[12] << 8 | delivered(g, 0)->data[13], 0x86dd);
}

/* Nobody answers: the packets are counted as dropped, nothing stays. */
static void test_nobody_answers(void **state)
{
	struct gateway *g = *state;
	struct lm_ip to = ip("10.1.0.66");
	unsigned n = 3;

	for (uint16_t i = 0; i < n; i++)
		packet_for(g, &to, i);
	UNTIL(g, is_unresolved, &n);
	assert_null(delivered(g, 0));
	assert_int_equal(g->c->twins[LAN].n_waiting, 0);
	sh("ip neigh show dev lan0 | grep -q 10.1.0.66 && exit 1; exit 0");
}

struct scan {
	struct lm_ip base;
	unsigned at, count;
};

/* A burst of a scan through the network, and a turn of the loop. */
static void scan_on(struct gateway *g, struct scan *s, unsigned burst)
{
	for (unsigned i = 0; i < burst; i++) {
		struct lm_ip to = s->base;

		s->at++;
		to.b[2] = (uint8_t)(s->at >> 8);
		to.b[3] = (uint8_t)s->at;
		if (to.family == 6) {
			to.b[2] = s->base.b[2];
			to.b[3] = s->base.b[3];
			to.b[14] = (uint8_t)(s->at >> 8);
			to.b[15] = (uint8_t)s->at;
		}
		packet_for(g, &to, 0);
		s->count++;
	}
	gateway_idle(g);
}

static unsigned lines(const char *cmd)
{
	FILE *f = popen(cmd, "r");
	unsigned n = 0;
	int ch;

	assert_non_null(f);
	while ((ch = fgetc(f)) != EOF)
		n += ch == '\n';
	assert_int_equal(pclose(f), 0);
	return n;
}

static void scan(struct gateway *g, const char *base)
{
	struct scan s = {.base = ip(base)};
	struct lm_path far = {.port = WAN, .remote = {.ip = ip("192.0.2.99"), .port = 4500}};
	struct lm_ip host = ip("10.1.0.7"), who;
	unsigned n = 1, asks = 0;

	sh("ip neigh replace 10.1.0.8 lladdr 02:00:00:00:00:08 dev lan0 nud reachable");
	UNTIL(g, has_route, "10.1.0.8/32");
	for (unsigned i = 0; i < 200; i++)
		scan_on(g, &s, 100);
	/* Bounded here and in the kernel. */
	assert_true(g->c->n_neighbours <= 160);
	assert_true(g->c->twins[LAN].n_unresolved <= 128);
	assert_true(g->c->twins[LAN].n_waiting <= 256);
	assert_true(lines("ip neigh show dev lan0") <= 160);
	for (unsigned i = 0; asked_for(g->c->dp, LAN, i, &who); i++)
		asks++;
	assert_true(asks < s.count / 2);
	/* Who was known is still known. */
	assert_non_null(fake_route(g->c->dp, "10.1.0.8/32"));
	fake_frames_clear(g->c->dp);
	packet_for(g, &(struct lm_ip){.family = 4, .b = {10, 1, 0, 8}}, 1);
	UNTIL(g, has_delivered, &n);
	/* The gateway's own next hop on the other link does not compete. */
	lm_underlay_send(g->c, &far, (const uint8_t *)"test", 4);
	scan_on(g, &s, 100);
	arp_reply(g, WAN, "192.0.2.99", "02:00:00:00:00:99");
	gateway_idle(g);
	for (unsigned i = 0; i < fake_frames(g->c->dp); i++)
		if (fake_frame(g->c->dp, i)->port == WAN &&
		    fake_frame(g->c->dp, i)->data[5] == 0x99)
			n = 0;
	assert_int_equal(n, 0);
	/* A new host is found although the scan goes on: it answers, the others do not. */
	for (unsigned i = 0; fake_route(g->c->dp, "10.1.0.7/32") == NULL; i++) {
		assert_true(i < 5000);
		fake_frames_clear(g->c->dp);
		packet_for(g, &host, 1);
		scan_on(g, &s, 5);
		if (is_asked_for(g, "10.1.0.7"))
			arp_reply(g, LAN, "10.1.0.7", "02:00:00:00:00:07");
		(void)uv_run(&g->c->loop, UV_RUN_ONCE);
	}
}

static void test_scan_of_a_16(void **state)
{
	sh("ip addr add 10.50.0.1/16 dev lan0");
	scan(*state, "10.50.0.0");
}

static void test_scan_of_a_64(void **state)
{
	scan(*state, "fd00:1::1:0");
}

/* Neighbours that the kernel has not confirmed for a while are confirmed: it does not see the
 * workers' traffic. */
static void test_stale_ones_are_confirmed(void **state)
{
	struct gateway *g = *state;

	sh("ip neigh replace 10.1.0.9 lladdr 02:00:00:00:00:09 dev lan0 nud stale");
	UNTIL(g, is_asked_for, "10.1.0.9");
	assert_non_null(fake_route(g->c->dp, "10.1.0.9/32"));
	/* And it is really gone: the route goes too. */
	UNTIL(g, lacks_route, "10.1.0.9/32");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_packets_wait, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_ipv6_packets_wait, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_nobody_answers, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_scan_of_a_16, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_scan_of_a_64, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_stale_ones_are_confirmed, setup, teardown),
	};

	if (!ns_enter())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
