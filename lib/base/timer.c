/* SPDX-License-Identifier: BSD-3-Clause */
/* Binary min-heap of deadlines. Slots are 1-based, so that 0 can mean "not armed". */
#include <lanemesh/base.h>

#include <errno.h>
#include <stdlib.h>

static void put(struct lm_timers *ts, uint32_t slot, struct lm_timer *t)
{
	ts->heap[slot - 1] = t;
	t->slot = slot;
}

static void sift_up(struct lm_timers *ts, struct lm_timer *t, uint32_t slot)
{
	while (slot > 1 && ts->heap[slot / 2 - 1]->due > t->due) {
		put(ts, slot, ts->heap[slot / 2 - 1]);
		slot /= 2;
	}
	put(ts, slot, t);
}

static void sift_down(struct lm_timers *ts, struct lm_timer *t, uint32_t slot)
{
	while (slot <= ts->n / 2) {
		uint32_t child = 2 * slot;

		if (child < ts->n && ts->heap[child]->due < ts->heap[child - 1]->due)
			child++;
		if (ts->heap[child - 1]->due >= t->due)
			break;
		put(ts, slot, ts->heap[child - 1]);
		slot = child;
	}
	put(ts, slot, t);
}

static void place(struct lm_timers *ts, struct lm_timer *t, uint32_t slot)
{
	if (slot > 1 && ts->heap[slot / 2 - 1]->due > t->due)
		sift_up(ts, t, slot);
	else
		sift_down(ts, t, slot);
}

void lm_timers_free(struct lm_timers *ts)
{
	for (uint32_t i = 0; i < ts->n; i++)
		ts->heap[i]->slot = 0;
	free(ts->heap);
	*ts = (struct lm_timers){0};
}

int lm_timer_set(struct lm_timers *ts, struct lm_timer *t, lm_time due)
{
	if (due == LM_TIME_NEVER) {
		lm_timer_stop(ts, t);
		return 0;
	}
	if (t->slot != 0) {
		t->due = due;
		place(ts, t, t->slot);
		return 0;
	}
	if (ts->n == ts->cap) {
		uint32_t cap = ts->cap == 0 ? 16 : ts->cap * 2;
		struct lm_timer **heap;

		if (cap > UINT32_MAX / sizeof(*heap))
			return -ENOMEM;
		heap = realloc(ts->heap, cap * sizeof(*heap));
		if (heap == NULL)
			return -ENOMEM;
		ts->heap = heap;
		ts->cap = cap;
	}
	t->due = due;
	ts->n++;
	sift_up(ts, t, ts->n);
	return 0;
}

void lm_timer_stop(struct lm_timers *ts, struct lm_timer *t)
{
	uint32_t slot = t->slot;
	struct lm_timer *last;

	if (slot == 0)
		return;
	last = ts->heap[ts->n - 1];
	ts->n--;
	t->slot = 0;
	if (last != t)
		place(ts, last, slot);
}

lm_time lm_timers_next(const struct lm_timers *ts)
{
	return ts->n == 0 ? LM_TIME_NEVER : ts->heap[0]->due;
}

struct lm_timer *lm_timers_pop(struct lm_timers *ts, lm_time now)
{
	struct lm_timer *t;

	if (ts->n == 0 || ts->heap[0]->due > now)
		return NULL;
	t = ts->heap[0];
	lm_timer_stop(ts, t);
	return t;
}
