/* SPDX-License-Identifier: BSD-3-Clause */
/* What a mesh must be able to do, seen from above. */
#include "swarm.h"

static bool is_relay(const struct node *n)
{
	return (n->cert_body.roles & LM_ROLE_RELAY) != 0 && n->relay_pairs > 0;
}

static bool open_relay(const struct node *n, unsigned port)
{
	return is_relay(n) && n->behind[port] == NULL && n->wan[port].port != 0;
}

bool oracle_exempt(struct world *w, const struct lm_endpoint *outside)
{
	for (unsigned i = 0; i < w->n_nodes; i++)
		for (unsigned p = 0; p < w->nodes[i]->n_wan; p++)
			if (open_relay(w->nodes[i], p) &&
			    lm_endpoint_equal(&w->nodes[i]->wan[p], outside))
				return true;
	return false;
}

bool oracle_direct(const struct node *a, const struct node *b)
{
	for (unsigned i = 0; i < a->n_wan; i++)
		for (unsigned j = 0; j < b->n_wan; j++) {
			if (a->wan[i].ip.family != b->wan[j].ip.family)
				continue;
			if (nat_direct(a->behind[i], b->behind[j]) || open_relay(a, i) ||
			    open_relay(b, j))
				return true;
		}
	return false;
}

bool oracle_reachable(const struct swarm *s, const struct node *a, const struct node *b)
{
	if (oracle_direct(a, b))
		return true;
	for (unsigned i = 0; i < s->sim.n_sites; i++) {
		const struct node *r = s->sim.sites[i].node;

		if (r != a && r != b && r != s->revoked && is_relay(r) && oracle_direct(a, r) &&
		    oracle_direct(r, b))
			return true;
	}
	return false;
}
