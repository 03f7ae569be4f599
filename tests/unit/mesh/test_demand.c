/* SPDX-License-Identifier: BSD-3-Clause */
/* In a mesh that is large for its nodes, sessions are there for those that have traffic. */
#include "pair.h"

static bool idle(const struct node *a, const struct node *b)
{
	struct lm_peer_info info = {.cert = NULL};

	return !node_up(a, b, &info) && info.cert != NULL && info.state == LM_PEER_IDLE;
}

static struct node *third_of_roles(struct pair *p, uint64_t seed, uint32_t roles)
{
	struct node *c;

	pair_begin(p, seed);
	c = world_node(&p->w);
	c->cert_body.roles = roles;
	node_sign(c, p->w.authority);
	p->a->eager_peers = p->b->eager_peers = c->eager_peers = 1; /* each has two */
	p->w.esp_may_miss = true;
	node_start(c);
	pair_start(p);
	return c;
}

static struct node *third_begin(struct pair *p, uint64_t seed)
{
	return third_of_roles(p, seed, 0);
}

static void test_on_demand(void **state)
{
	struct node *c;
	struct pair p;

	(void)state;
	c = third_begin(&p, 1);
	world_pass(&p.w, 60 * LM_SEC);
	assert_true(idle(p.a, p.b) && idle(p.b, c) && idle(c, p.a));
	assert_int_equal(p.a->sent + p.b->sent + c->sent, 0);
	/* The first packet finds nobody, the others do. */
	assert_false(node_send_esp(p.a, p.b));
	assert_true(world_until(&p.w, LM_SEC, pair_up_cond, &p));
	assert_true(idle(p.b, c) && idle(c, p.a));
	/* While there is traffic, sessions follow each other. */
	assert_int_equal(pair_talk(&p, 600 * LM_SEC, 200 * LM_MSEC), 0);
	assert_true(counters(p.a)->rekeys >= 4);
	assert_int_equal(counters(p.a)->sessions_down, 0);
	/* Afterwards they end, and nobody calls anybody. */
	world_pass(&p.w, 600 * LM_SEC);
	assert_true(idle(p.a, p.b) && idle(p.b, p.a));
	assert_int_equal(node_sas(p.a) + node_sas(p.b), 0);
	p.a->sent = p.b->sent = 0;
	world_pass(&p.w, 600 * LM_SEC);
	assert_int_equal(p.a->sent + p.b->sent, 0);
	world_free(&p.w);
}

/* A peer that does not answer is called as long as traffic wants it, and not for ever after. */
static void test_wanted_in_vain(void **state)
{
	uint64_t sent;
	struct pair p;

	(void)state;
	(void)third_begin(&p, 2);
	p.b->silent = true;
	for (int i = 0; i < 60; i++) {
		assert_false(node_send_esp(p.a, p.b));
		world_pass(&p.w, LM_SEC);
	}
	assert_true(p.a->inits >= 4);
	assert_false(idle(p.a, p.b));
	world_pass(&p.w, 320 * LM_SEC);
	assert_true(idle(p.a, p.b));
	sent = p.a->sent;
	world_pass(&p.w, 600 * LM_SEC);
	assert_int_equal(p.a->sent, sent);
	p.b->silent = false;
	assert_false(node_send_esp(p.a, p.b));
	assert_true(world_until(&p.w, LM_SEC, pair_up_cond, &p));
	world_free(&p.w);
}

/* Somebody who leaves makes the mesh small enough for sessions with all who stay. */
static void test_small_again(void **state)
{
	struct node *c;
	struct pair p;

	(void)state;
	c = third_begin(&p, 3);
	world_pass(&p.w, 10 * LM_SEC);
	assert_true(idle(p.a, p.b) && idle(p.b, p.a));
	lm_mesh_record_removed(p.a->mesh, world_now(&p.w, p.a), c->id->ed_public);
	assert_true(world_until(&p.w, 61 * LM_SEC, pair_up_cond, &p));
	world_free(&p.w);
}

static bool relay_up(struct world *w, void *user)
{
	struct node **n = user;

	(void)w;
	return node_up(n[0], n[2], NULL) && node_up(n[1], n[2], NULL);
}

/* A relay is there before anybody needs it. */
static void test_relay_is_kept(void **state)
{
	struct node *all[3];
	struct pair p;

	(void)state;
	all[2] = third_of_roles(&p, 4, LM_ROLE_RELAY);
	all[0] = p.a;
	all[1] = p.b;
	assert_true(world_until(&p.w, 5 * LM_SEC, relay_up, all));
	assert_true(idle(p.a, p.b) && idle(p.b, p.a));
	world_free(&p.w);
}

/* The router starts later than we do: the tries that an address has are not used up meanwhile. */
static void test_router_is_late(void **state)
{
	struct pair p;

	(void)state;
	pair_begin(&p, 5);
	p.a->unresolved = true;
	node_start(p.b);
	node_start(p.a);
	(void)node_tell(p.b, p.a); /* only a calls */
	world_pass(&p.w, 30 * LM_SEC);
	assert_true(p.a->inits > 4);
	p.a->unresolved = false;
	assert_true(world_until(&p.w, 13 * LM_SEC, pair_up_cond, &p));
	world_free(&p.w);
}

/* A session that nobody wanted to succeed when that was due, and then there is traffic again: it is
 * succeeded before it ends. */
static void test_traffic_comes_late(void **state)
{
	struct pair p;

	(void)state;
	(void)third_begin(&p, 7);
	assert_false(node_send_esp(p.a, p.b));
	assert_true(world_until(&p.w, LM_SEC, pair_up_cond, &p));
	world_pass(&p.w, 390 * LM_SEC); /* wanted for 300; the last one began at about 240 */
	assert_true(pair_up(&p));
	assert_int_equal(pair_talk(&p, 120 * LM_SEC, 200 * LM_MSEC), 0);
	assert_int_equal(counters(p.a)->sessions_down, 0);
	world_free(&p.w);
}

static bool drop_probes(struct world *w, struct datagram *d, void *user)
{
	(void)w;
	(void)user;
	return datagram_type(d) != LM_MSG_TRANSPORT;
}

/* The WAN port that a handshake goes through is lost before the session is confirmed. */
static void test_port_lost_meanwhile(void **state)
{
	struct pair p;

	(void)state;
	pair_begin(&p, 8);
	p.a->wan[1] = (struct lm_endpoint){lm_ip4((uint8_t[]){198, 51, 100, 1}), 4500};
	p.a->n_wan = 2;
	node_start(p.a);
	node_start(p.b);
	p.w.tap = drop_probes;
	(void)node_tell(p.b, p.a); /* only a calls */
	world_pass(&p.w, 200 * LM_MSEC);
	assert_int_equal(p.a->sas_added, 1);
	p.a->wan[0].port = 0;
	node_local(p.a);
	p.w.tap = NULL;
	assert_true(world_until(&p.w, 5 * LM_SEC, pair_up_cond, &p));
	assert_int_equal(pair_talk(&p, LM_SEC, 20 * LM_MSEC), 0);
	world_free(&p.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_on_demand),		cmocka_unit_test(test_wanted_in_vain),
	    cmocka_unit_test(test_small_again),		cmocka_unit_test(test_relay_is_kept),
	    cmocka_unit_test(test_router_is_late),	cmocka_unit_test(test_traffic_comes_late),
	    cmocka_unit_test(test_port_lost_meanwhile),
	};

	if (lm_crypto_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
