/* SPDX-License-Identifier: BSD-3-Clause */
/* The twins, their addresses, and what the kernel says about them. */
#include "internal.h"
#include "twin.h"

#include <errno.h>
#include <unistd.h>

#define READ_BURST 64
#define FRAME_MAX  (9000 + 64)

struct lm_twin *lm_twin_by_ifindex(struct lm_control *c, unsigned ifindex)
{
	for (unsigned i = 0; i < c->cfg->n_ports; i++)
		if (c->twins[i].ifindex == ifindex)
			return &c->twins[i];
	return c->overlay.ifindex == ifindex ? &c->overlay : NULL;
}

static bool is_wan(const struct lm_control *c, const struct lm_twin *t)
{
	return t->port != LM_NO_PORT && c->cfg->ports[t->port].role == LM_PORT_ROLE_WAN;
}

static struct lm_prefix host_prefix(const struct lm_ip *ip)
{
	return lm_prefix_of(ip, lm_ip_bits(ip));
}

bool lm_control_own_address(const struct lm_control *c, uint16_t port, uint8_t family,
			    struct lm_ip *out)
{
	const struct lm_twin *order[2] = {port != LM_NO_PORT ? &c->twins[port] : NULL, &c->overlay};

	for (unsigned k = 0; k < LM_ARRAY_SIZE(order); k++) {
		for (unsigned i = 0; order[k] != NULL && i < order[k]->n_addrs; i++) {
			const struct lm_ip *ip = &order[k]->addrs[i].ip;

			if (ip->family == family && !lm_ip_is_special(ip)) {
				*out = *ip;
				return true;
			}
		}
	}
	return false;
}

/* ------------------------------------------------------- kernel events -- */

static void publish_wan_addresses(struct lm_control *c, const struct lm_twin *t)
{
	struct lm_ip ips[LM_ARRAY_SIZE(t->addrs)];

	for (unsigned i = 0; i < t->n_addrs; i++)
		ips[i] = t->addrs[i].ip;
	if (lm_dp_addresses_set(c->dp, t->port, ips, t->n_addrs) != 0)
		lm_log(&c->log, LM_LOG_ERROR, "%s: addresses not given to the workers: no memory",
		       t->name);
	c->local_changed = true;
}

static void on_addr(void *user, const struct lm_nl_addr *a, bool gone)
{
	struct lm_control *c = user;
	struct lm_twin *t = lm_twin_by_ifindex(c, a->ifindex);
	struct lm_route to_me = {.kind = LM_ROUTE_TO_ME};
	struct lm_prefix host;
	unsigned i;

	if (t == NULL)
		return;
	gone = gone || !a->usable;
	for (i = 0; i < t->n_addrs && !lm_ip_equal(&t->addrs[i].ip, &a->addr.ip); i++)
		;
	if (gone ? i == t->n_addrs : i < t->n_addrs)
		return;
	if (!gone && t->n_addrs == LM_ARRAY_SIZE(t->addrs)) {
		lm_log(&c->log, LM_LOG_WARN, "%s: more than %zu addresses, one is ignored", t->name,
		       LM_ARRAY_SIZE(t->addrs));
		return;
	}
	if (gone)
		t->addrs[i] = t->addrs[--t->n_addrs];
	else
		t->addrs[t->n_addrs++] = a->addr;
	if (is_wan(c, t)) {
		publish_wan_addresses(c, t);
		lm_underlay_changed(c, t->port);
		return;
	}
	if (a->addr.ip.family == 6 && a->addr.ip.b[0] == 0xfe && (a->addr.ip.b[1] & 0xc0) == 0x80)
		return; /* link-local: the workers give such packets to the twin anyway */
	host = host_prefix(&a->addr.ip);
	to_me.port = t->port;
	if (gone)
		lm_rib_drop(c->rib, &host, LM_RIB_LOCAL, t->ifindex);
	else
		(void)lm_rib_put(c->rib, &host, LM_RIB_LOCAL, t->ifindex, &to_me);
}

static void on_route(void *user, const struct lm_nl_route *r, bool gone)
{
	struct lm_control *c = user;
	struct lm_twin *t = lm_twin_by_ifindex(c, r->ifindex);

	if (t == NULL || t == &c->overlay)
		return;
	if (is_wan(c, t))
		lm_underlay_changed(c, t->port);
	else
		lm_kernel_route_event(c, t, r, gone);
}

static void on_neigh(void *user, const struct lm_nl_neigh *n, bool gone)
{
	struct lm_control *c = user;
	struct lm_twin *t = lm_twin_by_ifindex(c, n->ifindex);

	if (t != NULL && t != &c->overlay)
		lm_neigh_event(c, t, n, gone);
}

static void on_link(void *user, unsigned ifindex, bool up)
{
	struct lm_control *c = user;
	struct lm_twin *t = lm_twin_by_ifindex(c, ifindex);

	if (t != NULL && is_wan(c, t) && up)
		lm_underlay_changed(c, t->port);
}

/* Events were lost: forget the kernel's view and read it anew. */
static void on_overrun(void *user)
{
	struct lm_control *c = user;

	lm_log(&c->log, LM_LOG_WARN, "netlink events were lost; reading the kernel's tables anew");
	for (unsigned i = 0; i < c->cfg->n_ports; i++)
		c->twins[i].n_addrs = 0;
	c->overlay.n_addrs = 0;
	lm_neigh_forget(c);
	lm_kernel_route_forget(c);
	lm_rib_drop_source(c->rib, LM_RIB_LOCAL);
	if (lm_nl_dump(c->nl) != 0)
		lm_log(&c->log, LM_LOG_ERROR, "the kernel's tables cannot be read");
}

const struct lm_nl_events lm_control_nl_events = {
    .addr = on_addr, .route = on_route, .neigh = on_neigh, .link = on_link, .overrun = on_overrun};

void lm_control_local(struct lm_control *c)
{
	struct lm_local_endpoint eps[LM_ENDPOINTS_MAX];
	size_t n = 0;

	if (!c->local_changed || c->mesh == NULL)
		return;
	c->local_changed = false;
	for (unsigned p = 0; p < c->cfg->n_ports; p++) {
		const struct lm_config_port *pc = &c->cfg->ports[p];

		if (pc->role != LM_PORT_ROLE_WAN)
			continue;
		for (unsigned i = 0; i < pc->n_public_endpoints && n < LM_ARRAY_SIZE(eps); i++)
			eps[n++] = (struct lm_local_endpoint){.port = (uint16_t)p,
							      .kind = LM_EP_PUBLIC,
							      .ep = pc->public_endpoints[i]};
		for (unsigned i = 0; i < c->twins[p].n_addrs && n < LM_ARRAY_SIZE(eps); i++) {
			const struct lm_ip *ip = &c->twins[p].addrs[i].ip;

			if (!lm_ip_is_special(ip))
				eps[n++] = (struct lm_local_endpoint){
				    .port = (uint16_t)p,
				    .kind = LM_EP_HOST,
				    .ep = {.ip = *ip, .port = pc->udp_port}};
		}
	}
	lm_mesh_local(c->mesh, lm_control_now(c), eps, n);
}

/* ------------------------------------------------- frames of the kernel -- */

static void on_readable(uv_poll_t *h, int status, int events)
{
	struct lm_twin *t = h->data;
	struct lm_control *c = t->c;
	uint8_t buf[FRAME_MAX];
	ssize_t n;

	if (status < 0 || (events & UV_READABLE) == 0)
		return;
	for (unsigned i = 0; i < READ_BURST; i++) {
		n = read(t->fd, buf, sizeof(buf));
		if (n <= 0)
			return;
		/* Refusals are counted in the data plane, under inject_full and the like. */
		if (t->port == LM_NO_PORT)
			(void)lm_dp_inject(c->dp, buf, (size_t)n);
		else
			(void)lm_dp_send(c->dp, t->port, buf, (size_t)n);
	}
}

/* ------------------------------------------------------------- creation -- */

static int set_up(struct lm_control *c, struct lm_twin *t, const struct lm_ifaddr *addrs,
		  unsigned n, struct lm_error *err)
{
	const struct lm_mac *mac = t->port == LM_NO_PORT ? NULL : &t->mac;
	char text[LM_IP_STRLEN];
	int rc;

	/* Plain packets never cross between this interface and another one in the kernel: what is
	 * for the mesh passes the workers, sealed. */
	(void)lm_twin_sysctl("ipv4", t->name, "forwarding", is_wan(c, t) ? "0" : "1");
	if (is_wan(c, t))
		(void)lm_twin_sysctl("ipv6", t->name, "forwarding", "0");
	if (t->port == LM_NO_PORT)
		(void)lm_twin_sysctl("ipv6", t->name, "addr_gen_mode", "1"); /* no link-local */
	rc = lm_nl_link_set(c->nl, t->ifindex, false, t->mtu, mac);
	if (rc == 0)
		rc = lm_nl_link_set(c->nl, t->ifindex, true, 0, NULL);
	if (rc != 0)
		return lm_error_set(err, -rc, "%s: cannot set MTU %u and bring it up: %s", t->name,
				    t->mtu, strerror(-rc));
	for (unsigned i = 0; i < n; i++) {
		rc = lm_nl_addr_add(c->nl, t->ifindex, &addrs[i]);
		if (rc != 0)
			return lm_error_set(err, -rc, "%s: cannot add address %s/%u: %s", t->name,
					    lm_ip_format(&addrs[i].ip, text), addrs[i].len,
					    strerror(-rc));
	}
	rc = uv_poll_init(&c->loop, &t->poll, t->fd);
	if (rc == 0)
		rc = uv_poll_start(&t->poll, UV_READABLE, on_readable);
	if (rc != 0)
		return lm_error_set(err, -rc, "%s: cannot watch it: %s", t->name, uv_strerror(rc));
	return 0;
}

static int create_port_twin(struct lm_control *c, uint16_t port, struct lm_error *err)
{
	const struct lm_config_port *pc = &c->cfg->ports[port];
	struct lm_twin *t = &c->twins[port];
	struct lm_dp_port_info info;
	char text[LM_IP_STRLEN];
	int rc = lm_dp_port_info(c->dp, port, &info);

	if (rc != 0)
		return lm_error_set(err, -rc, "%s: no such port in the data plane", pc->name);
	t->port = port;
	t->mac = info.mac;
	t->mtu = pc->mtu;
	memcpy(t->name, pc->name, sizeof(t->name));
	rc = lm_twin_open(t->name, true, &t->fd, &t->ifindex, err);
	if (rc == 0)
		rc = set_up(c, t, pc->addresses, pc->n_addresses, err);
	for (unsigned i = 0; rc == 0 && i < pc->n_gateways; i++) {
		struct lm_prefix any = {.ip.family = pc->gateways[i].family};

		rc = lm_nl_route_set(c->nl, &any, t->ifindex, &pc->gateways[i], LM_RTPROT, 0);
		if (rc != 0)
			rc = lm_error_set(err, -rc,
					  "%s: cannot set gateway %s: %s; is it inside "
					  "one of the port's networks?",
					  t->name, lm_ip_format(&pc->gateways[i], text),
					  strerror(-rc));
	}
	return rc;
}

static int create_overlay(struct lm_control *c, struct lm_error *err)
{
	const struct lm_cert *own = lm_mesh_own_cert(c->mesh);
	struct lm_ifaddr addrs[LM_OVERLAYS_MAX];
	struct lm_twin *t = &c->overlay;
	unsigned mtu = UINT16_MAX;
	int rc;

	t->port = LM_NO_PORT;
	memcpy(t->name, c->cfg->overlay_interface, sizeof(t->name));
	/* What fits into every WAN port's ESP, also over IPv6; the path's own limit may be more. */
	for (unsigned i = 0; i < c->cfg->n_ports; i++)
		if (c->cfg->ports[i].role == LM_PORT_ROLE_WAN && c->cfg->ports[i].mtu < mtu)
			mtu = c->cfg->ports[i].mtu;
	t->mtu = (uint16_t)lm_esp_inner_mtu(mtu, true);
	for (unsigned i = 0; i < own->n_overlays; i++)
		addrs[i] = (struct lm_ifaddr){.ip = own->overlays[i],
					      .len = (uint8_t)lm_ip_bits(&own->overlays[i])};
	rc = lm_twin_open(t->name, false, &t->fd, &t->ifindex, err);
	return rc != 0 ? rc : set_up(c, t, addrs, own->n_overlays, err);
}

int lm_twins_create(struct lm_control *c, struct lm_error *err)
{
	int rc = 0;

	for (uint16_t p = 0; rc == 0 && p < c->cfg->n_ports; p++)
		rc = create_port_twin(c, p, err);
	return rc != 0 ? rc : create_overlay(c, err);
}

void lm_twins_close(struct lm_control *c)
{
	for (unsigned i = 0; i <= c->cfg->n_ports; i++) {
		struct lm_twin *t = i < c->cfg->n_ports ? &c->twins[i] : &c->overlay;

		if (t->poll.loop != NULL && !uv_is_closing((uv_handle_t *)&t->poll))
			uv_close((uv_handle_t *)&t->poll, NULL);
		if (t->fd >= 0)
			close(t->fd); /* the interface goes with it */
		t->fd = -1;
	}
}
