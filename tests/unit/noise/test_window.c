/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/noise.h>

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define W LM_NOISE_WINDOW

static bool take(struct lm_noise_window *w, uint64_t counter)
{
	if (!lm_noise_window_ok(w, counter))
		return false;
	lm_noise_window_commit(w, counter);
	return true;
}

static void test_edges(void **state)
{
	/* The highest counter seen, around every boundary of words and of the ring. */
	static const uint64_t tops[] = {0, 1,	  62,  63,  64,	 65,   W - 1,
					W, W + 1, 319, 320, 321, 1000, UINT64_MAX - 1};

	(void)state;
	for (size_t i = 0; i < LM_ARRAY_SIZE(tops); i++) {
		struct lm_noise_window w = {0};
		uint64_t top = tops[i];

		assert_true(take(&w, top));
		assert_false(lm_noise_window_ok(&w, top));
		if (top >= W) {
			assert_false(lm_noise_window_ok(&w, top - W));
			assert_false(lm_noise_window_ok(&w, 0));
		}
		if (top >= W - 1) {
			assert_true(take(&w, top - (W - 1)));
			assert_false(lm_noise_window_ok(&w, top - (W - 1)));
		}
		if (top >= 1) {
			assert_true(take(&w, top - 1));
			assert_false(lm_noise_window_ok(&w, top - 1));
		}
		if (top < UINT64_MAX - 1) {
			assert_true(take(&w, top + 1));
			assert_false(lm_noise_window_ok(&w, top + 1));
		}
		assert_false(lm_noise_window_ok(&w, UINT64_MAX));
	}
}

static void test_check_does_not_commit(void **state)
{
	struct lm_noise_window w = {0}, before = {0};

	(void)state;
	assert_true(lm_noise_window_ok(&w, 1000000));
	assert_memory_equal(&w, &before, sizeof(w));
	assert_true(take(&w, 0));
	assert_false(take(&w, 0));
}

/* Against a model that remembers everything, with jumps of every size. */
static void test_model(void **state)
{
	enum { SPAN = 20000 };
	static bool seen[SPAN];
	struct lm_noise_window w = {0};
	uint64_t top = 0;
	uint32_t r = 1;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		uint64_t c;
		bool want;

		r = r * 1664525 + 1013904223;
		/* Mostly near the top, at times a leap of up to three windows. */
		c = top + (r >> 8) % ((r >> 4) % 16 == 0 ? 3 * W : 8);
		c = c > (r >> 20) % (2 * W) ? c - (r >> 20) % (2 * W) : 0;
		if (c >= SPAN)
			break;
		want = !seen[c] && (c >= top || top - c <= W);
		assert_int_equal(lm_noise_window_ok(&w, c), want);
		if (want) {
			lm_noise_window_commit(&w, c);
			seen[c] = true;
			top = c + 1 > top ? c + 1 : top;
		}
	}
	assert_true(top > SPAN / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_edges),
	    cmocka_unit_test(test_check_does_not_commit),
	    cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
