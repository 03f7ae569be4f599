/* SPDX-License-Identifier: BSD-3-Clause */
/* What a mesh core may hold at most, asked after every event: the caps of lib/mesh/internal.h,
 * path.h and relay.h, and that books agree. */
#include "internal.h"
#include "swarm.h"

#define SESSIONS_PEER (LM_M_INITIATIONS + LM_M_HALF_OPEN_PEER + LM_M_OLD_PEER + 3)

/* Own timers of a mesh: sweep, STUN, relays. Each peer has two, sessions and ways one each. */
#define OWN_TIMERS 3

struct held {
	uint32_t peers, sessions, half_open, pair_ends, ways, extra;
};

static void sessions(const struct node *n, const struct peer *p, struct held *h)
{
	unsigned of_state[SESSION_OLD + 1] = {0}, all = 0, initiating = 0;
	const struct session *s;

	DL_FOREACH(p->sessions, s)
	{
		of_state[s->state]++;
		all++;
		initiating += s->init != NULL;
		world_must(n->world, s->state != SESSION_CURRENT || s == p->current);
	}
	world_must(n->world, all <= SESSIONS_PEER && initiating <= LM_M_INITIATIONS);
	world_must(n->world, of_state[SESSION_HALF] <= LM_M_HALF_OPEN_PEER);
	world_must(n->world, of_state[SESSION_OLD] <= LM_M_OLD_PEER);
	world_must(n->world, of_state[SESSION_CURRENT] <= 1);
	h->sessions += all;
	h->half_open += of_state[SESSION_HALF];
}

static void paths(const struct node *n, const struct peer *p)
{
	unsigned all = 0;
	const struct path *r;

	DL_COUNT2(p->paths, r, all, next_path);
	world_must(n->world, all == p->n_paths && all <= LM_M_PATHS);
	world_must(n->world, p->n_candidates <= LM_M_CANDIDATES && p->n_ways <= LM_M_WAYS);
	world_must(n->world, p->n_ephemerals <= p->room && p->room <= LM_M_EPHEMERALS_MAX);
	/* An idle node of the directory holds no paths. */
	world_must(n->world, p->sessions != NULL || all <= p->n_ways);
}

static void relays(const struct node *n, const struct lm_mesh *m, const struct held *h)
{
	const struct relay_pair *pair;
	unsigned asked = 0, open = 0, open_ways = HASH_COUNT(m->relaying.ways);

	DL_COUNT(m->relaying.asked, pair, asked);
	DL_COUNT(m->relaying.open, pair, open);
	world_must(n->world, asked + open == m->relaying.n_pairs);
	world_must(n->world, asked + open == HASH_COUNT(m->relaying.pairs));
	world_must(n->world, asked + open <= m->relaying.max_pairs);
	world_must(n->world, h->pair_ends == 2 * (asked + open));
	world_must(n->world, h->ways == m->relaying.n_ways && h->ways <= LM_M_WAYS_MAX);
	/* The data plane knows as many ids. */
	world_must(n->world, n->n_relays == 2 * open + open_ways);
}

void bounds_check(struct node *n)
{
	const struct lm_mesh *m = n->mesh;
	struct held h = {0};
	struct peer *p;

	for (p = m->peers; p != NULL; p = p->hh.next) {
		h.peers++;
		h.pair_ends += p->n_pairs;
		h.ways += p->n_ways;
		h.extra += p->room > LM_M_EPHEMERALS ? p->room - LM_M_EPHEMERALS : 0;
		sessions(n, p, &h);
		paths(n, p);
	}
	relays(n, m, &h);
	world_must(n->world, h.extra == m->extra_ephemerals && h.extra <= LM_M_EPHEMERALS_EXTRA);
	world_must(n->world, h.half_open == m->n_half_open && h.half_open <= m->max_half_open);
	world_must(n->world, m->n_peers <= m->max_peers && m->n_peers <= h.peers);
	world_must(n->world, h.sessions == HASH_COUNT(m->sessions));
	world_must(n->world, m->timers.n == OWN_TIMERS + 2 * h.peers + h.sessions + h.ways);
}
