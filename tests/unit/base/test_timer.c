/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/base.h>

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#define N 500

static void order(void **state)
{
	struct lm_timers ts = {0};
	struct lm_timer a = {0}, b = {0}, c = {0};

	(void)state;
	assert_true(lm_timers_next(&ts) == LM_TIME_NEVER);
	assert_null(lm_timers_pop(&ts, 100));
	assert_int_equal(lm_timer_set(&ts, &a, 30), 0);
	assert_int_equal(lm_timer_set(&ts, &b, 10), 0);
	assert_int_equal(lm_timer_set(&ts, &c, 20), 0);
	assert_true(lm_timers_next(&ts) == 10);
	assert_null(lm_timers_pop(&ts, 9));
	assert_ptr_equal(lm_timers_pop(&ts, 10), &b);
	assert_int_equal(b.slot, 0);
	assert_int_equal(lm_timer_set(&ts, &c, 40), 0); /* move */
	assert_ptr_equal(lm_timers_pop(&ts, 100), &a);
	assert_int_equal(lm_timer_set(&ts, &c, LM_TIME_NEVER), 0);
	assert_true(lm_timers_next(&ts) == LM_TIME_NEVER);
	lm_timer_stop(&ts, &c); /* not armed: nothing to do */
	assert_int_equal(lm_timer_set(&ts, &a, 1), 0);
	lm_timers_free(&ts);
	assert_int_equal(a.slot, 0);
	lm_timers_free(&ts);
}

/* Random arms, moves and stops against a plain array. */
static void against_model(void **state)
{
	static struct lm_timer t[N];
	lm_time model[N], now = 0;
	struct lm_timers ts = {0};
	uint32_t x = 12345;

	(void)state;
	for (unsigned i = 0; i < N; i++)
		model[i] = LM_TIME_NEVER;
	for (unsigned round = 0; round < 20000; round++) {
		struct lm_timer *due;
		lm_time first = LM_TIME_NEVER;
		unsigned i;

		x = x * 1664525 + 1013904223;
		i = (x >> 8) % N;
		if ((x >> 24) % 4 == 0) {
			lm_timer_stop(&ts, &t[i]);
			model[i] = LM_TIME_NEVER;
		} else {
			model[i] = now + (x >> 12) % 1000;
			assert_int_equal(lm_timer_set(&ts, &t[i], model[i]), 0);
		}
		for (unsigned k = 0; round % 16 == 0 && k < N; k++)
			first = model[k] < first ? model[k] : first;
		if (round % 16 == 0)
			assert_true(lm_timers_next(&ts) == first);
		now += x >> 30;
		for (lm_time last = 0; (due = lm_timers_pop(&ts, now)) != NULL; last = due->due) {
			assert_true(due->due >= last && due->due <= now);
			assert_true(model[due - t] == due->due);
			model[due - t] = LM_TIME_NEVER;
		}
		for (unsigned k = 0; round % 16 == 0 && k < N; k++)
			assert_true(model[k] > now &&
				    (model[k] != LM_TIME_NEVER) == (t[k].slot != 0));
	}
	lm_timers_free(&ts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(order),
	    cmocka_unit_test(against_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
