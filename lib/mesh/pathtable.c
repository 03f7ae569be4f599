/* SPDX-License-Identifier: BSD-3-Clause */
/* The path table of a peer (path.h). */
#include "internal.h"

#include <stdlib.h>

struct path *lm_m_path_find(const struct peer *p, const struct lm_path *path)
{
	struct path *r;

	DL_FOREACH2(p->paths, r, next_path)
	if (lm_m_path_equal(&r->path, path))
		return r;
	return NULL;
}

void lm_m_path_discard(struct peer *p, struct path *r)
{
	if (p->active == r)
		p->active = NULL;
	if (p->moved_to == r)
		p->moved_to = NULL;
	if (p->rx_path == r)
		p->rx_path = NULL;
	if (p->better == r)
		p->better = NULL;
	DL_DELETE2(p->paths, r, prev, next_path);
	p->n_paths--;
	free(r);
}

/* Somebody's packets can make paths of this kind at will: a new one takes the place of the oldest
 * that leads nowhere. */
static void make_room(struct peer *p, enum lm_path_kind kind)
{
	struct path *oldest = NULL, *r;
	unsigned seen = 0;

	DL_FOREACH2(p->paths, r, next_path)
	{
		if (r->kind != LM_PATH_SEEN)
			continue;
		seen++;
		if (oldest == NULL && r != p->active && r->state != LM_PATH_ALIVE)
			oldest = r;
	}
	if (oldest != NULL &&
	    (p->n_paths >= LM_M_PATHS || (kind == LM_PATH_SEEN && seen >= LM_M_PATHS_SEEN)))
		lm_m_path_discard(p, oldest);
}

struct path *lm_m_path_add(struct lm_mesh *m, struct peer *p, const struct lm_path *path,
			   enum lm_path_kind kind)
{
	struct path *r = lm_m_path_find(p, path);

	if (r != NULL) {
		if (kind != LM_PATH_SEEN)
			r->kind = kind;
		return r;
	}
	if (!lm_m_endpoint_ok(m, &path->remote) || !lm_m_wan_ok(m, path->port, &path->remote))
		return NULL;
	make_room(p, kind);
	if (p->n_paths >= LM_M_PATHS)
		return NULL;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	r->path = *path;
	r->kind = kind;
	r->keep = LM_M_KEEP_MIN;
	/* Paced: not all of them in the same moment. */
	r->next = m->now.mono + p->n_paths * LM_M_PROBE_PACE;
	DL_APPEND2(p->paths, r, prev, next_path);
	p->n_paths++;
	if (p->current != NULL)
		lm_m_liveness_rearm(m, p);
	return r;
}

struct path *lm_m_path_heard(struct lm_mesh *m, struct peer *p, const struct lm_path *path)
{
	const struct candidate *c = lm_m_candidate(p, &path->remote);
	enum lm_path_kind kind = LM_PATH_SEEN;

	if (path->relay != 0 && lm_m_way(p, path) == NULL)
		return NULL;
	if (path->relay != 0)
		kind = LM_PATH_RELAY;
	else if (c != NULL)
		kind = c->kind;
	return lm_m_path_add(m, p, path, kind);
}

static bool wanted(const struct lm_mesh *m, const struct peer *p, const struct path *r)
{
	if (!lm_m_wan_ok(m, r->path.port, &r->path.remote) || !lm_m_endpoint_ok(m, &r->path.remote))
		return false;
	return r->kind == LM_PATH_RELAY || r->kind == LM_PATH_SEEN || r == p->active ||
	       r->state == LM_PATH_ALIVE || lm_m_candidate(p, &r->path.remote) != NULL;
}

void lm_m_paths_fill(struct lm_mesh *m, struct peer *p)
{
	struct path *r, *tmp;

	DL_FOREACH_SAFE2(p->paths, r, tmp, next_path)
	if (!wanted(m, p, r))
		lm_m_path_remove(m, p, r);
	for (unsigned i = 0; i < p->n_candidates; i++)
		for (uint16_t port = 0; port < LM_MESH_WAN_MAX; port++) {
			struct lm_path path = {.port = port, .remote = p->candidates[i].ep};

			if (!lm_m_own_endpoint(m, &path.remote))
				(void)lm_m_path_add(m, p, &path, p->candidates[i].kind);
		}
}

void lm_m_paths_drop(struct peer *p, bool relays)
{
	struct path *r, *tmp;

	DL_FOREACH_SAFE2(p->paths, r, tmp, next_path)
	if (relays || r->kind != LM_PATH_RELAY)
		lm_m_path_discard(p, r);
	p->active = NULL;
}

/* ------------------------------------------------------------ inspection -- */

const char *lm_path_kind_name(enum lm_path_kind k)
{
	static const char *const names[] = {
	    [LM_PATH_HOST] = "host", [LM_PATH_PUBLIC] = "public", [LM_PATH_REFLEXIVE] = "reflexive",
	    [LM_PATH_SEEN] = "seen", [LM_PATH_RELAY] = "relay",
	};

	return names[k];
}

const char *lm_path_state_name(enum lm_path_state s)
{
	static const char *const names[] = {
	    [LM_PATH_UNTRIED] = "untried",
	    [LM_PATH_PROBING] = "probing",
	    [LM_PATH_ALIVE] = "alive",
	    [LM_PATH_DEAD] = "dead",
	};

	return names[s];
}

void lm_mesh_paths(const struct lm_mesh *m, uint32_t peer,
		   void (*each)(void *user, const struct lm_path_info *path), void *user)
{
	const struct peer *p = peer < m->max_peers ? m->by_index[peer] : NULL;
	const struct path *r;

	if (p == NULL)
		return;
	DL_FOREACH2(p->paths, r, next_path)
	{
		struct lm_path_info info = {
		    .path = r->path,
		    .kind = r->kind,
		    .relay = lm_m_path_relay(p, &r->path),
		    .state = r->state,
		    .active = r == p->active,
		    .rtt = r->rtt,
		    .jitter = r->jitter,
		    .loss = (double)r->loss,
		    .last_rx = r->last_rx,
		    .last_probe = r->last_probe,
		    .last_answer = r->last_answer,
		    .probes = r->sent,
		    .answers = r->answered,
		    .observed = r->observed,
		};

		each(user, &info);
	}
}
