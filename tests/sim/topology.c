/* SPDX-License-Identifier: BSD-3-Clause */
/* Where sites are: in the open, behind a NAT of any kind, of their own or shared, behind two of
 * them, behind a firewall, or one that lets UDP through to relays only; with one or several WAN
 * ports of either family. */
#include "swarm.h"

#include <stdio.h>

static uint32_t draw(struct swarm *s, uint32_t below)
{
	return world_random(&s->sim.w, below);
}

static struct nat_kind some_kind(struct swarm *s)
{
	struct nat_kind k = {
	    .mapping = draw(s, 3) == 0 ? 1 + draw(s, 2) : NAT_ENDPOINT_INDEPENDENT,
	    .filtering = draw(s, 3),
	    .preserves_port = draw(s, 2) == 0,
	    .hairpin = draw(s, 2) == 0,
	    .inbound_refresh = draw(s, 2) == 0,
	    .timeout = (30 + draw(s, 270)) * LM_SEC,
	    .no_udp = s->relays && draw(s, 8) == 0,
	};

	return k;
}

struct lm_ip topology_outer(struct swarm *s, const struct nat *parent)
{
	uint8_t host = ++s->next_outer;

	return parent == NULL ? lm_ip4((uint8_t[]){203, 0, 113, host})
			      : lm_ip4((uint8_t[]){100, 64, 99, host});
}

/* A handful of subnets that everybody uses, so that a private address of one site is often another
 * host at a second. */
static struct nat *new_nat(struct swarm *s, struct nat *parent, bool carrier)
{
	struct nat_kind k = some_kind(s);
	struct lm_prefix inside = {lm_ip4((uint8_t[]){192, 168, (uint8_t)draw(s, 3), 0}), 24};

	if (s->n_nats == SWARM_NATS)
		return s->nats[draw(s, SWARM_NATS)];
	if (carrier)
		inside = (struct lm_prefix){lm_ip4((uint8_t[]){100, 64, 0, 0}), 10};
	return s->nats[s->n_nats++] =
		   world_nat(&s->sim.w, &k, parent, topology_outer(s, parent), inside);
}

static struct nat *new_firewall(struct swarm *s, uint8_t family)
{
	uint8_t net = ++s->next_outer;
	struct lm_ip v6 = {.family = 6, .b = {0x20, 0x01, 0x0d, 0xb8, 0, net}};
	struct lm_prefix inside =
	    family == 6 ? (struct lm_prefix){v6, 48}
			: (struct lm_prefix){lm_ip4((uint8_t[]){198, 18, net, 0}), 24};
	struct nat_kind k = some_kind(s);

	if (s->n_nats == SWARM_NATS)
		return NULL;
	k.firewall = true;
	return s->nats[s->n_nats++] = world_nat(&s->sim.w, &k, NULL, (struct lm_ip){0}, inside);
}

static struct nat *carrier_nat(struct swarm *s)
{
	for (unsigned i = 0; i < s->n_nats; i++)
		if (s->nats[i]->inside.len == 10)
			return s->nats[i];
	return new_nat(s, NULL, true);
}

static bool shared_by_sites(const struct nat *n)
{
	return n->inside.ip.family == 4 && n->inside.ip.b[0] == 192;
}

static struct nat *attachment(struct swarm *s)
{
	unsigned r = draw(s, 100);

	if (r < 35)
		return NULL;
	if (r < 60)
		return new_nat(s, NULL, false);
	if (r < 70)
		return new_nat(s, carrier_nat(s), false);
	if (r < 75)
		return carrier_nat(s);
	if (r < 85)
		return new_firewall(s, draw(s, 2) == 0 ? 4 : 6);
	for (unsigned i = 0; i < s->n_nats; i++)
		if (shared_by_sites(s->nats[i]))
			return s->nats[i];
	return NULL;
}

void topology_address(struct swarm *s, struct node *n, unsigned port)
{
	struct nat *at = n->behind[port];
	uint8_t host = at == NULL ? ++s->next_host : ++at->hosts;
	struct lm_ip ip;

	if (at == NULL) {
		ip = n->wan[port].ip.family == 6
			 ? (struct lm_ip){.family = 6, .b = {0x20, 0x01, 0x0d, 0xb9, [15] = host}}
			 : lm_ip4((uint8_t[]){192, 0, 2, host});
	} else {
		ip = at->inside.ip;
		ip.b[ip.family == 6 ? 15 : 3] = host;
	}
	n->wan[port] = (struct lm_endpoint){ip, 4500};
}

static void attach(struct swarm *s, struct node *n)
{
	unsigned r = draw(s, 100);

	n->n_wan = r < 65 ? 1 : r < 90 ? 2 : 3;
	for (unsigned i = 0; i < n->n_wan; i++) {
		n->behind[i] = attachment(s);
		n->wan[i].ip.family = draw(s, 5) == 0 ? 6 : 4;
		n->latency[i] = draw(s, 60) * LM_MSEC;
		topology_address(s, n, i);
	}
}

/* Who could be one best is one most often. */
static void may_relay(struct swarm *s, struct node *n)
{
	bool open = false;

	for (unsigned i = 0; i < n->n_wan; i++)
		open |= n->behind[i] == NULL;
	if (draw(s, open ? 2 : 8) != 0)
		return;
	n->cert_body.roles |= LM_ROLE_RELAY;
	n->relay_pairs = SWARM_RELAY_PAIRS;
	node_sign(n, s->sim.w.authority);
}

void topology_build(struct swarm *s)
{
	s->next_host = 1;
	for (unsigned i = 0; i < s->sim.n_sites; i++)
		attach(s, s->sim.sites[i].node);
	for (unsigned i = 0; s->relays && i < s->sim.n_sites; i++)
		may_relay(s, s->sim.sites[i].node);
}

void topology_print(const struct swarm *s)
{
	for (unsigned i = 0; i < s->sim.n_sites; i++) {
		const struct node *n = s->sim.sites[i].node;

		for (unsigned p = 0; p < n->n_wan; p++) {
			char at[LM_ENDPOINT_STRLEN];

			fprintf(stderr, "gw%u%s port %u %s", i,
				n->relay_pairs > 0 ? " (relay)" : "", p,
				lm_endpoint_format(&n->wan[p], at));
			for (const struct nat *t = n->behind[p]; t != NULL; t = t->parent)
				fprintf(stderr, " <- %s %s/%s%s%s%s",
					t->kind.firewall ? "firewall" : "NAT",
					nat_dependence_name(t->kind.mapping),
					nat_dependence_name(t->kind.filtering),
					t->kind.hairpin ? " hairpin" : "",
					t->kind.preserves_port ? " keeps ports" : "",
					t->kind.no_udp ? " no UDP but to relays" : "");
			fprintf(stderr, "\n");
		}
	}
}
