/* SPDX-License-Identifier: BSD-3-Clause */
/* The path table of a peer (path.h). */
#include "internal.h"

#include <stdlib.h>

struct path *lm_m_path_find(const struct peer *p, const struct lm_path *path)
{
	struct path *r;

	DL_FOREACH(p->paths, r)
	if (lm_m_path_equal(&r->path, path))
		return r;
	return NULL;
}

static void discard(struct peer *p, struct path *r)
{
	if (p->active == r)
		p->active = NULL;
	if (p->challenge == r)
		p->challenge = NULL;
	DL_DELETE(p->paths, r);
	p->n_paths--;
	free(r);
}

/* Somebody's packets can make paths of this kind at will: a new one takes the place of the oldest
 * that leads nowhere. */
static void make_room(struct peer *p, enum lm_path_kind kind)
{
	struct path *oldest = NULL, *r;
	unsigned seen = 0;

	DL_FOREACH(p->paths, r)
	{
		if (r->kind != LM_PATH_SEEN)
			continue;
		seen++;
		if (oldest == NULL && r != p->active && r->state != LM_PATH_ALIVE)
			oldest = r;
	}
	if (oldest != NULL &&
	    (p->n_paths >= LM_M_PATHS || (kind == LM_PATH_SEEN && seen >= LM_M_PATHS_SEEN)))
		discard(p, oldest);
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
	r->added = m->now.mono;
	DL_APPEND(p->paths, r);
	p->n_paths++;
	return r;
}

void lm_m_path_remove(struct lm_mesh *m, struct peer *p, struct path *r)
{
	bool was_active = r == p->active;

	discard(p, r);
	if (was_active)
		lm_m_path_lost(m, p);
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

	DL_FOREACH_SAFE(p->paths, r, tmp)
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

	DL_FOREACH_SAFE(p->paths, r, tmp)
	if (relays || r->kind != LM_PATH_RELAY)
		discard(p, r);
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
	DL_FOREACH(p->paths, r)
	{
		struct lm_path_info info = {
		    .path = r->path,
		    .kind = r->kind,
		    .state = r->state,
		    .active = r == p->active,
		    .rtt = r->rtt,
		    .jitter = r->jitter,
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
