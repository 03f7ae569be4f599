/* SPDX-License-Identifier: BSD-3-Clause */
/* Nodes that lie or stammer, against the real server. */
#include "raw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct lm_coord_server_counters *count(struct world *w)
{
	return lm_coord_server_counters(w->server);
}

static struct lm_coord_server_info info(struct world *w)
{
	struct lm_coord_server_info i;

	lm_coord_server_info(w->server, &i);
	return i;
}

/* Limits that a test of many connections does not run into. */
static struct world *roomy(void)
{
	struct world *w = world_new();

	world_server_kill(w);
	w->limits.handshake_rate = 1000000;
	w->limits.handshake_burst = 1000000;
	world_server_start(w);
	return w;
}

static bool refused(struct raw *r, uint64_t code)
{
	return raw_expect(r, LM_COORD_ERROR) && r->last.number == code && !raw_is_open(r);
}

static void tick(struct world *w)
{
	lm_coord_server_tick(w->server, w->now);
}

/* ------------------------------------------------------------- handshake -- */

static void test_mutated_hello(void **state)
{
	struct world *w = roomy();
	struct site *s = site_new(w, false);
	struct raw r;
	uint64_t tried = 0;

	(void)state;
	for (size_t i = 0;; i++) {
		assert_true(raw_connect(&r, s));
		raw_hello(&r, s->id, s->cert, s->cert_len);
		if (i == r.hello_len)
			break;
		r.hello[i] ^= (uint8_t)(1u << i % 8);
		raw_send_hello(&r);
		assert_false(raw_is_open(&r));
		assert_false(raw_answered(&r));
		raw_close(&r);
		tried++;
	}
	assert_int_equal(count(w)->handshake_bad, tried);
	raw_send_hello(&r); /* the one that was left alone */
	assert_true(raw_answered(&r));
	raw_close(&r);
	world_free(w);
}

/* Every length of first record, and a stream of noise. */
static void test_garbage(void **state)
{
	struct world *w = roomy();
	struct site *s = site_new(w, false);
	uint8_t buf[4096];
	struct raw r;

	(void)state;
	for (size_t len = 0; len < sizeof(buf); len += len < 1300 ? 1 : 97) {
		uint8_t head[2] = {(uint8_t)(len >> 8), (uint8_t)len};

		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = (uint8_t)world_random(w);
		assert_true(raw_connect(&r, s));
		raw_bytes(&r, head, 2);
		raw_bytes(&r, buf, len);
		assert_false(raw_is_open(&r));
		assert_false(raw_answered(&r));
		raw_close(&r);
	}
	assert_int_equal(count(w)->handshake_bad, count(w)->accepted);
	assert_int_equal(info(w).connections, 0);
	world_free(w);
}

/* FAULTS row 4 for the link: a replayed message 1 must not touch the live connection. */
static void test_replayed_hello(void **state)
{
	struct world *w = roomy();
	struct site *s = site_new(w, false), *attacker = site_new(w, false);
	struct raw live, replay;

	(void)state;
	assert_true(raw_join(&live, s));
	raw_say(&live, &(struct lm_coord_msg){.type = LM_COORD_SYNC});
	for (unsigned i = 0; i < 50; i++) {
		uint8_t junk[64] = {0, 40};

		assert_true(raw_connect(&replay, attacker));
		memcpy(replay.hello, live.hello, live.hello_len);
		replay.hello_len = live.hello_len;
		raw_send_hello(&replay);
		assert_true(raw_is_open(&replay)); /* half open, no more */
		if (i % 2)
			raw_bytes(&replay, junk, 42);
		assert_int_equal(raw_is_open(&replay), i % 2 == 0);
		raw_close(&replay);
	}
	assert_true(raw_connect(&replay, attacker));
	memcpy(replay.hello, live.hello, live.hello_len);
	replay.hello_len = live.hello_len;
	raw_send_hello(&replay);
	w->now.mono += 6 * LM_SEC;
	tick(w);
	assert_false(raw_is_open(&replay)); /* and not for long */
	assert_true(raw_is_open(&live));
	raw_say(&live, &(struct lm_coord_msg){.type = LM_COORD_PING, .number = 3});
	assert_true(raw_expect(&live, LM_COORD_PONG));
	assert_int_equal(count(w)->replaced, 0);
	assert_int_equal(count(w)->handshake_timeout, 1);
	raw_close(&replay);
	raw_close(&live);
	world_free(w);
}

static void refuse_cert(struct world *w, struct site *s, enum lm_verdict v)
{
	uint64_t before = count(w)->cert_refused[v];
	struct raw r;

	assert_false(raw_join(&r, s) && raw_is_open(&r));
	assert_int_equal(r.revision, 0); /* a stranger learns nothing of the directory */
	assert_true(refused(&r, LM_COORD_E_CERT));
	assert_memory_equal(r.last.data, lm_verdict_text(v), r.last.data_len);
	assert_int_equal(count(w)->cert_refused[v], before + 1);
	assert_true(world_logged(w, lm_verdict_text(v)));
	raw_close(&r);
}

static void test_certificates(void **state)
{
	struct world *w = roomy();
	struct site *s = site_new(w, false), *t = site_new(w, false);
	struct lm_cert good = s->cert_fields;
	uint8_t list[4096];
	struct raw r;

	(void)state;
	s->cert_fields.not_after = WORLD_EPOCH - LM_TRUST_GRACE - 1;
	site_certify(s, NULL);
	refuse_cert(w, s, LM_EXPIRED);
	s->cert_fields = good;
	s->cert_fields.not_before = WORLD_EPOCH + LM_TRUST_GRACE + 100;
	site_certify(s, NULL);
	refuse_cert(w, s, LM_NOT_YET_VALID);
	s->cert_fields = good;
	site_certify(s, w->other);
	refuse_cert(w, s, LM_UNKNOWN_AUTHORITY);
	s->cert_fields = good;
	strcpy(s->cert_fields.mesh, "other");
	site_certify(s, NULL);
	refuse_cert(w, s, LM_BAD_MESH);
	s->cert_fields = good;
	site_certify(s, NULL);
	/* a good certificate, of another node than the one that speaks */
	assert_true(raw_connect(&r, s));
	raw_hello(&r, s->id, t->cert, t->cert_len);
	raw_send_hello(&r);
	assert_false(raw_answered(&r));
	assert_false(raw_is_open(&r));
	assert_true(world_logged(w, "another node"));
	raw_close(&r);
	assert_int_equal(lm_coord_server_revocation(w->server, w->now, list,
						    world_list(w, 1, &s, 1, list, sizeof(list))),
			 LM_TRUSTED);
	refuse_cert(w, s, LM_REVOKED);
	assert_true(raw_join(&r, t)); /* the others are not affected */
	raw_close(&r);
	world_free(w);
}

/* FAULTS row 12: a certificate with any byte changed. */
static void test_mutated_cert(void **state)
{
	struct world *w = roomy();
	struct site *s = site_new(w, false);
	uint64_t bad = 0;
	struct raw r;

	(void)state;
	for (size_t i = 0; i < s->cert_len; i++) {
		uint8_t cert[LM_CERT_MAX];

		memcpy(cert, s->cert, s->cert_len);
		cert[i] ^= (uint8_t)(1u << i % 8);
		assert_true(raw_connect(&r, s));
		raw_hello(&r, s->id, cert, s->cert_len);
		raw_send_hello(&r);
		assert_false(raw_is_open(&r));
		raw_close(&r);
	}
	for (int v = 0; v < LM_VERDICT_COUNT; v++)
		bad += count(w)->cert_refused[v];
	bad += count(w)->handshake_bad - count(w)->cert_refused[LM_BAD_ENCODING];
	assert_int_equal(bad, s->cert_len);
	assert_int_equal(count(w)->cert_refused[LM_TRUSTED], 0);
	world_free(w);
}

/* -------------------------------------------------------------- messages -- */

/* Each type with each length but the right one, and those that only coordinators send. */
static void test_malformed(void **state)
{
	struct world *w = roomy();
	struct site *s = site_new(w, false);
	uint8_t ann[LM_ANNOUNCE_MAX], list[4096], buf[8192];
	size_t ann_len = site_announcement(s, 1, ann);
	struct lm_coord_msg node_says[] = {
	    {.type = LM_COORD_PUBLISH, .data = ann, .data_len = ann_len},
	    {.type = LM_COORD_SYNC},
	    {.type = LM_COORD_REVOCATION, .data = list},
	    {.type = LM_COORD_PING},
	    {.type = LM_COORD_PONG},
	};
	struct lm_coord_msg others_say[] = {
	    {.type = LM_COORD_PUBLISHED},
	    {.type = LM_COORD_RECORD,
	     .cert = s->cert,
	     .cert_len = s->cert_len,
	     .data = ann,
	     .data_len = ann_len},
	    {.type = LM_COORD_REMOVED},
	    {.type = LM_COORD_SYNCED},
	    {.type = LM_COORD_ERROR, .number = 1},
	};
	uint64_t before;
	struct raw r;

	(void)state;
	node_says[2].data_len = world_list(w, 1, NULL, 0, list, sizeof(list));
	for (size_t i = 0; i < LM_ARRAY_SIZE(node_says); i++) {
		int n = lm_coord_msg_encode(&node_says[i], buf, sizeof(buf));

		assert_true(n > 0);
		for (int len = 0; len <= n + 1; len++) {
			if (len == n)
				continue;
			before = count(w)->protocol_bad;
			assert_true(raw_join(&r, s));
			buf[n] = 0;
			raw_send(&r, buf, (size_t)len);
			assert_true(refused(&r, LM_COORD_E_PROTOCOL));
			assert_int_equal(count(w)->protocol_bad, before + 1);
			raw_close(&r);
		}
	}
	for (size_t i = 0; i < LM_ARRAY_SIZE(others_say); i++) {
		assert_true(raw_join(&r, s));
		raw_say(&r, &others_say[i]);
		assert_true(refused(&r, LM_COORD_E_PROTOCOL));
		raw_close(&r);
	}
	/* twice the same request; types of a later version are passed over */
	assert_true(raw_join(&r, s));
	raw_send(&r, (const uint8_t *)"\x21later", 6);
	raw_send(&r, (const uint8_t *)"\xff", 1);
	raw_say(&r, &node_says[1]);
	assert_true(raw_is_open(&r));
	raw_say(&r, &node_says[1]);
	assert_true(refused(&r, LM_COORD_E_PROTOCOL));
	raw_close(&r);
	assert_int_equal(info(w).nodes, 0);
	world_free(w);
}

/* A record on which a bit was changed on the way, sent twice, or left out. */
static void test_broken_seal(void **state)
{
	struct world *w = roomy();
	struct site *s = site_new(w, false);
	uint8_t rec[64], *out;
	struct raw r;

	(void)state;
	for (unsigned i = 0; i < 27; i++) {
		assert_true(raw_join(&r, s));
		assert_int_equal(
		    lm_pipe_put(&r.pipe, &(struct lm_coord_msg){.type = LM_COORD_PING}), 0);
		out = r.pipe.out + r.pipe.out_head;
		assert_int_equal(r.pipe.out_len, 27);
		memcpy(rec, out, 27);
		if (i >= 2) { /* a changed length waits for more, or is cut short */
			rec[i] ^= 0x10;
			raw_bytes(&r, rec, 27);
			assert_false(raw_is_open(&r));
		} else if (i == 0) { /* replayed within the connection */
			raw_bytes(&r, rec, 27);
			assert_true(raw_is_open(&r));
			raw_bytes(&r, rec, 27);
			assert_false(raw_is_open(&r));
		} else { /* one left out */
			raw_say(&r, &(struct lm_coord_msg){.type = LM_COORD_PING});
			assert_false(raw_is_open(&r));
		}
		raw_close(&r);
	}
	assert_int_equal(count(w)->protocol_bad, 27);
	world_free(w);
}

/* FAULTS row 12: an announcement with any byte changed, or not the node's to make. */
static void test_records(void **state)
{
	struct world *w = roomy();
	struct site *s = site_new(w, false), *t = site_new(w, false);
	uint8_t ann[LM_ANNOUNCE_MAX];
	size_t len = site_announcement(s, 1, ann);
	struct lm_coord_msg m = {.type = LM_COORD_PUBLISH, .data = ann, .data_len = len};
	uint64_t bad = 0;
	struct raw r;

	(void)state;
	for (size_t i = 0; i < len; i++) {
		ann[i] ^= (uint8_t)(1u << i % 8);
		assert_true(raw_join(&r, s));
		raw_say(&r, &m);
		assert_true(refused(&r, LM_COORD_E_RECORD));
		ann[i] ^= (uint8_t)(1u << i % 8);
		raw_close(&r);
	}
	for (int v = 0; v < LM_VERDICT_COUNT; v++)
		bad += count(w)->record_refused[v];
	assert_int_equal(bad, len);
	/* another node's, well signed */
	assert_true(raw_join(&r, t));
	raw_say(&r, &m);
	assert_true(refused(&r, LM_COORD_E_RECORD));
	assert_int_equal(count(w)->record_refused[LM_WRONG_NODE] > 0, 1);
	raw_close(&r);
	/* a prefix that is another site's */
	s->cert_fields.prefixes[0] = t->cert_fields.prefixes[0];
	m.data_len = site_announcement(s, 2, ann);
	assert_true(raw_join(&r, s));
	raw_say(&r, &m);
	assert_true(refused(&r, LM_COORD_E_RECORD));
	assert_int_equal(count(w)->record_refused[LM_OUTSIDE_CERT], 1);
	raw_close(&r);
	tick(w);
	assert_int_equal(info(w).nodes, 0);
	assert_int_equal(info(w).revision, 0);
	world_free(w);
}

/* Old announcements do not replace newer ones, and one number is used once. */
static void test_replayed_records(void **state)
{
	struct world *w = roomy();
	struct site *s = site_new(w, false);
	uint8_t a5[LM_ANNOUNCE_MAX], a4[LM_ANNOUNCE_MAX], other5[LM_ANNOUNCE_MAX];
	struct lm_coord_msg m = {.type = LM_COORD_PUBLISH};
	size_t n5 = site_announcement(s, 5, a5), n4 = site_announcement(s, 4, a4), n;
	struct raw r;

	(void)state;
	s->from.port++;
	n = site_announcement(s, 5, other5);
	assert_true(raw_join(&r, s));
	m.data = a5;
	m.data_len = n5;
	raw_say(&r, &m);
	assert_int_equal(raw_next(&r), 0); /* not durable yet, not acknowledged yet */
	tick(w);
	assert_true(raw_expect(&r, LM_COORD_PUBLISHED));
	assert_int_equal(r.last.number, 5);
	m.data = a4;
	m.data_len = n4;
	raw_say(&r, &m);
	tick(w);
	assert_true(raw_expect(&r, LM_COORD_PUBLISHED));
	assert_int_equal(r.last.number, 5); /* it learns what we hold */
	assert_int_equal(info(w).revision, 1);
	m.data = other5;
	m.data_len = n;
	raw_say(&r, &m);
	assert_true(refused(&r, LM_COORD_E_RECORD));
	assert_int_equal(info(w).revision, 1);
	raw_close(&r);
	world_free(w);
}

static void test_bad_lists(void **state)
{
	struct world *w = roomy();
	struct site *s = site_new(w, false);
	struct lm_identity *keep = w->authority;
	uint8_t list[4096];
	struct lm_coord_msg m = {.type = LM_COORD_REVOCATION, .data = list};
	struct raw r;

	(void)state;
	m.data_len = world_list(w, 9, NULL, 0, list, sizeof(list));
	for (size_t i = 0; i < m.data_len; i++) {
		list[i] ^= 0x40;
		assert_true(raw_join(&r, s));
		raw_say(&r, &m);
		assert_true(refused(&r, LM_COORD_E_RECORD));
		list[i] ^= 0x40;
		raw_close(&r);
	}
	w->authority = w->other; /* signed well, by nobody who may */
	m.data_len = world_list(w, 9, &s, 1, list, sizeof(list));
	w->authority = keep;
	assert_true(raw_join(&r, s));
	raw_say(&r, &m);
	assert_true(refused(&r, LM_COORD_E_RECORD));
	assert_int_equal(count(w)->record_refused[LM_UNKNOWN_AUTHORITY] > 0, 1);
	assert_int_equal(count(w)->revocations, 0);
	raw_close(&r);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_mutated_hello),    cmocka_unit_test(test_garbage),
	    cmocka_unit_test(test_replayed_hello),   cmocka_unit_test(test_certificates),
	    cmocka_unit_test(test_mutated_cert),     cmocka_unit_test(test_malformed),
	    cmocka_unit_test(test_broken_seal),	     cmocka_unit_test(test_records),
	    cmocka_unit_test(test_replayed_records), cmocka_unit_test(test_bad_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
