/* SPDX-License-Identifier: BSD-3-Clause */
/* Datagrams on their way: a binary heap by time of arrival, then by order of sending. */
#include "inside.h"

#include <stdlib.h>

static bool before(const struct datagram *a, const struct datagram *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void queue_push(struct world *w, struct datagram *d)
{
	size_t i = w->n_queue++;

	if (i == w->cap_queue) {
		w->cap_queue = w->cap_queue == 0 ? 256 : w->cap_queue * 2;
		w->queue = realloc(w->queue, w->cap_queue * sizeof(struct datagram *));
		world_must(w, w->queue != NULL);
	}
	if (w->n_queue > w->most_queue)
		w->most_queue = w->n_queue;
	while (i > 0 && before(d, w->queue[(i - 1) / 2])) {
		w->queue[i] = w->queue[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	w->queue[i] = d;
}

struct datagram *queue_pop(struct world *w)
{
	struct datagram *first = w->queue[0], *last = w->queue[--w->n_queue];
	size_t i = 0;

	for (;;) {
		size_t c = 2 * i + 1;

		if (c >= w->n_queue)
			break;
		if (c + 1 < w->n_queue && before(w->queue[c + 1], w->queue[c]))
			c++;
		if (!before(w->queue[c], last))
			break;
		w->queue[i] = w->queue[c];
		i = c;
	}
	w->queue[i] = last;
	return first;
}
