/* SPDX-License-Identifier: BSD-3-Clause */
/* What the seeds of a run have gone through: a swarm proves nothing about what never came up. */
#include "swarm.h"

#include <stdio.h>

enum stand { OPEN, FIREWALL, NAT_EI, NAT_DEPENDENT, TWO_NATS, NO_UDP, STANDS };

static const char *const stand_names[STANDS] = {"open",	      "firewall", "NAT EI",
						"NAT AD/APD", "two NATs", "no UDP"};
static const char *const lie_names[LIE_KINDS] = {
    [LIE_WITHHOLD] = "withholds", [LIE_OLD] = "rolls back",	 [LIE_MIXED] = "mixes",
    [LIE_DAMAGED] = "damages",	  [LIE_GONE] = "says they left", [LIE_STUN] = "lies by STUN"};

/* By its first WAN port. */
static enum stand stand_of(const struct node *n)
{
	enum stand s = OPEN;
	unsigned nats = 0;

	for (const struct nat *t = n->behind[0]; t != NULL; t = t->parent) {
		if (t->kind.no_udp)
			return NO_UDP;
		if (t->kind.firewall) {
			s = FIREWALL;
			continue;
		}
		nats++;
		if (s != NAT_DEPENDENT)
			s = t->kind.mapping == NAT_ENDPOINT_INDEPENDENT ? NAT_EI : NAT_DEPENDENT;
	}
	return nats > 1 ? TWO_NATS : s;
}

static void add_pair(struct coverage *c, const struct swarm *s, const struct node *a,
		     const struct node *b)
{
	enum stand i = stand_of(a), j = stand_of(b);

	if (a == s->revoked || b == s->revoked || !oracle_reachable(s, a, b))
		return;
	c->pairs[i < j ? i : j][i < j ? j : i]++;
	c->relayed_pairs += !oracle_direct(a, b);
}

void coverage_add(struct coverage *c, const struct swarm *s)
{
	uint64_t relayed = 0, moves = 0, failovers = 0;
	bool no_udp = false;

	c->seeds++;
	c->on_demand += s->on_demand;
	for (unsigned i = 0; trouble_names[i] != NULL; i++)
		c->trouble[i] += s->did >> i & 1;
	for (unsigned i = 0; i < LIE_KINDS; i++)
		c->lie[i] += s->lies >> i & 1;
	for (unsigned i = 0; i < s->sim.n_sites; i++) {
		const struct node *n = s->sim.sites[i].node;

		relayed += n->relayed;
		no_udp |= stand_of(n) == NO_UDP;
		if (n->mesh != NULL) {
			moves += lm_mesh_counters(n->mesh)->moves;
			failovers += lm_mesh_counters(n->mesh)->failovers;
		}
		for (unsigned j = i + 1; j < s->sim.n_sites; j++)
			add_pair(c, s, n, s->sim.sites[j].node);
	}
	c->relay += relayed > 0;
	c->no_udp += no_udp;
	c->moves += moves > 0;
	c->failovers += failovers > 0;
}

void coverage_print(const struct coverage *c)
{
	printf("seeds with: datagrams through a relay %lu, a site without UDP %lu, sessions on "
	       "demand %lu, moves %lu, failovers %lu\n",
	       c->relay, c->no_udp, c->on_demand, c->moves, c->failovers);
	for (unsigned i = 0; trouble_names[i] != NULL; i++)
		printf("%s %lu%s", trouble_names[i], c->trouble[i],
		       trouble_names[i + 1] != NULL ? ", " : "\n");
	printf("a coordinator that ");
	for (unsigned i = 1; i < LIE_KINDS; i++)
		printf("%s %lu%s", lie_names[i], c->lie[i], i + 1 < LIE_KINDS ? ", " : "\n");
	printf("pairs: %lu by relays only", c->relayed_pairs);
	for (unsigned i = 0; i < STANDS; i++)
		for (unsigned j = i; j < STANDS; j++)
			printf(", %s x %s %lu", stand_names[i], stand_names[j], c->pairs[i][j]);
	printf("\n");
}
