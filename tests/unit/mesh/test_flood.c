/* SPDX-License-Identifier: BSD-3-Clause */
/* FAULTS rows 2, 3 and 4: who floods with message 1s, made up or recorded, keeps nobody out. */
#include "pair.h"

#include <lanemesh/noise.h>

#define MAC1_OFF (LM_INIT_LEN - 2 * LM_MAC_LEN)
#define MAC2_OFF (LM_INIT_LEN - LM_MAC_LEN)
#define BOTS	 24
#define MEMBERS	 40
#define RECORDED 100
#define BAR	 (5 * LM_SEC) /* a legitimate peer connects in so long */

struct bot {
	struct lm_endpoint at;
	struct datagram last; /* its message that was answered with a cookie */
	uint8_t cookie[LM_COOKIE_LEN];
	lm_time got; /* the cookie; 0 = none */
};

struct flood {
	struct pair p;
	struct node *victim;
	struct bot bots[BOTS];
	unsigned n_bots;
	uint8_t mac1_key[32], cookie_key[32];
	uint64_t dh, sent;
	lm_time second;
};

/* Bots get the cookies that are sent to them. */
static bool flood_tap(struct world *w, struct datagram *d, void *user)
{
	struct flood *f = user;
	struct lm_msg_cookie msg;

	if (datagram_type(d) != LM_MSG_COOKIE)
		return true;
	for (unsigned i = 0; i < f->n_bots; i++) {
		struct bot *b = &f->bots[i];

		if (!lm_endpoint_equal(&d->to, &b->at) ||
		    lm_msg_cookie_decode(d->data, d->len, &msg) != 0 ||
		    lm_cookie_open(f->cookie_key, msg.nonce, b->last.data + MAC1_OFF, msg.sealed,
				   b->cookie) != 0)
			continue;
		b->got = w->now;
		return false;
	}
	return true;
}

static void begin(struct flood *f, uint64_t seed)
{
	memset(f, 0, sizeof(*f));
	pair_begin(&f->p, seed);
	f->victim = f->p.b;
	lm_mac1_key(f->victim->id->x_public, f->mac1_key);
	lm_cookie_key(f->victim->id->x_public, f->cookie_key);
	f->p.w.tap = flood_tap;
	f->p.w.tap_user = f;
	f->p.w.delay = 40 * LM_MSEC;
	f->p.w.jitter = 10 * LM_MSEC;
	node_start(f->victim);
	f->second = f->p.w.now;
}

/* A message 1 that costs a Diffie-Hellman and is nobody's. */
static void made_up(struct flood *f, struct datagram *d)
{
	d->len = LM_INIT_LEN;
	world_random_bytes(&f->p.w, d->data, d->len);
	lm_msg_init_header(d->data, LM_SPI_MIN | (uint32_t)f->sent << 6);
	lm_mac1(f->mac1_key, d->data, LM_INIT_MACED, d->data + MAC1_OFF);
	memset(d->data + MAC2_OFF, 0, LM_MAC_LEN);
}

static void send_it(struct flood *f, const struct lm_endpoint *from, const struct datagram *d)
{
	f->sent++;
	world_inject(&f->p.w, from, &f->victim->wan[0], d->data, d->len, 0);
}

static struct lm_endpoint anywhere(struct flood *f)
{
	uint8_t b[4] = {(uint8_t)(11 + world_random(&f->p.w, 50))};

	world_random_bytes(&f->p.w, b + 1, 3);
	return (struct lm_endpoint){lm_ip4(b), 4500};
}

/* Without a cookie the same one, until there is an answer. */
static void from_bot(struct flood *f, struct bot *b, struct datagram *d)
{
	if (b->got != 0)
		lm_mac2(b->cookie, d->data, LM_INIT_MACED, d->data + MAC2_OFF);
	else if (b->last.len == 0)
		b->last = *d;
	send_it(f, &b->at, b->got != 0 ? d : &b->last);
}

/* In no second more than 500 Diffie-Hellmans. */
static void check_dh(struct flood *f)
{
	uint64_t dh = counters(f->victim)->dh;

	if (f->p.w.now - f->second < LM_SEC)
		return;
	assert_true(dh - f->dh <= 500);
	f->dh = dh;
	f->second += LM_SEC;
}

/* Members call the victim one after the other during the flood; each gets through. */
static void members_connect(struct flood *f, void (*burst)(struct flood *f), lm_time each)
{
	struct world *w = &f->p.w;
	lm_time called[MEMBERS] = {0};
	bool up[MEMBERS] = {false};
	unsigned n_up = 0, n = 0;
	struct node *m[MEMBERS];

	for (unsigned i = 0; i < MEMBERS; i++) {
		m[i] = world_node(w);
		node_start(m[i]);
	}
	for (lm_time t = 0; n_up < MEMBERS; t += each) {
		burst(f);
		world_pass(w, each);
		check_dh(f);
		if (n < MEMBERS && t >= LM_SEC + n * LM_SEC / 4) {
			called[n] = w->now;
			(void)node_tell(f->victim, m[n++]);
		}
		for (unsigned i = 0; i < n; i++) {
			if (up[i])
				continue;
			up[i] = node_up(m[i], f->victim, NULL) && node_up(f->victim, m[i], NULL);
			n_up += up[i];
			assert_true(up[i] || w->now - called[i] < BAR);
		}
	}
}

static void spoofed_burst(struct flood *f)
{
	struct datagram d;

	for (int i = 0; i < 10; i++) {
		struct lm_endpoint from = anywhere(f);

		made_up(f, &d);
		send_it(f, &from, &d);
	}
}

/* Row 2: 5,000 a second from made-up sources. */
static void test_spoofed(void **state)
{
	static struct flood f;

	(void)state;
	begin(&f, 1);
	f.p.w.loss = 20;
	members_connect(&f, spoofed_burst, 2 * LM_MSEC);
	assert_true(counters(f.victim)->cookie_sent > f.sent / 2);
	world_free(&f.p.w);
}

static void trickle(struct flood *f)
{
	struct lm_endpoint from = anywhere(f);
	struct datagram d;

	made_up(f, &d);
	send_it(f, &from, &d);
}

/* As many as can be without making us ask for cookies. */
static void test_below_limit(void **state)
{
	static struct flood f;

	(void)state;
	begin(&f, 2);
	members_connect(&f, trickle, LM_SEC / 470);
	world_free(&f.p.w);
}

static void bots_burst(struct flood *f)
{
	struct datagram d;

	for (unsigned i = 0; i < f->n_bots; i++) {
		made_up(f, &d);
		from_bot(f, &f->bots[i], &d);
	}
}

/* Row 3: few sources, each with cookies. */
static void test_bots(void **state)
{
	static struct flood f;

	(void)state;
	begin(&f, 3);
	f.n_bots = BOTS;
	for (unsigned i = 0; i < BOTS; i++)
		f.bots[i].at =
		    (struct lm_endpoint){lm_ip4((uint8_t[]){203, 0, 113, (uint8_t)(i + 1)}), 4500};
	members_connect(&f, bots_burst, 10 * LM_MSEC);
	assert_true(counters(f.victim)->rate_limited > f.sent / 3);
	assert_true(counters(f.victim)->dh > BOTS * 100);
	world_free(&f.p.w);
}

/* All of an IPv6 /64 is one source. */
static void test_prefix(void **state)
{
	static struct flood f;
	lm_time end;

	(void)state;
	begin(&f, 4);
	f.victim->wan[0] =
	    (struct lm_endpoint){lm_ip6((uint8_t[16]){0x20, 1, 0xd, 0xb8, 0, 9, [15] = 1}), 4500};
	node_local(f.victim);
	f.n_bots = BOTS;
	for (unsigned i = 0; i < BOTS; i++)
		f.bots[i].at = (struct lm_endpoint){
		    lm_ip6((uint8_t[16]){0x20, 1, 0xd, 0xb8, [14] = (uint8_t)i, [15] = 7}), 4500};
	end = f.p.w.now + 10 * LM_SEC;
	while (f.p.w.now < end) {
		bots_burst(&f);
		world_pass(&f.p.w, 10 * LM_MSEC);
	}
	assert_in_range(counters(f.victim)->dh, 100, 2 * (5 + 20 * 10));
	world_free(&f.p.w);
}

/* --------------------------------------------------------------- replays -- */

static unsigned record(struct flood *f, struct datagram *out)
{
	struct capture c = {.type = LM_MSG_INIT, .max = RECORDED, .drop = true, .d = out};
	struct world *w = &f->p.w;

	node_start(f->p.a);
	(void)node_tell(f->victim, f->p.a);
	w->tap = capture_tap;
	w->tap_user = &c;
	for (unsigned i = 0; i < 100000 && c.n < c.max; i++) {
		/* another place each time: what may go to one is little */
		f->victim->wan[0].ip.b[3] ^= (uint8_t)(1 + i % 255);
		node_local(f->victim);
		(void)node_tell(f->victim, f->p.a);
		world_pass(w, 100 * LM_MSEC);
	}
	assert_int_equal(c.n, RECORDED);
	w->tap = flood_tap;
	w->tap_user = f;
	return c.n;
}

enum replayer { NOBODY, ANYWHERE, AS_THE_PEER, BY_BOTS };

static bool both_up(struct world *w, void *user)
{
	(void)w;
	return pair_up(user);
}

/* Somebody recorded message 1s, and the one who would know them has restarted. */
static void replays(enum replayer who, lm_time each)
{
	static struct datagram recorded[RECORDED];
	static struct flood f;
	lm_time end;

	for (uint64_t seed = 10; seed < 12; seed++) {
		unsigned next = 0;

		begin(&f, seed);
		record(&f, recorded);
		node_stop(f.p.a, false);
		node_stop(f.victim, false);
		node_start(f.victim);
		node_start(f.p.a);
		world_pass(&f.p.w, 61 * LM_SEC);
		f.n_bots = BOTS;
		for (unsigned i = 0; i < BOTS; i++)
			f.bots[i].at = (struct lm_endpoint){
			    lm_ip4((uint8_t[]){203, 0, 113, (uint8_t)(i + 1)}), 4500};
		end = f.p.w.now + BAR;
		(void)node_tell(f.victim, f.p.a);
		for (unsigned i = 0; f.p.w.now < end && !both_up(NULL, &f.p); i++) {
			struct datagram d = recorded[next++ % RECORDED];
			struct lm_endpoint from = who == AS_THE_PEER ? f.p.a->wan[0] : anywhere(&f);

			if (who == BY_BOTS)
				from_bot(&f, &f.bots[i % BOTS], &d);
			else if (who != NOBODY)
				send_it(&f, &from, &d);
			world_pass(&f.p.w, each);
		}
		assert_true(pair_up(&f.p));
		world_free(&f.p.w);
	}
}

static void test_replays(void **state)
{
	(void)state;
	replays(NOBODY, LM_MSEC);
	replays(ANYWHERE, LM_SEC / 450);
	replays(ANYWHERE, LM_SEC / 3000);
	replays(AS_THE_PEER, LM_SEC / 19);
	replays(AS_THE_PEER, LM_SEC / 1000);
	replays(BY_BOTS, LM_SEC / 400);
}

/* More than 32 are remembered: those recorded come to nothing as long as nobody restarts. */
static void test_memory(void **state)
{
	static struct datagram recorded[RECORDED];
	static struct flood f;
	uint64_t replayed;

	(void)state;
	begin(&f, 20);
	record(&f, recorded);
	f.p.a->silent = true;
	(void)node_tell(f.p.a, f.victim); /* who is in the directory is not forgotten */
	for (unsigned round = 0; round < 2; round++) {
		replayed = counters(f.victim)->replayed;
		for (unsigned i = 0; i < RECORDED; i++) {
			send_it(&f, &f.p.a->wan[0], &recorded[i]);
			world_pass(&f.p.w, 60 * LM_MSEC);
		}
		world_pass(&f.p.w, 20 * LM_SEC);
	}
	assert_int_equal(counters(f.victim)->replayed - replayed, RECORDED);
	world_free(&f.p.w);
}

/* The responder has lost the half-open session: the initiator does not wait for it long. */
static bool drop_probes(struct world *w, struct datagram *d, void *user)
{
	(void)w;
	(void)user;
	return datagram_type(d) != LM_MSG_TRANSPORT;
}

static void test_half_open_lost(void **state)
{
	static struct flood f;

	(void)state;
	begin(&f, 30);
	node_start(f.p.a);
	f.p.w.tap = drop_probes;
	(void)node_tell(f.victim, f.p.a);
	world_pass(&f.p.w, 200 * LM_MSEC);
	assert_int_equal(f.p.a->sas_added, 1);
	node_stop(f.victim, false);
	node_start(f.victim);
	f.p.w.tap = NULL;
	assert_true(world_until(&f.p.w, BAR, both_up, &f.p));
	world_free(&f.p.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_spoofed),	   cmocka_unit_test(test_below_limit),
	    cmocka_unit_test(test_bots),	   cmocka_unit_test(test_prefix),
	    cmocka_unit_test(test_replays),	   cmocka_unit_test(test_memory),
	    cmocka_unit_test(test_half_open_lost),
	};

	if (lm_crypto_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
