/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which ports have a link, and what follows: the kernel sees it on the twin, a WAN port
 * without one is no way to anybody, and what only LAN ports without one lead to is not
 * announced, so that another site can stand in for it.
 */
#include "internal.h"
#include "twin.h"

static bool is_lan(const struct lm_control *c, uint16_t port)
{
	return c->cfg->ports[port].role == LM_PORT_ROLE_LAN;
}

static bool usable(const struct lm_twin *t)
{
	return t->has_link && t->up;
}

static bool overlap(const struct lm_prefix *a, const struct lm_prefix *b)
{
	return lm_prefix_covers(a, b) || lm_prefix_covers(b, a);
}

/* Does the port lead to the prefix, or to a part of it? Its addresses in the config count also
 * while the kernel has removed them from an interface that is down. */
static bool leads_to(const struct lm_control *c, uint16_t port, const struct lm_prefix *p)
{
	const struct lm_config_port *pc = &c->cfg->ports[port];
	const struct lm_twin *t = &c->twins[port];
	struct lm_prefix net;

	for (unsigned i = 0; i < pc->n_addresses; i++) {
		net = lm_prefix_of(&pc->addresses[i].ip, pc->addresses[i].len);
		if (overlap(&net, p))
			return true;
	}
	for (unsigned i = 0; i < t->n_addrs; i++) {
		net = lm_prefix_of(&t->addrs[i].ip, t->addrs[i].len);
		if (overlap(&net, p))
			return true;
	}
	return lm_kernel_route_overlaps(c, t, p);
}

/* A prefix that no port leads to counts as behind each of them. */
static bool is_dead(const struct lm_control *c, const struct lm_prefix *p)
{
	bool led = false, any_usable = false;

	for (uint16_t i = 0; i < c->cfg->n_ports; i++) {
		if (!is_lan(c, i))
			continue;
		any_usable |= usable(&c->twins[i]);
		if (!leads_to(c, i, p))
			continue;
		if (usable(&c->twins[i]))
			return false;
		led = true;
	}
	return led || !any_usable;
}

static bool has_lan(const struct lm_control *c)
{
	for (uint16_t i = 0; i < c->cfg->n_ports; i++)
		if (is_lan(c, i))
			return true;
	return false;
}

void lm_link_announce(struct lm_control *c)
{
	const struct lm_cert *own = lm_mesh_own_cert(c->mesh);
	bool from_config = c->cfg->n_prefixes > 0, lan = has_lan(c);
	const struct lm_prefix *all = from_config ? c->cfg->prefixes : own->prefixes;
	unsigned n_all = from_config ? c->cfg->n_prefixes : own->n_prefixes;
	char text[LM_PREFIX_STRLEN];
	struct lm_error err;

	c->n_announced = 0;
	for (unsigned i = 0; i < n_all; i++) {
		if (lan && is_dead(c, &all[i]))
			lm_log(&c->log, LM_LOG_WARN,
			       "%s is not announced: no LAN port with a link "
			       "leads to it",
			       lm_prefix_format(&all[i], text));
		else
			c->announced[c->n_announced++] = all[i];
	}
	if (lm_mesh_prefixes(c->mesh, lm_control_now(c), c->announced, c->n_announced, &err) != 0)
		lm_log(&c->log, LM_LOG_ERROR, "announcement stays as it is: %s", err.text);
	lm_control_rearm(c);
}

void lm_link_check(struct lm_control *c)
{
	bool lan_changed = false;

	for (uint16_t i = 0; i < c->cfg->n_ports; i++) {
		struct lm_twin *t = &c->twins[i];
		struct lm_dp_port_info info;

		if (lm_dp_port_info(c->dp, i, &info) != 0 ||
		    (c->links_known && info.link_up == t->has_link))
			continue;
		t->has_link = info.link_up;
		lm_log(&c->log, t->has_link ? LM_LOG_INFO : LM_LOG_WARN, "%s: link is %s", t->name,
		       t->has_link ? "up" : "down");
		lm_twin_carrier(t->fd, t->has_link);
		if (is_lan(c, i)) {
			lan_changed = true;
		} else {
			c->local_changed = true;
			lm_underlay_changed(c, i);
		}
	}
	c->links_known = true;
	if (lan_changed)
		lm_link_announce(c);
	lm_control_local(c);
	lm_control_rearm(c);
}
