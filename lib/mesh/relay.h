/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Relaying (PROTOCOL.md section 9), both sides of it.
 *
 * A relay keeps pairs: two peers that it has sessions with, and an id for each. An end keeps
 * ways: a peer, a relay to it, and the id there. A way that the relay has confirmed is a path of
 * the peer like any other; a peer can have ways before it has a session, whose handshake then goes
 * there.
 */
#ifndef LANEMESH_MESH_RELAY_H
#define LANEMESH_MESH_RELAY_H

#include <lanemesh/mesh.h>

#define LM_M_WAYS	 4 /* of one peer, those that failed a short time ago included */
#define LM_M_WAYS_MAX	 8192
#define LM_M_OPEN_RATE	 50 /* RELAY_OPENs and ACCEPTs a second that a relay hears from a peer */
#define LM_M_OPEN_BURST	 200
#define LM_M_RELAY_KEEP	 (20 * LM_SEC) /* an end asks again, so that the pair stays */
#define LM_M_RELAY_LIFE	 (90 * LM_SEC) /* without that a pair ends, and a way */
#define LM_M_RELAY_IDLE	 (60 * LM_SEC) /* how long a way that is not needed is kept */
#define LM_M_RELAY_AGAIN (15 * LM_SEC) /* before a relay that could not help is asked again */

struct peer;
struct session;

/* Members choose how many there are and what they ask for: nothing is looked for in all of them. */
struct relay_end {
	UT_hash_handle hh; /* by id */
	uint64_t id;
	struct relay_pair *pair;
	struct relay_end *prev, *next; /* of the peer */
	struct peer *peer;
	struct lm_path path; /* where it asked from, or moved to */
	bool agreed;
};

struct relay_pair {
	UT_hash_handle hh; /* by ends, the lower address first */
	const struct peer *key[2];
	struct relay_pair *prev, *next; /* of those that are as open, the longest unused first */
	struct relay_end end[2];
	bool open;    /* the data plane passes on */
	lm_time used; /* an end has asked for it */
};

enum way_state { WAY_ASKED, WAY_OPEN, WAY_FAILED };

struct relay_way {
	UT_hash_handle hh;		     /* OPEN: by id */
	struct relay_way *prev, *next;	     /* of the peer */
	struct relay_way *prev_by, *next_by; /* of the relay */
	struct due due;			     /* ask again; FAILED: forget it */
	struct peer *peer, *relay;
	enum way_state state;
	uint64_t id;	     /* OPEN */
	struct lm_path path; /* OPEN: as in the peer's table */
	uint8_t tries;	     /* unanswered */
	lm_time heard;	     /* the relay has spoken of it */
	lm_time wanted;	     /* last */
	lm_time sent;	     /* a message 1 */
	struct kept_cookie cookie;
};

struct relaying {
	struct relay_pair *pairs;	 /* by ends */
	struct relay_pair *asked, *open; /* not agreed by both yet; and those that are */
	struct relay_end *ends;		 /* by id */
	struct relay_way *ways;		 /* OPEN ones by id */
	uint32_t n_pairs, max_pairs, n_ways;
	struct peer *members; /* with the relay role, by next_relay */
};

#endif
