/* SPDX-License-Identifier: BSD-3-Clause */
/* Two nodes find each other, agree on keys, and change them without losing a packet. */
#include "pair.h"

#include <lanemesh/esp.h>

#define SEEDS 300 /* of test_simultaneous */

static void test_up(void **state)
{
	struct pair p;

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct lm_peer_info info;

		pair_begin(&p, seed);
		pair_connect(&p);
		assert_int_equal(pair_talk(&p, 10 * LM_MSEC, 10 * LM_MSEC), 0);
		world_pass(&p.w, LM_SEC);
		assert_int_equal(p.a->esp_got, 1);
		assert_int_equal(p.b->esp_got, 1);
		assert_true(node_up(p.a, p.b, &info));
		assert_true(info.rtt >= 10 * LM_MSEC && info.rtt < 30 * LM_MSEC);
		assert_true(lm_endpoint_equal(&info.path.remote, &p.b->wan[0]));
		assert_non_null(info.ann);
		assert_int_equal(info.ann->sequence, 1);
		assert_int_equal(counters(p.a)->sessions_up, 1);
		world_free(&p.w);
	}
}

/* What one side seals with, the other opens with, lane by lane. */
struct lanes {
	struct lm_sa_export sa[64];
	unsigned n;
};

static void collect(void *user, const struct lm_sa_export *sa)
{
	struct lanes *l = user;

	assert_true(l->n < LM_ARRAY_SIZE(l->sa));
	l->sa[l->n++] = *sa;
}

static void test_keys(void **state)
{
	struct lanes a = {0}, b = {0};
	unsigned matched = 0;
	struct pair p;

	(void)state;
	pair_begin(&p, 3);
	pair_connect(&p);
	lm_mesh_export_keys(p.a->mesh, collect, &a);
	lm_mesh_export_keys(p.b->mesh, collect, &b);
	for (unsigned i = 0; i < a.n; i++) {
		for (unsigned j = 0; j < b.n; j++) {
			bool same = memcmp(&a.sa[i].key, &b.sa[j].key, sizeof(a.sa[i].key)) == 0;

			assert_true(same == (a.sa[i].spi == b.sa[j].spi));
			assert_true(!same || a.sa[i].inbound != b.sa[j].inbound);
			matched += same;
		}
		for (unsigned j = 0; j < i; j++)
			assert_memory_not_equal(&a.sa[i].key, &a.sa[j].key, sizeof(a.sa[i].key));
	}
	/* node 0 sends on one lane, node 1 on two; a session that lost a race may be there too */
	assert_true(matched >= 3);
	world_free(&p.w);
}

/* Handshakes from both sides, crossing in every way: one current session, the same on both sides,
 * and no packet on an SA that is not there (checked by the world). */
static void test_simultaneous(void **state)
{
	struct pair p;

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		pair_begin(&p, seed);
		p.w.delay = 1 * LM_MSEC;
		p.w.jitter = (seed % 5) * 20 * LM_MSEC;
		p.w.loss = seed % 3 * 150;
		p.w.duplicate = seed % 2 * 200;
		pair_start(&p);
		pair_talk(&p, 8 * LM_SEC, 5 * LM_MSEC);
		/* Of 200 pairs one loses all that both may send in a minute (FAULTS row 14), of
		 * ten million three times. */
		assert_true(world_until(&p.w, 190 * LM_SEC, pair_up_cond, &p));
		for (int i = 0; i < 4; i++) {
			/* both again, within the time of a datagram */
			(void)lm_mesh_rekey(p.a->mesh, world_now(&p.w, p.a), 0);
			world_pass(&p.w, world_random(&p.w, 30) * LM_MSEC);
			(void)lm_mesh_rekey(p.b->mesh, world_now(&p.w, p.b), 0);
			assert_int_equal(pair_talk(&p, 4 * LM_SEC, 5 * LM_MSEC), 0);
			assert_true(world_until(&p.w, 20 * LM_SEC, pair_up_cond, &p));
		}
		world_free(&p.w);
	}
}

static void test_rekey(void **state)
{
	struct pair p;

	(void)state;
	for (unsigned loss = 0; loss <= 50; loss += 25) {
		pair_begin(&p, 100 + loss);
		p.a->timers.rekey = p.b->timers.rekey = 2 * LM_SEC;
		p.a->timers.reject = p.b->timers.reject = 20 * LM_SEC;
		p.a->timers.overlap = p.b->timers.overlap = 4 * LM_SEC;
		pair_connect(&p);
		p.w.loss = loss;
		p.w.jitter = 20 * LM_MSEC;
		assert_int_equal(pair_talk(&p, 120 * LM_SEC, 5 * LM_MSEC), 0);
		p.w.loss = 0;
		world_pass(&p.w, LM_SEC);
		assert_true(counters(p.a)->rekeys >= 50);
		assert_int_equal(counters(p.a)->sessions_down, 0);
		assert_int_equal(counters(p.b)->sessions_down, 0);
		assert_int_equal(p.a->esp_lost_here + p.b->esp_lost_here, 0);
		if (loss == 0) {
			assert_int_equal(p.a->esp_sent, p.b->esp_got);
			assert_int_equal(p.b->esp_sent, p.a->esp_got);
		}
		assert_true(node_sas(p.a) <= 4);
		world_free(&p.w);
	}
}

/* Holds everything back; deliver() lets one message of a kind and sender through. */
static bool hold_all(struct world *w, struct datagram *d, void *user)
{
	struct capture *c = user;

	world_must(w, c->n < c->max);
	c->d[c->n++] = *d;
	return false;
}

static bool deliver(struct pair *p, struct capture *c, const struct node *from, uint8_t type)
{
	struct node *to = from == p->a ? p->b : p->a;

	for (unsigned i = 0; i < c->n; i++) {
		struct datagram d = c->d[i];

		if (datagram_type(&d) != type || !lm_endpoint_equal(&d.from, &from->wan[0]))
			continue;
		memmove(&c->d[i], &c->d[i + 1], (--c->n - i) * sizeof(d));
		node_deliver(to, 0, &d);
		return true;
	}
	return false;
}

/* Two handshakes cross, and the lesser node's probe comes after its answer to the greater one's. */
static void test_late_probe(void **state)
{
	static struct datagram held[64];
	struct capture c = {.max = 64, .d = held};
	struct node *g, *l;
	struct pair p;

	(void)state;
	pair_begin(&p, 15);
	g = memcmp(p.a->id->ed_public, p.b->id->ed_public, 32) > 0 ? p.a : p.b;
	l = g == p.a ? p.b : p.a;
	p.w.tap = hold_all;
	p.w.tap_user = &c;
	pair_start(&p);
	world_pass(&p.w, 20 * LM_MSEC);
	assert_true(deliver(&p, &c, g, LM_MSG_INIT) && deliver(&p, &c, l, LM_MSG_INIT));
	assert_true(deliver(&p, &c, g, LM_MSG_RESP) && deliver(&p, &c, l, LM_MSG_RESP));
	/* each probes on its own; the greater one's arrives and is answered first */
	assert_true(deliver(&p, &c, g, LM_MSG_TRANSPORT));
	for (unsigned i = 0; i < c.n; i++) { /* the lesser one's probe goes to the end */
		if (lm_endpoint_equal(&held[i].from, &l->wan[0])) {
			struct datagram late = held[i];

			memmove(&held[i], &held[i + 1], (c.n - 1 - i) * sizeof(late));
			held[c.n - 1] = late;
			break;
		}
	}
	while (deliver(&p, &c, l, LM_MSG_TRANSPORT))
		;
	assert_true(pair_up(&p));
	p.w.tap = NULL;
	assert_int_equal(pair_talk(&p, 15 * LM_SEC, 10 * LM_MSEC), 0);
	assert_true(pair_up(&p));
	world_free(&p.w);
}

/* No answer to a probe gets through, but ESP does: that is an answer too. */
static bool drop_answers(struct world *w, struct datagram *d, void *user)
{
	(void)w;
	return datagram_type(d) != LM_MSG_TRANSPORT || !lm_endpoint_equal(&d->from, user);
}

static void test_confirmed_by_esp(void **state)
{
	struct pair p;

	(void)state;
	pair_begin(&p, 16);
	p.w.tap = drop_answers;
	p.w.tap_user = &p.b->wan[0];
	node_start(p.a);
	node_start(p.b);
	(void)node_tell(p.b, p.a);
	world_pass(&p.w, LM_SEC);
	assert_true(node_up(p.b, p.a, NULL));
	assert_false(node_up(p.a, p.b, NULL));
	assert_true(node_send_esp(p.b, p.a));
	world_pass(&p.w, 2 * LM_SEC);
	assert_true(pair_up(&p));
	world_free(&p.w);
}

static bool drop_type(struct world *w, struct datagram *d, void *user)
{
	(void)w;
	return datagram_type(d) != *(const uint8_t *)user;
}

/* A session without a successor ends at `reject`, also when its packets still arrive. */
static void test_reject(void **state)
{
	uint8_t init = LM_MSG_INIT;
	struct pair p;

	(void)state;
	pair_begin(&p, 7);
	p.w.esp_may_miss = true;
	pair_connect(&p);
	p.w.tap = drop_type;
	p.w.tap_user = &init;
	assert_int_equal(pair_talk(&p, 175 * LM_SEC, 100 * LM_MSEC), 0);
	assert_true(counters(p.a)->handshakes_started > 3);
	pair_talk(&p, 10 * LM_SEC, 100 * LM_MSEC);
	assert_false(node_up(p.a, p.b, NULL));
	assert_false(node_up(p.b, p.a, NULL));
	assert_int_equal(node_sas(p.a) + node_sas(p.b), 0);
	p.w.tap = NULL;
	assert_true(world_until(&p.w, 11 * LM_SEC, pair_up_cond, &p));
	world_free(&p.w);
}

/* The responder takes over when the initiator does not rekey: its message 1s are lost. */
static bool drop_from(struct world *w, struct datagram *d, void *user)
{
	(void)w;
	return datagram_type(d) != LM_MSG_INIT || !lm_endpoint_equal(&d->from, user);
}

static void test_responder_rekeys(void **state)
{
	(void)state;
	for (int side = 0; side < 2; side++) {
		struct pair p;

		pair_begin(&p, 9);
		pair_connect(&p);
		p.w.tap = drop_from;
		p.w.tap_user = &(side == 0 ? p.a : p.b)->wan[0];
		assert_int_equal(pair_talk(&p, 150 * LM_SEC, 100 * LM_MSEC), 0);
		assert_true(counters(p.a)->rekeys >= 1);
		world_free(&p.w);
	}
}

static void test_soft_limit(void **state)
{
	struct node_peer *ab;
	struct pair p;

	(void)state;
	pair_begin(&p, 11);
	pair_connect(&p);
	ab = node_peer_of(p.a, p.b);
	ab->seq = LM_ESP_SOFT_LIMIT - 20;
	assert_int_equal(pair_talk(&p, 3 * LM_SEC, 100 * LM_MSEC), 0);
	assert_int_equal(counters(p.a)->rekeys, 1);
	assert_true(ab->seq < 100);
	world_free(&p.w);
}

/* FAULTS row 18: the peer answers, so nothing is lost; it does not, so sending stops, with an
 * alarm, until it does. */
static bool no_handshakes(struct world *w, struct datagram *d, void *user)
{
	(void)w, (void)user;
	return datagram_type(d) != LM_MSG_INIT;
}

static void test_hard_limit(void **state)
{
	struct node_peer *ab;
	uint64_t sent;
	struct pair p;

	(void)state;
	pair_begin(&p, 15);
	pair_connect(&p);
	ab = node_peer_of(p.a, p.b);
	ab->seq = LM_ESP_HARD_LIMIT - 10;
	assert_int_equal(pair_talk(&p, 3 * LM_SEC, 100 * LM_MSEC), 0);
	assert_int_equal(counters(p.a)->rekeys, 1);
	assert_int_equal(counters(p.a)->keys_spent, 0);

	ab->seq = LM_ESP_HARD_LIMIT - 10;
	p.w.tap = no_handshakes;
	sent = p.a->esp_sent;
	assert_int_equal(pair_talk(&p, 10 * LM_SEC, 100 * LM_MSEC), 90);
	assert_int_equal(p.a->esp_sent - sent, 10);
	assert_int_equal(ab->seq, LM_ESP_HARD_LIMIT);
	assert_int_equal(counters(p.a)->rekeys, 1);
	assert_int_equal(counters(p.a)->keys_spent, 1);
	assert_int_equal(counters(p.b)->keys_spent, 0);

	p.w.tap = NULL;
	world_pass(&p.w, 30 * LM_SEC);
	assert_true(counters(p.a)->rekeys >= 2);
	assert_int_equal(pair_talk(&p, LM_SEC, 100 * LM_MSEC), 0);
	assert_int_equal(counters(p.a)->sessions_down, 0);
	world_free(&p.w);
}

static void test_psk(void **state)
{
	struct pair p;

	(void)state;
	pair_begin(&p, 12);
	p.a->psk[5] = 1;
	pair_start(&p);
	world_pass(&p.w, 5 * LM_SEC);
	assert_false(node_up(p.a, p.b, NULL));
	assert_false(node_up(p.b, p.a, NULL));
	assert_true(counters(p.a)->handshake_bad + counters(p.b)->handshake_bad > 0);
	node_stop(p.b, false);
	p.b->psk[5] = 1;
	node_start(p.b);
	world_tell_all(&p.w);
	assert_true(world_until(&p.w, 2 * LM_SEC, pair_up_cond, &p));
	world_free(&p.w);
}

/* Of another mesh, even with the same keys. */
static void test_mesh_name(void **state)
{
	struct pair p;

	(void)state;
	pair_begin(&p, 13);
	memcpy(p.b->cert_body.mesh, "othermesh", 10);
	memcpy(p.b->authorities.mesh, "othermesh", 10);
	node_sign(p.b, p.w.authority);
	node_start(p.a);
	node_start(p.b);
	assert_int_equal(node_tell(p.a, p.b), LM_BAD_MESH);
	assert_int_equal(node_tell(p.b, p.a), LM_BAD_MESH);
	assert_int_equal(counters(p.a)->records_refused[LM_BAD_MESH], 1);
	world_pass(&p.w, 5 * LM_SEC);
	assert_int_equal(p.a->sent + p.b->sent, 0);
	world_free(&p.w);
}

static void test_goodbye(void **state)
{
	struct pair p;

	(void)state;
	pair_begin(&p, 14);
	p.w.esp_may_miss = true;
	pair_connect(&p);
	node_stop(p.b, true);
	world_pass(&p.w, 100 * LM_MSEC);
	assert_false(node_up(p.a, p.b, NULL));
	assert_int_equal(node_sas(p.a), 0);
	assert_false(node_send_esp(p.a, p.b));
	node_start(p.b);
	world_tell_all(&p.w);
	assert_true(world_until(&p.w, 3 * LM_SEC, pair_up_cond, &p));
	world_free(&p.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_up),	       cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_late_probe), cmocka_unit_test(test_confirmed_by_esp),
	    cmocka_unit_test(test_rekey),      cmocka_unit_test(test_simultaneous),
	    cmocka_unit_test(test_reject),     cmocka_unit_test(test_responder_rekeys),
	    cmocka_unit_test(test_soft_limit), cmocka_unit_test(test_hard_limit),
	    cmocka_unit_test(test_psk),	       cmocka_unit_test(test_mesh_name),
	    cmocka_unit_test(test_goodbye),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
