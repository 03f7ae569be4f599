/* SPDX-License-Identifier: BSD-3-Clause */
/* What a mesh must be able to do, seen from above. */
#include "swarm.h"

static bool same_family(const struct node *a, unsigned i, const struct node *b, unsigned j)
{
	return a->wan[i].ip.family == b->wan[j].ip.family;
}

bool oracle_reachable(const struct swarm *s, const struct node *a, const struct node *b)
{
	(void)s;
	for (unsigned i = 0; i < a->n_wan; i++)
		for (unsigned j = 0; j < b->n_wan; j++)
			if (same_family(a, i, b, j) && nat_direct(a->behind[i], b->behind[j]))
				return true;
	return false;
}
