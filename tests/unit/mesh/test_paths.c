/* SPDX-License-Identifier: BSD-3-Clause */
/* Where peers are: death, restart, roaming, candidates. */
#include "pair.h"

#include <stdlib.h>

static const struct lm_endpoint elsewhere = {{4, {198, 51, 100, 77}}, 6000};

static bool a_lost_b(struct world *w, void *arg)
{
	struct pair *p = arg;

	(void)w;
	return !node_up(p->a, p->b, NULL);
}

/* FAULTS row 26: dead within 15 s, whether anybody sends or not. */
static void test_dead(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		lm_time died;
		struct pair p;

		pair_begin(&p, seed);
		p.w.esp_may_miss = true;
		pair_connect(&p);
		world_pass(&p.w, seed * 7 * LM_SEC);
		node_stop(p.b, false);
		died = p.w.now;
		while (node_up(p.a, p.b, NULL) && p.w.now < died + 20 * LM_SEC) {
			if (seed % 2)
				(void)node_send_esp(p.a, p.b);
			world_pass(&p.w, 100 * LM_MSEC);
		}
		assert_true(p.w.now <= died + 15 * LM_SEC);
		assert_int_equal(node_sas(p.a), 0);
		assert_non_null(node_peer_of(p.a, p.b));
		assert_false(node_send_esp(p.a, p.b));
		/* goes on asking, ever more slowly */
		p.a->inits = 0;
		world_pass(&p.w, 120 * LM_SEC);
		assert_true(p.a->inits >= 12 && p.a->inits < 30);
		node_start(p.b);
		assert_true(world_until(&p.w, 11 * LM_SEC, pair_up_cond, &p));
		world_free(&p.w);
	}
}

/* A peer that only went quiet is not dead: probes are answered. */
static void test_quiet(void **state)
{
	struct pair p;

	(void)state;
	pair_begin(&p, 20);
	p.w.loss = 50;
	pair_start(&p);
	assert_true(world_until(&p.w, 10 * LM_SEC, pair_up_cond, &p));
	world_pass(&p.w, 1800 * LM_SEC);
	assert_int_equal(counters(p.a)->sessions_down + counters(p.b)->sessions_down, 0);
	assert_true(counters(p.a)->rekeys >= 13);
	/* a probe or two each keepalive interval, not more */
	assert_true(p.a->sent < 1800 / 5 * 3);
	world_free(&p.w);
}

static void test_restart(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct pair p;

		pair_begin(&p, seed);
		p.w.esp_may_miss = true;
		pair_start(&p);
		for (int i = 0; i < 4; i++) {
			struct node *n = seed % 2 ? p.a : p.b, *other = seed % 2 ? p.b : p.a;
			uint64_t got;

			world_pass(&p.w, world_random(&p.w, 3000) * LM_MSEC);
			node_stop(n, false);
			world_pass(&p.w, world_random(&p.w, 500) * LM_MSEC);
			node_start(n);
			(void)node_tell(other, n);
			assert_true(world_until(&p.w, 2 * LM_SEC, pair_up_cond, &p));
			world_pass(&p.w, 50 * LM_MSEC);
			got = n->esp_got;
			pair_talk(&p, 100 * LM_MSEC, 10 * LM_MSEC);
			world_pass(&p.w, 50 * LM_MSEC);
			assert_int_equal(n->esp_got, got + 10);
		}
		world_free(&p.w);
	}
}

/* -------------------------------------------------------------- roaming -- */

/* FAULTS row 10: the NAT before b forgets its port. */
static void test_rebinding(void **state)
{
	(void)state;
	for (int who = 0; who < 3; who++) { /* sends: both, b only, a only */
		struct lm_peer_info info;
		uint64_t done, got;
		struct pair p;
		lm_time limit;

		pair_begin(&p, 30);
		pair_connect(&p);
		done = counters(p.a)->handshakes_done;
		p.b->wan[0].port = 61234;
		limit = p.w.now + (who == 2 ? 6 * LM_SEC : LM_SEC + 20 * LM_MSEC);
		while (p.w.now < limit) {
			if (who != 1)
				(void)node_send_esp(p.a, p.b);
			if (who != 2)
				(void)node_send_esp(p.b, p.a);
			world_pass(&p.w, 20 * LM_MSEC);
		}
		assert_true(node_up(p.a, p.b, &info));
		assert_true(lm_endpoint_equal(&info.path.remote, &p.b->wan[0]));
		assert_int_equal(counters(p.a)->moves, 1);
		assert_int_equal(counters(p.a)->handshakes_done, done);
		got = p.b->esp_got;
		assert_true(node_send_esp(p.a, p.b));
		world_pass(&p.w, LM_SEC);
		assert_int_equal(p.b->esp_got, got + 1);
		world_free(&p.w);
	}
}

/* Datagrams to an address where nobody is. */
struct elsewhere_count {
	unsigned n;
};

static bool elsewhere_tap(struct world *w, struct datagram *d, void *user)
{
	struct elsewhere_count *c = user;

	(void)w;
	c->n += lm_endpoint_equal(&d->to, &elsewhere);
	return true;
}

/* FAULTS row 9. */
static void test_spoofed(void **state)
{
	static struct datagram control[64], esp[64];
	struct capture c = {.type = LM_MSG_TRANSPORT, .max = 64, .d = control};
	struct capture e = {.type = 0xff, .max = 64, .d = esp};
	struct elsewhere_count asked = {0};
	struct lm_peer_info info;
	struct pair p;

	(void)state;
	pair_begin(&p, 31);
	pair_connect(&p);
	p.w.tap = capture_tap;
	p.w.tap_user = &c;
	world_pass(&p.w, 60 * LM_SEC);
	p.w.tap_user = &e;
	pair_talk(&p, LM_SEC, 20 * LM_MSEC);
	p.w.tap = NULL;
	assert_true(c.n > 10 && e.n > 30);
	/* old packets from a new address: seen before, and not even asked about */
	world_pass(&p.w, LM_SEC);
	p.w.tap = elsewhere_tap;
	p.w.tap_user = &asked;
	for (unsigned i = 0; i < c.n; i++)
		world_inject(&p.w, &elsewhere, &control[i].to, control[i].data, control[i].len, 0);
	for (unsigned i = 0; i < 100; i++) {
		struct datagram d = {.len = 100};

		world_random_bytes(&p.w, d.data, d.len);
		lm_msg_transport_header(d.data, node_peer_of(p.b, p.a)->spi_base, 1000000 + i);
		world_inject(&p.w, &elsewhere, &p.a->wan[0], d.data, d.len, 0);
	}
	world_pass(&p.w, 100 * LM_MSEC);
	assert_int_equal(asked.n, 0);
	assert_int_equal(counters(p.a)->moves + counters(p.b)->moves, 0);
	assert_true(counters(p.a)->transport_bad == 100);
	world_free(&p.w);

	/* the newest packet, held back and sent from elsewhere: asked, not answered, no move */
	pair_begin(&p, 32);
	pair_connect(&p);
	p.w.tap = capture_tap;
	for (int i = 0; i < 50; i++) {
		c = (struct capture){.type = 0xff, .max = 1, .drop = true, .d = esp};
		p.w.tap_user = &c;
		assert_true(node_send_esp(p.b, p.a));
		world_inject(&p.w, &elsewhere, &esp[0].to, esp[0].data, esp[0].len, 0);
		world_pass(&p.w, 100 * LM_MSEC);
	}
	p.w.tap = NULL;
	assert_int_equal(counters(p.a)->moves, 0);
	assert_true(node_up(p.a, p.b, &info));
	assert_true(lm_endpoint_equal(&info.path.remote, &p.b->wan[0]));
	world_free(&p.w);
}

/* Catches, once, what b sends of the type. */
struct caught {
	struct capture c;
	const struct node *from;
};

static bool caught_tap(struct world *w, struct datagram *d, void *user)
{
	struct caught *t = user;

	return !lm_endpoint_equal(&d->from, &t->from->wan[0]) || capture_tap(w, d, &t->c);
}

/* Finer points of the challenge. */
static void test_challenge(void **state)
{
	struct datagram d[2];
	struct capture c = {.type = LM_MSG_TRANSPORT, .max = 1, .drop = true, .d = d};
	struct capture e = {.type = 0xff, .max = 1, .drop = true, .d = &d[1]};
	struct caught t = {.c = c};
	struct pair p;
	uint64_t sent;

	(void)state;
	/* b's answer to a keepalive, caught and brought from where a has just put a question: the
	 * token is good, the place is not the one that it was sent to */
	pair_begin(&p, 33);
	p.b->timers.keepalive = 60 * LM_SEC; /* b asks nothing itself */
	pair_connect(&p);
	t.from = p.b;
	p.w.tap = caught_tap;
	p.w.tap_user = &t;
	for (int i = 0; i < 700 && t.c.n == 0; i++)
		world_pass(&p.w, 10 * LM_MSEC);
	assert_int_equal(t.c.n, 1);
	p.w.tap = capture_tap;
	p.w.tap_user = &e;
	assert_true(node_send_esp(p.b, p.a));
	p.w.tap = NULL;
	assert_int_equal(e.n, 1);
	world_inject(&p.w, &elsewhere, &d[1].to, d[1].data, d[1].len, 0);
	world_inject(&p.w, &elsewhere, &d[0].to, d[0].data, d[0].len, LM_MSEC);
	world_pass(&p.w, 3 * LM_SEC);
	assert_int_equal(counters(p.a)->moves, 0);
	world_free(&p.w);

	/* a message that is new but not the newest: its probe is answered, and that is all */
	pair_begin(&p, 34);
	pair_connect(&p);
	p.w.tap = capture_tap;
	c.n = 0;
	p.w.tap_user = &c;
	while (c.n == 0 || !lm_endpoint_equal(&d[0].from, &p.b->wan[0])) {
		c.n = 0;
		world_pass(&p.w, 10 * LM_MSEC);
	}
	p.w.tap = NULL;
	world_pass(&p.w, 12 * LM_SEC);
	sent = p.a->sent;
	lm_mesh_datagram(p.a->mesh, world_now(&p.w, p.a), &(struct lm_path){.remote = elsewhere},
			 d[0].data, d[0].len);
	assert_true(p.a->sent <= sent + 1);
	assert_int_equal(counters(p.a)->replayed, 0);
	world_free(&p.w);

	/* b was elsewhere for a moment; when it is back the matter is closed */
	pair_begin(&p, 35);
	pair_connect(&p);
	p.b->wan[0].port = 7777;
	assert_true(node_send_esp(p.b, p.a));
	world_pass(&p.w, 6 * LM_MSEC); /* a's probe is on its way to port 7777 */
	p.w.tap = capture_tap;
	c.n = 0;
	p.w.tap_user = &c;
	world_pass(&p.w, 6 * LM_MSEC);
	assert_int_equal(c.n, 1); /* b's answer */
	p.w.tap = NULL;
	p.b->wan[0].port = 4500;
	assert_true(node_send_esp(p.b, p.a));
	world_pass(&p.w, 500 * LM_MSEC); /* a would be free to ask again */
	world_inject(&p.w, &d[0].from, &d[0].to, d[0].data, d[0].len, 0);
	pair_talk(&p, 5 * LM_SEC, 20 * LM_MSEC);
	assert_int_equal(counters(p.a)->moves, 0);
	world_free(&p.w);
}

/* Message 1 first comes a way that nothing goes back on (a NAT with a mapping for each address);
 * a copy of it comes another way. */
static bool mute_answers(struct world *w, struct datagram *d, void *user)
{
	(void)w;
	return datagram_type(d) != LM_MSG_RESP || !lm_endpoint_equal(&d->from, user);
}

static void test_answered_twice(void **state)
{
	(void)state;
	for (unsigned muted = 0; muted < 2; muted++) {
		struct lm_peer_info info;
		struct pair p;

		pair_begin(&p, 31);
		p.b->n_wan = 2;
		p.b->wan[1] = (struct lm_endpoint){{4, {198, 51, 100, 2}}, 4500};
		p.w.tap = mute_answers;
		p.w.tap_user = &p.b->wan[muted];
		node_start(p.a);
		node_start(p.b);
		assert_int_equal(node_tell(p.b, p.a), LM_TRUSTED);
		assert_true(world_until(&p.w, 2 * LM_SEC, pair_up_cond, &p));
		assert_true(node_up(p.b, p.a, &info));
		assert_int_equal(info.path.port, 1 - muted);
		assert_int_equal(counters(p.b)->handshakes_done, 1);
		world_free(&p.w);
	}
}

static void test_two_ports(void **state)
{
	const struct lm_endpoint second[2] = {{{4, {198, 51, 100, 1}}, 4500},
					      {{4, {198, 51, 100, 2}}, 4500}};

	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		uint64_t moves;
		struct pair p;

		pair_begin(&p, seed);
		p.a->n_wan = p.b->n_wan = 2;
		p.a->wan[1] = second[0];
		p.b->wan[1] = second[1];
		pair_connect(&p);
		pair_talk(&p, 10 * LM_SEC, 10 * LM_MSEC);
		/* both sides settle on one way */
		moves = counters(p.a)->moves + counters(p.b)->moves;
		assert_true(moves <= 4);
		assert_int_equal(pair_talk(&p, 30 * LM_SEC, 10 * LM_MSEC), 0);
		assert_int_equal(counters(p.a)->moves + counters(p.b)->moves, moves);
		/* a's port in use loses its address */
		p.w.esp_may_miss = true;
		p.a->n_wan = 1;
		p.b->n_wan = 1;
		node_local(p.a);
		node_local(p.b);
		assert_int_equal(counters(p.a)->sessions_down, 0);
		pair_talk(&p, 3 * LM_SEC, 10 * LM_MSEC);
		assert_true(pair_up(&p));
		assert_int_equal(node_peer_of(p.a, p.b)->path.port, 0);
		world_free(&p.w);
	}
}

/* ------------------------------------------------------------ candidates -- */

struct tally {
	struct {
		struct lm_endpoint to;
		uint64_t bytes, n;
		lm_time last, closest;
	} at[32];
	unsigned n;
};

static bool tally_tap(struct world *w, struct datagram *d, void *user)
{
	struct tally *t = user;
	unsigned i;

	for (i = 0; i < t->n; i++)
		if (lm_endpoint_equal(&t->at[i].to, &d->to))
			break;
	if (i == t->n) {
		assert_true(t->n < LM_ARRAY_SIZE(t->at));
		t->at[t->n].to = d->to;
		t->at[t->n++].closest = LM_TIME_NEVER;
	} else if (w->now - t->at[i].last < t->at[i].closest) {
		t->at[i].closest = w->now - t->at[i].last;
	}
	t->at[i].last = w->now;
	t->at[i].bytes += d->len;
	t->at[i].n++;
	return true;
}

static void announce(struct pair *p, struct node *n, const struct lm_endpoint *eps, unsigned n_eps,
		     uint64_t sequence)
{
	struct lm_announcement a = {.sequence = sequence, .lanes = 1};
	struct lm_error err;
	int len;

	memcpy(a.node, n->id->ed_public, LM_KEY_LEN);
	memcpy(a.mesh, n->cert_body.mesh, sizeof(a.mesh));
	a.n_endpoints = (uint8_t)n_eps;
	for (unsigned i = 0; i < n_eps; i++) {
		a.endpoints[i].kind = LM_EP_PUBLIC;
		a.endpoints[i].ep = eps[i];
	}
	len = lm_announcement_sign(n->id, &a, n->ann, sizeof(n->ann), &err);
	if (len < 0)
		world_fail(&p->w, "%s", err.text);
	n->ann_len = (size_t)len;
}

/* FAULTS row 14: a record full of victims, and records that keep coming. */
static void test_victims(void **state)
{
	struct lm_endpoint eps[LM_ENDPOINTS_MAX];
	struct tally t = {0};
	struct pair p;

	(void)state;
	pair_begin(&p, 40);
	node_start(p.a);
	for (unsigned i = 0; i < LM_ENDPOINTS_MAX; i++)
		eps[i] =
		    (struct lm_endpoint){lm_ip4((uint8_t[]){203, 0, 113, (uint8_t)(i + 1)}), 53};
	p.w.tap = tally_tap;
	p.w.tap_user = &t;
	for (unsigned i = 0; i < 30; i++) {
		announce(&p, p.b, eps, LM_ENDPOINTS_MAX, i + 1);
		assert_int_equal(node_tell(p.b, p.a), LM_TRUSTED);
		world_pass(&p.w, 2 * LM_SEC - LM_MSEC);
	}
	assert_int_equal(t.n, 10);
	for (unsigned i = 0; i < t.n; i++) {
		assert_true(t.at[i].bytes <= 5000);
		assert_true(t.at[i].closest >= 200 * LM_MSEC);
	}
	world_free(&p.w);
}

/* FAULTS row 32. The world fails when a datagram is sent to an overlay address. */
static void test_overlay(void **state)
{
	struct lm_endpoint eps[5];
	struct lm_mesh_counters before;
	struct datagram d = {.len = LM_INIT_LEN};
	struct node *c;
	struct pair p;

	(void)state;
	pair_begin(&p, 41);
	c = world_node(&p.w);
	node_start(p.a);
	node_start(p.b);
	node_start(c);
	assert_int_equal(node_tell(c, p.a), LM_TRUSTED);
	eps[0] = (struct lm_endpoint){lm_ip4((uint8_t[]){10, 0, 0, 5}), 4500};	 /* a's prefix */
	eps[1] = (struct lm_endpoint){lm_ip4((uint8_t[]){10, 2, 0, 5}), 4500};	 /* c's prefix */
	eps[2] = (struct lm_endpoint){lm_ip4((uint8_t[]){10, 255, 0, 3}), 4500}; /* c's overlay */
	eps[3] = (struct lm_endpoint){lm_ip4((uint8_t[]){224, 0, 0, 5}), 4500};	 /* multicast */
	eps[4] = (struct lm_endpoint){lm_ip4((uint8_t[]){127, 0, 0, 1}), 4500};
	announce(&p, p.b, eps, 3, 50);
	assert_int_equal(node_tell(p.b, p.a), LM_TRUSTED);
	assert_int_equal(counters(p.a)->bad_endpoint, 3);
	world_pass(&p.w, 30 * LM_SEC);
	assert_false(node_up(p.a, p.b, NULL));
	/* a datagram that came out of the tunnel */
	before = *counters(p.a);
	for (unsigned i = 0; i < 5; i++)
		lm_mesh_datagram(p.a->mesh, world_now(&p.w, p.a),
				 &(struct lm_path){.remote = eps[i]}, d.data, d.len);
	assert_int_equal(counters(p.a)->bad_endpoint, before.bad_endpoint + 5);
	/* ... also dressed up as IPv6 */
	eps[0].ip = lm_ip6((uint8_t[]){0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 5});
	lm_mesh_datagram(p.a->mesh, world_now(&p.w, p.a), &(struct lm_path){.remote = eps[0]},
			 d.data, d.len);
	assert_int_equal(counters(p.a)->bad_endpoint, before.bad_endpoint + 6);
	/* a session's packet from such an address moves nothing */
	announce(&p, p.b, &p.b->wan[0], 1, 51);
	assert_int_equal(node_tell(p.b, p.a), LM_TRUSTED);
	assert_true(world_until(&p.w, 3 * LM_SEC, pair_up_cond, &p));
	lm_mesh_moved(p.a->mesh, world_now(&p.w, p.a), node_peer_of(p.a, p.b)->session,
		      &(struct lm_path){.remote = eps[1]});
	world_pass(&p.w, 3 * LM_SEC);
	assert_int_equal(counters(p.a)->moves, 0);
	world_free(&p.w);
}

struct named {
	struct lm_ip ip;
	unsigned n;
};

static void count_candidate(void *user, const struct lm_candidate_info *c)
{
	struct named *named = user;

	named->n += lm_ip_equal(&c->ep.ip, &named->ip);
}

static void count_path(void *user, const struct lm_path_info *r)
{
	struct named *named = user;

	named->n += lm_ip_equal(&r->path.remote.ip, &named->ip);
}

/* The same when it turns out later that an address is inside the mesh. */
static void test_overlay_later(void **state)
{
	struct named named = {.ip = lm_ip4((uint8_t[]){10, 2, 0, 5})};
	struct lm_local_endpoint local[2] = {{.kind = LM_EP_HOST}, {.kind = LM_EP_PUBLIC}};
	struct lm_peer_info info;
	struct node *c;
	struct pair p;

	(void)state;
	pair_begin(&p, 44);
	node_start(p.a);
	node_start(p.b);
	local[0].ep = p.b->wan[0];
	local[1].ep = (struct lm_endpoint){named.ip, 4500};
	lm_mesh_local(p.b->mesh, world_now(&p.w, p.b), local, 2);
	assert_int_equal(node_tell(p.b, p.a), LM_TRUSTED);
	assert_true(world_until(&p.w, 3 * LM_SEC, pair_up_cond, &p));
	assert_true(node_up(p.a, p.b, &info));
	lm_mesh_candidates(p.a->mesh, info.index, count_candidate, &named);
	lm_mesh_paths(p.a->mesh, info.index, count_path, &named);
	assert_int_equal(named.n, 2);

	c = world_node(&p.w); /* 10.2.0.0/24; from now on the world watches what is sent there */
	node_start(c);
	assert_int_equal(node_tell(c, p.a), LM_TRUSTED);
	pair_talk(&p, 6 * LM_SEC, 20 * LM_MSEC);
	named.n = 0;
	lm_mesh_candidates(p.a->mesh, info.index, count_candidate, &named);
	lm_mesh_paths(p.a->mesh, info.index, count_path, &named);
	assert_int_equal(named.n, 0);
	assert_true(pair_up(&p));
	world_free(&p.w);
}

/* A site that is the way out of the mesh may carry 0.0.0.0/0. */
static void test_default_route(void **state)
{
	struct pair p;

	(void)state;
	pair_begin(&p, 42);
	p.b->cert_body.prefixes[1] = (struct lm_prefix){{4, {0}}, 0};
	p.b->cert_body.n_prefixes = 2;
	node_sign(p.b, p.w.authority);
	/* lm_cert_carries, by which the world looks for loops, takes it literally */
	p.b->cert_body.n_prefixes = 1;
	node_start(p.a);
	node_start(p.b);
	world_tell_all(&p.w);
	assert_true(world_until(&p.w, 3 * LM_SEC, pair_up_cond, &p));
	assert_int_equal(node_tell(p.b, p.a), LM_TRUSTED);
	world_free(&p.w);
}

/* The first addresses do not answer. */
static void test_several(void **state)
{
	struct lm_endpoint eps[3];
	struct pair p;

	(void)state;
	pair_begin(&p, 43);
	node_start(p.a);
	node_start(p.b);
	for (unsigned i = 0; i < 2; i++)
		eps[i] =
		    (struct lm_endpoint){lm_ip4((uint8_t[]){203, 0, 113, (uint8_t)(i + 1)}), 53};
	eps[2] = p.b->wan[0];
	announce(&p, p.b, eps, 3, 9);
	(void)node_tell(p.b, p.a);
	assert_true(world_until(&p.w, LM_SEC, pair_up_cond, &p));
	assert_int_equal(node_peer_of(p.a, p.b)->path.remote.ip.b[0], 192);
	/* found once, it is asked first */
	p.a->inits = 0;
	assert_int_equal(lm_mesh_rekey(p.a->mesh, world_now(&p.w, p.a), 0), 0);
	world_pass(&p.w, LM_SEC);
	assert_int_equal(p.a->inits, 1);
	p.w.esp_may_miss = true;
	node_stop(p.b, false);
	assert_true(world_until(&p.w, 15 * LM_SEC, a_lost_b, &p));
	world_free(&p.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_dead),	  cmocka_unit_test(test_quiet),
	    cmocka_unit_test(test_restart),	  cmocka_unit_test(test_rebinding),
	    cmocka_unit_test(test_challenge),	  cmocka_unit_test(test_spoofed),
	    cmocka_unit_test(test_two_ports),	  cmocka_unit_test(test_answered_twice),
	    cmocka_unit_test(test_victims),	  cmocka_unit_test(test_overlay),
	    cmocka_unit_test(test_overlay_later), cmocka_unit_test(test_several),
	    cmocka_unit_test(test_default_route),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
