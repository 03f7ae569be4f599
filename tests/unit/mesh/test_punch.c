/* SPDX-License-Identifier: BSD-3-Clause */
/* Two nodes behind NATs find a direct way whenever there is one. */
#include "nat.h"
#include "pair.h"

#include <stdlib.h>

#define COORD_DELAY (20 * LM_MSEC) /* from a node over the coordinator to the other */
#define HONEST	    1		   /* coordinators, by number */
#define HOSTILE	    0

/* What a coordinator passes on from one node to the other. */
struct relay_of {
	struct actor say, signal;
	struct node *from, *to;
};

struct net {
	struct pair p;
	struct nat *a, *b;
	struct relay_of ways[2];
	bool mute; /* no signals pass */
};

static void say(struct world *w, struct actor *actor)
{
	struct relay_of *r = LM_CONTAINER_OF(actor, struct relay_of, say);

	(void)w;
	if (r->to->mesh == NULL)
		return;
	(void)node_tell(r->from, r->to);
	node_sync(r->to);
}

static void signal(struct world *w, struct actor *actor)
{
	struct relay_of *r = LM_CONTAINER_OF(actor, struct relay_of, signal);

	if (r->to->mesh == NULL)
		return;
	lm_mesh_signalled(r->to->mesh, world_now(w, r->to), HONEST, r->from->id->ed_public);
	node_sync(r->to);
}

static struct relay_of *way_of(struct node *n)
{
	struct net *net = n->user;

	return &net->ways[net->ways[1].from == n];
}

static void on_announced(struct node *n)
{
	actor_at(n->world, &way_of(n)->say, n->world->now + COORD_DELAY);
}

static void on_signal(struct node *n, const uint8_t node[32])
{
	struct net *net = n->user;

	assert_memory_equal(node, way_of(n)->to->id->ed_public, 32);
	if (!net->mute)
		actor_at(n->world, &way_of(n)->signal, n->world->now + COORD_DELAY);
}

static size_t stun(struct world *w, void *user, const struct lm_endpoint *from, const uint8_t *data,
		   size_t len, uint8_t *out)
{
	struct lm_stun_msg req;

	(void)w;
	(void)user;
	if (lm_stun_decode(data, len, &req) != 0)
		return 0;
	return (size_t)lm_stun_success(out, LM_CONTROL_MAX, req.id, from, false);
}

static void node_begin(struct net *n, struct node *node)
{
	struct lm_endpoint servers[2] = {n->p.w.services[0].at, n->p.w.services[1].at};

	node_start(node);
	lm_mesh_stun_servers(node->mesh, world_now(&n->p.w, node), servers, 2);
	node_sync(node);
	/* the listing of the directory */
	actor_at(&n->p.w, &way_of(way_of(node)->to)->say, n->p.w.now + COORD_DELAY);
}

/* 198.51.100.<number> before 172.16.<number>.0/24, or a firewall before the node's own address. */
static struct nat *domain(struct world *w, const struct nat_kind *kind, const struct node *node,
			  uint8_t number)
{
	struct lm_prefix inside = {{4, {172, 16, number}}, 24};

	if (kind->firewall)
		inside = lm_prefix_of(&node->wan[0].ip, 32);
	return world_nat(w, kind, NULL, lm_ip4((uint8_t[]){198, 51, 100, number}), inside);
}

/* kinds: NULL = in the open. both: behind one NAT, a's. */
static void begin(struct net *n, uint64_t seed, const struct nat_kind *a, const struct nat_kind *b,
		  bool both)
{
	struct world *w = &n->p.w;

	memset(n, 0, sizeof(*n));
	pair_begin(&n->p, seed);
	for (unsigned i = 0; i < 2; i++)
		w->services[w->n_services++] =
		    (struct service){{{4, {203, 0, 113, (uint8_t)(i + 1)}}, 3478}, stun, NULL};
	if (a != NULL)
		n->a = domain(w, a, n->p.a, 1);
	if (b != NULL && !both)
		n->b = domain(w, b, n->p.b, 2);
	if (both)
		n->b = n->a;
	for (unsigned i = 0; i < 2; i++) {
		struct node *node = i == 0 ? n->p.a : n->p.b;
		struct nat *nat = i == 0 ? n->a : n->b;

		node->behind[0] = nat;
		if (nat != NULL && !nat->kind.firewall)
			node->wan[0].ip = lm_ip4(
			    (uint8_t[]){172, 16, (uint8_t)(both ? 1 : i + 1), (uint8_t)(i + 2)});
		node->user = n;
		node->announced = on_announced;
		node->signal = on_signal;
		n->ways[i] = (struct relay_of){.say.run = say,
					       .signal.run = signal,
					       .from = node,
					       .to = i == 0 ? n->p.b : n->p.a};
	}
}

static const struct nat_kind kinds[] = {
    {NAT_ENDPOINT_INDEPENDENT, NAT_ENDPOINT_INDEPENDENT, true, true, true, 60 * LM_SEC, false,
     false},
    {NAT_ENDPOINT_INDEPENDENT, NAT_ADDRESS, false, false, false, 60 * LM_SEC, false, false},
    {NAT_ENDPOINT_INDEPENDENT, NAT_ADDRESS_PORT, true, false, false, 30 * LM_SEC, false, false},
    {NAT_ENDPOINT_INDEPENDENT, NAT_ADDRESS_PORT, false, false, false, 30 * LM_SEC, false, false},
    {NAT_ADDRESS, NAT_ADDRESS_PORT, false, false, false, 30 * LM_SEC, false, false},
    {NAT_ADDRESS_PORT, NAT_ADDRESS_PORT, false, false, false, 30 * LM_SEC, false, false},
    {.filtering = NAT_ADDRESS_PORT, .timeout = 30 * LM_SEC, .firewall = true},
};
#define KINDS LM_ARRAY_SIZE(kinds)

static const struct nat_kind *kind(unsigned i)
{
	return i < KINDS ? &kinds[i] : NULL;
}

/* The bar of the issue: direct within 5 s of both being up, wherever RFC 5128 says that it is
 * possible; the later one comes at any time. */
static void all_pairs(void **state)
{
	static const lm_time later[] = {0, 300 * LM_MSEC, 7 * LM_SEC, 55 * LM_SEC};

	(void)state;
	for (unsigned i = 0; i <= KINDS; i++)
		for (unsigned j = 0; j <= KINDS; j++)
			for (unsigned k = 0; k < LM_ARRAY_SIZE(later); k++) {
				struct net n;
				bool up;

				begin(&n, 1 + i * 100 + j * 10 + k, kind(i), kind(j), false);
				node_begin(&n, n.p.a);
				world_pass(&n.p.w, later[k]);
				node_begin(&n, n.p.b);
				up = world_until(&n.p.w, 5 * LM_SEC, pair_up_cond, &n.p);
				if (up != nat_direct(n.a, n.b))
					fail_msg("%u and %u, %llu s apart: %s", i, j,
						 (unsigned long long)(later[k] / LM_SEC),
						 up ? "connected" : "not connected");
				world_free(&n.p.w);
			}
}

/* Two gateways behind one NAT meet inside, and by the NAT's hairpin when that is the only way. */
static void one_nat(void **state)
{
	struct lm_peer_info info;

	(void)state;
	for (unsigned i = 0; i < KINDS - 1; i++) {
		struct net n;

		begin(&n, 10 + i, kind(i), kind(i), true);
		node_begin(&n, n.p.a);
		node_begin(&n, n.p.b);
		assert_true(world_until(&n.p.w, 2 * LM_SEC, pair_up_cond, &n.p));
		world_pass(&n.p.w, LM_SEC);
		assert_true(node_up(n.p.a, n.p.b, &info));
		assert_true(lm_endpoint_equal(&info.path.remote, &n.p.b->wan[0]));
		world_free(&n.p.w);
	}
}

static bool no_inner_way(struct world *w, const struct datagram *d, const struct node *to,
			 unsigned port)
{
	(void)w;
	return d->from.ip.b[0] == 172 && to->wan[port].ip.b[0] == 172;
}

static void hairpin(void **state)
{
	struct lm_peer_info info;
	struct net n;

	(void)state;
	begin(&n, 20, kind(0), kind(0), true);
	n.p.w.cut = no_inner_way;
	node_begin(&n, n.p.a);
	node_begin(&n, n.p.b);
	assert_true(world_until(&n.p.w, 5 * LM_SEC, pair_up_cond, &n.p));
	assert_true(node_up(n.p.a, n.p.b, &info));
	assert_int_equal(info.path.remote.ip.b[0], 198);
	world_free(&n.p.w);
}

/* The signal is what makes the other side try in time: without it the one who came first has given
 * up for the minute (FAULTS row 14), and its NAT has forgotten. */
static void signals_matter(void **state)
{
	struct net n;

	(void)state;
	for (unsigned mute = 0; mute < 2; mute++) {
		begin(&n, 30, kind(2), kind(2), false);
		n.mute = mute != 0;
		/* b has been there once: it is in the directory */
		node_begin(&n, n.p.b);
		world_pass(&n.p.w, LM_SEC);
		node_stop(n.p.b, false);
		node_begin(&n, n.p.a);
		world_pass(&n.p.w, 45 * LM_SEC);
		node_begin(&n, n.p.b);
		assert_int_equal(world_until(&n.p.w, 5 * LM_SEC, pair_up_cond, &n.p), !mute);
		world_free(&n.p.w);
	}
}

/* A coordinator that sends signals all the time: few of them count. */
static void hostile_signals(void **state)
{
	uint8_t stranger[32] = {1};
	struct pair p;
	uint64_t bytes;

	(void)state;
	pair_begin(&p, 40);
	node_start(p.a);
	lm_mesh_signalled(p.a->mesh, world_now(&p.w, p.a), 0, stranger);
	assert_int_equal(counters(p.a)->signals_ignored, 1);
	node_start(p.b);
	(void)node_tell(p.b, p.a);
	node_stop(p.b, false);
	bytes = p.a->sent_bytes;
	for (unsigned i = 0; i < 6000; i++) {
		lm_mesh_signalled(p.a->mesh, world_now(&p.w, p.a), 0, p.b->id->ed_public);
		node_sync(p.a);
		world_pass(&p.w, 10 * LM_MSEC);
	}
	/* FAULTS row 14: about 5 kB in the minute to who never answered */
	assert_in_range(p.a->sent_bytes - bytes, 1200, 5000);
	assert_true(counters(p.a)->signals_taken <= 31);
	assert_int_equal(counters(p.a)->signals_taken + counters(p.a)->signals_ignored, 6001);

	/* a live session is asked, and stays */
	node_start(p.b);
	(void)node_tell(p.b, p.a);
	(void)node_tell(p.a, p.b);
	assert_true(world_until(&p.w, 5 * LM_SEC, pair_up_cond, &p));
	world_pass(&p.w, LM_SEC);
	bytes = counters(p.a)->handshakes_done;
	for (unsigned i = 0; i < 1000; i++) {
		lm_mesh_signalled(p.a->mesh, world_now(&p.w, p.a), 0, p.b->id->ed_public);
		node_sync(p.a);
		world_pass(&p.w, 10 * LM_MSEC);
	}
	assert_int_equal(counters(p.a)->handshakes_done, bytes);
	assert_true(pair_up(&p));
	world_free(&p.w);
}

/* One that lies all the time mutes neither the signals of an honest one nor our own. */
static void hostile_does_not_mute(void **state)
{
	uint64_t taken;
	struct pair p;

	(void)state;
	pair_begin(&p, 60);
	p.a->max_peers = 256;
	for (unsigned i = 0; i < 120; i++)
		(void)world_node(&p.w);
	for (unsigned i = 0; i < p.w.n_nodes; i++)
		node_start(p.w.nodes[i]);
	for (unsigned i = 1; i < p.w.n_nodes; i++) {
		(void)node_tell(p.w.nodes[i], p.a);
		node_stop(p.w.nodes[i], false);
	}
	p.a->signals = 0;
	for (unsigned i = 0; i < 3000; i++) {
		for (unsigned k = 1; k < p.w.n_nodes; k++)
			lm_mesh_signalled(p.a->mesh, world_now(&p.w, p.a), HOSTILE,
					  p.w.nodes[k]->id->ed_public);
		node_sync(p.a);
		world_pass(&p.w, 10 * LM_MSEC);
		if (i % 300 != 299)
			continue;
		taken = counters(p.a)->signals_taken;
		lm_mesh_signalled(p.a->mesh, world_now(&p.w, p.a), HONEST, p.b->id->ed_public);
		assert_int_equal(counters(p.a)->signals_taken, taken + 1);
	}
	/* in half a minute: 5 for each peer, the gap doubling */
	assert_in_range(p.a->signals, 4 * (p.w.n_nodes - 1), 8 * (p.w.n_nodes - 1));
	world_free(&p.w);
}

/* Who cannot be reached is not signalled for ever at the same pace. */
static void signals_back_off(void **state)
{
	struct pair p;

	(void)state;
	pair_begin(&p, 50);
	node_start(p.a);
	node_start(p.b);
	(void)node_tell(p.b, p.a);
	node_stop(p.b, false);
	world_pass(&p.w, 600 * LM_SEC);
	assert_in_range(p.a->signals, 8, 20);
	world_free(&p.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_pairs),	cmocka_unit_test(one_nat),
	    cmocka_unit_test(hairpin),		cmocka_unit_test(signals_matter),
	    cmocka_unit_test(hostile_signals),	cmocka_unit_test(hostile_does_not_mute),
	    cmocka_unit_test(signals_back_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
