/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The path table of a peer: every way to it that is known, and what was measured
 * there. A peer has one while it has a session (in whatever state) or a relay
 * path; an idle node of the directory has none, only candidates.
 */
#ifndef LANEMESH_MESH_PATH_H
#define LANEMESH_MESH_PATH_H

#include <lanemesh/mesh.h>

#define LM_M_PATHS	32 /* of one peer */
#define LM_M_PATHS_SEEN 4  /* of these, not announced: a new one takes the place of the oldest */
#define LM_M_PROBES	8  /* unanswered ones remembered of each path */

struct peer;

struct probe {
	bool waiting;
	uint64_t token;
	lm_time sent;
};

/* A way to a peer. Its address stays good until lm_m_path_remove. */
struct path {
	struct path *prev, *next; /* of the peer, oldest first */
	struct lm_path path;
	enum lm_path_kind kind;
	enum lm_path_state state;
	lm_time added;
	lm_time last_rx, last_probe, last_answer;
	lm_time rtt, rtt_var, jitter;
	uint32_t sent, answered;
	struct lm_endpoint observed;
	struct probe probes[LM_M_PROBES];
	uint8_t next_probe;
};

/* Adds the path, or returns the one that is there (its kind becomes the given one, unless that is
 * LM_PATH_SEEN). NULL: no way there from that WAN port, an overlay or special address, no memory,
 * or LM_M_PATHS others are in use. */
struct path *lm_m_path_add(struct lm_mesh *m, struct peer *p, const struct lm_path *path,
			   enum lm_path_kind kind);
/* Takes it out. When it was the active one, the best other one that is alive is taken first. */
void lm_m_path_remove(struct lm_mesh *m, struct peer *p, struct path *r);
struct path *lm_m_path_find(const struct peer *p, const struct lm_path *path);
/* The direct paths that candidates and WAN ports make possible: added, and others that were made
 * so and are possible no more removed. */
void lm_m_paths_fill(struct lm_mesh *m, struct peer *p);
/* No session is left: all paths go, those through relays only if asked. */
void lm_m_paths_drop(struct peer *p, bool relays);

#endif
