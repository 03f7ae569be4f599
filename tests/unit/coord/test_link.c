/* SPDX-License-Identifier: BSD-3-Clause */
/* Client and server together: listing, changes, push, restarts, time. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct lm_coord_server_counters *count(struct world *w)
{
	return lm_coord_server_counters(w->server);
}

static void test_publish_and_push(void **state)
{
	struct world *w = world_new();
	struct site *a = site_new(w, true), *b = site_new(w, true), *c;

	(void)state;
	world_pump(w);
	assert_int_equal(lm_coord_client_state(a->client), LM_COORD_UP);
	assert_int_equal(a->resyncs, 1);
	site_publish(a, 7);
	site_publish(b, 9);
	world_pump(w);
	assert_int_equal(a->published, 7);
	assert_true(site_knows(b, a, 7));
	assert_true(site_knows(a, b, 9));
	assert_true(site_knows(a, a, 7));
	c = site_new(w, true); /* a full listing for a newcomer */
	world_pump(w);
	assert_true(site_knows(c, a, 7));
	assert_true(site_knows(c, b, 9));
	site_publish(a, 8);
	world_pump(w);
	world_run(w, LM_SEC);
	assert_true(site_knows(c, a, 8));
	assert_true(site_knows(b, a, 8));
	assert_int_equal(count(w)->published, 3);
	world_free(w);
}

/* A node that comes back gets what has changed, and nothing else. */
static void test_delta(void **state)
{
	struct world *w = world_new();
	struct site *a = site_new(w, true), *b = site_new(w, true), *c = site_new(w, true);
	unsigned records;

	(void)state;
	site_publish(a, 1);
	site_publish(b, 1);
	site_publish(c, 1);
	world_run(w, LM_SEC);
	site_stop(c);
	world_pump(w);
	records = c->records;
	site_publish(a, 2);
	world_run(w, LM_SEC);
	site_start(c); /* its directory and position were kept */
	world_run(w, LM_SEC);
	assert_int_equal(c->records, records + 1);
	assert_int_equal(c->resyncs, 1);
	assert_true(site_knows(c, a, 2));
	assert_int_equal(count(w)->sync_delta, 1);
	world_free(w);
}

static void test_server_restart(void **state)
{
	struct world *w = world_new();
	struct site *a = site_new(w, true), *b = site_new(w, true);
	unsigned records;

	(void)state;
	site_publish(a, 1);
	site_publish(b, 1);
	world_run(w, 40 * LM_SEC);
	world_server_kill(w);
	world_run(w, 120 * LM_SEC);
	assert_int_equal(lm_coord_client_state(a->client), LM_COORD_WAITING);
	records = a->records;
	site_publish(b, 2); /* while it is away */
	world_server_start(w);
	world_run(w, 10 * LM_SEC); /* FAULTS row 15 */
	assert_int_equal(lm_coord_client_state(a->client), LM_COORD_UP);
	assert_int_equal(lm_coord_client_state(b->client), LM_COORD_UP);
	assert_true(site_knows(a, b, 2));
	assert_int_equal(a->records, records + 1);
	assert_int_equal(a->resyncs, 1);
	world_free(w);
}

/* Another life of the store: all is listed again, what it no longer has is taken out. */
static void test_epoch_change(void **state)
{
	static const uint8_t epoch[LM_EPOCH_LEN] = "another life....";
	struct world *w = world_new();
	struct site *a = site_new(w, true), *b = site_new(w, true), *c = site_new(w, true);

	(void)state;
	site_publish(a, 1);
	site_publish(b, 1);
	site_publish(c, 1);
	world_run(w, LM_SEC);
	assert_int_equal(lm_directory_count(a->dir), 3);
	site_stop(c);
	world_server_kill(w);
	mem_store_free(w->store);
	w->store = mem_store_new(epoch);
	world_server_start(w);
	world_run(w, 10 * LM_SEC);
	assert_int_equal(a->resyncs, 2);
	/* Whether b had published again when a listed is a matter of luck; c had not. */
	assert_false(site_knows(a, c, 1));
	assert_true(site_knows(a, b, 1));
	assert_true(site_knows(b, a, 1));
	world_free(w);
}

/* A store put back to an older state: its revision is below ours, so we list in full. */
static void test_rolled_back_store(void **state)
{
	struct world *w = world_new();
	struct site *a = site_new(w, true), *b = site_new(w, true);
	uint8_t epoch[LM_EPOCH_LEN];
	uint64_t revision;

	(void)state;
	site_publish(a, 1);
	site_publish(b, 1);
	world_run(w, LM_SEC);
	lm_directory_position(a->dir, a->source, epoch, &revision);
	assert_true(revision >= 2);
	world_server_kill(w);
	mem_store_free(w->store);
	w->store = mem_store_new(epoch);
	world_server_start(w);
	world_run(w, 10 * LM_SEC);
	assert_int_equal(a->resyncs, 2);
	assert_true(site_knows(a, b, 1));
	world_free(w);
}

static void test_revocation(void **state)
{
	struct world *w = world_new();
	struct site *a = site_new(w, true), *b = site_new(w, true), *c = site_new(w, true);
	uint8_t list[4096], older[4096];
	size_t len = world_list(w, 5, &b, 1, list, sizeof(list));
	size_t older_len = world_list(w, 4, NULL, 0, older, sizeof(older));
	struct lm_coord_server_info info;

	(void)state;
	site_publish(a, 1);
	site_publish(b, 1);
	site_publish(c, 1);
	world_run(w, LM_SEC);
	assert_true(site_knows(a, b, 1));
	/* a has it from its operator; the coordinator takes it from there and passes it on */
	assert_int_equal(lm_coord_client_revocation(a->client, w->now.mono, list, len), 0);
	world_run(w, LM_SEC);
	assert_int_equal(c->lists, 1);
	assert_false(site_knows(c, b, 1));
	assert_non_null(strstr(b->why, "revoked"));
	assert_true(world_logged(w, "node site2: certificate revoked") ||
		    world_logged(w, "revoked"));
	assert_int_equal(count(w)->cert_refused[LM_REVOKED] > 0, 1);
	/* it cannot come back */
	world_run(w, 60 * LM_SEC);
	assert_int_not_equal(lm_coord_client_state(b->client), LM_COORD_UP);
	assert_int_equal(lm_directory_count(c->dir), 2);
	/* an older list replaces nothing, whoever brings it */
	assert_int_equal(lm_coord_server_revocation(w->server, w->now, older, older_len), LM_OLDER);
	assert_int_equal(lm_coord_client_revocation(c->client, w->now.mono, older, older_len), 0);
	world_run(w, 20 * LM_SEC);
	assert_int_equal(a->lists + c->lists, 2);
	/* and the coordinator still knows it after a restart */
	world_server_kill(w);
	world_server_start(w);
	world_run(w, 30 * LM_SEC);
	assert_int_not_equal(lm_coord_client_state(b->client), LM_COORD_UP);
	assert_int_equal(lm_coord_client_state(a->client), LM_COORD_UP);
	/* no list comes in time: an alarm */
	lm_coord_server_info(w->server, &info);
	assert_false(info.list_stale);
	site_stop(b);
	world_run(w, 86400 * LM_SEC);
	lm_coord_server_info(w->server, &info);
	assert_true(info.list_stale);
	assert_true(world_logged(w, "past its next update"));
	world_free(w);
}

static void test_expiry(void **state)
{
	struct world *w = world_new();
	struct site *a = site_new(w, true), *b = site_new(w, false);

	(void)state;
	b->cert_fields.not_after = WORLD_EPOCH + 100 - LM_TRUST_GRACE;
	site_certify(b, NULL);
	site_start(b);
	site_publish(a, 1);
	site_publish(b, 1);
	world_run(w, 50 * LM_SEC);
	assert_true(site_knows(a, b, 1));
	world_run(w, 110 * LM_SEC); /* FAULTS row 39: at most 60 s after */
	assert_false(site_knows(a, b, 1));
	assert_int_equal(lm_directory_count(a->dir), 1);
	assert_non_null(strstr(b->why, "expired"));
	world_free(w);
}

static void test_ttl(void **state)
{
	struct world *w = world_new();
	struct site *a, *b;

	(void)state;
	world_server_kill(w);
	w->ttl = 100 * LM_SEC;
	world_server_start(w);
	a = site_new(w, true);
	b = site_new(w, true);
	site_publish(a, 1);
	site_publish(b, 1);
	world_run(w, 300 * LM_SEC);
	assert_true(site_knows(a, b, 1)); /* connected all the time */
	site_stop(b);
	world_run(w, 90 * LM_SEC);
	assert_true(site_knows(a, b, 1));
	world_run(w, 30 * LM_SEC);
	assert_false(site_knows(a, b, 1));
	world_free(w);
}

/* The coordinator says that it cannot store, serves on, and takes up again without a restart. */
static void test_store_full(void **state)
{
	struct world *w = world_new();
	struct site *a = site_new(w, true), *b = site_new(w, true), *c;
	uint8_t list[4096];
	size_t len = world_list(w, 1, NULL, 0, list, sizeof(list));
	struct lm_coord_server_info info;

	(void)state;
	site_publish(a, 1);
	world_run(w, LM_SEC);
	mem_store_fail(w->store, true);
	site_publish(b, 1);
	world_run(w, 20 * LM_SEC);
	assert_int_equal(b->publisheds, 0);
	assert_int_equal(lm_coord_client_state(b->client), LM_COORD_UP);
	assert_true(lm_coord_client_counters(b->client)->errors >= 3);
	assert_false(site_knows(a, b, 1));
	c = site_new(w, true);
	world_run(w, LM_SEC);
	assert_true(site_knows(c, a, 1)); /* reads go on */
	lm_coord_server_info(w->server, &info);
	assert_true(info.store_failing);
	assert_int_equal(lm_coord_server_revocation(w->server, w->now, list, len), LM_TRUSTED);
	world_run(w, 5 * LM_SEC);
	assert_int_equal(c->lists, 0); /* nothing is told that is not durable */
	mem_store_fail(w->store, false);
	world_run(w, 10 * LM_SEC);
	assert_int_equal(b->published, 1);
	assert_true(site_knows(a, b, 1));
	assert_int_equal(c->lists, 1);
	lm_coord_server_info(w->server, &info);
	assert_false(info.store_failing);
	world_free(w);
}

/* Departed nodes are remembered within bounds; beyond them another epoch begins. */
static void test_gone_bound(void **state)
{
	struct world *w = world_new();
	struct site *a, *s[8];
	struct lm_coord_server_info info;
	uint8_t list[4096];
	size_t len;

	(void)state;
	world_server_kill(w);
	w->limits.gone = 3;
	world_server_start(w);
	a = site_new(w, true);
	site_publish(a, 1);
	for (unsigned i = 0; i < 8; i++) {
		s[i] = site_new(w, true);
		site_publish(s[i], 1);
	}
	world_run(w, LM_SEC);
	assert_int_equal(lm_directory_count(a->dir), 9);
	len = world_list(w, 1, s, 8, list, sizeof(list));
	assert_int_equal(lm_coord_server_revocation(w->server, w->now, list, len), LM_TRUSTED);
	world_run(w, LM_SEC);
	lm_coord_server_info(w->server, &info);
	assert_int_equal(info.gone, 0);
	assert_int_equal(info.nodes, 1);
	assert_int_equal(lm_directory_count(a->dir), 1);
	assert_int_equal(lm_coord_client_state(a->client), LM_COORD_UP);
	assert_int_equal(a->resyncs, 1); /* it had heard of all of them */
	site_stop(a);
	world_pump(w);
	site_start(a);
	world_run(w, LM_SEC);
	assert_int_equal(a->resyncs, 1); /* and is in step in the new epoch */
	world_free(w);
}

/* Silence is noticed by both sides. */
static void test_dead_peer(void **state)
{
	struct world *w = world_new();
	struct site *a = site_new(w, true);

	(void)state;
	world_run(w, 200 * LM_SEC);
	assert_int_equal(lm_coord_client_counters(a->client)->tries, 1); /* pings keep it */
	assert_int_equal(count(w)->idle, 0);
	a->cut = true; /* nothing gets through any more */
	world_run(w, 31 * LM_SEC);
	assert_int_equal(lm_coord_client_counters(a->client)->timeouts, 1);
	assert_int_equal(lm_coord_client_state(a->client), LM_COORD_UP); /* a new connection */
	assert_int_equal(count(w)->replaced + count(w)->idle, 1);
	world_free(w);
}

/* A coordinator that is away is tried often enough and not too often. */
static void test_backoff(void **state)
{
	struct world *w = world_new();
	struct site *a = site_new(w, true);
	uint64_t tries;

	(void)state;
	w->refuse = true;
	world_run(w, 3600 * LM_SEC);
	tries = lm_coord_client_counters(a->client)->tries;
	assert_in_range(tries, 400, 820);
	w->refuse = false;
	for (unsigned i = 0; i < 20; i++) {
		w->refuse = true;
		world_server_kill(w);
		world_run(w, 60 * LM_SEC + i * LM_SEC / 3);
		world_server_start(w);
		world_run(w, 10 * LM_SEC);
		assert_int_equal(lm_coord_client_state(a->client), LM_COORD_UP);
	}
	world_free(w);
}

/* The coordinator holds a newer announcement than the node remembers having made. */
static void test_lost_sequence(void **state)
{
	struct world *w = world_new();
	struct site *a = site_new(w, true), *b = site_new(w, true);

	(void)state;
	site_publish(a, 100);
	world_run(w, LM_SEC);
	site_publish(a, 3);
	world_run(w, LM_SEC);
	assert_int_equal(a->published, 100);
	assert_true(site_knows(b, a, 100));
	site_publish(a, 101);
	world_run(w, LM_SEC);
	assert_true(site_knows(b, a, 101));
	world_free(w);
}

/* A renewed certificate takes the place of the old one, with the same announcement. */
static void test_renewed_cert(void **state)
{
	struct world *w = world_new();
	struct site *a = site_new(w, true), *b = site_new(w, true);
	struct lm_directory_record r;

	(void)state;
	site_publish(a, 1);
	world_run(w, LM_SEC);
	site_stop(a);
	world_pump(w);
	a->cert_fields.serial = 77;
	a->cert_fields.not_before += 3600;
	site_certify(a, NULL);
	site_start(a);
	site_publish(a, 1);
	world_run(w, LM_SEC);
	assert_true(lm_directory_get(b->dir, a->id->ed_public, &r));
	assert_int_equal(r.cert_len, a->cert_len);
	assert_memory_equal(r.cert, a->cert, a->cert_len);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_publish_and_push),
	    cmocka_unit_test(test_delta),
	    cmocka_unit_test(test_server_restart),
	    cmocka_unit_test(test_epoch_change),
	    cmocka_unit_test(test_rolled_back_store),
	    cmocka_unit_test(test_revocation),
	    cmocka_unit_test(test_expiry),
	    cmocka_unit_test(test_ttl),
	    cmocka_unit_test(test_store_full),
	    cmocka_unit_test(test_gone_bound),
	    cmocka_unit_test(test_dead_peer),
	    cmocka_unit_test(test_backoff),
	    cmocka_unit_test(test_lost_sequence),
	    cmocka_unit_test(test_renewed_cert),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
