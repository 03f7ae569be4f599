/* SPDX-License-Identifier: BSD-3-Clause */
/* Signals between nodes: passed on, bounded, forgotten. */
#include "world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct lm_coord_server_counters *count(struct world *w)
{
	return lm_coord_server_counters(w->server);
}

static int signal_to(struct site *from, const struct site *to, uint64_t token)
{
	return lm_coord_client_signal(from->client, to->id->ed_public, token);
}

static void test_passed_on(void **state)
{
	struct world *w = world_new();
	struct site *a = site_new(w, true), *b = site_new(w, true), *c = site_new(w, true);

	(void)state;
	assert_int_equal(signal_to(a, b, 1), -ENOTCONN);
	world_pump(w);
	assert_int_equal(signal_to(a, b, 0x1122334455667788), 0);
	world_pump(w);
	assert_int_equal(b->signals, 1);
	assert_true(b->token == 0x1122334455667788);
	assert_memory_equal(b->signaller, a->id->ed_public, LM_KEY_LEN);
	assert_int_equal(a->signals + c->signals, 0);
	assert_int_equal(lm_coord_client_counters(b->client)->signalled, 1);
	/* from inside the callback */
	b->echo = true;
	assert_int_equal(signal_to(c, b, 10), 0);
	world_pump(w);
	assert_int_equal(b->signals, 2);
	assert_int_equal(c->signals, 1);
	assert_true(c->token == 11);
	assert_memory_equal(c->signaller, b->id->ed_public, LM_KEY_LEN);
	assert_int_equal(count(w)->signals, 3);
	world_free(w);
}

/* Nobody is told, nothing is kept, and the link goes on. */
static void test_absent(void **state)
{
	struct world *w = world_new();
	struct site *a = site_new(w, true), *b = site_new(w, true);

	(void)state;
	site_publish(b, 1);
	world_run(w, LM_SEC);
	site_stop(b);
	world_pump(w);
	assert_int_equal(signal_to(a, b, 1), 0);
	assert_int_equal(signal_to(a, a, 1), 0); /* to itself */
	world_pump(w);
	assert_int_equal(count(w)->signals_absent, 2);
	site_start(b);
	world_run(w, 30 * LM_SEC);
	assert_int_equal(b->signals + a->signals, 0);
	assert_int_equal(lm_coord_client_state(a->client), LM_COORD_UP);
	world_free(w);
}

static void test_pair_limit(void **state)
{
	struct world *w = world_new();
	struct site *a = site_new(w, true), *b = site_new(w, true), *c = site_new(w, true);

	(void)state;
	world_pump(w);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(signal_to(a, b, i), 0);
	world_pump(w);
	assert_int_equal(b->signals, 3);
	assert_true(b->token == 2);
	assert_int_equal(count(w)->signals_limited, 7);
	/* other pairs have buckets of their own, also the same one the other way */
	assert_int_equal(signal_to(b, a, 1), 0);
	assert_int_equal(signal_to(a, c, 1), 0);
	assert_int_equal(signal_to(c, b, 1), 0);
	world_pump(w);
	assert_int_equal(a->signals + c->signals, 2);
	assert_int_equal(b->signals, 4);
	/* one a second */
	for (unsigned i = 0; i < 50; i++) {
		world_run(w, LM_SEC / 5);
		assert_int_equal(signal_to(a, b, i), 0);
	}
	world_pump(w);
	assert_in_range(b->signals, 4 + 9, 4 + 11);
	assert_int_equal(lm_coord_client_state(a->client), LM_COORD_UP);
	world_free(w);
}

static void test_sender_limit(void **state)
{
	struct world *w = world_new();
	struct site *a, *b;
	uint8_t nobody[LM_KEY_LEN] = {0};

	(void)state;
	world_server_kill(w);
	w->limits.signal_rate = 2;
	w->limits.signal_burst = 5;
	world_server_start(w);
	a = site_new(w, true);
	b = site_new(w, true);
	world_pump(w);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(lm_coord_client_signal(a->client, nobody, i), 0);
	assert_int_equal(signal_to(a, b, 1), 0);
	world_pump(w);
	assert_int_equal(b->signals, 0);
	assert_int_equal(count(w)->signals_absent, 5);
	assert_int_equal(count(w)->signals_limited, 1);
	world_run(w, LM_SEC);
	assert_int_equal(signal_to(a, b, 1), 0);
	world_pump(w);
	assert_int_equal(b->signals, 1);
	world_free(w);
}

/* A node that takes nothing is neither fed without end nor ended by others' signals. */
static void test_slow_target(void **state)
{
	struct world *w = world_new();
	struct site *a, *b;

	(void)state;
	world_server_kill(w);
	w->limits.output = 1000;
	w->limits.pair_rate = w->limits.pair_burst = 1000;
	world_server_start(w);
	a = site_new(w, true);
	b = site_new(w, true);
	world_pump(w);
	b->hold_down = true;
	for (unsigned i = 0; i < 500; i++)
		assert_int_equal(signal_to(a, b, i), 0);
	world_pump(w);
	assert_in_range(count(w)->signals, 5, 20);
	assert_int_equal(count(w)->signals + count(w)->signals_limited, 500);
	assert_int_equal(count(w)->stalled, 0);
	b->hold_down = false;
	world_run(w, LM_SEC);
	assert_int_equal(lm_coord_client_state(b->client), LM_COORD_UP);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_passed_on),	cmocka_unit_test(test_absent),
	    cmocka_unit_test(test_pair_limit),	cmocka_unit_test(test_sender_limit),
	    cmocka_unit_test(test_slow_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
