/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A member that floods must not starve the others (FAULTS row 37). What costs a worker most is the
 * cipher, so when packets from the WAN wait all the time, what a peer sends beyond its share of the
 * worker is dropped before it; the time saved empties the queue, and nobody else loses packets
 * there. As long as a worker keeps up, nobody is cut, and idle capacity is anybody's.
 *
 * Approximate fair dropping: over an epoch of a fixed number of packets, each peer's packets are
 * weighed; of one above the level, the same fraction of packets is dropped all through the next
 * epoch. The level falls while the queue stays full and rises when it does not. But it never falls
 * below what the others get on average: where all send alike, dropping early would only
 * waste the time for what is dropped. What of a peer counts is all of its lanes and sessions.
 *
 * Each worker has its own; pure, without DPDK.
 */
#ifndef LANEMESH_WORKER_SHARE_H
#define LANEMESH_WORKER_SHARE_H

#include <lanemesh/base.h>

#define LM_SHARE_PACKETS  4096 /* of an epoch */
#define LM_SHARE_LOOPS	  4096 /* of one in which less comes */
#define LM_SHARE_FIRST	  64   /* loops with packets waiting: overload */
#define LM_SHARE_REST	  1024 /* the same until the next look, where nobody was above the others */
#define LM_SHARE_PACKET	  384  /* a packet costs as much time as so many bytes, and its bytes */
#define LM_SHARE_KEEP_ALL 65536u
#define LM_SHARE_CALM	  4  /* epochs in which nobody was cut: it is over */
#define LM_SHARE_MEMORY	  32 /* epochs: at least as long peers that sent nothing count */
#define LM_SHARE_LEAST	  16 /* part of what the largest sends that it keeps at least */
#define LM_SHARE_DOMINANT 32 /* who costs less than this part of all is never cut */

struct lm_share_peer {
	uint32_t epoch; /* that the following are of */
	uint32_t got, kept;
	uint16_t drop; /* of 65,536 packets */
	uint16_t acc;
};

enum lm_share_state {
	LM_SHARE_OFF,
	LM_SHARE_COUNT, /* overload: is anybody above the others? */
	LM_SHARE_CUT,
	LM_SHARE_WAIT, /* nobody was */
};

struct lm_share {
	enum lm_share_state state;
	unsigned loops, packets; /* of this epoch */
	unsigned full;		 /* of these packets, those that came with more waiting behind */
	unsigned calm;
	uint32_t epoch;
	uint32_t level;		      /* what a peer may have in an epoch */
	uint32_t max;		      /* of this epoch, as are the next: got by one peer */
	uint32_t active;	      /* peers */
	uint64_t got, kept;	      /* of all */
	uint64_t last_got, last_kept; /* of the epoch before */
	uint32_t peers;		      /* active ones at most, of the last epochs: */
	uint32_t peers_now,
	    peers_before;	    /* of this stretch of LM_SHARE_MEMORY, and the one before */
	struct lm_share_peer *peer; /* by peer number */
};

/* 0 or -ENOMEM. */
int lm_share_init(struct lm_share *s, uint32_t max_peers) LM_MUST_CHECK;
void lm_share_free(struct lm_share *s);

/* At the end of a loop. full: packets that came in bursts as large as they get, so there are more.
 * Returns whether lm_share_take is to be asked in the next loop. */
bool lm_share_loop(struct lm_share *s, unsigned full);

void lm_share_turn(struct lm_share *s, struct lm_share_peer *p);

/* A packet of len bytes from the peer: may it pass? */
static inline bool lm_share_take(struct lm_share *s, uint32_t peer, unsigned len)
{
	struct lm_share_peer *p = &s->peer[peer];
	uint32_t cost = len + LM_SHARE_PACKET, acc;

	if (p->epoch != s->epoch)
		lm_share_turn(s, p);
	s->packets++;
	p->got += cost;
	s->got += cost;
	if (p->got > s->max)
		s->max = p->got;
	acc = (uint32_t)p->acc + p->drop;
	p->acc = (uint16_t)acc;
	if (acc >= LM_SHARE_KEEP_ALL)
		return false;
	p->kept += cost;
	s->kept += cost;
	return true;
}

#endif
