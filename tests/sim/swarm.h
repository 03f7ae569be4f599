/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * swarm: many short lives of small meshes. Each seed draws a topology (NATs,
 * several WAN ports, both families), then troubles, then heals all and asks
 * whether everybody who can be reached is reached.
 */
#ifndef LANEMESH_TESTS_SIM_SWARM_H
#define LANEMESH_TESTS_SIM_SWARM_H

#include "nat.h"
#include "sim.h"

#define SWARM_SITES	  10
#define SWARM_NATS	  32
#define SWARM_OLD	  128
#define SWARM_RELAY_PAIRS 64

struct swarm_how {
	bool verbose, packets;
	bool relays; /* also relays, firewalls that let no UDP through, sessions on demand */
};

struct swarm {
	struct sim sim;
	bool relays;
	unsigned n_nats;
	struct nat *nats[SWARM_NATS];
	uint8_t next_host, next_outer;

	/* troubles; 0 = none */
	lm_time back[SWARM_SITES];	 /* a site that is down or offline returns */
	lm_time learns[SWARM_SITES];	 /* hears of its new addresses */
	lm_time clock_back[SWARM_SITES]; /* its clock is set right again */
	lm_time coord_back[SIM_COORDS];
	bool cut[SWARM_SITES][WORLD_PORTS][SWARM_SITES][WORLD_PORTS]; /* from, to */
	lm_time cut_until, loss_until;
	struct lm_endpoint lost[SWARM_SITES][WORLD_PORTS]; /* address of a port that is down */
	unsigned base_loss;
	struct node *revoked, *liar;
	struct lm_endpoint victim;
	uint64_t victim_bytes;
	struct datagram old[SWARM_OLD];
	uint64_t n_old;
	bool on_demand; /* sessions for those only that have traffic */
	uint32_t did;	/* troubles by kind, as bits */
	uint32_t lies;	/* of coordinators, the same */
};

/* How many seeds had what. */
struct coverage {
	unsigned long seeds, on_demand, moves, failovers;
	unsigned long relay, relayed_pairs, no_udp; /* relay: packets went through one */
	unsigned long trouble[32], lie[LIE_KINDS];
	unsigned long pairs[6][6]; /* of sites in the end, by what each stands behind */
};

/* One seed; the trace of all that happened. c: NULL, or where to count it. */
uint64_t swarm_seed(uint64_t seed, const struct swarm_how *how, struct coverage *c);
extern const char *const trouble_names[];
/* Puts in what the seed has seen. */
void coverage_add(struct coverage *c, const struct swarm *s);
void coverage_print(const struct coverage *c);

void swarm_run(uint64_t first, unsigned long count, const struct swarm_how *how);

/* topology.c */
void topology_build(struct swarm *s);
/* A fresh address for the port of a site, where it is attached. */
void topology_address(struct swarm *s, struct node *n, unsigned port);
struct lm_ip topology_outer(struct swarm *s, const struct nat *parent);
void topology_print(const struct swarm *s);

/* oracle.c */
/* Is there a way between them that the mesh must find? */
bool oracle_reachable(const struct swarm *s, const struct node *a, const struct node *b);
/* Without a relay? */
bool oracle_direct(const struct node *a, const struct node *b);
/* Firewalls that let no UDP through let it through to relays in the open. */
bool oracle_exempt(struct world *w, const struct lm_endpoint *outside);

/* bounds.c */
void bounds_check(struct node *n);

/* trouble.c */
void trouble_some(struct swarm *s);
/* What is due comes back; now: everything. */
void trouble_heal(struct swarm *s, bool now);
bool trouble_cut(struct world *w, const struct datagram *d, const struct node *to, unsigned port);

#endif
