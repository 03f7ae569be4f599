/* SPDX-License-Identifier: BSD-3-Clause */
/* The clock, the dice and the network. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#define HASH_BLOOM 16
#include <uthash.h>

struct used_key {
	UT_hash_handle hh;
	struct lm_esp_key key;
};

void world_fail(const struct world *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "%s: seed %llu, t = %.6f s: ", w->what, (unsigned long long)w->seed,
		(double)(w->now - WORLD_START) / 1e9);
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	abort();
}

/* SplitMix64 (Steele, Lea, Flood 2014): small, and all of its state is one number. */
static uint64_t next(struct world *w)
{
	uint64_t z = (w->rng += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint32_t world_random(struct world *w, uint32_t below)
{
	return below == 0 ? 0 : (uint32_t)(((next(w) >> 32) * below) >> 32);
}

void world_random_bytes(struct world *w, void *out, size_t len)
{
	uint8_t *p = out;

	while (len > 0) {
		uint64_t r = next(w);
		size_t n = len < sizeof(r) ? len : sizeof(r);

		memcpy(p, &r, n);
		p += n;
		len -= n;
	}
}

void world_init(struct world *w, uint64_t seed)
{
	uint8_t key[32];

	memset(w, 0, sizeof(*w));
	w->seed = w->rng = seed;
	w->now = WORLD_START;
	w->wall = WORLD_WALL;
	w->delay = 5 * LM_MSEC;
	w->what = "world";
	w->next_report = w->now + LM_SEC;
	if (lm_crypto_init() != 0)
		world_fail(w, "libsodium does not start");
	world_random_bytes(w, key, sizeof(key));
	w->authority = lm_identity_from_seed(key);
	world_must(w, w->authority != NULL);
}

void world_free(struct world *w)
{
	struct used_key *k, *tmp;

	for (unsigned i = 0; i < w->n_nodes; i++) {
		if (w->nodes[i]->mesh != NULL)
			node_stop(w->nodes[i], false);
		lm_identity_free(w->nodes[i]->id);
		free(w->nodes[i]);
	}
	for (size_t i = 0; i < w->n_queue; i++)
		free(w->queue[i]);
	free(w->queue);
	HASH_ITER(hh, w->keys, k, tmp)
	{
		HASH_DEL(w->keys, k);
		free(k);
	}
	lm_identity_free(w->authority);
}

bool world_key_fresh(struct world *w, const struct lm_esp_key *key)
{
	struct used_key *k;

	HASH_FIND(hh, w->keys, key, sizeof(*key), k);
	if (k != NULL)
		return false;
	k = calloc(1, sizeof(*k));
	world_must(w, k != NULL);
	k->key = *key;
	HASH_ADD(hh, w->keys, key, sizeof(k->key), k);
	return true;
}

struct lm_now world_now(const struct world *w, const struct node *n)
{
	return (struct lm_now){.mono = w->now - n->started + LM_SEC,
			       .wall =
				   w->wall + (int64_t)((w->now - WORLD_START) / LM_SEC) + n->skew};
}

/* ---------------------------------------------------------------- queue -- */

static bool before(const struct datagram *a, const struct datagram *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void push(struct world *w, struct datagram *d)
{
	size_t i = w->n_queue++;

	if (i == w->cap_queue) {
		w->cap_queue = w->cap_queue == 0 ? 256 : w->cap_queue * 2;
		w->queue = realloc(w->queue, w->cap_queue * sizeof(struct datagram *));
		world_must(w, w->queue != NULL);
	}
	while (i > 0 && before(d, w->queue[(i - 1) / 2])) {
		w->queue[i] = w->queue[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	w->queue[i] = d;
}

static struct datagram *pop(struct world *w)
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

static void enqueue(struct world *w, const struct datagram *d, lm_time delay)
{
	struct datagram *copy = malloc(sizeof(*copy));

	world_must(w, copy != NULL && d->len <= sizeof(copy->data));
	*copy = *d;
	copy->at = w->now + delay;
	copy->order = w->order++;
	push(w, copy);
}

static lm_time some_delay(struct world *w)
{
	return w->delay + w->jitter / 1000 * world_random(w, 1000);
}

void world_send(struct world *w, const struct lm_endpoint *from, const struct lm_endpoint *to,
		const uint8_t *data, size_t len)
{
	struct datagram d = {.from = *from, .to = *to, .len = len};
	bool esp;

	world_must(w, len <= sizeof(d.data));
	memcpy(d.data, data, len);
	if (w->tap != NULL && !w->tap(w, &d, w->tap_user))
		return;
	esp = lm_demux(data, len) == LM_DEMUX_ESP;
	if (world_random(w, 1000) < w->loss) {
		w->lost++;
		w->esp_lost += esp;
		return;
	}
	enqueue(w, &d, some_delay(w));
	if (world_random(w, 1000) < w->duplicate) {
		w->duplicated++;
		w->esp_duplicated += esp;
		enqueue(w, &d, some_delay(w));
	}
}

void world_inject(struct world *w, const struct lm_endpoint *from, const struct lm_endpoint *to,
		  const uint8_t *data, size_t len, lm_time delay)
{
	struct datagram d = {.from = *from, .to = *to, .len = len};

	world_must(w, len <= sizeof(d.data));
	memcpy(d.data, data, len);
	enqueue(w, &d, delay);
}

static void deliver(struct world *w, const struct datagram *d)
{
	for (unsigned i = 0; i < w->n_nodes; i++) {
		struct node *n = w->nodes[i];

		for (unsigned port = 0; port < n->n_wan; port++) {
			if (!lm_endpoint_equal(&n->wan[port], &d->to))
				continue;
			if (n->mesh != NULL && !n->silent) {
				w->delivered++;
				node_deliver(n, port, d);
			}
			return;
		}
	}
}

/* ---------------------------------------------------------------- clock -- */

/* When something happens next, and where: *node is NULL for the network and the reports. */
static lm_time next_event(struct world *w, struct node **node)
{
	lm_time t = w->next_report;

	*node = NULL;
	if (w->actor_next != NULL) {
		lm_time due = w->actor_next(w);

		t = due < t ? due : t;
	}
	if (w->n_queue > 0 && w->queue[0]->at < t)
		t = w->queue[0]->at;
	for (unsigned i = 0; i < w->n_nodes; i++) {
		struct node *n = w->nodes[i];
		lm_time due;

		if (n->mesh == NULL)
			continue;
		due = lm_mesh_next(n->mesh);
		if (due == LM_TIME_NEVER)
			continue;
		due = due + n->started - LM_SEC; /* its clock to ours */
		if (due < t) {
			t = due;
			*node = n;
		}
	}
	return t;
}

static void step(struct world *w, lm_time t, struct node *n)
{
	if (t > w->now) {
		w->now = t;
		w->events_now = 0;
	}
	if (++w->events_now > 1000000)
		world_fail(w, "the clock stands still: something is always due");
	if (w->actor_next != NULL && w->actor_next(w) <= w->now)
		w->actor_run(w);
	else if (n != NULL) {
		lm_mesh_tick(n->mesh, world_now(w, n));
	} else if (w->n_queue > 0 && w->queue[0]->at <= t) {
		struct datagram *d = pop(w);

		deliver(w, d);
		free(d);
	} else if (w->next_report <= w->now) {
		w->next_report += LM_SEC;
		for (unsigned i = 0; i < w->n_nodes; i++)
			if (w->nodes[i]->mesh != NULL && w->nodes[i]->reports)
				node_report(w->nodes[i]);
	}
}

void world_run(struct world *w, lm_time until)
{
	struct node *n;
	lm_time t;

	while ((t = next_event(w, &n)) <= until)
		step(w, t, n);
	if (until > w->now)
		w->now = until;
}

bool world_until(struct world *w, lm_time limit, bool (*cond)(struct world *w, void *arg),
		 void *arg)
{
	lm_time end = w->now + limit;
	struct node *n;
	lm_time t;

	while (!cond(w, arg)) {
		t = next_event(w, &n);
		if (t > end) {
			w->now = end;
			return cond(w, arg);
		}
		step(w, t, n);
	}
	return true;
}
