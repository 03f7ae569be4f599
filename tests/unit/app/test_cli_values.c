/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli.h"

static void test_times(void **state)
{
	static const struct {
		const char *text;
		int64_t t;
	} good[] = {
	    {"1970-01-01T00:00:00Z", 0},
	    {"2000-02-29T23:59:59Z", 951868799},
	    {"2026-01-31T12:00:00Z", 1769860800},
	    {"2026-01-31t12:00:00z", 1769860800},
	    {"2026-01-31 12:00:00Z", 1769860800},
	    {"2026-01-31T13:30:00+01:30", 1769860800},
	    {"2026-01-31T04:00:00-08:00", 1769860800},
	    {"2016-12-31T23:59:60Z", 1483228800}, /* a leap second */
	    {"2038-01-19T03:14:08Z", INT64_C(2147483648)},
	    {"2100-03-01T00:00:00Z", INT64_C(4107542400)},
	    {"9999-12-31T23:59:59Z", INT64_C(253402300799)},
	};
	struct lm_error err;
	int64_t t;

	(void)state;
	for (size_t i = 0; i < LM_ARRAY_SIZE(good); i++) {
		assert_int_equal(cli_time(good[i].text, &t, &err), 0);
		assert_int_equal(t, good[i].t);
	}
}

static void test_bad_times(void **state)
{
	static const char *const bad[] = {"",
					  "now",
					  "2026",
					  "2026-01-31",
					  "2026-01-31T12:00Z",
					  "2026-01-31T12:00:00",
					  "2026-01-31T12:00:00ZZ",
					  "2026-01-31T12:00:00.5Z",
					  "2026-01-31T12:00:00+1",
					  "2026-01-31T12:00:00+0100",
					  "2026-01-31T12:00:00+24:00",
					  "2026-01-31T12:00:00+01:60",
					  "2026-1-31T12:00:00Z",
					  "2026-00-01T12:00:00Z",
					  "2026-13-01T12:00:00Z",
					  "2026-01-00T12:00:00Z",
					  "2026-01-32T12:00:00Z",
					  "2026-02-29T12:00:00Z",
					  "2026-02-30T23:59:60Z",
					  "2100-02-29T12:00:00Z",
					  "2026-01-31T24:00:00Z",
					  "2026-01-31T12:60:00Z",
					  "2026-01-31T12:00:61Z",
					  "1969-12-31T23:59:59Z",
					  "1970-01-01T00:30:00+01:00",
					  "-026-01-31T12:00:00Z",
					  " 2026-01-31T12:00:00Z"};
	struct lm_error err;
	int64_t t;

	(void)state;
	for (size_t i = 0; i < LM_ARRAY_SIZE(bad); i++)
		if (cli_time(bad[i], &t, &err) != -EINVAL)
			fail_msg("\"%s\" was taken for %lld", bad[i], (long long)t);
}

static void test_time_text(void **state)
{
	static const int64_t times[] = {0, 951868799, INT64_C(2147483648), INT64_C(253402300799)};
	char text[CLI_TIME_STRLEN];
	struct lm_error err;
	int64_t t;

	(void)state;
	for (size_t i = 0; i < LM_ARRAY_SIZE(times); i++) {
		assert_int_equal(cli_time(cli_time_text(times[i], text), &t, &err), 0);
		assert_int_equal(t, times[i]);
	}
	/* A certificate may end later than any calendar. */
	assert_true(strlen(cli_time_text(INT64_MAX, text)) < CLI_TIME_STRLEN);
	assert_true(strlen(cli_time_text(INT64_MIN, text)) < CLI_TIME_STRLEN);
}

static void test_numbers(void **state)
{
	static const char *const bad[] = {
	    "", "x", "1x", " 1", "+1", "-1", "0x1", "1.0", "4", "11", "99999999999999999999"};
	struct lm_error err;
	uint64_t n;

	(void)state;
	assert_int_equal(cli_number("5", 5, 10, &n, &err), 0);
	assert_int_equal(n, 5);
	assert_int_equal(cli_number("10", 5, 10, &n, &err), 0);
	assert_int_equal(cli_number("18446744073709551615", 0, UINT64_MAX, &n, &err), 0);
	assert_true(n == UINT64_MAX);
	for (size_t i = 0; i < LM_ARRAY_SIZE(bad); i++) {
		assert_int_equal(cli_number(bad[i], 5, 10, &n, &err), -EINVAL);
		assert_non_null(strstr(err.text, "from 5 to 10"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_times),
	    cmocka_unit_test(test_bad_times),
	    cmocka_unit_test(test_time_text),
	    cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
