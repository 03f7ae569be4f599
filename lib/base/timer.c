/* SPDX-License-Identifier: BSD-3-Clause */
/* Min-heap of deadlines, four children each: half as deep as a binary one, and a look at the
 * children is one line of the cache. The deadlines are kept beside the pointers, as a timer is
 * somewhere in its owner, far away. Slots are 1-based, so that 0 can mean "not armed". */
#include <lanemesh/base.h>

#include <errno.h>
#include <stdlib.h>

#define CHILDREN 4u

static uint32_t parent_of(uint32_t slot)
{
	return (slot - 2) / CHILDREN + 1;
}

static void put(struct lm_timers *ts, uint32_t slot, struct lm_timer *t, lm_time due)
{
	ts->heap[slot - 1].due = due;
	ts->heap[slot - 1].timer = t;
	t->slot = slot;
}

static void sift_up(struct lm_timers *ts, struct lm_timer *t, lm_time due, uint32_t slot)
{
	while (slot > 1 && ts->heap[parent_of(slot) - 1].due > due) {
		const struct lm_timer_place *above = &ts->heap[parent_of(slot) - 1];

		put(ts, slot, above->timer, above->due);
		slot = parent_of(slot);
	}
	put(ts, slot, t, due);
}

/* 0: it has no children. */
static uint32_t least_child(const struct lm_timers *ts, uint32_t slot)
{
	uint32_t first = (slot - 1) * CHILDREN + 2, least = first;

	if (first > ts->n)
		return 0;
	for (uint32_t i = first + 1; i < first + CHILDREN && i <= ts->n; i++)
		if (ts->heap[i - 1].due < ts->heap[least - 1].due)
			least = i;
	return least;
}

static void sift_down(struct lm_timers *ts, struct lm_timer *t, lm_time due, uint32_t slot)
{
	uint32_t child;

	while ((child = least_child(ts, slot)) != 0 && ts->heap[child - 1].due < due) {
		put(ts, slot, ts->heap[child - 1].timer, ts->heap[child - 1].due);
		slot = child;
	}
	put(ts, slot, t, due);
}

static void place(struct lm_timers *ts, struct lm_timer *t, lm_time due, uint32_t slot)
{
	if (slot > 1 && ts->heap[parent_of(slot) - 1].due > due)
		sift_up(ts, t, due, slot);
	else
		sift_down(ts, t, due, slot);
}

void lm_timers_free(struct lm_timers *ts)
{
	for (uint32_t i = 0; i < ts->n; i++)
		ts->heap[i].timer->slot = 0;
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
		place(ts, t, due, t->slot);
		return 0;
	}
	if (ts->n == ts->cap) {
		uint32_t cap = ts->cap == 0 ? 16 : ts->cap * 2;
		struct lm_timer_place *heap;

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
	sift_up(ts, t, due, ts->n);
	return 0;
}

void lm_timer_stop(struct lm_timers *ts, struct lm_timer *t)
{
	uint32_t slot = t->slot;
	struct lm_timer_place last;

	if (slot == 0)
		return;
	last = ts->heap[ts->n - 1];
	ts->n--;
	t->slot = 0;
	if (last.timer != t)
		place(ts, last.timer, last.due, slot);
}

lm_time lm_timers_next(const struct lm_timers *ts)
{
	return ts->n == 0 ? LM_TIME_NEVER : ts->heap[0].due;
}

struct lm_timer *lm_timers_pop(struct lm_timers *ts, lm_time now)
{
	struct lm_timer *t;

	if (ts->n == 0 || ts->heap[0].due > now)
		return NULL;
	t = ts->heap[0].timer;
	lm_timer_stop(ts, t);
	return t;
}
