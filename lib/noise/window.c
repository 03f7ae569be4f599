/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Replay window of RFC 6479: a ring of words one larger than the window, so that
 * moving forward clears whole words and nothing is ever shifted.
 */
#include <lanemesh/noise.h>

#define WORDS (LM_NOISE_WINDOW / 64 + 1)

bool lm_noise_window_ok(const struct lm_noise_window *w, uint64_t counter)
{
	if (counter == UINT64_MAX)
		return false;
	if (counter >= w->top)
		return true;
	if (w->top - counter > LM_NOISE_WINDOW)
		return false;
	return (w->bits[counter / 64 % WORDS] >> (counter % 64) & 1) == 0;
}

void lm_noise_window_commit(struct lm_noise_window *w, uint64_t counter)
{
	if (counter >= w->top) {
		uint64_t last = w->top == 0 ? 0 : (w->top - 1) / 64, word = counter / 64;

		for (uint64_t i = 0; i < WORDS && last + i < word; i++)
			w->bits[(last + 1 + i) % WORDS] = 0;
		w->top = counter + 1;
	}
	w->bits[counter / 64 % WORDS] |= UINT64_C(1) << (counter % 64);
}
