/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The path table of a peer: every way to it that is known, and what was measured
 * there. A peer has one while it has a session (in whatever state) or a relay
 * path; an idle node of the directory has none, only candidates.
 *
 *   UNTRIED -> PROBING -> ALIVE <-> DEAD        (PROBING -> DEAD: never answered)
 */
#ifndef LANEMESH_MESH_PATH_H
#define LANEMESH_MESH_PATH_H

#include <lanemesh/mesh.h>

#define LM_M_PATHS	32 /* of one peer */
#define LM_M_PATHS_SEEN 4  /* of these, not announced: a new one takes the place of the oldest */
#define LM_M_PROBES	12 /* unanswered ones remembered of each path */
#define LM_M_PROBE_PACE (20 * LM_MSEC)
/* A path that is not in use keeps its mapping in NATs alive: as often as it turns out to need. */
#define LM_M_KEEP_MIN  (15 * LM_SEC)
#define LM_M_KEEP_MAX  (25 * LM_SEC)
#define LM_M_KEEP_STEP (2500 * LM_MSEC)

struct peer;

struct probe {
	uint64_t token;
	lm_time sent; /* 0 = answered, or given up */
};

/* A way to a peer. Its address stays good until lm_m_path_remove. */
struct path {
	struct path *prev, *next_path; /* of the peer, oldest first */
	struct lm_path path;
	enum lm_path_kind kind;
	enum lm_path_state state;
	lm_time last_rx, last_probe, last_answer;
	lm_time rtt, rtt_var, jitter;
	float loss; /* of probes, while it is alive: mean of the last 128 or so */
	uint8_t loss_samples;
	uint8_t tries;	/* probes since `asked`, or since it was last alive */
	uint8_t deaths; /* lately */
	uint8_t next_probe;
	lm_time asked;	     /* ALIVE: first probe since the last answer, 0 = none */
	lm_time alive_since; /* ALIVE */
	lm_time keep;
	lm_time next; /* lm_m_path_timer is due */
	uint32_t sent, answered;
	struct lm_endpoint observed;
	struct probe probes[LM_M_PROBES];
};

/* pathtable.c */
/* Adds the path, or returns the one that is there (its kind becomes the given one, unless that is
 * LM_PATH_SEEN). A new one is probed soon if there is a session. NULL: no way there from that WAN
 * port, an overlay or special address, no memory, or LM_M_PATHS others are in use. */
struct path *lm_m_path_add(struct lm_mesh *m, struct peer *p, const struct lm_path *path,
			   enum lm_path_kind kind);
/* Something authentic came that way: lm_m_path_add with the kind that is known. */
struct path *lm_m_path_heard(struct lm_mesh *m, struct peer *p, const struct lm_path *path);
/* Takes it out, and that is all. */
void lm_m_path_discard(struct peer *p, struct path *r);
/* Takes it out. When it was the active one, the best other one that is alive is taken. */
void lm_m_path_remove(struct lm_mesh *m, struct peer *p, struct path *r);
struct path *lm_m_path_find(const struct peer *p, const struct lm_path *path);
/* The direct paths that candidates and WAN ports make possible: added, and others that were made
 * so and are possible no more removed. */
void lm_m_paths_fill(struct lm_mesh *m, struct peer *p);
/* No session is left: all paths go, those through relays only if asked. */
void lm_m_paths_drop(struct peer *p, bool relays);

/* probe.c */
/* The addresses of these WAN ports, by bit, have changed: are their paths still good? */
void lm_m_paths_recheck(struct lm_mesh *m, struct peer *p, uint32_t ports);
void lm_m_path_timer(struct lm_mesh *m, struct peer *p, struct path *r);
/* Is it still there? */
void lm_m_path_ask(struct lm_mesh *m, struct peer *p, struct path *r);
/* A round trip was made there. */
void lm_m_path_proven(struct lm_mesh *m, struct peer *p, struct path *r);
/* observed: our address as the peer sees it there. */
void lm_m_probe_answered(struct lm_mesh *m, struct peer *p, uint64_t token,
			 const struct lm_path *from, const struct lm_endpoint *observed);

/* select.c */
/* Looks whether another path than the active one is to be used. */
void lm_m_select(struct lm_mesh *m, struct peer *p);
/* Traffic goes there from now on. */
void lm_m_path_use(struct lm_mesh *m, struct peer *p, struct path *r);
void lm_m_path_died(struct lm_mesh *m, struct peer *p, struct path *r);
/* The peer has moved to where its newest packets come from: takes that, if it is proven. */
bool lm_m_follow(struct lm_mesh *m, struct peer *p);
/* No path of the peer is alive: all are asked, and whoever can make others is told. */
void lm_m_no_path(struct lm_mesh *m, struct peer *p);
/* Tells the owner when it has changed whether there is a way that answers. */
void lm_m_reach(struct lm_mesh *m, struct peer *p);

#endif
