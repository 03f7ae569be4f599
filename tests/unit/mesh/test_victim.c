/* SPDX-License-Identifier: BSD-3-Clause */
/* FAULTS row 14: what members' records and false sources can make us send to somebody else. */
#include "pair.h"

#include <lanemesh/trust.h>

#define BAR	  5000u /* bytes on the wire, in a minute, to who never answered */
#define ON_WIRE	  28u	/* IPv4 and UDP headers */
#define PROBE_LEN (LM_TRANSPORT_OVERHEAD + 31)
#define RECORDS	  10

/* Counts what goes to 203.0.113.0/24. */
struct toll {
	uint64_t bytes, probes, host[256];
	uint64_t inits[4][WORLD_PORTS]; /* to these ports of any, by the one they left by */
	const struct node *spoofer;	/* its datagrams come from there, port by port */
	uint64_t spoofed, spoofed_bytes;
	bool every; /* a port of its own for each datagram, else one of three */
};

static struct lm_ip victim(unsigned host)
{
	return lm_ip4((uint8_t[]){203, 0, 113, (uint8_t)host});
}

static bool toll_tap(struct world *w, struct datagram *d, void *user)
{
	struct lm_ip net = victim(0);
	struct toll *t = user;

	if (memcmp(d->to.ip.b, net.b, 3) == 0) {
		t->bytes += d->len + ON_WIRE;
		t->host[d->to.ip.b[3]] += d->len + ON_WIRE;
		t->probes += datagram_type(d) == LM_MSG_TRANSPORT && d->len == PROBE_LEN;
		if (d->to.port < LM_ARRAY_SIZE(t->inits) && datagram_type(d) == LM_MSG_INIT)
			t->inits[d->to.port][d->sender_port]++;
	}
	if (t->spoofer != NULL && d->sender == t->spoofer) {
		unsigned n = (unsigned)t->spoofed++;

		t->spoofed_bytes += d->len + ON_WIRE;
		d->from =
		    (struct lm_endpoint){victim(1), (uint16_t)(5000 + (t->every ? n : n % 3))};
	}
	(void)w;
	return true;
}

/* A record of the node that names n addresses of the net from `first` on, all the same when step is
 * 0, at ports from `port` on. */
static void lie(struct node *liar, struct node *to, uint64_t sequence, unsigned n, unsigned first,
		unsigned step, unsigned port)
{
	struct lm_announcement a = {.sequence = sequence, .lanes = 1, .n_endpoints = (uint8_t)n};
	uint8_t raw[LM_ANNOUNCE_MAX];
	struct lm_error err;
	int len;

	memcpy(a.node, liar->id->ed_public, LM_KEY_LEN);
	memcpy(a.mesh, liar->cert_body.mesh, sizeof(a.mesh));
	for (unsigned i = 0; i < n; i++) {
		a.endpoints[i].kind = LM_EP_PUBLIC;
		a.endpoints[i].ep =
		    (struct lm_endpoint){victim(first + i * step), (uint16_t)(port + i)};
	}
	len = lm_announcement_sign(liar->id, &a, raw, sizeof(raw), &err);
	assert_true(len > 0);
	assert_int_equal(lm_mesh_record(to->mesh, world_now(to->world, to), liar->cert,
					liar->cert_len, raw, (size_t)len),
			 LM_TRUSTED);
	node_sync(to);
}

static void begin(struct pair *p, struct toll *t, uint64_t seed)
{
	memset(t, 0, sizeof(*t));
	pair_begin(p, seed);
	p->w.tap = toll_tap;
	p->w.tap_user = t;
	node_start(p->a);
}

/* One host behind all the ports of a record. */
static void test_ports(void **state)
{
	struct toll t;
	struct pair p;

	(void)state;
	begin(&p, &t, 1);
	lie(p.b, p.a, 1, 10, 7, 0, 4500);
	world_pass(&p.w, 59 * LM_SEC);
	assert_in_range(t.host[7], 1200, BAR);
	world_pass(&p.w, 541 * LM_SEC);
	assert_in_range(t.host[7], 2 * BAR, 10 * BAR);
	world_free(&p.w);
}

/* It may be by one port only that an address can be reached. What the budget of a host that several
 * members name allows goes round the ports, also when signals begin anew all the time. */
static void test_every_port(void **state)
{
	struct toll t;
	struct pair p;

	(void)state;
	for (unsigned seed = 1; seed <= 5; seed++) {
		memset(&t, 0, sizeof(t));
		pair_begin(&p, seed);
		p.w.tap = toll_tap;
		p.w.tap_user = &t;
		p.a->n_wan = 2;
		p.a->wan[1] = (struct lm_endpoint){lm_ip4((uint8_t[]){198, 51, 100, 2}), 4500};
		(void)world_node(&p.w);
		(void)world_node(&p.w);
		node_start(p.a);
		for (unsigned i = 1; i < p.w.n_nodes; i++)
			lie(p.w.nodes[i], p.a, 1, 1, 0, 0, i);
		for (unsigned k = 0; k < 120; k++) {
			world_pass(&p.w, 5 * LM_SEC);
			for (unsigned i = 1; i < p.w.n_nodes; i++)
				lm_mesh_signalled(p.a->mesh, world_now(&p.w, p.a), 0,
						  p.w.nodes[i]->id->ed_public);
			node_sync(p.a);
		}
		for (unsigned i = 1; i < p.w.n_nodes; i++) {
			assert_true(t.inits[i][0] > 1);
			assert_in_range(t.inits[i][1], t.inits[i][0] - 1, t.inits[i][0] + 1);
		}
		world_free(&p.w);
	}
}

/* Records that take turns: the same addresses again, or always other ones. */
static void test_turns(void **state)
{
	struct toll t;
	struct pair p;

	(void)state;
	for (unsigned fresh = 0; fresh < 2; fresh++) {
		begin(&p, &t, 2);
		for (unsigned i = 0; i < 59 * 4; i++) {
			lie(p.b, p.a, i + 1, 10, fresh ? i * 10 % 250 : i % 2 * 10, 1,
			    4500 + i / 25 * 10);
			world_pass(&p.w, LM_SEC / 4);
		}
		for (unsigned i = 0; i < 256; i++)
			assert_true(t.host[i] <= BAR);
		assert_in_range(t.bytes, BAR, 20 * BAR);
		world_free(&p.w);
	}
}

/* Many members name the same host. */
static void test_many(void **state)
{
	struct toll t;
	struct pair p;

	(void)state;
	begin(&p, &t, 3);
	for (unsigned i = 0; i < RECORDS; i++)
		lie(world_node(&p.w), p.a, 1, 1, 9, 0, 4500 + i);
	world_pass(&p.w, 59 * LM_SEC);
	assert_in_range(t.host[9], 1200, BAR);
	world_free(&p.w);
}

static bool all_up(struct world *w, void *user)
{
	struct pair *p = user;

	for (unsigned i = 1; i < w->n_nodes; i++)
		if (!node_up(p->a, w->nodes[i], NULL))
			return false;
	return true;
}

/* Sites that share an address and are there do not use up each other's. */
static void test_shared(void **state)
{
	struct pair p;

	(void)state;
	pair_begin(&p, 4);
	for (unsigned i = 0; i < 20; i++)
		(void)world_node(&p.w);
	for (unsigned i = 1; i < p.w.n_nodes; i++)
		p.w.nodes[i]->wan[0] = (struct lm_endpoint){victim(3), (uint16_t)(4500 + i)};
	for (unsigned i = 0; i < p.w.n_nodes; i++) {
		node_start(p.w.nodes[i]);
		(void)node_tell(p.w.nodes[i], p.a); /* only a calls */
	}
	assert_true(world_until(&p.w, 2 * LM_SEC, all_up, &p));
	world_free(&p.w);
}

/* A member with a session writes a victim's address on what it sends: answers, which are no longer
 * than the questions, and few probes. And who really moves meanwhile is still followed. */
static void test_false_source(void **state)
{
	struct lm_peer_info info;
	struct toll t;
	struct pair p;

	(void)state;
	for (unsigned every = 0; every < 2; every++) {
		begin(&p, &t, 5);
		node_start(p.b);
		world_tell_all(&p.w);
		world_pass(&p.w, 2 * LM_SEC);
		assert_true(pair_up(&p));
		t.spoofer = p.b;
		t.every = every != 0;
		for (unsigned i = 0; i < 100 * 30; i++) {
			(void)node_send_esp(p.b, p.a);
			world_pass(&p.w, 10 * LM_MSEC);
		}
		assert_true(t.spoofed > 2500);
		assert_in_range(t.probes, 1, BAR / (PROBE_LEN + ON_WIRE));
		assert_true(t.bytes <= BAR + t.spoofed_bytes);
		t.spoofer = NULL;
		world_pass(&p.w, 20 * LM_SEC);
		assert_true(node_up(p.a, p.b, &info));
		p.b->wan[0].port = 4777;
		node_local(p.b);
		pair_talk(&p, 3 * LM_SEC, 20 * LM_MSEC);
		assert_true(node_up(p.a, p.b, &info));
		assert_int_equal(info.path.remote.port, 4777);
		world_free(&p.w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ports),	 cmocka_unit_test(test_turns),
	    cmocka_unit_test(test_many),	 cmocka_unit_test(test_shared),
	    cmocka_unit_test(test_false_source), cmocka_unit_test(test_every_port),
	};

	if (lm_crypto_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
