/* SPDX-License-Identifier: BSD-3-Clause */
/* The STUN client: what is asked, whose answers count, and what is announced. */
#include "pair.h"

#include <stdlib.h>

#define SERVERS 3

static const struct lm_endpoint outside = {{4, {198, 51, 100, 7}}, 30001};

/* A NAT before node a, and STUN servers. */
struct net {
	struct pair p;
	struct lm_endpoint servers[SERVERS];
	struct lm_endpoint mapped[SERVERS]; /* as each sees a; family 0: a's own address */
	bool dead[SERVERS];
	bool hold;     /* nobody answers: asked is all there is */
	bool restless; /* each answer says another port than the one before */
	unsigned asked[SERVERS];
	struct datagram last; /* the last request */
};

static bool tap(struct world *w, struct datagram *d, void *user)
{
	struct net *n = user;
	struct lm_stun_msg req;
	uint8_t answer[LM_STUN_ANSWER_MAX];

	if (lm_demux(d->data, d->len) != LM_DEMUX_STUN)
		return true;
	assert_int_equal(lm_stun_decode(d->data, d->len, &req), 0);
	assert_int_equal(req.kind, LM_STUN_REQUEST);
	assert_int_equal(req.n_unknown, 0);
	for (unsigned i = 0; i < SERVERS; i++) {
		const struct lm_endpoint *seen = n->mapped[i].port != 0 ? &n->mapped[i] : &d->from;
		int len;

		if (!lm_endpoint_equal(&d->to, &n->servers[i]))
			continue;
		n->asked[i]++;
		n->last = *d;
		if (n->dead[i] || n->hold)
			return false;
		if (n->restless)
			n->mapped[i].port = (uint16_t)(20000 + n->asked[i] % 1000);
		len = lm_stun_success(answer, sizeof(answer), req.id, seen, false);
		assert_true(len > 0 && (size_t)len <= d->len); /* FAULTS row 20 */
		world_inject(w, &d->to, &d->from, answer, (size_t)len, 10 * LM_MSEC);
		return false;
	}
	return false;
}

static void begin(struct net *n, unsigned servers)
{
	memset(n, 0, sizeof(*n));
	pair_begin(&n->p, 1);
	n->p.w.tap = tap;
	n->p.w.tap_user = n;
	n->servers[0] = (struct lm_endpoint){{4, {203, 0, 113, 1}}, 3478};
	n->servers[1] = (struct lm_endpoint){{4, {203, 0, 113, 2}}, 3478};
	n->servers[2] = (struct lm_endpoint){{4, {203, 0, 113, 2}}, 3479};
	node_start(n->p.a);
	lm_mesh_stun_servers(n->p.a->mesh, world_now(&n->p.w, n->p.a), n->servers, servers);
}

static void end(struct net *n)
{
	world_free(&n->p.w);
}

/* The reflexive endpoint in a's announcement; false: there is none. */
static bool announced(const struct node *n, struct lm_endpoint *out)
{
	struct lm_announcement a;
	size_t body;
	unsigned found = 0;

	assert_int_equal(lm_announcement_decode(n->ann, n->ann_len, &a, &body), 0);
	for (unsigned i = 0; i < a.n_endpoints; i++) {
		if (a.endpoints[i].kind != LM_EP_REFLEXIVE)
			continue;
		*out = a.endpoints[i].ep;
		found++;
	}
	assert_true(found <= 1);
	return found == 1;
}

static void assert_announced(const struct node *n, const struct lm_endpoint *want)
{
	struct lm_endpoint got;

	assert_true(announced(n, &got));
	assert_true(lm_endpoint_equal(&got, want));
	assert_true(lm_mesh_reflexive(n->mesh, 0, 4, &got));
	assert_true(lm_endpoint_equal(&got, want));
}

static void behind_nat(void **state)
{
	struct lm_endpoint got;
	struct net n;

	(void)state;
	begin(&n, 2);
	assert_int_equal(lm_mesh_nat(n.p.a->mesh, 0, 4), LM_NAT_UNKNOWN);
	n.mapped[0] = n.mapped[1] = outside;
	world_pass(&n.p.w, 100 * LM_MSEC);
	assert_int_equal(n.asked[0], 1);
	assert_int_equal(n.asked[1], 1);
	assert_announced(n.p.a, &outside);
	assert_int_equal(n.p.a->announces, 2); /* without, then with it */
	assert_int_equal(lm_mesh_nat(n.p.a->mesh, 0, 4), LM_NAT_ENDPOINT);
	assert_int_equal(lm_mesh_nat(n.p.a->mesh, 0, 6), LM_NAT_UNKNOWN);
	assert_false(lm_mesh_reflexive(n.p.a->mesh, 0, 6, &got));

	/* kept alive, and not more often than needed */
	world_pass(&n.p.w, 300 * LM_SEC);
	assert_true(n.asked[0] >= 12 && n.asked[0] <= 15);
	assert_int_equal(n.p.a->announces, 2);
	assert_int_equal(counters(n.p.a)->stun_answered, n.asked[0] + n.asked[1]);
	assert_int_equal(counters(n.p.a)->stun_sent, n.asked[0] + n.asked[1]);
	assert_int_equal(counters(n.p.a)->stun_unexpected, 0);
	end(&n);
}

static void no_nat(void **state)
{
	struct lm_endpoint got;
	struct net n;

	(void)state;
	begin(&n, 1);
	world_pass(&n.p.w, 250 * LM_SEC);
	assert_int_equal(n.asked[0], 1);
	assert_false(announced(n.p.a, &got));
	assert_int_equal(n.p.a->announces, 1);
	assert_int_equal(lm_mesh_nat(n.p.a->mesh, 0, 4), LM_NAT_NONE);
	world_pass(&n.p.w, 60 * LM_SEC);
	assert_int_equal(n.asked[0], 2);
	end(&n);
}

struct stun_of {
	unsigned n;
	struct lm_stun_info of[LM_MESH_STUN_MAX];
};

static void collect(void *user, const struct lm_stun_info *s)
{
	struct stun_of *all = user;

	assert_true(all->n < LM_ARRAY_SIZE(all->of));
	all->of[all->n++] = *s;
}

/* RFC 8489 section 6.2.1: again after 0.5, 1, 2, 4 s, and then for a while not. */
static void silent_server(void **state)
{
	static const lm_time after[] = {500, 1000, 2000, 4000};
	struct stun_of all = {0};
	uint8_t id[LM_STUN_ID_LEN];
	struct net n;

	(void)state;
	begin(&n, 1);
	n.dead[0] = true;
	world_pass(&n.p.w, 10 * LM_MSEC);
	memcpy(id, n.last.data + 8, sizeof(id));
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(n.asked[0], i + 1);
		world_pass(&n.p.w, after[i] * LM_MSEC - 20 * LM_MSEC);
		assert_int_equal(n.asked[0], i + 1);
		world_pass(&n.p.w, 20 * LM_MSEC);
		assert_memory_equal(n.last.data + 8, id, sizeof(id)); /* the same transaction */
	}
	assert_int_equal(n.asked[0], 5);
	world_pass(&n.p.w, 30 * LM_SEC);
	assert_int_equal(n.asked[0], 5);
	lm_mesh_stun(n.p.a->mesh, collect, &all);
	assert_int_equal(all.n, 1);
	assert_true(!all.of[0].answered && !all.of[0].asking);
	world_pass(&n.p.w, 20 * LM_SEC);
	assert_true(n.asked[0] > 5);
	assert_memory_not_equal(n.last.data + 8, id, sizeof(id));

	/* It comes back; and an operator need not wait. */
	n.dead[0] = false;
	n.mapped[0] = outside;
	lm_mesh_stun_again(n.p.a->mesh, world_now(&n.p.w, n.p.a));
	world_pass(&n.p.w, 50 * LM_MSEC);
	assert_announced(n.p.a, &outside);
	all.n = 0;
	lm_mesh_stun(n.p.a->mesh, collect, &all);
	assert_true(all.of[0].answered && !all.of[0].asking);
	assert_true(all.of[0].rtt >= 10 * LM_MSEC && all.of[0].rtt < 30 * LM_MSEC);
	assert_true(lm_endpoint_equal(&all.of[0].mapped, &outside));
	assert_true(lm_endpoint_equal(&all.of[0].server, &n.servers[0]));
	end(&n);
}

/* The NAT was restarted: one server notices, all are asked. */
static void mapping_changes(void **state)
{
	struct lm_endpoint next = outside;
	struct net n;

	(void)state;
	next.port++;
	begin(&n, 3);
	n.mapped[0] = n.mapped[1] = n.mapped[2] = outside;
	world_pass(&n.p.w, LM_SEC);
	n.mapped[0] = n.mapped[1] = n.mapped[2] = next;
	world_pass(&n.p.w, 26 * LM_SEC);
	assert_announced(n.p.a, &next);
	assert_int_equal(n.p.a->announces, 3);
	assert_int_equal(lm_mesh_nat(n.p.a->mesh, 0, 4), LM_NAT_ENDPOINT);
	end(&n);
}

static void kinds_of_nat(void **state)
{
	static const struct {
		uint16_t port[SERVERS];
		unsigned servers;
		enum lm_nat nat;
	} of[] = {
	    {{1, 1, 1}, 1, LM_NAT_SOME},     {{1, 1, 1}, 2, LM_NAT_ENDPOINT},
	    {{1, 1, 1}, 3, LM_NAT_ENDPOINT}, {{1, 2, 2}, 2, LM_NAT_ADDRESS_PERHAPS_PORT},
	    {{1, 2, 2}, 3, LM_NAT_ADDRESS},  {{1, 2, 3}, 3, LM_NAT_ADDRESS_PORT},
	};

	(void)state;
	for (unsigned i = 0; i < LM_ARRAY_SIZE(of); i++) {
		struct lm_endpoint first = outside;
		struct net n;

		begin(&n, of[i].servers);
		for (unsigned k = 0; k < SERVERS; k++) {
			n.mapped[k] = outside;
			n.mapped[k].port = of[i].port[k];
		}
		first.port = of[i].port[0];
		world_pass(&n.p.w, 200 * LM_SEC);
		assert_int_equal(lm_mesh_nat(n.p.a->mesh, 0, 4), of[i].nat);
		assert_announced(n.p.a, &first);
		assert_int_equal(n.p.a->announces, 2); /* it does not go to and fro */
		end(&n);
	}
}

/* Answers to nobody's question, by a stranger who guesses all but one thing. */
static void forged_answers(void **state)
{
	struct lm_endpoint evil = {{4, {198, 51, 100, 99}}, 666}, got;
	uint8_t msg[LM_STUN_ANSWER_MAX], id[LM_STUN_ID_LEN], wrong[LM_STUN_ID_LEN];
	struct lm_path from;
	struct lm_now now;
	struct net n;
	int len;

	(void)state;
	begin(&n, 1);
	n.hold = true;
	world_pass(&n.p.w, 10 * LM_MSEC);
	memcpy(id, n.last.data + 8, sizeof(id));
	memcpy(wrong, id, sizeof(id));
	wrong[11] ^= 1;
	now = world_now(&n.p.w, n.p.a);

	from = (struct lm_path){.remote = n.servers[0]};
	len = lm_stun_success(msg, sizeof(msg), wrong, &evil, false);
	lm_mesh_datagram(n.p.a->mesh, now, &from, msg, (size_t)len);
	assert_int_equal(counters(n.p.a)->stun_unexpected, 1);
	len = lm_stun_success(msg, sizeof(msg), id, &evil, false);
	from.remote.port++;
	lm_mesh_datagram(n.p.a->mesh, now, &from, msg, (size_t)len);
	assert_int_equal(counters(n.p.a)->stun_unexpected, 2);
	from.remote = n.servers[1];
	lm_mesh_datagram(n.p.a->mesh, now, &from, msg, (size_t)len);
	assert_int_equal(counters(n.p.a)->stun_unexpected, 3);
	from = (struct lm_path){.remote = n.servers[0], .relay = 7};
	lm_mesh_datagram(n.p.a->mesh, now, &from, msg, (size_t)len);
	assert_int_equal(counters(n.p.a)->stun_unexpected, 4);
	/* a request is never answered, not even by the server's address */
	from.relay = 0;
	lm_mesh_datagram(n.p.a->mesh, now, &from, n.last.data, n.last.len);
	assert_int_equal(counters(n.p.a)->stun_unexpected, 5);
	msg[3]++; /* its length */
	lm_mesh_datagram(n.p.a->mesh, now, &from, msg, (size_t)len);
	assert_int_equal(counters(n.p.a)->stun_unexpected, 6);
	assert_false(announced(n.p.a, &got));
	assert_int_equal(lm_mesh_nat(n.p.a->mesh, 0, 4), LM_NAT_UNKNOWN);

	/* the right one counts, once */
	msg[3]--;
	lm_mesh_datagram(n.p.a->mesh, now, &from, msg, (size_t)len);
	assert_announced(n.p.a, &evil);
	lm_mesh_datagram(n.p.a->mesh, now, &from, msg, (size_t)len);
	assert_int_equal(counters(n.p.a)->stun_unexpected, 7);
	end(&n);
}

/* FAULTS row 32: a server that names an address inside the mesh, or one that nobody has. */
static void bad_mappings(void **state)
{
	static const struct lm_endpoint bad[] = {
	    {{4, {10, 0, 0, 9}}, 4500},	  /* a's own prefix */
	    {{4, {10, 1, 0, 9}}, 4500},	  /* b's */
	    {{4, {10, 255, 0, 2}}, 4500}, /* b's overlay address */
	    {{4, {127, 0, 0, 1}}, 4500},       {{4, {224, 0, 0, 1}}, 4500},
	    {{6, {0x20, 1, 0xd, 0xb8}}, 4500}, /* of a family that did not ask */
	};
	struct lm_endpoint got;

	(void)state;
	for (unsigned i = 0; i < LM_ARRAY_SIZE(bad); i++) {
		struct net n;

		begin(&n, 1);
		node_start(n.p.b);
		world_tell_all(&n.p.w);
		n.mapped[0] = bad[i];
		world_pass(&n.p.w, LM_SEC);
		assert_int_equal(n.asked[0], 1);
		assert_int_equal(counters(n.p.a)->bad_endpoint, 1);
		assert_int_equal(counters(n.p.a)->stun_answered, 0);
		assert_false(announced(n.p.a, &got));
		end(&n);
	}
}

/* What is no endpoint is not asked; what is there twice is asked once. */
static void bad_servers(void **state)
{
	struct lm_endpoint list[LM_MESH_STUN_MAX + 4] = {
	    {{4, {10, 0, 0, 9}}, 3478},
	    {{4, {127, 0, 0, 1}}, 3478},
	    {{4, {203, 0, 113, 1}}, 0},
	    {{6, {0x20, 1, 0xd, 0xb8}}, 3478}, /* the port has no such address */
	    {{4, {203, 0, 113, 1}}, 3478},
	    {{4, {203, 0, 113, 1}}, 3478},
	};
	struct stun_of all = {0};
	struct net n;

	(void)state;
	begin(&n, 0);
	lm_mesh_stun_servers(n.p.a->mesh, world_now(&n.p.w, n.p.a), list, 6);
	world_pass(&n.p.w, 100 * LM_MSEC);
	assert_int_equal(counters(n.p.a)->stun_sent, 1);
	assert_int_equal(n.asked[0], 1);
	for (unsigned i = 0; i < LM_ARRAY_SIZE(list); i++)
		list[i] = (struct lm_endpoint){{4, {203, 0, 113, 1}}, (uint16_t)(3478 + i)};
	lm_mesh_stun_servers(n.p.a->mesh, world_now(&n.p.w, n.p.a), list, LM_ARRAY_SIZE(list));
	lm_mesh_stun(n.p.a->mesh, collect, &all);
	assert_int_equal(all.n, LM_MESH_STUN_MAX);
	assert_true(all.of[0].answered); /* it is no new one */
	/* paced: not all in one burst */
	assert_int_equal(counters(n.p.a)->stun_sent, 1);
	world_pass(&n.p.w, 105 * LM_MSEC);
	assert_in_range(counters(n.p.a)->stun_sent, 4, 8);
	lm_mesh_stun_servers(n.p.a->mesh, world_now(&n.p.w, n.p.a), NULL, 0);
	assert_int_equal(lm_mesh_nat(n.p.a->mesh, 0, 4), LM_NAT_UNKNOWN);
	end(&n);
}

/* Another address of our own: what was learned about the old one is gone. */
static void address_changes(void **state)
{
	struct lm_endpoint got;
	struct net n;

	(void)state;
	begin(&n, 1);
	n.mapped[0] = outside;
	world_pass(&n.p.w, LM_SEC);
	assert_announced(n.p.a, &outside);
	n.mapped[0] = (struct lm_endpoint){0};
	n.p.a->wan[0].ip.b[3] = 77;
	node_local(n.p.a);
	assert_false(announced(n.p.a, &got));
	world_pass(&n.p.w, LM_SEC);
	assert_int_equal(n.asked[0], 2);
	assert_false(announced(n.p.a, &got));
	/* the same list again is no change */
	node_local(n.p.a);
	world_pass(&n.p.w, LM_SEC);
	assert_int_equal(n.asked[0], 2);
	end(&n);
}

/* --------------------------------------------------- what peers report -- */

#define PEERS 5

struct mesh {
	struct world w;
	struct node *a;
	struct lm_endpoint seen_by[PEERS + 1]; /* port 0: as it is */
};

/* Each peer sees a from another address, if it is to. */
static bool tap_peers(struct world *w, struct datagram *d, void *user)
{
	struct mesh *m = user;

	for (unsigned i = 1; i <= PEERS; i++) {
		if (m->seen_by[i].port == 0)
			continue;
		if (lm_endpoint_equal(&d->from, &m->a->wan[0]) &&
		    lm_endpoint_equal(&d->to, &w->nodes[i]->wan[0]))
			d->from = m->seen_by[i];
		else if (lm_endpoint_equal(&d->to, &m->seen_by[i]))
			d->to = m->a->wan[0];
	}
	return lm_demux(d->data, d->len) != LM_DEMUX_STUN; /* nobody answers */
}

/* ports[i]: the outer port under which peer i + 1 sees a; 0: none, it sees a's own address. */
static bool reported(const uint16_t ports[PEERS], struct lm_endpoint *out)
{
	const struct lm_endpoint server = {{4, {203, 0, 113, 1}}, 3478};
	struct mesh m = {0};
	bool found;

	world_init(&m.w, 3);
	m.w.what = "unit test";
	m.w.tap = tap_peers;
	m.w.tap_user = &m;
	m.a = world_node(&m.w);
	for (unsigned i = 1; i <= PEERS; i++) {
		(void)world_node(&m.w);
		m.seen_by[i] = outside;
		m.seen_by[i].port = ports[i - 1];
	}
	for (unsigned i = 0; i <= PEERS; i++)
		node_start(m.w.nodes[i]);
	lm_mesh_stun_servers(m.a->mesh, world_now(&m.w, m.a), &server, 1);
	world_tell_all(&m.w);
	world_pass(&m.w, 20 * LM_SEC);
	for (unsigned i = 1; i <= PEERS; i++)
		assert_true(node_up(m.a, m.w.nodes[i], NULL));
	found = announced(m.a, out);
	assert_true(m.a->announces <= 4);
	world_free(&m.w);
	return found;
}

static void peers_report(void **state)
{
	struct lm_endpoint got;

	(void)state;
	assert_true(reported((uint16_t[]){7, 7, 7, 7, 7}, &got));
	assert_int_equal(got.port, 7);
	/* those who are on our side of the NAT say nothing about it */
	assert_true(reported((uint16_t[]){0, 0, 0, 7, 7}, &got));
	assert_int_equal(got.port, 7);
	/* one alone may be a liar; so may two of five */
	assert_false(reported((uint16_t[]){7, 0, 0, 0, 0}, &got));
	assert_true(reported((uint16_t[]){9, 7, 7, 9, 7}, &got));
	assert_int_equal(got.port, 7);
	/* a mapping for each peer is none for all */
	assert_false(reported((uint16_t[]){1, 2, 3, 4, 5}, &got));
	assert_false(reported((uint16_t[]){0, 0, 0, 0, 0}, &got));
}

/* Servers, or a NAT, that say another address each time: neither the servers are asked nor is
 * anything announced as often as they answer. */
static void restless(void **state)
{
	struct net n;
	unsigned asked = 0;
	uint64_t sequence;

	(void)state;
	begin(&n, SERVERS);
	for (unsigned i = 0; i < SERVERS; i++)
		n.mapped[i] = outside;
	world_pass(&n.p.w, 10 * LM_SEC);
	n.restless = true;
	memset(n.asked, 0, sizeof(n.asked));
	sequence = n.p.a->ann_sequence;
	world_pass(&n.p.w, 60 * LM_SEC);
	for (unsigned i = 0; i < SERVERS; i++)
		asked += n.asked[i];
	/* The others once in two seconds, and each in its turn. */
	assert_in_range(asked, 4, (SERVERS - 1) * 31 + SERVERS * 4);
	assert_true(n.p.a->ann_sequence - sequence <= 61);
	end(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(behind_nat),      cmocka_unit_test(no_nat),
	    cmocka_unit_test(silent_server),   cmocka_unit_test(mapping_changes),
	    cmocka_unit_test(kinds_of_nat),    cmocka_unit_test(forged_answers),
	    cmocka_unit_test(bad_mappings),    cmocka_unit_test(bad_servers),
	    cmocka_unit_test(address_changes), cmocka_unit_test(peers_report),
	    cmocka_unit_test(restless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
