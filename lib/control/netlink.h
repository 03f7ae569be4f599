/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rtnetlink for the control thread: what the kernel knows of the twins' links,
 * addresses, routes and neighbours comes in as events; settings go out.
 * Requests block for the kernel's answer only, a second at most.
 */
#ifndef LM_CONTROL_NETLINK_H
#define LM_CONTROL_NETLINK_H

#include <lanemesh/base.h>
#include <lanemesh/config.h>

#define LM_RTPROT 0x4c /* rtm_protocol of the routes that we export */

struct lm_nl_addr {
	unsigned ifindex;
	struct lm_ifaddr addr;
	bool usable; /* not tentative, not failed duplicate address detection */
};

struct lm_nl_hop {
	unsigned ifindex;
	struct lm_ip via; /* none = on the link; may be IPv6 for an IPv4 prefix (RFC 8950) */
};

/* A unicast route of the main table; one with several next hops makes as many events. */
struct lm_nl_route {
	struct lm_prefix prefix;
	uint32_t metric; /* the kernel prefers the lowest */
	struct lm_nl_hop hop;
};

struct lm_nl_neigh {
	unsigned ifindex;
	struct lm_ip ip;
	struct lm_mac mac;
	bool valid;  /* has a MAC that may be used */
	bool stale;  /* valid, but not confirmed of late */
	bool failed; /* the kernel asked and got no answer */
};

/* gone = true: it is no longer there. All on the thread that calls lm_nl_read or lm_nl_dump. */
struct lm_nl_events {
	void (*addr)(void *user, const struct lm_nl_addr *a, bool gone);
	void (*route)(void *user, const struct lm_nl_route *r, bool gone);
	/* After the events about these hops: all others of this prefix and metric are gone. */
	void (*route_replaced)(void *user, const struct lm_prefix *prefix, uint32_t metric,
			       const struct lm_nl_hop *hops, unsigned n);
	void (*neigh)(void *user, const struct lm_nl_neigh *n, bool gone);
	void (*link)(void *user, unsigned ifindex, bool up, bool gone);
	/* Somebody has switched forwarding of packets by the kernel, for IPv4 or IPv6. */
	void (*forwarding)(void *user, unsigned ifindex, uint8_t family, bool on);
	void (*overrun)(void *user); /* events were lost: dump again */
};

/* Turns one rtnetlink message into events. */
struct nlmsghdr;
void lm_nl_event(const struct lm_nl_events *ev, void *user, const struct nlmsghdr *h);

struct lm_nl;

int lm_nl_open(const struct lm_nl_events *ev, void *user, struct lm_nl **out,
	       struct lm_error *err) LM_MUST_CHECK;
void lm_nl_close(struct lm_nl *nl);
int lm_nl_fd(const struct lm_nl *nl);
/* Delivers what has arrived. Event handlers may make requests. */
void lm_nl_read(struct lm_nl *nl);
/* Delivers all present addresses, main-table unicast routes and neighbours as events. 0 or -errno;
 * -EINTR: they change faster than they can be read. Not to be called by an event handler. */
int lm_nl_dump(struct lm_nl *nl) LM_MUST_CHECK;

/* mac may be NULL, mtu 0: not changed. */
int lm_nl_link_set(struct lm_nl *nl, unsigned ifindex, bool up, unsigned mtu,
		   const struct lm_mac *mac) LM_MUST_CHECK;
/* Without duplicate address detection; an address that is there already is no error. */
int lm_nl_addr_add(struct lm_nl *nl, unsigned ifindex, const struct lm_ifaddr *addr) LM_MUST_CHECK;
/* Replaces a route of the same prefix and metric; via NULL: on the link. protocol: rtm_protocol,
 * who made it. */
int lm_nl_route_set(struct lm_nl *nl, const struct lm_prefix *prefix, unsigned ifindex,
		    const struct lm_ip *via, uint8_t protocol, uint32_t metric) LM_MUST_CHECK;
int lm_nl_route_del(struct lm_nl *nl, const struct lm_prefix *prefix, unsigned ifindex,
		    uint8_t protocol, uint32_t metric);
/* How the kernel would reach dst through this interface: its source address and next hop (dst
 * itself when on the link). -ENETUNREACH when it would not. */
int lm_nl_route_get(struct lm_nl *nl, const struct lm_ip *dst, unsigned ifindex, struct lm_ip *src,
		    struct lm_ip *hop) LM_MUST_CHECK;
/* Asks the kernel to resolve or confirm a neighbour as if it had traffic (NTF_USE). */
int lm_nl_neigh_use(struct lm_nl *nl, unsigned ifindex, const struct lm_ip *ip);
/* Makes the kernel forget a neighbour. */
int lm_nl_neigh_del(struct lm_nl *nl, unsigned ifindex, const struct lm_ip *ip);

#endif
