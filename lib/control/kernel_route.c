/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's routes on LAN twins: connected networks, and networks behind routers of the site. */
#include "internal.h"

#include <stdlib.h>

struct lm_kernel_route {
	struct lm_kernel_route *next;
	struct lm_nl_route r;
	uint16_t port;
};

static void offer(struct lm_control *c, struct lm_twin *t, const struct lm_nl_route *r)
{
	struct lm_route route = {.kind = LM_ROUTE_CONNECTED, .port = t->port, .via = r->via};
	const struct lm_mac *mac = r->via.family != 0 ? lm_neigh_mac(c, t, &r->via) : NULL;

	if (mac != NULL) {
		route.kind = LM_ROUTE_NEIGHBOUR;
		route.mac = *mac;
	}
	(void)lm_rib_put(c->rib, &r->prefix, LM_RIB_KERNEL, t->ifindex, &route);
}

void lm_kernel_route_event(struct lm_control *c, struct lm_twin *t, const struct lm_nl_route *r,
			   bool gone)
{
	struct lm_kernel_route **at = &c->kernel_routes, *k;

	/* Link-local networks exist on every link and are never routed. */
	if (r->prefix.ip.family == 6 && r->prefix.len >= 10 && r->prefix.ip.b[0] == 0xfe &&
	    (r->prefix.ip.b[1] & 0xc0) == 0x80)
		return;
	while ((k = *at) != NULL &&
	       !(k->r.ifindex == r->ifindex && lm_prefix_equal(&k->r.prefix, &r->prefix)))
		at = &k->next;
	if (gone) {
		/* A replaced route is announced as the new one, then as the old one gone. */
		if (k == NULL || !lm_ip_equal(&k->r.via, &r->via))
			return;
		*at = k->next;
		free(k);
		lm_rib_drop(c->rib, &r->prefix, LM_RIB_KERNEL, t->ifindex);
		return;
	}
	if (k == NULL) {
		k = calloc(1, sizeof(*k));
		if (k == NULL)
			return;
		k->next = c->kernel_routes;
		c->kernel_routes = k;
	}
	k->r = *r;
	k->port = t->port;
	offer(c, t, r);
}

void lm_kernel_route_via(struct lm_control *c, struct lm_twin *t, const struct lm_ip *via)
{
	for (struct lm_kernel_route *k = c->kernel_routes; k != NULL; k = k->next)
		if (k->port == t->port && lm_ip_equal(&k->r.via, via))
			offer(c, t, &k->r);
}

void lm_kernel_route_forget(struct lm_control *c)
{
	lm_rib_drop_source(c->rib, LM_RIB_KERNEL);
	while (c->kernel_routes != NULL) {
		struct lm_kernel_route *k = c->kernel_routes;

		c->kernel_routes = k->next;
		free(k);
	}
}
