/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which path traffic takes. A dead one is left at once, for the best that is
 * alive; a living one only for one that is clearly better for some seconds, so
 * that nothing flaps. Direct comes before relay, then less loss, then a shorter
 * round trip. Each side chooses for itself by its own round trips; when both ways
 * are as good, the node with the lesser key comes over to the other's choice.
 */
#include "internal.h"

/* In shares of probes, which a loss in either direction takes away: 5 points each way. */
#define LOSS_MARGIN  0.10f
#define LOSS_MUCH    0.30f /* a direct path may lose so much more than a relay */
#define LOSS_SAMPLES 32
#define RTT_MARGIN   (5 * LM_MSEC)
#define HOLD	     (3 * LM_SEC) /* better for so long */
#define CALM	     (300 * LM_SEC)
#define DEATHS_MAX   6

static bool relayed(const struct path *r)
{
	return r->kind == LM_PATH_RELAY;
}

static bool known_loss(const struct path *a, const struct path *b)
{
	return a->loss_samples >= LOSS_SAMPLES && b->loss_samples >= LOSS_SAMPLES;
}

/* A path that died again and again must live for longer before it is trusted: up to a minute. */
static bool settled(const struct lm_mesh *m, const struct path *r)
{
	lm_time calm = r->deaths == 0 ? 0 : LM_SEC << r->deaths;

	return lm_m_since(m, r->alive_since) >= calm;
}

static bool clearly_better(const struct path *a, const struct path *than)
{
	float gain = known_loss(a, than) ? than->loss - a->loss : 0;

	if (relayed(a) != relayed(than))
		return relayed(a) ? gain > LOSS_MUCH : gain > -LOSS_MUCH / 2;
	if (gain > LOSS_MARGIN)
		return true;
	return gain > -LOSS_MARGIN / 2 && than->rtt > a->rtt + RTT_MARGIN &&
	       than->rtt - a->rtt > than->rtt / 5;
}

/* To put paths in order where none is in use: 1 % of probes lost is as bad as 10 ms. */
static lm_time cost(const struct path *r)
{
	lm_time sum = r->rtt + (lm_time)(r->loss * 100) * 10 * LM_MSEC;

	if (relayed(r))
		sum += LM_SEC;
	if (r->asked != 0 && r->tries > 1) /* it may be dying too */
		sum += 10 * LM_SEC;
	return sum;
}

static struct path *best_alive(const struct peer *p)
{
	struct path *best = NULL, *r;

	DL_FOREACH2(p->paths, r, next_path)
	if (r->state == LM_PATH_ALIVE && (best == NULL || cost(r) < cost(best)))
		best = r;
	return best;
}

/* As good as the one in use, and the peer's choice. */
static bool peers_choice(const struct lm_mesh *m, const struct peer *p, const struct path *r)
{
	return !p->greater && r == p->rx_path && relayed(r) == relayed(p->active) &&
	       lm_m_busy(m, p) && r->last_rx > p->active->last_rx && !clearly_better(p->active, r);
}

static struct path *better_one(const struct lm_mesh *m, const struct peer *p)
{
	struct path *best = NULL, *r;

	DL_FOREACH2(p->paths, r, next_path)
	{
		if (r == p->active || r->state != LM_PATH_ALIVE || r->asked != 0 || !settled(m, r))
			continue;
		if (!clearly_better(r, p->active) && !peers_choice(m, p, r))
			continue;
		if (best == NULL || cost(r) < cost(best))
			best = r;
	}
	return best;
}

static void move(struct lm_mesh *m, struct peer *p, struct path *r, const char *why)
{
	char label[LM_M_LABEL_LEN], at[LM_ENDPOINT_STRLEN];

	m->count.moves++;
	lm_m_path_use(m, p, r);
	lm_m_event(m, LM_LOG_INFO, "%s: moved to %s%s by WAN port %u: %s",
		   lm_m_peer_label(p, label), lm_endpoint_format(&r->path.remote, at),
		   relayed(r) ? " (relay)" : "", r->path.port, why);
}

void lm_m_path_use(struct lm_mesh *m, struct peer *p, struct path *r)
{
	struct path *before = p->active;

	p->path = r->path;
	p->has_path = true;
	p->active = r;
	p->better = NULL;
	/* Users first. */
	m->ops.path_set(m->user, p->index, &r->path);
	lm_m_candidates(m, p);
	/* It was asked as one that is not in use. */
	if (r->asked == 0)
		r->next = m->now.mono;
	if (before != NULL && before != r)
		before->next = m->now.mono + LM_M_PROBE_PACE;
	lm_m_reach(m, p);
	if (p->n_pairs > 0)
		lm_m_pairs_moved(m, p);
	if (p->is_relay)
		lm_m_ways_moved(m, p);
}

void lm_m_select(struct lm_mesh *m, struct peer *p)
{
	struct path *r;

	if (p->current == NULL)
		return;
	if (p->active == NULL || p->active->state != LM_PATH_ALIVE) {
		r = best_alive(p);
		if (r != NULL)
			move(m, p, r, "it answers again");
		return;
	}
	if (p->active->deaths > 0 && lm_m_since(m, p->active->alive_since) > CALM)
		p->active->deaths = 0;
	r = better_one(m, p);
	if (r == NULL) {
		p->better = NULL;
	} else if (relayed(p->active) && !relayed(r)) {
		move(m, p, r, "it is direct");
	} else if (r != p->better) {
		p->better = r;
		p->better_since = m->now.mono;
	} else if (lm_m_since(m, p->better_since) >= HOLD) {
		move(m, p, r, "it is better");
	}
}

bool lm_m_follow(struct lm_mesh *m, struct peer *p)
{
	struct path *r = p->moved_to;

	if (r == NULL || r == p->active || r->state != LM_PATH_ALIVE || r->asked != 0 ||
	    r->last_rx < p->active->asked)
		return false;
	move(m, p, r, "the peer has moved there");
	return true;
}

void lm_m_no_path(struct lm_mesh *m, struct peer *p)
{
	lm_time next = m->now.mono;
	struct path *r;

	if (p->probing == 0)
		p->probing = m->now.mono;
	DL_FOREACH2(p->paths, r, next_path)
	if (r->state != LM_PATH_ALIVE && r != p->active && r->next > next) {
		r->next = next;
		next += LM_M_PROBE_PACE;
	}
	lm_m_relay_no_path(m, p);
}

/* The active one is dead or gone. */
static void replace_active(struct lm_mesh *m, struct peer *p, const char *why)
{
	struct path *r = best_alive(p);

	if (r != NULL) {
		m->count.failovers++;
		move(m, p, r, why);
		return;
	}
	lm_m_no_path(m, p);
	lm_m_reach(m, p);
}

void lm_m_path_died(struct lm_mesh *m, struct peer *p, struct path *r)
{
	if (r->deaths < DEATHS_MAX)
		r->deaths++;
	r->state = LM_PATH_DEAD;
	r->asked = 0;
	r->tries = 0;
	r->next = m->now.mono + LM_SEC / 4;
	if (p->better == r)
		p->better = NULL;
	if (r == p->active)
		replace_active(m, p, "the path before does not answer");
}

void lm_m_path_remove(struct lm_mesh *m, struct peer *p, struct path *r)
{
	bool was_active = r == p->active;

	lm_m_path_discard(p, r);
	if (was_active && p->current != NULL)
		replace_active(m, p, "the path before is gone");
}

void lm_m_reach(struct lm_mesh *m, struct peer *p)
{
	bool yes = p->current != NULL && p->active != NULL && p->active->state == LM_PATH_ALIVE;

	if (yes == p->reachable)
		return;
	p->reachable = yes;
	m->ops.reachable(m->user, p->index, yes);
}
