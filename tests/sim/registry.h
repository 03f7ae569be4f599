/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Coordinators for meshes of thousands of nodes: both ends of every link are
 * lib/coord's, and so are the STUN servers; TCP is a delay. Left out is what a
 * node does with records of nodes that are not its peers here: it reads them and
 * drops them, and keeps no directory on disk.
 */
#ifndef LANEMESH_TESTS_SIM_REGISTRY_H
#define LANEMESH_TESTS_SIM_REGISTRY_H

#include "world.h"

#include <lanemesh/coord.h>

struct registry;

/* Of all that has happened. */
struct registry_sum {
	uint64_t to_nodes, from_nodes; /* bytes of TCP's payload */
	uint64_t records;	       /* that nodes were told of */
	double cpu;		       /* seconds that coordinators took */
};

/* All nodes of the world are made. wanted: is b a peer of a's? */
struct registry *
registry_new(struct world *w, unsigned coordinators,
	     bool (*wanted)(void *user, const struct node *a, const struct node *b), void *user);
/* The node is up: connects it. */
void registry_join(struct registry *r, struct node *n);
void registry_sum(const struct registry *r, struct registry_sum *out);
void registry_free(struct registry *r);

#endif
