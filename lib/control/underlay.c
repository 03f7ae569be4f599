/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ways to the outer addresses of other gateways: the kernel's routing table and
 * neighbours of a WAN twin say how, the result is a ready outer header.
 */
#include "internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#define WAYS	     512
#define WAY_MAX_AGE  (2 * LM_SEC) /* policy rules and other tables change without an event */
#define REPUBLISH_MS 100	  /* between two rounds, when routes change all the time */

/* What the kernel said about a destination. Asking it takes a system call that other users of
 * rtnetlink can hold up, and there may be a control datagram to send for each one received. */
struct lm_way {
	uint16_t port;
	struct lm_ip to;
	uint32_t view; /* of the routes, in which it was asked */
	lm_time asked;
	int rc;
	struct lm_ip src, hop;
};

static struct lm_way *way_slot(struct lm_control *c, const struct lm_path *path)
{
	uint32_t h = 2166136261u ^ path->port; /* FNV-1a */

	if (c->ways == NULL)
		c->ways = calloc(WAYS, sizeof(*c->ways));
	for (unsigned i = 0; i < sizeof(path->remote.ip.b); i++)
		h = (h ^ path->remote.ip.b[i]) * 16777619u;
	return c->ways != NULL ? &c->ways[(h ^ h >> 16) % WAYS] : NULL;
}

static void ask_kernel(struct lm_control *c, const struct lm_path *path, struct lm_way *w)
{
	w->port = path->port;
	w->to = path->remote.ip;
	w->view = c->ways_view;
	w->asked = lm_control_now(c).mono;
	w->rc = lm_nl_route_get(c->nl, &w->to, c->twins[path->port].ifindex, &w->src, &w->hop);
}

/* The source endpoint, and the next hop, of a path. 0 or -errno. */
static int way(struct lm_control *c, const struct lm_path *path, struct lm_endpoint *src,
	       struct lm_ip *hop)
{
	struct lm_way spare, *w;

	if (path->port >= c->cfg->n_ports || c->cfg->ports[path->port].role != LM_PORT_ROLE_WAN)
		return -EINVAL;
	w = way_slot(c, path);
	if (w == NULL)
		w = &spare;
	if (w == &spare || w->port != path->port || !lm_ip_equal(&w->to, &path->remote.ip) ||
	    w->view != c->ways_view || lm_control_now(c).mono - w->asked > WAY_MAX_AGE)
		ask_kernel(c, path, w);
	src->ip = w->src;
	src->port = c->cfg->ports[path->port].udp_port;
	*hop = w->hop;
	return w->rc;
}

static int outer_to(struct lm_control *c, const struct lm_path *path, const struct lm_endpoint *src,
		    const struct lm_mac *dst_mac, struct lm_outer *out)
{
	struct lm_twin *t = &c->twins[path->port];
	int rc = lm_outer_build(out, &t->mac, dst_mac, src, &path->remote, true);

	if (rc == 0 && path->relay != 0)
		lm_outer_relay(out, path->relay);
	out->port = path->port;
	return rc;
}

/* Lengths and checksums of one control datagram; the header template carries none. */
static void finish(uint8_t *frame, const struct lm_outer *o, const struct lm_path *path,
		   const struct lm_endpoint *src, size_t len)
{
	struct lm_udp_hdr *udp =
	    (struct lm_udp_hdr *)(frame + o->hdr_len - o->relay_len - sizeof(*udp));
	uint16_t udp_len = (uint16_t)(sizeof(*udp) + o->relay_len + len);

	udp->len = htons(udp_len);
	udp->csum = 0;
	if (o->ip6) {
		((struct lm_ip6_hdr *)(frame + o->ip_off))->payload_len = udp->len;
	} else {
		struct lm_ip4_hdr *ip = (struct lm_ip4_hdr *)(frame + o->ip_off);

		ip->len = htons((uint16_t)(sizeof(*ip) + udp_len));
		ip->csum = 0;
		ip->csum = lm_csum_finish(lm_csum_add(0, ip, sizeof(*ip)));
	}
	udp->csum = lm_csum_pseudo(&src->ip, &path->remote.ip, LM_PROTO_UDP, udp, udp_len);
	if (udp->csum == 0)
		udp->csum = 0xffff; /* RFC 768: zero would mean none */
}

int lm_underlay_send(struct lm_control *c, const struct lm_path *path, const uint8_t *data,
		     size_t len)
{
	static const struct lm_mac unresolved;
	uint8_t frame[LM_OUTER_MAX + LM_CONTROL_MAX];
	struct lm_endpoint src;
	struct lm_outer o;
	struct lm_ip hop;

	if (len > LM_CONTROL_MAX || way(c, path, &src, &hop) != 0 ||
	    outer_to(c, path, &src, &unresolved, &o) != 0) {
		lm_count(&c->counters, LM_C_NEIGHBOUR_UNRESOLVED, 1);
		return -EHOSTUNREACH;
	}
	memcpy(frame, o.hdr, o.hdr_len);
	memcpy(frame + o.hdr_len, data, len);
	finish(frame, &o, path, &src, len);
	return lm_neigh_send(c, &c->twins[path->port], &hop, frame, o.hdr_len + len);
}

bool lm_underlay_outer(struct lm_control *c, const struct lm_path *path, struct lm_outer *out)
{
	const struct lm_mac *mac;
	struct lm_endpoint src;
	struct lm_ip hop;

	if (way(c, path, &src, &hop) != 0)
		return false;
	mac = lm_neigh_mac(c, &c->twins[path->port], &hop);
	return mac != NULL && outer_to(c, path, &src, mac, out) == 0;
}

/* The largest packet that the path carries. */
static unsigned inner_mtu(const struct lm_control *c, const struct lm_path *path)
{
	unsigned mtu = c->cfg->ports[path->port].mtu;

	return path->relay != 0 ? lm_esp_inner_mtu_relayed(mtu)
				: lm_esp_inner_mtu(mtu, path->remote.ip.family == 6);
}

void lm_underlay_publish(struct lm_control *c, uint32_t peer)
{
	struct lm_peer_slot *s = c->peers[peer];
	struct lm_outer o = {0};
	unsigned mtu = 0;
	bool found;
	int rc;

	found = s->has_path && lm_underlay_outer(c, &s->path, &o);
	if (found == s->path_set && (!found || memcmp(&s->outer, &o, sizeof(o)) == 0))
		return;
	if (found)
		mtu = inner_mtu(c, &s->path);
	rc = lm_dp_path_set(c->dp, peer, found ? &o : NULL, (uint16_t)mtu);
	if (rc != 0) { /* what was there is still in use: again with the next round */
		lm_log(&c->log, LM_LOG_ERROR, "path to peer %u not given to the workers: %s", peer,
		       strerror(-rc));
		lm_underlay_changed(c, s->path.port);
		return;
	}
	s->outer = o;
	s->path_set = found;
}

static void on_due(uv_timer_t *t)
{
	struct lm_control *c = t->data;
	uint32_t ports = c->underlay_dirty;

	c->underlay_dirty = 0;
	c->underlay_published = lm_control_now(c).mono;
	for (uint32_t i = 0; i < c->n_peers; i++)
		if (c->peers[i] != NULL && c->peers[i]->has_path &&
		    (ports >> c->peers[i]->path.port & 1) != 0)
			lm_underlay_publish(c, i);
	lm_control_relays_underlay(c, ports);
}

void lm_underlay_changed(struct lm_control *c, uint16_t port)
{
	lm_time since = lm_control_now(c).mono - c->underlay_published;

	/* Soon, and many changes as one: every round asks the kernel about every peer. */
	if (c->underlay_dirty == 0)
		(void)uv_timer_start(&c->underlay_timer, on_due,
				     since < REPUBLISH_MS * LM_MSEC ? REPUBLISH_MS : 0, 0);
	c->underlay_dirty |= 1u << port;
	c->ways_view++;
}
