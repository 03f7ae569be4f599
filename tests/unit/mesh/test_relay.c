/* SPDX-License-Identifier: BSD-3-Clause */
/* Relays: a and b cannot reach each other, r reaches both. */
#include "pair.h"

#include <stdlib.h>

struct trio {
	struct pair p; /* a, b */
	struct node *r, *s;
	bool cut; /* nothing goes straight between a and b */
};

static bool cut_ab(struct world *w, const struct datagram *d, const struct node *to, unsigned port)
{
	const struct trio *t = w->tap_user;

	(void)port;
	return t->cut &&
	       ((d->sender == t->p.a && to == t->p.b) || (d->sender == t->p.b && to == t->p.a));
}

static void trio_begin(struct trio *t, uint64_t seed)
{
	*t = (struct trio){.cut = true};
	pair_begin(&t->p, seed);
	t->p.w.esp_may_miss = true;
	t->p.w.cut = cut_ab;
	t->p.w.tap_user = t;
	t->r = world_node(&t->p.w);
	t->r->cert_body.roles = LM_ROLE_RELAY;
	t->r->relay_pairs = 16;
	node_sign(t->r, t->p.w.authority);
}

static void trio_start(struct trio *t)
{
	pair_start(&t->p);
	node_start(t->r);
	if (t->s != NULL)
		node_start(t->s);
	world_tell_all(&t->p.w);
}

static void trio_end(struct trio *t)
{
	for (unsigned i = 0; i < t->p.w.n_nodes; i++)
		if (t->p.w.nodes[i]->mesh != NULL)
			node_stop(t->p.w.nodes[i], false);
	world_free(&t->p.w);
}

static bool through(const struct node *a, const struct node *b)
{
	struct lm_peer_info info;

	return node_up(a, b, &info) && info.path.relay != 0;
}

static bool relayed_up(struct world *w, void *arg)
{
	struct trio *t = arg;

	(void)w;
	return through(t->p.a, t->p.b) && through(t->p.b, t->p.a);
}

static bool straight_up(struct world *w, void *arg)
{
	struct trio *t = arg;

	(void)w;
	return pair_up(&t->p) && !through(t->p.a, t->p.b) && !through(t->p.b, t->p.a);
}

/* Packets both ways, each 10 ms; how many do not arrive. */
static uint64_t talk(struct trio *t, lm_time how_long)
{
	uint64_t got = t->p.a->esp_got + t->p.b->esp_got,
		 sent = t->p.a->esp_sent + t->p.b->esp_sent;

	pair_talk(&t->p, how_long, 10 * LM_MSEC);
	world_pass(&t->p.w, 200 * LM_MSEC);
	sent = t->p.a->esp_sent + t->p.b->esp_sent - sent;
	return sent - (t->p.a->esp_got + t->p.b->esp_got - got);
}

/* No way but through the relay: up within two seconds, and traffic flows. */
static void test_connect(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct trio t;

		trio_begin(&t, seed);
		t.p.w.loss = seed > 10 ? 100 : 0;
		trio_start(&t);
		assert_true(
		    world_until(&t.p.w, seed > 10 ? 10 * LM_SEC : 2 * LM_SEC, relayed_up, &t));
		t.p.w.loss = 0;
		assert_int_equal(talk(&t, 5 * LM_SEC), 0);
		assert_true(t.r->relayed >= 1000);
		/* and for as long as one likes, over rekeys, idle or not */
		world_pass(&t.p.w, 400 * LM_SEC);
		assert_true(relayed_up(&t.p.w, &t));
		assert_int_equal(talk(&t, 5 * LM_SEC), 0);
		trio_end(&t);
	}
}

/* A straight way opens: it is taken, without loss; it goes: back to the relay. */
static void test_moves(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct trio t;
		uint64_t done;

		trio_begin(&t, seed);
		trio_start(&t);
		assert_true(world_until(&t.p.w, 2 * LM_SEC, relayed_up, &t));
		done = counters(t.p.a)->handshakes_done;
		for (unsigned i = 0; i < 3; i++) {
			t.cut = false;
			/* An address that never answered is asked rarely: FAULTS row 14. */
			for (unsigned k = 0; k < 70 && !straight_up(&t.p.w, &t); k++)
				assert_int_equal(talk(&t, LM_SEC), 0);
			assert_true(straight_up(&t.p.w, &t));
			t.cut = true;
			/* in flight, and until it is noticed: less than half a second of it */
			assert_true(talk(&t, 2 * LM_SEC) <= 100);
			assert_true(relayed_up(&t.p.w, &t));
			assert_int_equal(talk(&t, 5 * LM_SEC), 0);
		}
		assert_int_equal(counters(t.p.a)->sessions_down + counters(t.p.b)->sessions_down,
				 0);
		assert_true(counters(t.p.a)->handshakes_done <= done + 1);
		trio_end(&t);
	}
}

/* A relay that is not one: no role, no wish, no room. */
static void test_unwilling(void **state)
{
	(void)state;
	for (int why = 0; why < 2; why++) {
		struct trio t;

		trio_begin(&t, 3);
		if (why == 0)
			t.r->relay_pairs = 0;
		else
			t.r->cert_body.roles = 0;
		node_sign(t.r, t.p.w.authority);
		trio_start(&t);
		world_pass(&t.p.w, 60 * LM_SEC);
		assert_false(pair_up(&t.p));
		assert_true(node_up(t.p.a, t.r, NULL));
		assert_int_equal(t.r->n_relays + t.p.a->n_relays, 0);
		trio_end(&t);
	}
}

/* Revoked: nothing is passed on from that moment. The role taken away: the same. */
static void test_revoked(void **state)
{
	uint8_t list[512];
	struct trio t;
	uint64_t relayed;

	(void)state;
	trio_begin(&t, 4);
	trio_start(&t);
	assert_true(world_until(&t.p.w, 2 * LM_SEC, relayed_up, &t));
	assert_int_equal(t.r->n_relays, 2);
	(void)world_revoke(&t.p.w, t.p.b, 0, list, sizeof(list));
	assert_int_equal(t.r->n_relays, 0);
	relayed = t.r->relayed;
	pair_talk(&t.p, 5 * LM_SEC, 10 * LM_MSEC);
	assert_int_equal(t.r->relayed, relayed);
	trio_end(&t);

	trio_begin(&t, 5);
	trio_start(&t);
	assert_true(world_until(&t.p.w, 2 * LM_SEC, relayed_up, &t));
	lm_mesh_relaying(t.r->mesh, world_now(&t.p.w, t.r), 0);
	node_sync(t.r);
	assert_int_equal(t.r->n_relays, 0);
	world_pass(&t.p.w, 20 * LM_SEC);
	assert_false(through(t.p.a, t.p.b));
	assert_int_equal(t.p.a->n_relays + t.p.b->n_relays, 0);
	trio_end(&t);
}

/* Two relays: one dies under traffic, the other one goes on. One restarts: it is found again. */
static void test_relay_dies(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct trio t;
		struct node *used;

		trio_begin(&t, seed);
		t.s = world_node(&t.p.w);
		t.s->cert_body.roles = LM_ROLE_RELAY;
		t.s->relay_pairs = 16;
		node_sign(t.s, t.p.w.authority);
		trio_start(&t);
		assert_true(world_until(&t.p.w, 3 * LM_SEC, relayed_up, &t));
		(void)talk(&t, 5 * LM_SEC);
		used = t.r->relayed > t.s->relayed ? t.r : t.s;
		node_stop(used, false);
		assert_true(talk(&t, 2 * LM_SEC) <= 120);
		assert_int_equal(talk(&t, 3 * LM_SEC), 0);
		node_start(used);
		for (unsigned i = 0; i < t.p.w.n_nodes; i++)
			if (t.p.w.nodes[i] != used)
				(void)node_tell(t.p.w.nodes[i], used);
		node_stop(used == t.r ? t.s : t.r, false);
		(void)talk(&t, 20 * LM_SEC);
		assert_int_equal(talk(&t, 3 * LM_SEC), 0);
		trio_end(&t);
	}
}

/* An end behind a NAT that forgets its port, and a relay that gets another address. */
static void test_roaming(void **state)
{
	(void)state;
	for (int who = 0; who < 3; who++) {
		struct trio t;

		trio_begin(&t, 7);
		trio_start(&t);
		assert_true(world_until(&t.p.w, 2 * LM_SEC, relayed_up, &t));
		(void)talk(&t, 5 * LM_SEC);
		if (who == 0)
			t.p.a->wan[0].port = 61234;
		else if (who == 1)
			t.p.b->wan[0].port = 61234;
		else
			t.r->wan[0] = (struct lm_endpoint){{4, {198, 51, 100, 7}}, 4500};
		if (who == 2)
			node_local(t.r);
		assert_true(talk(&t, 2 * LM_SEC) <= 200);
		assert_int_equal(talk(&t, 3 * LM_SEC), 0);
		assert_true(relayed_up(&t.p.w, &t));
		trio_end(&t);
	}
}

/* One has IPv4 alone, the other one IPv6: neither has an address to try, and the relay has both. */
static void test_families(void **state)
{
	struct trio t;

	(void)state;
	trio_begin(&t, 9);
	t.cut = false;
	t.p.b->wan[0] =
	    (struct lm_endpoint){{.family = 6, .b = {0x20, 0x01, 0x0d, 0xb8, [15] = 2}}, 4500};
	t.r->n_wan = 2;
	t.r->wan[1] =
	    (struct lm_endpoint){{.family = 6, .b = {0x20, 0x01, 0x0d, 0xb8, [15] = 3}}, 4500};
	trio_start(&t);
	assert_true(world_until(&t.p.w, 5 * LM_SEC, relayed_up, &t));
	assert_int_equal(talk(&t, 5 * LM_SEC), 0);
	trio_end(&t);
}

/* The way to the relay changes again and again, by probes of which some are lost: the end and the
 * relay agree soon from where its datagrams come. */
static void test_places(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct trio t;
		uint64_t missed = 0, lost;

		trio_begin(&t, seed);
		t.r->n_wan = 2;
		t.r->wan[1] = (struct lm_endpoint){lm_ip4((uint8_t[]){192, 0, 2, 77}), 4500};
		trio_start(&t);
		assert_true(world_until(&t.p.w, 5 * LM_SEC, relayed_up, &t));
		t.p.w.loss = 50;
		lost = t.p.w.esp_lost;
		for (unsigned i = 0; i < 12; i++) {
			t.r->latency[i % 2] = 40 * LM_MSEC;
			t.r->latency[1 - i % 2] = 0;
			missed += talk(&t, 8 * LM_SEC);
		}
		missed -= t.p.w.esp_lost - lost;
		assert_true(missed <= 30); /* what is in flight at a change */
		trio_end(&t);
	}
}

/* Not needed any more: after a while neither end nor relay has anything of it left. */
static void test_idle(void **state)
{
	struct trio t;

	(void)state;
	trio_begin(&t, 8);
	trio_start(&t);
	assert_true(world_until(&t.p.w, 2 * LM_SEC, relayed_up, &t));
	t.cut = false;
	assert_true(world_until(&t.p.w, 60 * LM_SEC, straight_up, &t));
	world_pass(&t.p.w, 400 * LM_SEC);
	assert_int_equal(t.r->n_relays + t.p.a->n_relays + t.p.b->n_relays, 0);
	/* With traffic one is kept ready. */
	(void)talk(&t, 5 * LM_SEC);
	assert_int_equal(t.r->n_relays, 2);
	assert_int_equal(t.p.a->n_relays, 1);
	trio_end(&t);
}

/* Straight only from and to the relay. */
static bool cut_all(struct world *w, const struct datagram *d, const struct node *to, unsigned port)
{
	const struct node *relay = w->tap_user;

	(void)port;
	return d->sender != relay && to != relay;
}

enum { CROWD = 12, PAIRS = CROWD * (CROWD - 1) / 2 };

struct crowd {
	struct node *n[CROWD], *relay;
};

static bool all_up(struct world *w, void *arg)
{
	const struct crowd *c = arg;

	(void)w;
	for (unsigned i = 0; i < CROWD; i++)
		for (unsigned j = 0; j < i; j++)
			if (!through(c->n[i], c->n[j]) || !through(c->n[j], c->n[i]))
				return false;
	return true;
}

static void count_pair(void *user, const struct lm_relay_info *pair)
{
	(void)pair;
	++*(unsigned *)user;
}

/* More pairs want it than there is room for: none too many, and none lost when there is. */
static void test_room(void **state)
{
	struct crowd c;
	struct world w;
	unsigned pairs;

	(void)state;
	world_init(&w, 9);
	w.esp_may_miss = true;
	w.cut = cut_all;
	for (unsigned i = 0; i < CROWD; i++)
		c.n[i] = world_node(&w);
	c.relay = w.tap_user = world_node(&w);
	c.relay->cert_body.roles = LM_ROLE_RELAY;
	c.relay->relay_pairs = PAIRS / 2;
	node_sign(c.relay, w.authority);
	for (unsigned i = 0; i < w.n_nodes; i++)
		node_start(w.nodes[i]);
	world_tell_all(&w);
	for (unsigned i = 0; i < 60; i++) {
		world_pass(&w, LM_SEC);
		pairs = 0;
		lm_mesh_relay_pairs(c.relay->mesh, count_pair, &pairs);
		assert_in_range(pairs, i < 5 ? 0 : PAIRS / 4, PAIRS / 2);
		assert_true(c.relay->n_relays <= PAIRS);
	}
	lm_mesh_relaying(c.relay->mesh, world_now(&w, c.relay), PAIRS);
	assert_true(world_until(&w, 300 * LM_SEC, all_up, &c));
	assert_int_equal(c.relay->n_relays, 2 * PAIRS);
	/* Half the room again: the others end, at once. */
	lm_mesh_relaying(c.relay->mesh, world_now(&w, c.relay), PAIRS / 2);
	node_sync(c.relay);
	assert_int_equal(c.relay->n_relays, 2 * (PAIRS / 2));
	/* What a peer had goes with it, at the relay and at all ends. */
	node_stop(c.n[0], false);
	world_pass(&w, 300 * LM_SEC);
	pairs = 0;
	lm_mesh_relay_pairs(c.relay->mesh, count_pair, &pairs);
	assert_in_range(pairs, PAIRS / 4, PAIRS / 2);
	for (unsigned i = 0; i < w.n_nodes; i++)
		if (w.nodes[i]->mesh != NULL)
			node_stop(w.nodes[i], false);
	world_free(&w);
}

/* The data plane takes no more: the way that was asked for fails, is ended, and asked for again. */
static void test_no_room_in_data_plane(void **state)
{
	(void)state;
	for (unsigned end = 0; end < 2; end++) {
		struct trio t;
		struct node *poor;

		trio_begin(&t, 10);
		poor = end == 0 ? t.p.a : t.p.b;
		poor->refuse_relays = true;
		trio_start(&t);
		world_pass(&t.p.w, 30 * LM_SEC);
		assert_false(pair_up(&t.p));
		assert_int_equal(poor->n_relays, 0);
		assert_true(counters(poor)->refused_by_data_plane > 0);
		/* Not more often than every 15 s and a round of asking. */
		assert_true(counters(poor)->refused_by_data_plane <= 12);
		poor->refuse_relays = false;
		assert_true(world_until(&t.p.w, 60 * LM_SEC, relayed_up, &t));
		trio_end(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_connect),
	    cmocka_unit_test(test_moves),
	    cmocka_unit_test(test_unwilling),
	    cmocka_unit_test(test_revoked),
	    cmocka_unit_test(test_relay_dies),
	    cmocka_unit_test(test_roaming),
	    cmocka_unit_test(test_families),
	    cmocka_unit_test(test_places),
	    cmocka_unit_test(test_idle),
	    cmocka_unit_test(test_room),
	    cmocka_unit_test(test_no_room_in_data_plane),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
