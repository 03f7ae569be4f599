/* SPDX-License-Identifier: BSD-3-Clause */
/* The twins, their addresses, and what the kernel says about them. */
#include "internal.h"
#include "twin.h"

#include <errno.h>
#include <unistd.h>

#define READ_BURST   64
#define FRAME_MAX    (9000 + 64)
#define REDUMP_EVERY LM_SEC /* at most */

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

static bool address_of(const struct lm_twin *t, uint8_t family, struct lm_ip *out)
{
	for (unsigned i = 0; i < t->n_addrs; i++) {
		const struct lm_ip *ip = &t->addrs[i].ip;

		if (ip->family == family && !lm_ip_is_special(ip)) {
			*out = *ip;
			return true;
		}
	}
	return false;
}

bool lm_control_wan_address(const struct lm_control *c, uint16_t port, uint8_t family,
			    struct lm_ip *out)
{
	return address_of(&c->twins[port], family, out);
}

bool lm_control_own_address(const struct lm_control *c, uint16_t port, uint8_t family,
			    struct lm_ip *out)
{
	return (port != LM_NO_PORT && address_of(&c->twins[port], family, out)) ||
	       address_of(&c->overlay, family, out);
}

static void set_sysctls(struct lm_control *c, const struct lm_twin *t)
{
	bool wan = is_wan(c, t);

	/* Plain packets never cross between a WAN and another interface in the kernel: what is for
	 * the mesh passes the workers, sealed. */
	if ((lm_twin_sysctl("ipv4", t->name, "forwarding", wan ? "0" : "1") != 0 ||
	     (wan && lm_twin_sysctl("ipv6", t->name, "forwarding", "0") != 0)) &&
	    wan)
		lm_log(&c->log, LM_LOG_WARN,
		       "%s: cannot turn off forwarding in the kernel; is /proc/sys writable?",
		       t->name);
	/* A host of the LAN must not give this router a default route or another way. */
	if (!wan)
		(void)lm_twin_sysctl("ipv6", t->name, "accept_ra", "0");
	(void)lm_twin_sysctl("ipv6", t->name, "accept_redirects", "0");
	if (t->port == LM_NO_PORT)
		(void)lm_twin_sysctl("ipv6", t->name, "addr_gen_mode", "1"); /* no link-local */
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

static bool has_ip(const struct lm_twin *t, const struct lm_ip *ip)
{
	for (unsigned i = 0; i < t->n_addrs; i++)
		if (lm_ip_equal(&t->addrs[i].ip, ip))
			return true;
	return false;
}

/* Packets from the mesh and the LAN to this address are for the kernel. */
static void to_rib(struct lm_control *c, const struct lm_twin *t, const struct lm_ip *ip)
{
	struct lm_route to_me = {.kind = LM_ROUTE_TO_ME, .port = t->port};
	struct lm_prefix host = host_prefix(ip);

	if (ip->family == 6 && ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80)
		return; /* link-local: the workers give such packets to the twin anyway */
	if (has_ip(t, ip))
		(void)lm_rib_put(c->rib, &host, LM_RIB_LOCAL, t->ifindex, &to_me);
	else
		lm_rib_drop(c->rib, &host, LM_RIB_LOCAL, t->ifindex);
}

static void on_addr(void *user, const struct lm_nl_addr *a, bool gone)
{
	struct lm_control *c = user;
	struct lm_twin *t = lm_twin_by_ifindex(c, a->ifindex);
	unsigned i;

	if (t == NULL)
		return;
	gone = gone || !a->usable;
	/* One address may be there with several lengths. */
	for (i = 0; i < t->n_addrs; i++)
		if (t->addrs[i].len == a->addr.len && lm_ip_equal(&t->addrs[i].ip, &a->addr.ip))
			break;
	if (i < t->n_addrs && !gone)
		t->addr_view[i] = c->view;
	if (gone ? i == t->n_addrs : i < t->n_addrs)
		return;
	if (!gone && t->n_addrs == LM_ARRAY_SIZE(t->addrs)) {
		lm_log(&c->log, LM_LOG_WARN, "%s: more than %zu addresses, one is ignored", t->name,
		       LM_ARRAY_SIZE(t->addrs));
		return;
	}
	if (gone) {
		t->addrs[i] = t->addrs[--t->n_addrs];
		t->addr_view[i] = t->addr_view[t->n_addrs];
		/* The kernel drops IPv4 routes with this source without a word. */
		c->redump = true;
	} else {
		t->addrs[i] = a->addr;
		t->addr_view[i] = c->view;
		t->n_addrs++;
	}
	if (!gone && t->has_link)
		lm_advertise(c, t, &a->addr.ip);
	if (is_wan(c, t)) {
		publish_wan_addresses(c, t);
		lm_underlay_changed(c, t->port);
	} else {
		c->site_moved = true;
		to_rib(c, t, &a->addr.ip);
	}
}

static void on_route(void *user, const struct lm_nl_route *r, bool gone)
{
	struct lm_control *c = user;
	struct lm_twin *t = lm_twin_by_ifindex(c, r->hop.ifindex);

	if (t == NULL || t == &c->overlay)
		return;
	if (is_wan(c, t))
		lm_underlay_changed(c, t->port);
	else
		lm_kernel_route_event(c, t, r, gone);
}

static void on_route_replaced(void *user, const struct lm_prefix *prefix, uint32_t metric,
			      const struct lm_nl_hop *hops, unsigned n)
{
	struct lm_control *c = user;

	lm_kernel_route_replaced(c, prefix, metric, hops, n);
	/* What was replaced may have led through any of them. */
	for (uint16_t p = 0; p < c->cfg->n_ports; p++)
		if (c->cfg->ports[p].role == LM_PORT_ROLE_WAN)
			lm_underlay_changed(c, p);
}

static void on_neigh(void *user, const struct lm_nl_neigh *n, bool gone)
{
	struct lm_control *c = user;
	struct lm_twin *t = lm_twin_by_ifindex(c, n->ifindex);

	if (t != NULL && t != &c->overlay)
		lm_neigh_event(c, t, n, gone);
}

static void on_link(void *user, unsigned ifindex, bool up, bool gone)
{
	struct lm_control *c = user;
	struct lm_twin *t = lm_twin_by_ifindex(c, ifindex);
	bool changed;

	if (t == NULL) { /* perhaps what is under a port */
		lm_link_check(c);
		return;
	}
	if (gone)
		lm_log(&c->log, LM_LOG_ERROR,
		       "%s: the interface was removed by somebody; restart this gateway", t->name);
	/* The kernel drops IPv4 routes through a link that goes down without a word. */
	if (t->up && !up)
		c->redump = true;
	changed = t->up != up;
	t->up = up;
	if (is_wan(c, t))
		lm_underlay_changed(c, t->port);
	else if (changed && t->has_link)
		lm_link_announce(c);
}

/* `sysctl net.ipv4.ip_forward=1`, which routing software likes to do, switches it on everywhere. */
static void on_forwarding(void *user, unsigned ifindex, uint8_t family, bool on)
{
	struct lm_control *c = user;
	struct lm_twin *t = lm_twin_by_ifindex(c, ifindex);

	if (t == NULL || !on || !is_wan(c, t))
		return;
	lm_log(&c->log, LM_LOG_WARN,
	       "%s: somebody switched on IPv%u forwarding; it is off again: only sealed packets "
	       "leave by a WAN port",
	       t->name, family);
	set_sysctls(c, t);
}

/* ---------------------------------------------- reading it all again -- */

static void on_overrun(void *user)
{
	struct lm_control *c = user;

	lm_log(&c->log, LM_LOG_WARN, "netlink events were lost; reading the kernel's tables anew");
	c->redump = true;
}

static void sweep_addresses(struct lm_control *c, struct lm_twin *t)
{
	for (unsigned i = t->n_addrs; i-- > 0;) {
		struct lm_nl_addr lost = {.ifindex = t->ifindex, .addr = t->addrs[i]};

		if (t->addr_view[i] != c->view)
			on_addr(c, &lost, true);
	}
}

int lm_control_dump(struct lm_control *c)
{
	int rc;

	/* What is still there is seen in the new view; the rest is swept out after it. So nothing
	 * that stays is missing in between. */
	c->view++;
	c->dumped = lm_control_now(c).mono;
	c->redump = true;
	rc = lm_nl_dump(c->nl);
	if (rc != 0)
		return rc;
	for (unsigned i = 0; i < c->cfg->n_ports; i++)
		sweep_addresses(c, &c->twins[i]);
	sweep_addresses(c, &c->overlay);
	lm_kernel_route_sweep(c);
	lm_neigh_sweep(c);
	for (uint16_t i = 0; i < c->cfg->n_ports; i++)
		if (is_wan(c, &c->twins[i]))
			lm_underlay_changed(c, i);
	c->redump = false;
	return 0;
}

void lm_control_redump(struct lm_control *c)
{
	int rc;

	if (!c->redump || lm_control_now(c).mono - c->dumped < REDUMP_EVERY)
		return;
	rc = lm_control_dump(c);
	if (rc != 0) /* tried again; until then nothing is taken away */
		lm_log(&c->log, LM_LOG_ERROR, "the kernel's tables cannot be read: %s",
		       strerror(-rc));
}

const struct lm_nl_events lm_control_nl_events = {.addr = on_addr,
						  .route = on_route,
						  .route_replaced = on_route_replaced,
						  .neigh = on_neigh,
						  .link = on_link,
						  .forwarding = on_forwarding,
						  .overrun = on_overrun};

void lm_control_local(struct lm_control *c)
{
	struct lm_local_endpoint eps[LM_ENDPOINTS_MAX];
	size_t n = 0;

	if (!c->local_changed || c->mesh == NULL)
		return;
	c->local_changed = false;
	for (unsigned p = 0; p < c->cfg->n_ports; p++) {
		const struct lm_config_port *pc = &c->cfg->ports[p];

		if (pc->role != LM_PORT_ROLE_WAN || !c->twins[p].has_link)
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

/* Without ARP and ND the neighbours on the way to everybody are lost. */
static bool urgent(const uint8_t *frame, size_t len)
{
	const struct lm_eth_hdr *eth = (const struct lm_eth_hdr *)frame;
	const struct lm_ip6_hdr *ip6 = (const struct lm_ip6_hdr *)(eth + 1);

	return len >= sizeof(*eth) &&
	       (eth->type == htons(LM_ETHERTYPE_ARP) ||
		(eth->type == htons(LM_ETHERTYPE_IP6) && len >= sizeof(*eth) + sizeof(*ip6) &&
		 ip6->next == LM_PROTO_ICMP6 && ip6->hop_limit == 255)); /* RFC 4861 section 4 */
}

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
		else if (urgent(buf, (size_t)n))
			(void)lm_dp_send_urgent(c->dp, t->port, buf, (size_t)n);
		else
			(void)lm_dp_send(c->dp, t->port, buf, (size_t)n);
	}
}

/* ------------------------------------------------------------- creation -- */

/* No reason not to start: IPv4 works without. */
static bool without(const struct lm_control *c, const struct lm_twin *t, const struct lm_ip *ip)
{
	char text[LM_IP_STRLEN];

	if (ip->family != 6 || !t->no_ip6)
		return false;
	lm_log(&c->log, LM_LOG_WARN,
	       "%s: %s is left out, since IPv6 is switched off in the kernel; `sysctl "
	       "net.ipv6.conf.all.disable_ipv6=0` (or no ipv6.disable=1 on the kernel's command "
	       "line) and a restart bring it back",
	       t->name, lm_ip_format(ip, text));
	return true;
}

static int set_up(struct lm_control *c, struct lm_twin *t, const struct lm_ifaddr *addrs,
		  unsigned n, struct lm_error *err)
{
	const struct lm_mac *mac = t->port == LM_NO_PORT ? NULL : &t->mac;
	char text[LM_IP_STRLEN];
	int rc;

	set_sysctls(c, t);
	rc = lm_nl_link_set(c->nl, t->ifindex, false, t->mtu, mac);
	if (rc == 0)
		rc = lm_nl_link_set(c->nl, t->ifindex, true, 0, NULL);
	t->up = rc == 0;
	if (rc != 0)
		return lm_error_set(err, -rc, "%s: cannot set MTU %u and bring it up: %s", t->name,
				    t->mtu, strerror(-rc));
	t->no_ip6 = lm_twin_sysctl_get("ipv6", t->name, "disable_ipv6") != 0;
	for (unsigned i = 0; i < n; i++) {
		if (without(c, t, &addrs[i].ip))
			continue;
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

		if (without(c, t, &pc->gateways[i]))
			continue;
		/* A metric of its own: neither another port's default route nor one that is none of
		 * ours is replaced. */
		rc = lm_nl_route_set(c->nl, &any, t->ifindex, &pc->gateways[i], LM_RTPROT,
				     LM_METRIC_GATEWAY + port);
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

void lm_twins_init(struct lm_control *c)
{
	for (unsigned i = 0; i <= LM_ARRAY_SIZE(c->twins); i++) {
		struct lm_twin *t = i < LM_ARRAY_SIZE(c->twins) ? &c->twins[i] : &c->overlay;

		t->c = c;
		t->fd = -1;
		t->poll.data = t;
		TAILQ_INIT(&t->unresolved);
	}
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
