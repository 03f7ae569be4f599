/* SPDX-License-Identifier: BSD-3-Clause */
/* What strangers and hostile members send: nothing live changes, nothing grows. */
#include "pair.h"

#include <lanemesh/noise.h>
#include <stdlib.h>

#define MAC1_OFF (LM_INIT_LEN - 2 * LM_MAC_LEN)

static struct lm_endpoint stranger(unsigned i)
{
	return (struct lm_endpoint){lm_ip4((uint8_t[]){203, 0, (uint8_t)(i >> 8), (uint8_t)i}),
				    4500};
}

static void refresh_mac1(const struct node *to, uint8_t *msg, size_t covered, size_t mac1_off)
{
	uint8_t key[32];

	lm_mac1_key(to->id->x_public, key);
	lm_mac1(key, msg, covered, msg + mac1_off);
}

/* Starts both and catches the first message of the type; the network then loses all else. */
static struct datagram catch_one(struct pair *p, uint8_t type)
{
	struct datagram d = {0};
	struct capture c = {.type = type, .max = 1, .drop = true, .d = &d};

	node_start(p->a);
	node_start(p->b);
	(void)node_tell(p->b, p->a); /* only a calls */
	p->w.tap = capture_tap;
	p->w.tap_user = &c;
	for (int i = 0; i < 100 && c.n == 0; i++)
		world_pass(&p->w, 10 * LM_MSEC);
	assert_int_equal(c.n, 1);
	p->w.tap = NULL;
	return d;
}

static void give(struct pair *p, struct node *to, const struct lm_endpoint *from,
		 const struct datagram *d)
{
	lm_mesh_datagram(to->mesh, world_now(&p->w, to), &(struct lm_path){.remote = *from},
			 d->data, d->len);
}

static void test_init_mutated(void **state)
{
	struct datagram d, m;
	struct pair p;
	uint64_t sent;

	(void)state;
	pair_begin(&p, 1);
	p.b->handshake_limit = 100000; /* no cookies: each is looked into */
	d = catch_one(&p, LM_MSG_INIT);
	assert_int_equal(d.len, LM_INIT_LEN);
	sent = p.b->sent;
	for (unsigned i = 0; i < MAC1_OFF + LM_MAC_LEN; i++) {
		struct lm_endpoint from = stranger(i);

		m = d;
		m.data[i] ^= (uint8_t)(1u << (i % 8));
		give(&p, p.b, &from, &m);
		if (i < MAC1_OFF) {
			refresh_mac1(p.b, m.data, LM_INIT_MACED, MAC1_OFF);
			give(&p, p.b, &from, &m);
		}
	}
	for (size_t len = 0; len < LM_INIT_LEN; len++) {
		struct lm_endpoint from = stranger(2000 + (unsigned)len);

		m = d;
		m.len = len;
		give(&p, p.b, &from, &m);
	}
	assert_int_equal(p.b->sent, sent);
	assert_null(node_peer_of(p.b, p.a));
	assert_true(counters(p.b)->handshake_bad >= LM_INIT_NOISE_LEN);
	/* each byte under mac1 but the header's and the SPI's last, which make no message at all;
	 * and mac1 itself */
	assert_int_equal(counters(p.b)->mac1_bad, LM_INIT_MACED - LM_HDR_LEN - 1 + LM_MAC_LEN);
	/* the true one is answered, once */
	give(&p, p.b, &d.from, &d);
	assert_int_equal(p.b->sent, sent + 1);
	give(&p, p.b, &d.from, &d);
	assert_int_equal(p.b->sent, sent + 1);
	assert_int_equal(counters(p.b)->replayed, 1);
	world_free(&p.w);
}

static void test_resp_mutated(void **state)
{
	struct lm_endpoint elsewhere = stranger(1);
	struct datagram d, m;
	struct pair p;

	(void)state;
	pair_begin(&p, 2);
	d = catch_one(&p, LM_MSG_RESP);
	for (size_t i = 0; i < LM_RESP_MACED + LM_MAC_LEN; i++) {
		size_t mac1 = d.len - 2 * LM_MAC_LEN;

		m = d;
		m.data[i < LM_RESP_MACED ? i : mac1 + i - LM_RESP_MACED] ^= 0x10;
		give(&p, p.a, &d.from, &m);
	}
	for (unsigned i = 0; i < 7; i++) {
		m = d;
		m.data[LM_RESP_NOISE_OFF + 40 * i] ^= 1;
		refresh_mac1(p.a, m.data, LM_RESP_MACED, m.len - 2 * LM_MAC_LEN);
		give(&p, p.a, &d.from, &m);
	}
	assert_int_equal(counters(p.a)->handshake_bad, 7);
	assert_int_equal(counters(p.a)->mac1_bad, LM_RESP_MACED - LM_HDR_LEN - 2 + LM_MAC_LEN);
	/* not from where we asked */
	give(&p, p.a, &elsewhere, &d);
	assert_int_equal(p.a->sas_added, 0);
	give(&p, p.a, &d.from, &d);
	assert_int_equal(p.a->sas_added, 1);
	give(&p, p.a, &d.from, &d);
	assert_int_equal(p.a->sas_added, 1);
	assert_true(world_until(&p.w, LM_SEC, pair_up_cond, &p));
	world_free(&p.w);
}

static void test_transport_mutated(void **state)
{
	struct datagram d, m;
	struct pair p;

	(void)state;
	pair_begin(&p, 3);
	d = catch_one(&p, LM_MSG_TRANSPORT);
	for (unsigned i = 0; i < d.len; i++) {
		m = d;
		m.data[i] ^= (uint8_t)(0x80u >> (i % 8));
		give(&p, p.b, &d.from, &m);
	}
	for (size_t len = 0; len < d.len; len++) {
		m = d;
		m.len = len;
		give(&p, p.b, &d.from, &m);
	}
	assert_int_equal(p.b->sas_added, 0);
	give(&p, p.b, &d.from, &d);
	assert_int_equal(p.b->sas_added, 1);
	assert_int_equal(p.b->out_sets, 1);
	give(&p, p.b, &d.from, &d);
	assert_int_equal(counters(p.b)->replayed, 1);
	world_free(&p.w);
}

static void test_garbage(void **state)
{
	struct pair p;
	uint64_t sent;

	(void)state;
	pair_begin(&p, 4);
	pair_connect(&p);
	sent = p.a->sent;
	for (unsigned i = 0; i < 20000; i++) {
		struct lm_endpoint from = stranger(i);
		struct datagram d = {.len = i % (LM_CONTROL_MAX + 1)};

		world_random_bytes(&p.w, d.data, d.len);
		if (i % 4 != 0)
			memset(d.data, 0, 8);
		d.data[4] = (uint8_t)(i % 6);
		give(&p, p.a, &from, &d);
	}
	assert_int_equal(p.a->sent, sent);
	assert_true(counters(p.a)->malformed > 10000);
	assert_int_equal(pair_talk(&p, LM_SEC, 10 * LM_MSEC), 0);
	world_free(&p.w);
}

/* FAULTS row 4. */
struct both {
	struct capture init, resp;
};

static bool both_tap(struct world *w, struct datagram *d, void *user)
{
	struct both *b = user;

	return capture_tap(w, d, &b->init) && capture_tap(w, d, &b->resp);
}

static void test_replay(void **state)
{
	static struct datagram inits[60], resps[60];
	struct both caught = {.init = {.type = LM_MSG_INIT, .max = 60, .d = inits},
			      .resp = {.type = LM_MSG_RESP, .max = 60, .d = resps}};
	struct lm_peer_info before, after;
	uint64_t moves, dh, before_replays;
	struct pair p;

	(void)state;
	pair_begin(&p, 5);
	p.b->handshake_limit = 100000;
	p.w.tap = both_tap;
	p.w.tap_user = &caught;
	pair_connect(&p);
	for (int i = 0; i < 50; i++) {
		(void)lm_mesh_rekey(p.a->mesh, world_now(&p.w, p.a), 0);
		pair_talk(&p, 200 * LM_MSEC, 20 * LM_MSEC);
	}
	p.w.tap = NULL;
	assert_true(caught.init.n > 50 && caught.resp.n > 50);
	world_pass(&p.w, 11 * LM_SEC);
	assert_true(node_up(p.b, p.a, &before));
	moves = counters(p.b)->moves;
	dh = counters(p.b)->dh;
	for (unsigned i = 0; i < 10000; i++) {
		struct datagram *d =
		    i % 2 ? &inits[i / 2 % caught.init.n] : &resps[i / 2 % caught.resp.n];
		struct lm_endpoint from = i % 3 == 0 ? d->from : stranger(i % 5000);

		world_inject(&p.w, &from, &d->to, d->data, d->len, 0);
		if (i % 10 == 0)
			assert_int_equal(pair_talk(&p, 5 * LM_MSEC, 5 * LM_MSEC), 0);
		assert_true(node_sas(p.b) <= 2);
	}
	world_pass(&p.w, LM_SEC);
	assert_true(node_up(p.b, p.a, &after));
	assert_int_equal(before.session, after.session);
	assert_int_equal(counters(p.b)->moves, moves);
	assert_int_equal(p.a->esp_sent, p.b->esp_got);
	assert_int_equal(p.b->esp_sent, p.a->esp_got);
	/* more keys than are remembered: half-open sessions, a few at most, and nothing else */
	assert_true(counters(p.b)->dh - dh <= 5000);
	/* fewer: not even those */
	before_replays = counters(p.b)->replayed;
	for (unsigned i = 0; i < 1000; i++) {
		struct lm_endpoint from = stranger(i);

		give(&p, p.b, &from, &inits[20 + i % 16]);
	}
	/* those half open answer copies that come other ways, a few */
	assert_true(counters(p.b)->replayed - before_replays >= 1000 - 16 - 4 * 8);
	assert_true(counters(p.a)->unknown_session >= 1000);
	world_free(&p.w);
}

/* Message 1s of members, whose answers nobody gets. */
static unsigned collect_inits(struct world *w, struct node *from, struct node *to,
			      struct datagram *out, unsigned n)
{
	struct capture c = {.type = LM_MSG_INIT, .max = n, .drop = true, .d = out};

	(void)node_tell(to, from);
	w->tap = capture_tap;
	w->tap_user = &c;
	for (int i = 0; i < 1000 && c.n < n; i++) {
		(void)lm_mesh_rekey(from->mesh, world_now(w, from), 0);
		world_pass(w, 250 * LM_MSEC);
	}
	w->tap = NULL;
	assert_int_equal(c.n, n);
	return n;
}

static void test_half_open(void **state)
{
	struct datagram a[20], c[20], e[20];
	struct lm_mesh_counters before;
	struct node *nc, *ne;
	uint64_t sent;
	struct pair p;

	(void)state;
	pair_begin(&p, 6);
	p.b->max_half_open = 6;
	nc = world_node(&p.w);
	ne = world_node(&p.w);
	node_start(p.b);
	node_start(p.a);
	node_start(nc);
	node_start(ne);
	p.b->silent = true;
	collect_inits(&p.w, p.a, p.b, a, 4);
	collect_inits(&p.w, nc, p.b, c, 4);
	collect_inits(&p.w, ne, p.b, e, 4);
	p.a->silent = nc->silent = ne->silent = true;
	world_pass(&p.w, 30 * LM_SEC);
	for (int i = 0; i < 4; i++)
		give(&p, p.b, &a[i].from, &a[i]);
	assert_int_equal(counters(p.b)->half_open_full, 0);
	for (int i = 0; i < 2; i++)
		give(&p, p.b, &c[i].from, &c[i]);
	assert_int_equal(counters(p.b)->half_open_full, 0);
	before = *counters(p.b);
	/* full: a third member finds no room, the second replaces its own */
	sent = p.b->sent;
	give(&p, p.b, &e[0].from, &e[0]);
	assert_int_equal(counters(p.b)->half_open_full, before.half_open_full + 1);
	assert_int_equal(p.b->sent, sent);
	give(&p, p.b, &c[2].from, &c[2]);
	give(&p, p.b, &c[3].from, &c[3]);
	assert_int_equal(counters(p.b)->half_open_full, before.half_open_full + 3);
	/* they go by themselves */
	world_pass(&p.w, 11 * LM_SEC);
	give(&p, p.b, &e[1].from, &e[1]);
	assert_int_equal(counters(p.b)->half_open_full, before.half_open_full + 3);
	world_pass(&p.w, 11 * LM_SEC);
	assert_int_equal(node_sas(p.b), 0);
	world_free(&p.w);
}

/* FAULTS rows 2 and 3: valid mac1, made-up sources. */
static void test_flood(void **state)
{
	uint64_t cookies;
	struct pair p;

	(void)state;
	pair_begin(&p, 7);
	p.b->handshake_limit = 20;
	node_start(p.a);
	node_start(p.b);
	for (unsigned i = 0; i < 20000; i++) {
		struct datagram d = {.len = LM_INIT_LEN};
		struct lm_endpoint from = stranger(i);

		world_random_bytes(&p.w, d.data, d.len);
		lm_msg_init_header(d.data, LM_SPI_MIN | i << 6);
		refresh_mac1(p.b, d.data, LM_INIT_MACED, MAC1_OFF);
		world_inject(&p.w, &from, &p.b->wan[0], d.data, d.len, 0);
		world_pass(&p.w, LM_MSEC / 2);
		if (i == 4000)
			(void)node_tell(p.b, p.a);
		if (i == 14000) {
			assert_true(pair_up(&p));
			cookies = counters(p.b)->cookie_sent;
			assert_true(cookies > 10000);
		}
	}
	/* 10 s, 20 a second, one second to notice, and those that had a cookie */
	assert_true(counters(p.b)->dh <= 12 * 20 + 20);
	assert_true(pair_up(&p));
	world_free(&p.w);
}

static void test_one_source(void **state)
{
	struct lm_endpoint from = stranger(1);
	struct pair p;

	(void)state;
	pair_begin(&p, 8);
	node_start(p.b);
	for (unsigned i = 0; i < 2000; i++) {
		struct datagram d = {.len = LM_INIT_LEN};

		world_random_bytes(&p.w, d.data, d.len);
		lm_msg_init_header(d.data, LM_SPI_MIN | i << 6);
		refresh_mac1(p.b, d.data, LM_INIT_MACED, MAC1_OFF);
		world_inject(&p.w, &from, &p.b->wan[0], d.data, d.len, 0);
		world_pass(&p.w, 5 * LM_MSEC);
	}
	assert_true(counters(p.b)->dh <= 5 + 20 * 10 + 1);
	assert_int_equal(counters(p.b)->dh + counters(p.b)->cookie_sent, 2000);
	world_free(&p.w);
}

/* Made-up message 1s with a member's source address do not keep the member out. */
static void test_impersonated(void **state)
{
	struct pair p;

	(void)state;
	pair_begin(&p, 10);
	p.b->handshake_limit = 100000; /* it is the source that is too busy, not b */
	node_start(p.a);
	node_start(p.b);
	for (unsigned i = 0; i < 10000; i++) {
		struct datagram d = {.len = LM_INIT_LEN};

		world_random_bytes(&p.w, d.data, d.len);
		lm_msg_init_header(d.data, LM_SPI_MIN | i << 6);
		refresh_mac1(p.b, d.data, LM_INIT_MACED, MAC1_OFF);
		world_inject(&p.w, &p.a->wan[0], &p.b->wan[0], d.data, d.len, 0);
		world_pass(&p.w, LM_MSEC / 2);
		if (i == 3000)
			(void)node_tell(p.b, p.a);
		if (i == 5000)
			assert_true(pair_up(&p));
	}
	assert_true(counters(p.b)->dh <= 5 + 20 * 5 + 10);
	world_free(&p.w);
}

static unsigned lines;

static bool count_lines(struct node *n, const char *line)
{
	(void)n;
	(void)line;
	lines++;
	return false;
}

/* A hostile member cannot fill the disk through our log. */
static void test_log(void **state)
{
	struct datagram init[4];
	struct pair p;

	(void)state;
	pair_begin(&p, 9);
	p.b->handshake_limit = 100000;
	p.b->log_sink = count_lines;
	node_start(p.a);
	node_start(p.b);
	p.b->silent = true;
	collect_inits(&p.w, p.a, p.b, init, 4);
	p.a->silent = true;
	{
		uint8_t list[512];

		lines = 0;
		(void)world_revoke(&p.w, p.a, 0, list, sizeof(list));
	}
	for (unsigned i = 0; i < 5000; i++) {
		struct lm_endpoint from = stranger(i);

		give(&p, p.b, &from, &init[i % 4]);
		world_pass(&p.w, 2 * LM_MSEC);
	}
	assert_int_equal(counters(p.b)->cert_refused[LM_REVOKED], 5000);
	assert_true(lines > 0 && lines < 100);
	world_free(&p.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_init_mutated),
	    cmocka_unit_test(test_resp_mutated),
	    cmocka_unit_test(test_transport_mutated),
	    cmocka_unit_test(test_garbage),
	    cmocka_unit_test(test_replay),
	    cmocka_unit_test(test_half_open),
	    cmocka_unit_test(test_flood),
	    cmocka_unit_test(test_one_source),
	    cmocka_unit_test(test_impersonated),
	    cmocka_unit_test(test_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
