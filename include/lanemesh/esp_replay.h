/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Anti-replay window after RFC 6479: bits sit at fixed places of a ring, so moving
 * the window clears whole words and shifts nothing. The word of the highest number
 * is kept beside the ring and goes into it when a number beyond it comes, so the
 * ring holds the whole words of the window and needs no word more.
 * One worker owns a window: check and commit need no locks.
 */
#ifndef LANEMESH_ESP_REPLAY_H
#define LANEMESH_ESP_REPLAY_H

#include <lanemesh/esp.h>

_Static_assert((LM_REPLAY_WORDS & (LM_REPLAY_WORDS - 1)) == 0, "the ring is masked");
_Static_assert(LM_REPLAY_WORDS * 64 >= LM_REPLAY_WINDOW, "the newest word is not in it");

/* Where the numbers around seq are, inside the window. */
static inline uint64_t *lm_replay_word(struct lm_replay *r, uint32_t seq)
{
	return seq / 64 == r->top / 64 ? &r->newest : &r->bits[seq / 64 & (LM_REPLAY_WORDS - 1)];
}

/* Before crypto: LM_ESP_OK, LM_ESP_SEQ_ZERO, LM_ESP_REPLAY or LM_ESP_OLD. Changes nothing. */
static inline enum lm_esp_status lm_replay_check(const struct lm_replay *r, uint32_t seq)
{
	if (seq > r->top)
		return LM_ESP_OK;
	if (seq == 0) /* RFC 4303 section 2.2: the first packet has number 1 */
		return LM_ESP_SEQ_ZERO;
	if (r->top - seq >= LM_REPLAY_WINDOW)
		return LM_ESP_OLD;
	if (*lm_replay_word((struct lm_replay *)r, seq) >> (seq & 63) & 1)
		return LM_ESP_REPLAY;
	return LM_ESP_OK;
}

/* After crypto, for nearly all numbers: counts the number as seen when it comes next, or a little
 * later; else false, and lm_replay_commit decides. */
static inline bool lm_replay_next(struct lm_replay *r, uint32_t seq)
{
	if (seq <= r->top || seq / 64 != r->top / 64)
		return false;
	r->top = seq;
	r->newest |= UINT64_C(1) << (seq & 63);
	return true;
}

/* After crypto: the same verdicts, and on LM_ESP_OK the number counts as seen. Asks again, since
 * an earlier packet of the same burst may have had the number or moved the window. */
static inline enum lm_esp_status lm_replay_commit(struct lm_replay *r, uint32_t seq)
{
	enum lm_esp_status status;

	if (__builtin_expect(lm_replay_next(r, seq), 1))
		return LM_ESP_OK;
	status = lm_replay_check(r, seq);
	if (status != LM_ESP_OK)
		return status;
	if (seq > r->top) {
		uint32_t word = r->top / 64, steps = seq / 64 - word;

		if (steps > 0) {
			r->bits[word & (LM_REPLAY_WORDS - 1)] = r->newest;
			r->newest = 0;
			if (steps > LM_REPLAY_WORDS)
				steps = LM_REPLAY_WORDS + 1;
			while (--steps > 0)
				r->bits[++word & (LM_REPLAY_WORDS - 1)] = 0;
		}
		r->top = seq;
	}
	*lm_replay_word(r, seq) |= UINT64_C(1) << (seq & 63);
	return LM_ESP_OK;
}

#endif
