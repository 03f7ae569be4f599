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

/* Is the port in a network of the prefix, or around it? Its addresses in the config count also
 * while the kernel has removed them from an interface that is down. */
static bool is_in(const struct lm_control *c, uint16_t port, const struct lm_prefix *p)
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
	return false;
}

/* Ports by bit: LANs, and those of them that packets can be sent on. */
static void lan_ports(const struct lm_control *c, uint32_t *all, uint32_t *working)
{
	*all = *working = 0;
	for (uint16_t i = 0; i < c->cfg->n_ports; i++) {
		if (!is_lan(c, i))
			continue;
		*all |= 1u << i;
		if (usable(&c->twins[i]))
			*working |= 1u << i;
	}
}

/* A prefix of the site as it was judged last; NULL: not yet. */
static const struct lm_site_prefix *judged(const struct lm_control *c, const struct lm_prefix *p)
{
	for (unsigned i = 0; i < c->n_site; i++)
		if (lm_prefix_equal(&c->site[i].prefix, p))
			return &c->site[i];
	return NULL;
}

/* A prefix that no port leads to is behind those that did last: a link that goes down takes its
 * routes along. If there were none, it counts as behind each LAN. */
static struct lm_site_prefix judge(const struct lm_control *c, const struct lm_prefix *p)
{
	const struct lm_site_prefix *before = judged(c, p);
	struct lm_site_prefix now = {.prefix = *p};
	uint32_t all, working;

	lan_ports(c, &all, &working);
	for (uint16_t i = 0; i < c->cfg->n_ports; i++)
		if (is_lan(c, i) && is_in(c, i, p))
			now.behind |= 1u << i;
	if ((now.behind & working) == 0)
		now.behind |= lm_kernel_route_ports(c, p, all);
	if (now.behind == 0)
		now.behind = before != NULL ? before->behind : all;
	now.withheld = all != 0 && (now.behind & working) == 0;
	return now;
}

unsigned lm_link_prefixes(const struct lm_control *c, const struct lm_config *cfg,
			  const struct lm_cert *own, struct lm_prefix out[LM_PREFIXES_MAX])
{
	const struct lm_prefix *all = cfg->n_prefixes > 0 ? cfg->prefixes : own->prefixes;
	unsigned n_all = cfg->n_prefixes > 0 ? cfg->n_prefixes : own->n_prefixes, n = 0;

	for (unsigned i = 0; i < n_all; i++)
		if (!judge(c, &all[i]).withheld)
			out[n++] = all[i];
	return n;
}

/* Says what is new. */
static void note(const struct lm_control *c, const struct lm_site_prefix *now)
{
	const struct lm_site_prefix *before = judged(c, &now->prefix);
	char text[LM_PREFIX_STRLEN];

	if (now->withheld == (before != NULL && before->withheld))
		return;
	if (now->withheld)
		lm_log(&c->log, LM_LOG_WARN,
		       "%s is not announced: no LAN port with a link leads to it",
		       lm_prefix_format(&now->prefix, text));
	else
		lm_log(&c->log, LM_LOG_INFO, "%s is announced again",
		       lm_prefix_format(&now->prefix, text));
}

void lm_link_announce(struct lm_control *c)
{
	const struct lm_cert *own = lm_mesh_own_cert(c->mesh);
	bool from_config = c->cfg->n_prefixes > 0;
	const struct lm_prefix *all = from_config ? c->cfg->prefixes : own->prefixes;
	unsigned n_all = from_config ? c->cfg->n_prefixes : own->n_prefixes;
	struct lm_site_prefix site[LM_PREFIXES_MAX];
	struct lm_error err;

	c->site_moved = false;
	c->n_announced = 0;
	for (unsigned i = 0; i < n_all; i++) {
		site[i] = judge(c, &all[i]);
		note(c, &site[i]);
		if (!site[i].withheld)
			c->announced[c->n_announced++] = all[i];
	}
	memcpy(c->site, site, n_all * sizeof(site[0]));
	c->n_site = (uint8_t)n_all;
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
		if (t->has_link)
			lm_advertise_all(c, t);
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
