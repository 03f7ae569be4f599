/* SPDX-License-Identifier: BSD-3-Clause */
/* The clock and the dice. */
#include "inside.h"

#include <stdio.h>
#include <stdlib.h>

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

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* SplitMix64 (Steele, Lea, Flood 2014): small, and all of its state is one number. */
static uint64_t next(struct world *w)
{
	return mix(w->rng += 0x9e3779b97f4a7c15u);
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

void world_trace(struct world *w, uint64_t what)
{
	w->trace = mix(w->trace ^ what) + w->now;
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
	w->next_report = w->now + WORLD_REPORT;
	if (lm_crypto_init() != 0)
		world_fail(w, "libsodium does not start");
	world_random_bytes(w, key, sizeof(key));
	w->authority = lm_identity_from_seed(key);
	world_must(w, w->authority != NULL);
}

void world_free(struct world *w)
{
	for (unsigned i = 0; i < w->n_nodes; i++) {
		struct node *n = w->nodes[i];

		if (n->mesh != NULL)
			node_stop(n, false);
		plane_free(n);
		lm_identity_free(n->id);
		free(n->cert);
		free(n);
	}
	free(w->nodes);
	for (size_t i = 0; i < w->n_queue; i++)
		free(w->queue[i]);
	free(w->queue);
	while (w->nats != NULL) {
		struct nat *n = w->nats;

		w->nats = n->next;
		nat_free(n);
	}
	lm_timers_free(&w->timers);
	index_free(w);
	lm_identity_free(w->authority);
}

struct lm_now world_now(const struct world *w, const struct node *n)
{
	return (struct lm_now){.mono = w->now - n->started + LM_SEC,
			       .wall =
				   w->wall + (int64_t)((w->now - WORLD_START) / LM_SEC) + n->skew};
}

void actor_at(struct world *w, struct actor *a, lm_time due)
{
	world_must(w, lm_timer_set(&w->timers, &a->timer, due) == 0);
}

void node_sync(struct node *n)
{
	lm_time due = n->mesh != NULL ? lm_mesh_next(n->mesh) : LM_TIME_NEVER;

	if (due != LM_TIME_NEVER)
		due = due + n->started - LM_SEC; /* its clock to ours */
	if (due != n->tick.timer.due || n->tick.timer.slot == 0)
		actor_at(n->world, &n->tick, due);
	if (n->mesh != NULL && n->world->inspect != NULL)
		n->world->inspect(n);
}

/* ---------------------------------------------------------------- clock -- */

static lm_time next_event(const struct world *w)
{
	lm_time t = w->next_report, due = lm_timers_next(&w->timers);

	t = due < t ? due : t;
	return w->n_queue > 0 && w->queue[0]->at < t ? w->queue[0]->at : t;
}

static void report_all(struct world *w)
{
	w->next_report += WORLD_REPORT;
	for (unsigned i = 0; i < w->n_nodes; i++) {
		if (w->nodes[i]->mesh == NULL || !w->nodes[i]->reports)
			continue;
		plane_report(w->nodes[i]);
		node_sync(w->nodes[i]);
	}
}

static void step(struct world *w, lm_time t)
{
	struct lm_timer *timer;

	if (t > w->now) {
		w->now = t;
		w->events_now = 0;
	}
	w->events++;
	if (++w->events_now > 10000000)
		world_fail(w, "the clock stands still: something is always due");
	timer = lm_timers_pop(&w->timers, w->now);
	if (timer != NULL) {
		struct actor *a = LM_CONTAINER_OF(timer, struct actor, timer);

		a->run(w, a);
	} else if (w->n_queue > 0 && w->queue[0]->at <= w->now) {
		struct datagram *d = queue_pop(w);

		net_arrive(w, d);
		free(d);
	} else if (w->next_report <= w->now) {
		report_all(w);
	}
}

/* The caller may have done anything to anybody. */
static void sync_all(struct world *w)
{
	for (unsigned i = 0; i < w->n_nodes; i++)
		node_sync(w->nodes[i]);
}

void world_run(struct world *w, lm_time until)
{
	lm_time t;

	sync_all(w);
	while ((t = next_event(w)) <= until)
		step(w, t);
	if (until > w->now)
		w->now = until;
}

bool world_until(struct world *w, lm_time limit, bool (*cond)(struct world *w, void *arg),
		 void *arg)
{
	lm_time end = w->now + limit, t;

	sync_all(w);
	while (!cond(w, arg)) {
		t = next_event(w);
		if (t > end) {
			w->now = end;
			return cond(w, arg);
		}
		step(w, t);
	}
	return true;
}
