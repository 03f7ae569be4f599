/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Anti-replay window after RFC 6479: bits sit at fixed places of a ring, so moving
 * the window clears whole words and shifts nothing. The ring is larger than the
 * window, so a word is always cleared before its numbers come into the window.
 * One worker owns a window: check and commit need no locks.
 */
#ifndef LM_ESP_REPLAY_H
#define LM_ESP_REPLAY_H

#include <lanemesh/esp.h>

_Static_assert((LM_REPLAY_WORDS & (LM_REPLAY_WORDS - 1)) == 0, "the ring is masked");
_Static_assert(LM_REPLAY_WORDS > LM_REPLAY_WINDOW / 64, "one word more than the window needs");

/* Before crypto: LM_ESP_OK, LM_ESP_SEQ_ZERO, LM_ESP_REPLAY or LM_ESP_OLD. Changes nothing. */
static inline enum lm_esp_status lm_replay_check(const struct lm_replay *r, uint32_t seq)
{
	if (seq > r->top)
		return LM_ESP_OK;
	if (seq == 0) /* RFC 4303 section 2.2: the first packet has number 1 */
		return LM_ESP_SEQ_ZERO;
	if (r->top - seq >= LM_REPLAY_WINDOW)
		return LM_ESP_OLD;
	if (r->bits[seq / 64 & (LM_REPLAY_WORDS - 1)] >> (seq & 63) & 1)
		return LM_ESP_REPLAY;
	return LM_ESP_OK;
}

/* After crypto: the same verdicts, and on LM_ESP_OK the number counts as seen. Asks again, since
 * an earlier packet of the same burst may have had the number or moved the window. */
static inline enum lm_esp_status lm_replay_commit(struct lm_replay *r, uint32_t seq)
{
	enum lm_esp_status status = lm_replay_check(r, seq);

	if (status != LM_ESP_OK)
		return status;
	if (seq > r->top) {
		uint32_t word = r->top / 64, steps = seq / 64 - word;

		if (steps > LM_REPLAY_WORDS)
			steps = LM_REPLAY_WORDS;
		while (steps-- > 0)
			r->bits[++word & (LM_REPLAY_WORDS - 1)] = 0;
		r->top = seq;
	}
	r->bits[seq / 64 & (LM_REPLAY_WORDS - 1)] |= UINT64_C(1) << (seq & 63);
	return LM_ESP_OK;
}

#endif
