/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the workers saw of each session, told to the mesh: every 50 ms of those that
 * have traffic, so that a path that goes silent is noticed, and four times a second
 * of all of them.
 */
#include "internal.h"

#include <stdlib.h>

#define BUSY_MS 50
#define ALL_MS	250

/* True: it has traffic. */
static bool report(struct lm_control *c, struct lm_now now, uint32_t session)
{
	struct lm_dp_usage u;
	struct lm_mesh_usage seen;

	if (lm_dp_usage(c->dp, session, &u) != 0)
		return false;
	seen = (struct lm_mesh_usage){
	    .last_rx = u.last_rx, .highest_seq = u.highest_seq, .tx_packets = u.tx_packets};
	return lm_mesh_usage(c->mesh, now, session, &seen);
}

static void list_session(void *user, uint32_t session)
{
	struct lm_control *c = user;

	if (c->n_busy == c->cap_busy) {
		uint32_t cap = c->cap_busy == 0 ? 64 : c->cap_busy * 2;
		uint32_t *more = realloc(c->busy, cap * sizeof(*more));

		if (more == NULL)
			return; /* told of in the next round */
		c->busy = more;
		c->cap_busy = cap;
	}
	c->busy[c->n_busy++] = session;
}

static void on_usage(uv_timer_t *t)
{
	struct lm_control *c = t->data;
	struct lm_now now = lm_control_now(c);
	uint32_t kept = 0;

	/* Also of sessions that are not the current one: ESP on one of ours that is not confirmed
	 * yet says that the peer has taken it. */
	if (c->n_busy == 0 || ++c->usage_rounds >= ALL_MS / BUSY_MS) {
		c->usage_rounds = 0;
		c->n_busy = 0;
		lm_mesh_sessions(c->mesh, list_session, c);
	}
	for (uint32_t i = 0; i < c->n_busy; i++)
		if (report(c, now, c->busy[i]))
			c->busy[kept++] = c->busy[i];
	c->n_busy = kept;
	(void)uv_timer_start(t, on_usage, c->n_busy > 0 ? BUSY_MS : ALL_MS, 0);
	lm_control_rearm(c);
}

void lm_usage_start(struct lm_control *c)
{
	(void)uv_timer_start(&c->usage_timer, on_usage, ALL_MS, 0);
}
