/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's routes on LAN twins: connected networks, and networks behind routers of the site. A
 * prefix may have several routes and next hops there; the best one is offered to the RIB.
 */
#include "internal.h"

#include <stdlib.h>
#include <uthash.h>

struct hop {
	struct hop *next;
	struct lm_twin *twin;
	struct lm_ip via; /* none = on the link */
	uint32_t metric;
	uint32_t view; /* of the kernel's tables, in which it was seen last */
};

struct lm_kernel_route {
	UT_hash_handle hh;
	struct lm_prefix prefix; /* key */
	struct hop *hops;	 /* best first */
};

/* A router of the site, and how many hops lead through it. */
struct lm_kernel_via {
	UT_hash_handle hh;
	struct lm_ip ip; /* key */
	uint32_t n;
};

static void count_via(struct lm_control *c, const struct lm_ip *ip, bool more)
{
	struct lm_kernel_via *v;

	if (ip->family == 0)
		return;
	HASH_FIND(hh, c->kernel_vias, ip, sizeof(*ip), v);
	if (v == NULL && more) {
		v = calloc(1, sizeof(*v));
		if (v == NULL)
			return;
		v->ip = *ip;
		HASH_ADD(hh, c->kernel_vias, ip, sizeof(v->ip), v);
	}
	if (v == NULL)
		return;
	v->n = more ? v->n + 1 : v->n - 1;
	if (v->n == 0) {
		HASH_DEL(c->kernel_vias, v);
		free(v);
	}
}

static void offer(struct lm_control *c, const struct lm_kernel_route *k)
{
	const struct hop *best = k->hops;
	struct lm_route route = {
	    .kind = LM_ROUTE_CONNECTED, .port = best->twin->port, .via = best->via};
	const struct lm_mac *mac =
	    best->via.family != 0 ? lm_neigh_mac(c, best->twin, &best->via) : NULL;

	if (mac != NULL) {
		route.kind = LM_ROUTE_NEIGHBOUR;
		route.mac = *mac;
	}
	(void)lm_rib_put(c->rib, &k->prefix, LM_RIB_KERNEL, 0, &route);
}

static struct lm_kernel_route *find(const struct lm_control *c, const struct lm_prefix *prefix)
{
	struct lm_kernel_route *k;

	HASH_FIND(hh, c->kernel_routes, prefix, sizeof(*prefix), k);
	return k;
}

static bool same_hop(const struct hop *h, const struct lm_twin *t, const struct lm_nl_route *r)
{
	return h->twin == t && h->metric == r->metric && lm_ip_equal(&h->via, &r->hop.via);
}

/* As the kernel does: the lowest metric. Among equals any, but always the same. */
static bool better(const struct hop *a, const struct lm_twin *t, const struct lm_nl_route *r)
{
	if (a->metric != r->metric)
		return a->metric < r->metric;
	if (a->twin->port != t->port)
		return a->twin->port < t->port;
	return memcmp(&a->via, &r->hop.via, sizeof(a->via)) < 0;
}

/* A default route leads everywhere and says nothing. */
static bool leads_to(const struct lm_prefix *route, const struct lm_prefix *p)
{
	return route->len != 0 && (lm_prefix_covers(route, p) || lm_prefix_covers(p, route));
}

/* A route appears or goes, perhaps one of thousands in a second. Only what leads to a prefix of the
 * site, or to a part of it, has a say in what is announced. */
static void moved(struct lm_control *c, const struct lm_prefix *prefix)
{
	for (unsigned i = 0; i < c->n_site && !c->site_moved; i++)
		c->site_moved = leads_to(prefix, &c->site[i].prefix);
}

static void remove_hop(struct lm_control *c, const struct lm_prefix *prefix, struct hop **at)
{
	struct hop *h = *at;

	*at = h->next;
	count_via(c, &h->via, false);
	c->n_kernel_hops--;
	moved(c, prefix);
	free(h);
}

/* After hops were removed. */
static void settle(struct lm_control *c, struct lm_kernel_route *k)
{
	if (k->hops != NULL) {
		offer(c, k);
		return;
	}
	lm_rib_drop(c->rib, &k->prefix, LM_RIB_KERNEL, 0);
	HASH_DEL(c->kernel_routes, k);
	free(k);
}

static void add_hop(struct lm_control *c, struct lm_twin *t, const struct lm_nl_route *r)
{
	struct lm_kernel_route *k = find(c, &r->prefix);
	struct hop *h = NULL, **at;

	for (h = k != NULL ? k->hops : NULL; h != NULL && !same_hop(h, t, r); h = h->next)
		;
	if (h != NULL) {
		h->view = c->view;
		return;
	}
	/* More do not fit into the FIB. */
	if (c->n_kernel_hops >= 2 * c->cfg->max_routes || (h = calloc(1, sizeof(*h))) == NULL) {
		if (!c->kernel_hops_full)
			lm_log(&c->log, LM_LOG_WARN,
			       "more than %u routes of the kernel on LAN ports: some are not used; "
			       "raise max_routes",
			       2 * c->cfg->max_routes);
		c->kernel_hops_full = true;
		return;
	}
	if (k == NULL) {
		k = calloc(1, sizeof(*k));
		if (k == NULL) {
			free(h);
			return;
		}
		k->prefix = r->prefix;
		HASH_ADD(hh, c->kernel_routes, prefix, sizeof(k->prefix), k);
	}
	*h = (struct hop){.twin = t, .via = r->hop.via, .metric = r->metric, .view = c->view};
	for (at = &k->hops; *at != NULL && better(*at, t, r); at = &(*at)->next)
		;
	h->next = *at;
	*at = h;
	c->n_kernel_hops++;
	moved(c, &k->prefix);
	count_via(c, &h->via, true);
	if (k->hops == h)
		offer(c, k);
}

/* Link-local networks exist on every link and are never routed. */
static bool link_local(const struct lm_prefix *p)
{
	return p->ip.family == 6 && p->len >= 10 && p->ip.b[0] == 0xfe &&
	       (p->ip.b[1] & 0xc0) == 0x80;
}

void lm_kernel_route_event(struct lm_control *c, struct lm_twin *t, const struct lm_nl_route *r,
			   bool gone)
{
	struct lm_kernel_route *k;

	if (link_local(&r->prefix))
		return;
	if (!gone) {
		add_hop(c, t, r);
		return;
	}
	k = find(c, &r->prefix);
	for (struct hop **at = k != NULL ? &k->hops : NULL; at != NULL && *at != NULL;
	     at = &(*at)->next)
		if (same_hop(*at, t, r)) {
			remove_hop(c, &k->prefix, at);
			settle(c, k);
			return;
		}
}

struct replacement {
	uint32_t metric;
	const struct lm_nl_hop *hops;
	unsigned n;
};

static bool is_replaced(const struct hop *h, const struct replacement *by)
{
	if (h->metric != by->metric)
		return false;
	for (unsigned i = 0; i < by->n; i++)
		if (h->twin->ifindex == by->hops[i].ifindex &&
		    lm_ip_equal(&h->via, &by->hops[i].via))
			return false;
	return true;
}

/* Removes the hops that are replaced; by NULL: those that the last dump did not show. */
static void remove_hops(struct lm_control *c, struct lm_kernel_route *k,
			const struct replacement *by)
{
	bool changed = false;

	for (struct hop **at = &k->hops; *at != NULL;) {
		if (by != NULL ? is_replaced(*at, by) : (*at)->view != c->view) {
			remove_hop(c, &k->prefix, at);
			changed = true;
		} else {
			at = &(*at)->next;
		}
	}
	if (changed)
		settle(c, k);
}

void lm_kernel_route_replaced(struct lm_control *c, const struct lm_prefix *prefix, uint32_t metric,
			      const struct lm_nl_hop *hops, unsigned n)
{
	struct replacement by = {.metric = metric, .hops = hops, .n = n};
	struct lm_kernel_route *k = find(c, prefix);

	if (k != NULL)
		remove_hops(c, k, &by);
}

void lm_kernel_route_sweep(struct lm_control *c)
{
	struct lm_kernel_route *k, *tmp;

	c->kernel_hops_full = false;
	HASH_ITER(hh, c->kernel_routes, k, tmp)
	remove_hops(c, k, NULL);
}

uint32_t lm_kernel_route_ports(const struct lm_control *c, const struct lm_prefix *p, uint32_t of)
{
	uint32_t ports = 0;

	for (const struct lm_kernel_route *k = c->kernel_routes; k != NULL && (of & ~ports) != 0;
	     k = k->hh.next)
		for (const struct hop *h = leads_to(&k->prefix, p) ? k->hops : NULL; h != NULL;
		     h = h->next)
			ports |= of & (1u << h->twin->port);
	return ports;
}

void lm_kernel_route_via(struct lm_control *c, struct lm_twin *t, const struct lm_ip *via)
{
	struct lm_kernel_via *v;

	HASH_FIND(hh, c->kernel_vias, via, sizeof(*via), v);
	if (v == NULL)
		return;
	for (const struct lm_kernel_route *k = c->kernel_routes; k != NULL; k = k->hh.next)
		if (k->hops->twin == t && lm_ip_equal(&k->hops->via, via))
			offer(c, k);
}

void lm_kernel_route_forget(struct lm_control *c)
{
	c->view++; /* none has been seen in it */
	lm_kernel_route_sweep(c);
}
