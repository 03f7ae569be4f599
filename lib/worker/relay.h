/* SPDX-License-Identifier: BSD-3-Clause */
/* Relay ids as workers see them. */
#ifndef LANEMESH_WORKER_RELAY_H
#define LANEMESH_WORKER_RELAY_H

#include "ip.h"
#include "relay_filter.h"
#include "worker_internal.h"

/*
 * What lasts while an id's ends move. Written by the worker on whose queue the end's datagrams
 * arrive: they are one flow. Should a NIC spread it, counts and the filter lose a little, and
 * nothing else: what the filter misses, the end's replay window drops.
 */
struct lm_relay_state {
	uint64_t packets, bytes; /* of UDP payload; read by the control thread, relaxed */
	uint32_t credit[LM_DP_WORKERS_MAX]; /* bytes of the quota that each worker has taken */
	struct lm_relay_set seen[LM_RELAY_SETS] __attribute__((aligned(64)));
} __attribute__((aligned(64)));

/* What comes under an id. Constant once published, but for state's contents. Over IPv4 all that is
 * needed is in the first two lines. */
struct lm_relay {
	uint64_t id;
	struct lm_relay_state *state; /* of those that are passed on */
	uint64_t from4;		      /* lm_relay_from4 of where it must come from; 0: IPv6 */
	uint32_t member;	      /* peer whose quota it uses */
	uint16_t port;		      /* WAN port from which alone it counts, */
	uint16_t udp_be;	      /* and over IPv6 the UDP port, as on the wire, */
	uint16_t longest;	      /* bytes, with relay header, that the way to the end takes */
	bool passes_on;		      /* else we are the end */
	struct lm_outer outer;
	uint8_t from6[16]; /* and address */
} __attribute__((aligned(64)));

/* Is the UDP payload at p, 8 bytes at least, a relayed message (marker, type, reserved bytes)? */
static inline bool lm_is_relayed(const uint8_t *p)
{
	return lm_word64(p) == htobe64((uint64_t)LM_MSG_RELAY << 24);
}

/* Source address and UDP port of a datagram over IPv4, both as on the wire. Never 0: ports are
 * not. */
static inline uint64_t lm_relay_from4(const uint8_t *address, const uint8_t *udp)
{
	return (uint64_t)lm_half(udp) << 32 | lm_word(address);
}

struct lm_relay_slot {
	struct lm_relay *relay; /* RCU; NULL: free */
	uint64_t id;		/* const */
};
struct lm_relay_table {
	uint32_t mask, used; /* const */
	struct lm_relay_slot slot[];
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
