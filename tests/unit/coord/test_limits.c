/* SPDX-License-Identifier: BSD-3-Clause */
/* Nodes that flood, stall or come twice: the server's limits. */
#include "raw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
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

static void test_connection_limits(void **state)
{
	struct world *w = world_new();
	struct raw r[WORLD_SITES], extra;
	struct site *s[WORLD_SITES];

	(void)state;
	world_server_kill(w);
	w->limits.connections = 10;
	w->limits.connections_from = 4;
	w->limits.handshake_rate = 1;
	w->limits.handshake_burst = 6;
	world_server_start(w);
	for (unsigned i = 0; i < 12; i++) {
		s[i] = site_new(w, false);
		/* four from one /64, the others from addresses of their own */
		if (i < 5) {
			char text[64];

			snprintf(text, sizeof(text), "[2001:db8:1:2::%u]:99", i + 1);
			assert_int_equal(lm_endpoint_parse(text, 0, &s[i]->from), 0);
		}
	}
	for (unsigned i = 0; i < 4; i++)
		assert_true(raw_connect(&r[i], s[i]));
	assert_false(raw_connect(&extra, s[4]));
	assert_int_equal(count(w)->refused_source, 1);
	raw_close(&extra);
	assert_int_equal(lm_endpoint_parse("[2001:db8:1:3::1]:99", 0, &s[4]->from), 0);
	for (unsigned i = 4; i < 10; i++)
		assert_true(raw_connect(&r[i], s[i]));
	/* the table is full: strangers make room for strangers, oldest first */
	assert_true(raw_connect(&extra, s[10]));
	assert_false(raw_is_open(&r[0]));
	assert_true(raw_is_open(&r[1]));
	assert_int_equal(count(w)->handshake_evicted, 1);
	raw_close(&extra);
	/* silence: they all go, and make room */
	w->now.mono += 6 * LM_SEC;
	tick(w);
	assert_int_equal(count(w)->handshake_timeout, 9);
	assert_int_equal(info(w).connections, 0);
	for (unsigned i = 0; i < 10; i++)
		raw_close(&r[i]);
	/* new connections a second from one source */
	for (unsigned i = 0; i < 20; i++) {
		if (raw_connect(&extra, s[11]))
			assert_true(i < 6);
		raw_close(&extra);
	}
	assert_int_equal(count(w)->refused_rate, 14);
	world_free(w);
}

/* Nodes that are known stay, whoever knocks. */
static void test_known_stay(void **state)
{
	struct world *w = world_new();
	struct raw r[8], stranger[8];
	struct site *s[17];

	(void)state;
	world_server_kill(w);
	w->limits.connections = 8;
	w->limits.half_open = 3;
	world_server_start(w);
	for (unsigned i = 0; i < 17; i++)
		s[i] = site_new(w, false);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(raw_join(&r[i], s[i]));
		raw_say(&r[i], &(struct lm_coord_msg){.type = LM_COORD_SYNC});
	}
	for (unsigned i = 0; i < 8; i++)
		assert_true(raw_connect(&stranger[i], s[8 + i]));
	assert_int_equal(count(w)->handshake_evicted, 5);
	assert_int_equal(info(w).connections, 4 + 3);
	/* in the middle of the flood the others still get in */
	for (unsigned i = 4; i < 8; i++) {
		assert_true(raw_join(&r[i], s[i]));
		raw_say(&r[i], &(struct lm_coord_msg){.type = LM_COORD_SYNC});
	}
	for (unsigned i = 0; i < 8; i++) {
		assert_true(raw_is_open(&r[i]));
		assert_false(raw_is_open(&stranger[i]));
		raw_close(&stranger[i]);
	}
	/* all places are taken by nodes: now a newcomer is refused */
	assert_false(raw_connect(&stranger[0], s[16]));
	assert_int_equal(count(w)->refused_total, 1);
	raw_close(&stranger[0]);
	for (unsigned i = 0; i < 8; i++)
		raw_close(&r[i]);
	world_free(w);
}

static void test_message_rate(void **state)
{
	struct world *w = roomy();
	struct site *s = site_new(w, false);
	uint8_t ann[LM_ANNOUNCE_MAX];
	struct lm_coord_msg m = {.type = LM_COORD_PUBLISH, .data = ann};
	unsigned sent = 0;
	struct raw r;

	(void)state;
	m.data_len = site_announcement(s, 1, ann);
	assert_true(raw_join(&r, s));
	for (; raw_is_open(&r) && sent < 1000; sent++)
		raw_say(&r, &m);
	assert_int_equal(sent, w->limits.write_burst + 1);
	assert_true(refused(&r, LM_COORD_E_LIMIT));
	raw_close(&r);
	world_free(w);
}

static void test_directory_full(void **state)
{
	struct world *w = world_new();
	struct site *a, *b, *c;

	(void)state;
	world_server_kill(w);
	w->limits.nodes = 2;
	world_server_start(w);
	a = site_new(w, true);
	b = site_new(w, true);
	site_publish(a, 1);
	site_publish(b, 1);
	world_run(w, LM_SEC);
	c = site_new(w, true);
	site_publish(c, 1);
	world_run(w, LM_SEC);
	assert_non_null(strstr(c->why, "full"));
	site_publish(a, 2); /* those that are in it go on */
	world_run(w, LM_SEC);
	assert_true(site_knows(b, a, 2));
	assert_int_equal(info(w).nodes, 2);
	world_free(w);
}

/* A node that takes nothing costs a bounded buffer, and is let go; it misses nothing. */
static void test_slow_consumer(void **state)
{
	struct world *w = roomy();
	struct site *slow = site_new(w, true), *s[16];
	size_t len;

	(void)state;
	world_server_kill(w);
	w->limits.output = 4096;
	world_server_start(w);
	for (unsigned i = 0; i < 16; i++) {
		s[i] = site_new(w, true);
		site_publish(s[i], 1);
	}
	world_run(w, 12 * LM_SEC);
	assert_int_equal(lm_directory_count(slow->dir), 16);
	slow->hold_down = true;
	for (unsigned k = 2; k < 12; k++) {
		for (unsigned i = 0; i < 16; i++)
			site_publish(s[i], k);
		world_run(w, LM_SEC);
		assert_non_null(slow->tcp->conn);
		(void)lm_coord_conn_output(slow->tcp->conn, &len);
		assert_in_range(len, 1, 4096 + LM_CERT_MAX + LM_ANNOUNCE_MAX);
	}
	assert_int_equal(count(w)->stalled, 0);
	world_run(w, 30 * LM_SEC);
	assert_int_equal(count(w)->stalled + count(w)->idle +
				 lm_coord_client_counters(slow->client)->timeouts >
			     0,
			 1);
	slow->hold_down = false;
	world_run(w, 20 * LM_SEC);
	for (unsigned i = 0; i < 16; i++)
		assert_true(site_knows(slow, s[i], 11));
	world_free(w);
}

/* The same, seen from the server alone: nothing is taken, nothing is said. */
static void test_stall(void **state)
{
	struct world *w = roomy();
	struct site *s = site_new(w, false);
	struct raw r;

	(void)state;
	assert_true(raw_join(&r, s));
	s->hold_down = true;
	raw_say(&r, &(struct lm_coord_msg){.type = LM_COORD_SYNC});
	for (unsigned i = 0; i < 25; i++) { /* it speaks, so it is not idle */
		w->now.mono += LM_SEC;
		raw_say(&r, &(struct lm_coord_msg){.type = LM_COORD_PONG});
		tick(w);
		assert_true(raw_is_open(&r));
	}
	w->now.mono += 6 * LM_SEC;
	tick(w);
	assert_false(raw_is_open(&r));
	assert_int_equal(count(w)->stalled, 1);
	raw_close(&r);
	s->hold_down = false;
	/* PING without reading the answers */
	assert_true(raw_join(&r, s));
	s->hold_down = true;
	for (unsigned i = 0; i < 100000 && raw_is_open(&r); i++)
		raw_say(&r, &(struct lm_coord_msg){.type = LM_COORD_PING});
	assert_false(raw_is_open(&r));
	assert_int_equal(count(w)->stalled, 2);
	raw_close(&r);
	s->hold_down = false;
	/* silence */
	assert_true(raw_join(&r, s));
	raw_say(&r, &(struct lm_coord_msg){.type = LM_COORD_SYNC});
	w->now.mono += 61 * LM_SEC;
	tick(w);
	assert_false(raw_is_open(&r));
	assert_int_equal(count(w)->idle, 1);
	raw_close(&r);
	world_free(w);
}

/* One connection for each node: the newer takes over, and the older is told. */
static void test_replace(void **state)
{
	struct world *w = roomy();
	struct site *s = site_new(w, false);
	struct raw first, second;
	struct tcp *t;

	(void)state;
	assert_true(raw_join(&first, s));
	raw_say(&first, &(struct lm_coord_msg){.type = LM_COORD_SYNC});
	assert_true(raw_expect(&first, LM_COORD_SYNCED));
	t = s->tcp;
	assert_true(raw_join(&second, s));
	assert_non_null(t->conn); /* not before the new one has proven itself */
	raw_say(&second, &(struct lm_coord_msg){.type = LM_COORD_SYNC});
	assert_null(t->conn);
	assert_true(raw_expect(&second, LM_COORD_SYNCED));
	assert_int_equal(count(w)->replaced, 1);
	assert_int_equal(info(w).connections, 1);
	raw_close(&second);
	lm_pipe_free(&first.pipe);
	world_free(w);
}

/* A flood of refusals is counted in full and logged in part. */
static void test_log_flood(void **state)
{
	struct world *w = roomy();
	struct site *s = site_new(w, false);
	unsigned lines = 0;
	struct raw r;

	(void)state;
	for (unsigned i = 0; i < 500; i++) {
		assert_true(raw_connect(&r, s));
		raw_bytes(&r, (const uint8_t *)"\0\1x", 3);
		raw_close(&r);
	}
	for (const char *p = w->log; (p = strstr(p, "not a handshake")) != NULL; p++)
		lines++;
	assert_int_equal(count(w)->handshake_bad, 500);
	assert_in_range(lines, 1, 20);
	w->now.mono += 10 * LM_SEC;
	assert_true(raw_connect(&r, s));
	raw_bytes(&r, (const uint8_t *)"\0\1x", 3);
	raw_close(&r);
	assert_true(world_logged(w, "were held back"));
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_connection_limits), cmocka_unit_test(test_known_stay),
	    cmocka_unit_test(test_message_rate),      cmocka_unit_test(test_directory_full),
	    cmocka_unit_test(test_slow_consumer),     cmocka_unit_test(test_stall),
	    cmocka_unit_test(test_replace),	      cmocka_unit_test(test_log_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
