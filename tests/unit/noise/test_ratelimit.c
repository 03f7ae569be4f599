/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/noise.h>

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t key[16] = {1, 2, 3};

static struct lm_ip ip(const char *text)
{
	struct lm_ip out;

	assert_int_equal(lm_ip_parse(text, &out), 0);
	return out;
}

static unsigned take_many(struct lm_ratelimit *rl, lm_time now, const struct lm_ip *from,
			  unsigned n)
{
	unsigned got = 0;

	while (n-- > 0)
		got += lm_ratelimit_take(rl, now, from);
	return got;
}

static void test_burst_and_rate(void **state)
{
	struct lm_ratelimit *rl = lm_ratelimit_new(key, 20, 5);
	struct lm_ip a = ip("192.0.2.1"), b = ip("192.0.2.2"), none = {0};
	unsigned got = 0;

	(void)state;
	assert_non_null(rl);
	assert_int_equal(take_many(rl, 0, &a, 100), 5);
	/* A neighbour has its own bucket. */
	assert_int_equal(take_many(rl, 0, &b, 100), 5);
	/* One token every 50 ms, not a moment before. */
	assert_false(lm_ratelimit_take(rl, 50 * LM_MSEC - 1, &a));
	assert_true(lm_ratelimit_take(rl, 50 * LM_MSEC, &a));
	assert_false(lm_ratelimit_take(rl, 50 * LM_MSEC, &a));
	/* 1 kHz for ten seconds: the rate, whatever the number of tries. */
	for (unsigned ms = 1000; ms < 11000; ms++)
		got += lm_ratelimit_take(rl, ms * LM_MSEC, &a);
	assert_in_range(got, 200, 205);
	/* A long silence gives the burst, not more; a clock that steps back gives nothing. */
	assert_int_equal(take_many(rl, 1000000 * LM_SEC, &a, 100), 5);
	assert_int_equal(take_many(rl, 1, &a, 100), 0);
	assert_int_equal(take_many(rl, 1000000 * LM_SEC, &none, 100), 0);
	lm_ratelimit_free(rl);
}

static void test_prefixes(void **state)
{
	struct lm_ratelimit *rl = lm_ratelimit_new(key, 20, 5);
	struct lm_ip a = ip("2001:db8::1"), same = ip("2001:db8::ffff:1"),
		     other = ip("2001:db8:0:1::1"), v4 = ip("192.0.2.1"),
		     mapped = {.family = 6, .b = {[10] = 0xff, 0xff, 192, 0, 2, 1}};

	(void)state;
	assert_non_null(rl);
	assert_int_equal(take_many(rl, 0, &a, 3), 3);
	assert_int_equal(take_many(rl, 0, &same, 100), 2);
	assert_int_equal(take_many(rl, 0, &other, 100), 5);
	assert_int_equal(take_many(rl, 0, &v4, 3), 3);
	assert_int_equal(take_many(rl, 0, &mapped, 100), 2);
	lm_ratelimit_free(rl);
}

/* A million sources: the table does not grow (it cannot), and one that keeps knocking all the
 * while does not get more than its own share by their help. */
static void test_many_sources(void **state)
{
	struct lm_ratelimit *rl = lm_ratelimit_new(key, 20, 5);
	struct lm_ip flood = {.family = 4}, greedy = ip("192.0.2.1"), fair = ip("198.51.100.1");
	unsigned got = 0, fair_got = 0;

	(void)state;
	assert_non_null(rl);
	/* Ten seconds, 100 newcomers and 10 knocks of the greedy one each millisecond. */
	for (unsigned ms = 0; ms < 10000; ms++) {
		for (unsigned i = 0; i < 100; i++) {
			uint32_t n = ms * 100 + i;

			flood.b[0] = 10;
			flood.b[1] = (uint8_t)(n >> 16);
			flood.b[2] = (uint8_t)(n >> 8);
			flood.b[3] = (uint8_t)n;
			assert_true(lm_ratelimit_take(rl, ms * LM_MSEC, &flood));
		}
		got += take_many(rl, ms * LM_MSEC, &greedy, 10);
		if (ms % 1000 == 0)
			fair_got += lm_ratelimit_take(rl, ms * LM_MSEC, &fair);
	}
	assert_in_range(got, 200, 206);
	assert_int_equal(fair_got, 10);
	lm_ratelimit_free(rl);
}

static void test_bad_parameters(void **state)
{
	(void)state;
	assert_null(lm_ratelimit_new(key, 0, 5));
	assert_null(lm_ratelimit_new(key, 20, 0));
	assert_null(lm_ratelimit_new(key, 2000000000, 5));
}

static void test_rate(void **state)
{
	struct lm_rate r = {0};
	uint32_t rate = 0;

	(void)state;
	/* A steady 500/s reads as 500/s from the second second on. */
	for (unsigned i = 0; i < 5000; i++) {
		rate = lm_rate_count(&r, 77 * LM_SEC + i * 2 * LM_MSEC);
		if (i >= 500)
			assert_in_range(rate, 498, 502);
	}
	/* Silence is forgotten after two seconds, half of it after one and a half. */
	rate = lm_rate_count(&r, 77 * LM_SEC + 10500 * LM_MSEC);
	assert_in_range(rate, 245, 255);
	rate = lm_rate_count(&r, 77 * LM_SEC + 60 * LM_SEC);
	assert_int_equal(rate, 1);
	/* A clock that steps back does no harm. */
	assert_int_equal(lm_rate_count(&r, 0), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_burst_and_rate), cmocka_unit_test(test_prefixes),
	    cmocka_unit_test(test_many_sources),   cmocka_unit_test(test_bad_parameters),
	    cmocka_unit_test(test_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
