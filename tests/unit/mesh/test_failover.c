/* SPDX-License-Identifier: BSD-3-Clause */
/* Paths: what is left, how fast, and what is not. */
#include "pair.h"

#include <stdlib.h>

static const struct lm_endpoint second[2] = {{{4, {198, 51, 100, 1}}, 4500},
					     {{4, {198, 51, 100, 2}}, 4500}};

/* What does not get through. */
struct cut {
	struct pair *p;
	bool to_a[2][2], to_b[2][2]; /* by a's port and b's */
	unsigned slow[2][2];	     /* not cut, but lost so often, in 1,000 */
};

static int port_of(const struct node *n, const struct lm_endpoint *ep)
{
	for (int i = 0; i < n->n_wan; i++)
		if (lm_endpoint_equal(&n->wan[i], ep))
			return i;
	return -1;
}

static bool cut_tap(struct world *w, struct datagram *d, void *user)
{
	const struct cut *c = user;
	int a = port_of(c->p->a, &d->from), b = port_of(c->p->b, &d->to);
	bool from_a = a >= 0 && b >= 0;

	if (!from_a) {
		a = port_of(c->p->a, &d->to);
		b = port_of(c->p->b, &d->from);
	}
	if (a < 0 || b < 0)
		return true;
	if (world_random(w, 1000) < c->slow[a][b])
		return false;
	return !(from_a ? c->to_b[a][b] : c->to_a[a][b]);
}

static void pair_two_ports(struct pair *p, struct cut *c, uint64_t seed)
{
	pair_begin(p, seed);
	p->a->n_wan = p->b->n_wan = 2;
	p->a->wan[1] = second[0];
	p->b->wan[1] = second[1];
	*c = (struct cut){.p = p};
	p->w.tap = cut_tap;
	p->w.tap_user = c;
	pair_connect(p);
	pair_talk(p, 5 * LM_SEC, 20 * LM_MSEC);
}

static void cut_path(struct cut *c, const struct lm_path *path, bool to_a, bool to_b)
{
	int b = port_of(c->p->b, &path->remote);

	assert_true(b >= 0);
	c->to_a[path->port][b] = to_a;
	c->to_b[path->port][b] = to_b;
}

static void heal(struct cut *c)
{
	memset(c->to_a, 0, sizeof(c->to_a));
	memset(c->to_b, 0, sizeof(c->to_b));
}

static uint64_t failovers(const struct pair *p)
{
	return counters(p->a)->failovers + counters(p->b)->failovers;
}

enum senders { A_SENDS = 1, B_SENDS = 2, BOTH_SEND = A_SENDS | B_SENDS };

/* They send each 5 ms; returns the longest time in which one who should get some got nothing. */
static lm_time longest_gap(struct pair *p, enum senders who, lm_time how_long)
{
	lm_time end = p->w.now + how_long, worst = 0, last[2] = {p->w.now, p->w.now};
	struct node *n[2] = {p->a, p->b};
	uint64_t got[2] = {p->a->esp_got, p->b->esp_got};

	while (p->w.now < end) {
		if (who & A_SENDS)
			(void)node_send_esp(p->a, p->b);
		if (who & B_SENDS)
			(void)node_send_esp(p->b, p->a);
		world_pass(&p->w, 5 * LM_MSEC);
		for (int i = 0; i < 2; i++) {
			if (n[i]->esp_got != got[i] || (who & (i == 0 ? B_SENDS : A_SENDS)) == 0)
				last[i] = p->w.now;
			got[i] = n[i]->esp_got;
			if (p->w.now - last[i] > worst)
				worst = p->w.now - last[i];
		}
	}
	return worst;
}

static int compare(const void *a, const void *b)
{
	const lm_time *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

#define CUTS 40
/* The path of a is cut, both ways or one: median at most 400 ms, worst 800 ms, no handshake. */
static void cut_again_and_again(enum senders who)
{
	lm_time gaps[CUTS];

	for (unsigned i = 0; i < CUTS; i++) {
		struct node_peer *ab;
		uint64_t done, moves;
		struct cut c;
		struct pair p;

		pair_two_ports(&p, &c, 100 + i);
		p.w.delay = (1 + i % 20) * LM_MSEC;
		p.w.jitter = (i % 3) * LM_MSEC;
		(void)longest_gap(&p, who, 5 * LM_SEC + i * 7 * LM_MSEC);
		done = counters(p.a)->handshakes_done;
		moves = counters(p.a)->moves;
		ab = node_peer_of(p.a, p.b);
		cut_path(&c, &ab->path, i % 4 != 1, i % 4 != 2);
		gaps[i] = longest_gap(&p, who, 5 * LM_SEC);
		assert_true(counters(p.a)->moves > moves);
		assert_true(pair_up(&p));
		assert_int_equal(counters(p.a)->handshakes_done, done);
		assert_true(node_peer_of(p.a, p.b)->reachable);
		world_free(&p.w);
	}
	qsort(gaps, CUTS, sizeof(gaps[0]), compare);
	print_message("outage: median %llu ms, worst %llu ms\n",
		      (unsigned long long)(gaps[CUTS / 2] / LM_MSEC),
		      (unsigned long long)(gaps[CUTS - 1] / LM_MSEC));
	assert_true(gaps[CUTS / 2] <= 400 * LM_MSEC);
	assert_true(gaps[CUTS - 1] <= 800 * LM_MSEC);
}

static void test_cut(void **state)
{
	(void)state;
	cut_again_and_again(BOTH_SEND);
}

/* Only one sends: what comes back are probes, on whatever path the other one uses. */
static void test_cut_one_sends(void **state)
{
	(void)state;
	cut_again_and_again(A_SENDS);
	cut_again_and_again(B_SENDS);
}

static bool esp_tap(struct world *w, struct datagram *d, void *user)
{
	(void)w;
	(void)user;
	return lm_demux(d->data, d->len) == LM_DEMUX_ESP;
}

/* Nobody answers for a while, on any path: a peer whose control is slow, not a path that is dead.
 */
static void test_slow_peer(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 20; i++) {
		lm_time gap;
		struct cut c;
		struct pair p;

		pair_two_ports(&p, &c, 400 + i);
		(void)longest_gap(&p, i % 2 ? BOTH_SEND : A_SENDS, 4 * LM_SEC + i * 31 * LM_MSEC);
		p.w.tap = esp_tap;
		gap = longest_gap(&p, i % 2 ? BOTH_SEND : A_SENDS,
				  i % 2 ? 2 * LM_SEC : 900 * LM_MSEC);
		p.w.tap = NULL;
		(void)longest_gap(&p, BOTH_SEND, 4 * LM_SEC);
		assert_int_equal(failovers(&p), 0);
		assert_true(gap <= 20 * LM_MSEC);
		assert_true(pair_up(&p));
		world_free(&p.w);
	}
}

/* Ten minutes with 5 % loss each way, whoever sends: nothing is taken for dead. */
static void test_loss(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct cut c;
		struct pair p;
		lm_time end;

		pair_two_ports(&p, &c, 200 + seed);
		p.w.loss = 50;
		end = p.w.now + 600 * LM_SEC;
		while (p.w.now < end) {
			(void)node_send_esp(p.a, p.b);
			if (seed % 2)
				(void)node_send_esp(p.b, p.a);
			world_pass(&p.w, 20 * LM_MSEC);
		}
		assert_int_equal(failovers(&p), 0);
		assert_int_equal(counters(p.a)->sessions_down, 0);
		assert_true(counters(p.a)->moves + counters(p.b)->moves <= 8);
		world_free(&p.w);
	}
}

static void best_path(void *user, const struct lm_path_info *path)
{
	struct lm_path_info *out = user;

	if (path->active)
		*out = *path;
}

static struct lm_path_info active(struct node *a, struct node *b)
{
	struct lm_path_info out = {0};
	struct lm_peer_info info;

	assert_true(node_up(a, b, &info));
	lm_mesh_paths(a->mesh, info.index, best_path, &out);
	assert_true(out.active);
	return out;
}

/* Loss moves traffic to a path without; it stays there, and what is measured is what is. */
static void test_lossy_path(void **state)
{
	struct lm_path_info before, after;
	struct cut c;
	struct pair p;
	uint64_t moves;

	(void)state;
	pair_two_ports(&p, &c, 300);
	before = active(p.a, p.b);
	c.slow[before.path.port][port_of(p.b, &before.path.remote)] = 200;
	pair_talk(&p, 120 * LM_SEC, 20 * LM_MSEC);
	after = active(p.a, p.b);
	assert_false(lm_endpoint_equal(&after.path.remote, &before.path.remote) &&
		     after.path.port == before.path.port);
	assert_true(after.loss < 0.02);
	assert_int_equal(failovers(&p), 0);
	assert_true(after.rtt >= 10 * LM_MSEC && after.rtt < 11 * LM_MSEC);
	assert_true(after.jitter < LM_MSEC && after.state == LM_PATH_ALIVE);
	moves = counters(p.a)->moves + counters(p.b)->moves;
	pair_talk(&p, 120 * LM_SEC, 20 * LM_MSEC);
	assert_int_equal(counters(p.a)->moves + counters(p.b)->moves, moves);
	world_free(&p.w);
}

/* Round trips a little apart move nothing; far apart they do, once. */
static void test_hysteresis(void **state)
{
	uint64_t moves;
	struct cut c;
	struct pair p;

	(void)state;
	pair_two_ports(&p, &c, 310);
	p.w.jitter = 2 * LM_MSEC;
	moves = counters(p.a)->moves + counters(p.b)->moves;
	for (int i = 0; i < 20; i++) { /* swings by 2 ms from port to port */
		p.a->latency[i % 2] = 2 * LM_MSEC;
		p.a->latency[1 - i % 2] = 0;
		pair_talk(&p, 6 * LM_SEC, 20 * LM_MSEC);
	}
	assert_int_equal(counters(p.a)->moves + counters(p.b)->moves, moves);
	p.a->latency[active(p.a, p.b).path.port] = 40 * LM_MSEC;
	p.a->latency[1 - active(p.a, p.b).path.port] = 0;
	pair_talk(&p, 60 * LM_SEC, 20 * LM_MSEC);
	assert_int_equal(p.a->latency[active(p.a, p.b).path.port], 0);
	assert_true(counters(p.a)->moves + counters(p.b)->moves - moves <= 4);
	assert_int_equal(failovers(&p), 0);
	world_free(&p.w);
}

/* FAULTS row 24: ten times a minute everything is cut. No handshakes; back within 2 s of the end of
 * each cut. */
static void test_flap(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		uint64_t started;
		struct cut c;
		struct pair p;

		pair_two_ports(&p, &c, 320 + seed);
		started = counters(p.a)->handshakes_started + counters(p.b)->handshakes_started;
		for (int i = 0; i < 20; i++) {
			uint64_t got;

			memset(c.to_a, 1, sizeof(c.to_a));
			memset(c.to_b, 1, sizeof(c.to_b));
			pair_talk(&p, 3 * LM_SEC, 20 * LM_MSEC);
			assert_false(node_peer_of(p.a, p.b)->reachable);
			heal(&c);
			pair_talk(&p, 2 * LM_SEC, 20 * LM_MSEC);
			got = p.a->esp_got;
			pair_talk(&p, LM_SEC, 20 * LM_MSEC);
			assert_true(p.a->esp_got >= got + 45);
			assert_true(node_peer_of(p.a, p.b)->reachable);
		}
		assert_true(counters(p.a)->handshakes_started + counters(p.b)->handshakes_started -
				started <=
			    20);
		assert_int_equal(counters(p.a)->sessions_down, 0);
		world_free(&p.w);
	}
}

/* A path that dies again and again is trusted later each time; the one that works is kept. */
static void test_damping(void **state)
{
	uint64_t before;
	struct lm_path bad;
	struct cut c;
	struct pair p;

	(void)state;
	pair_two_ports(&p, &c, 330);
	bad = active(p.a, p.b).path;
	p.a->latency[1 - bad.port] = 30 * LM_MSEC; /* the bad one is the shorter */
	before = counters(p.a)->moves;
	for (int i = 0; i < 20; i++) {
		cut_path(&c, &bad, true, true);
		pair_talk(&p, 2 * LM_SEC, 20 * LM_MSEC);
		cut_path(&c, &bad, false, false);
		pair_talk(&p, 8 * LM_SEC, 20 * LM_MSEC);
	}
	assert_true(counters(p.a)->moves - before <= 12);
	world_free(&p.w);
}

/* Another address, with and without another port: no handshake, and traffic within a second. */
static void test_address_change(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 24; i++) {
		bool two = i % 2;
		uint64_t done;
		struct pair p;
		lm_time gap;

		pair_begin(&p, 340 + i);
		if (two) {
			p.a->n_wan = p.b->n_wan = 2;
			p.a->wan[1] = second[0];
			p.b->wan[1] = second[1];
		}
		pair_connect(&p);
		pair_talk(&p, 5 * LM_SEC, 20 * LM_MSEC);
		done = counters(p.a)->handshakes_done + counters(p.b)->handshakes_done;
		p.w.esp_may_miss = true;
		p.a->wan[node_peer_of(p.a, p.b)->path.port].ip.b[3] += 100;
		node_local(p.a);
		gap = longest_gap(&p, BOTH_SEND, 3 * LM_SEC);
		assert_true(gap <= LM_SEC);
		assert_true(pair_up(&p));
		assert_int_equal(counters(p.a)->handshakes_done + counters(p.b)->handshakes_done,
				 done);
		world_free(&p.w);
	}
}

/* A port loses its address while nobody sends; then somebody does. */
static void test_port_gone(void **state)
{
	struct cut c;
	struct pair p;
	uint64_t got;
	uint16_t lost;

	(void)state;
	pair_two_ports(&p, &c, 370);
	world_pass(&p.w, 20 * LM_SEC);
	lost = node_peer_of(p.a, p.b)->path.port;
	if (lost == 0)
		p.a->wan[0] = p.a->wan[1];
	p.a->n_wan = 1;
	p.w.tap = NULL;
	lm_mesh_local(p.a->mesh, world_now(&p.w, p.a),
		      &(struct lm_local_endpoint){.port = 0, .kind = LM_EP_HOST, .ep = p.a->wan[0]},
		      1);
	world_pass(&p.w, 3 * LM_SEC);
	got = p.b->esp_got;
	pair_talk(&p, LM_SEC, 50 * LM_MSEC);
	world_pass(&p.w, 100 * LM_MSEC);
	assert_int_equal(p.b->esp_got, got + 20);
	assert_int_equal(counters(p.a)->sessions_down, 0);
	world_free(&p.w);
}

/* Both ends keep paths open when nobody sends, and at what price. */
static void test_idle(void **state)
{
	uint64_t sent;
	struct cut c;
	struct pair p;

	(void)state;
	pair_two_ports(&p, &c, 380);
	world_pass(&p.w, 60 * LM_SEC);
	sent = p.a->sent + p.b->sent;
	world_pass(&p.w, 600 * LM_SEC);
	sent = p.a->sent + p.b->sent - sent;
	/* The path in use each 5 s; three others each 15 to 25 s, from either side; and answers. */
	assert_true(sent <= 2 * (600 / 5 + 2 * 3 * 600 / 20) + 60);
	assert_true(sent >= 2 * 600 / 6);
	world_free(&p.w);
}

/* FAULTS row 14: a record full of victims, while there is a session and traffic. */
static void test_victims_beside_session(void **state)
{
	struct lm_announcement a = {.sequence = 1000, .lanes = 1, .n_endpoints = 9};
	struct lm_error err;
	struct pair p;
	uint64_t bytes;
	int len;

	(void)state;
	pair_begin(&p, 390);
	pair_connect(&p);
	memcpy(a.node, p.b->id->ed_public, LM_KEY_LEN);
	memcpy(a.mesh, p.b->cert_body.mesh, sizeof(a.mesh));
	for (unsigned i = 0; i < 9; i++) {
		a.endpoints[i].kind = LM_EP_PUBLIC;
		a.endpoints[i].ep =
		    (struct lm_endpoint){lm_ip4((uint8_t[]){203, 0, 113, (uint8_t)(i + 1)}), 53};
	}
	len = lm_announcement_sign(p.b->id, &a, p.b->ann, sizeof(p.b->ann), &err);
	assert_true(len > 0);
	p.b->ann_len = (size_t)len;
	assert_int_equal(node_tell(p.b, p.a), LM_TRUSTED);
	bytes = p.a->sent_bytes;
	pair_talk(&p, 60 * LM_SEC, 20 * LM_MSEC);
	/* To the nine of them at most 5 kB each; the rest is for b: 2 messages a second or so. */
	bytes = p.a->sent_bytes - bytes;
	assert_true(bytes <= 9 * 5000 + 60 * 3 * 100);
	assert_true(pair_up(&p));
	world_free(&p.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_cut_one_sends),
	    cmocka_unit_test(test_slow_peer),
	    cmocka_unit_test(test_loss),
	    cmocka_unit_test(test_lossy_path),
	    cmocka_unit_test(test_hysteresis),
	    cmocka_unit_test(test_flap),
	    cmocka_unit_test(test_damping),
	    cmocka_unit_test(test_address_change),
	    cmocka_unit_test(test_port_gone),
	    cmocka_unit_test(test_idle),
	    cmocka_unit_test(test_victims_beside_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
