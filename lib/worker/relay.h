/* SPDX-License-Identifier: BSD-3-Clause */
/* Relay ids as workers see them. */
#ifndef LANEMESH_WORKER_RELAY_H
#define LANEMESH_WORKER_RELAY_H

#include "ip.h"
#include "worker_internal.h"

#define LM_RELAY_SETS 512 /* power of two, at most 2^32 */
#define LM_RELAY_WAYS 16  /* tags of a cache line */
/* Of datagrams that are passed on; no WAN port's MTU allows a longer one. */
#define LM_RELAY_LONGEST 9216

/*
 * What lasts while an id's ends move. Written by the worker on whose queue the end's datagrams
 * arrive: they are one flow. Should a NIC spread it, counts and the filter lose a little, and
 * nothing else: what the filter misses, the end's replay window drops.
 */
struct lm_relay_state {
	/* The newest datagrams' tags, newest first, in sets by fingerprint. */
	uint32_t seen[LM_RELAY_SETS][LM_RELAY_WAYS];
	uint64_t packets, bytes; /* of UDP payload; read by the control thread, relaxed */
	uint32_t credit[LM_DP_WORKERS_MAX]; /* bytes of the quota that each worker has taken */
} __attribute__((aligned(64)));

/* What comes under an id. Constant once published, but for state's contents. */
struct lm_relay {
	uint64_t id;
	uint16_t port;	 /* WAN port, */
	uint16_t udp_be; /* UDP port, as on the wire, */
	uint8_t family;	 /* and address from which alone it counts */
	bool passes_on;	 /* else we are the end */
	uint8_t address[16];
	uint32_t member;	      /* peer whose quota it uses */
	struct lm_relay_state *state; /* of those that are passed on */
	struct lm_outer outer;
};

struct lm_relay_slot {
	struct lm_relay *relay; /* RCU; NULL: free */
	uint64_t id;		/* const */
};
struct lm_relay_table {
	uint32_t mask, used; /* const */
	struct lm_relay_slot slot[];
};

/* Key of the fingerprints. Const. */
struct lm_relay_secret {
	uint64_t length[2], fold[2];
	uint64_t word[LM_RELAY_LONGEST / 8];
};

/* Ids are random, but chosen by others where we are an end. */
static inline uint32_t lm_relay_slot(const struct lm_relay_table *t, uint64_t id)
{
	return (uint32_t)(id * 0x9e3779b97f4a7c15 >> 32) & t->mask;
}

/* Allocates what dp has for relays, once. 0 or -errno. */
int lm_relay_init(struct lm_dp *dp) LM_MUST_CHECK;
void lm_relays_free(struct lm_dp *dp);

#endif
