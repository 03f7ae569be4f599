/* SPDX-License-Identifier: BSD-3-Clause */
/* rtnetlink messages of the kernel, taken apart. */
#include "netlink.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

struct attrs {
	const struct nlattr *of[64];
};

static int collect(const struct nlattr *a, void *user)
{
	struct attrs *t = user;
	unsigned type = mnl_attr_get_type(a);

	if (type < LM_ARRAY_SIZE(t->of))
		t->of[type] = a;
	return MNL_CB_OK;
}

static uint32_t u32_attr(const struct nlattr *a, uint32_t otherwise)
{
	return a != NULL && mnl_attr_get_payload_len(a) >= 4 ? mnl_attr_get_u32(a) : otherwise;
}

static struct lm_ip ip_of(unsigned family, const uint8_t *p, size_t len)
{
	if (family == AF_INET && len == 4)
		return lm_ip4(p);
	if (family == AF_INET6 && len == 16)
		return lm_ip6(p);
	return (struct lm_ip){0};
}

static struct lm_ip ip_attr(unsigned family, const struct nlattr *a)
{
	if (a == NULL)
		return (struct lm_ip){0};
	return ip_of(family, mnl_attr_get_payload(a), mnl_attr_get_payload_len(a));
}

static void on_addr(const struct lm_nl_events *ev, void *user, const struct nlmsghdr *h)
{
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
	struct attrs t = {0};
	struct lm_nl_addr a = {.ifindex = m->ifa_index, .addr.len = m->ifa_prefixlen};
	uint32_t flags;

	(void)mnl_attr_parse(h, sizeof(*m), collect, &t);
	flags = u32_attr(t.of[IFA_FLAGS], m->ifa_flags);
	/* On a point-to-point link IFA_ADDRESS is the other end; IFA_LOCAL is ours when present. */
	a.addr.ip = ip_attr(m->ifa_family, t.of[IFA_LOCAL] ? t.of[IFA_LOCAL] : t.of[IFA_ADDRESS]);
	a.usable = (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) == 0;
	if (a.addr.ip.family != 0 && ev->addr != NULL)
		ev->addr(user, &a, h->nlmsg_type == RTM_DELADDR);
}

/* The gateway among the attributes of a route or of one of its next hops; none: on the link. False
 * when there is one that we cannot use. */
static bool gateway(unsigned family, const struct attrs *t, struct lm_ip *via)
{
	const struct nlattr *a = t->of[RTA_VIA];

	*via = (struct lm_ip){0};
	if (t->of[RTA_ENCAP_TYPE] != NULL)
		return false;
	if (t->of[RTA_GATEWAY] != NULL) {
		*via = ip_attr(family, t->of[RTA_GATEWAY]);
		return via->family != 0;
	}
	if (a == NULL)
		return true;
	if (mnl_attr_get_payload_len(a) > sizeof(struct rtvia)) {
		const struct rtvia *v = mnl_attr_get_payload(a);

		*via =
		    ip_of(v->rtvia_family, v->rtvia_addr, mnl_attr_get_payload_len(a) - sizeof(*v));
	}
	return via->family != 0;
}

#define HOPS_MAX 64

/* RTA_MULTIPATH: a list of struct rtnexthop, each with attributes. How many of them we can use. */
static unsigned hops_of(unsigned family, const struct nlattr *list, struct lm_nl_hop hops[HOPS_MAX])
{
	const uint8_t *p = mnl_attr_get_payload(list);
	size_t left = mnl_attr_get_payload_len(list);
	unsigned n = 0;

	while (left >= sizeof(struct rtnexthop) && n < HOPS_MAX) {
		const struct rtnexthop *nh = (const struct rtnexthop *)p;
		size_t len = nh->rtnh_len, step = RTNH_ALIGN(len);
		struct attrs t = {0};

		if (len < sizeof(*nh) || len > left)
			break;
		(void)mnl_attr_parse_payload(p + sizeof(*nh), len - sizeof(*nh), collect, &t);
		hops[n].ifindex = (unsigned)nh->rtnh_ifindex;
		n += gateway(family, &t, &hops[n].via);
		if (step > left)
			break;
		p += step;
		left -= step;
	}
	return n;
}

static void on_route(const struct lm_nl_events *ev, void *user, const struct nlmsghdr *h)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	struct lm_nl_route r = {.prefix.len = m->rtm_dst_len};
	bool gone = h->nlmsg_type == RTM_DELROUTE;
	struct lm_nl_hop hops[HOPS_MAX];
	struct attrs t = {0};
	unsigned n = 0;

	(void)mnl_attr_parse(h, sizeof(*m), collect, &t);
	/* The workers look at destinations alone: no TOS, no source prefixes, no caches. */
	if (u32_attr(t.of[RTA_TABLE], m->rtm_table) != RT_TABLE_MAIN || m->rtm_tos != 0 ||
	    m->rtm_src_len != 0 || (m->rtm_flags & RTM_F_CLONED) != 0)
		return;
	r.metric = u32_attr(t.of[RTA_PRIORITY], 0);
	if (t.of[RTA_DST] != NULL)
		r.prefix.ip = ip_attr(m->rtm_family, t.of[RTA_DST]);
	else
		r.prefix.ip.family = m->rtm_family == AF_INET ? 4 : 6;
	if (!lm_prefix_valid(&r.prefix))
		return;
	if (m->rtm_type == RTN_UNICAST && t.of[RTA_MULTIPATH] != NULL) {
		n = hops_of(m->rtm_family, t.of[RTA_MULTIPATH], hops);
	} else if (m->rtm_type == RTN_UNICAST && t.of[RTA_OIF] != NULL) {
		hops[0].ifindex = u32_attr(t.of[RTA_OIF], 0);
		n = gateway(m->rtm_family, &t, &hops[0].via);
	}
	for (unsigned i = 0; ev->route != NULL && i < n; i++) {
		r.hop = hops[i];
		ev->route(user, &r, gone);
	}
	if (!gone && (h->nlmsg_flags & NLM_F_REPLACE) != 0 && ev->route_replaced != NULL)
		ev->route_replaced(user, &r.prefix, r.metric, hops, n);
}

static void on_neigh(const struct lm_nl_events *ev, void *user, const struct nlmsghdr *h)
{
	const struct ndmsg *m = mnl_nlmsg_get_payload(h);
	struct attrs t = {0};
	struct lm_nl_neigh n = {.ifindex = (unsigned)m->ndm_ifindex};

	(void)mnl_attr_parse(h, sizeof(*m), collect, &t);
	n.ip = ip_attr(m->ndm_family, t.of[NDA_DST]);
	n.failed = (m->ndm_state & NUD_FAILED) != 0;
	if (t.of[NDA_LLADDR] != NULL && mnl_attr_get_payload_len(t.of[NDA_LLADDR]) == 6) {
		memcpy(n.mac.b, mnl_attr_get_payload(t.of[NDA_LLADDR]), 6);
		n.valid = (m->ndm_state & (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE |
					   NUD_PERMANENT)) != 0;
		n.stale = (m->ndm_state & NUD_STALE) != 0;
	}
	if (n.ip.family != 0 && ev->neigh != NULL)
		ev->neigh(user, &n, h->nlmsg_type == RTM_DELNEIGH);
}

static void on_link(const struct lm_nl_events *ev, void *user, const struct nlmsghdr *h)
{
	const struct ifinfomsg *m = mnl_nlmsg_get_payload(h);
	bool gone = h->nlmsg_type == RTM_DELLINK;

	/* Bridges send messages of their own family about ports that stay. */
	if (m->ifi_family == AF_UNSPEC && ev->link != NULL)
		ev->link(user, (unsigned)m->ifi_index, !gone && (m->ifi_flags & IFF_UP) != 0, gone);
}

static void on_netconf(const struct lm_nl_events *ev, void *user, const struct nlmsghdr *h)
{
	const struct netconfmsg *m = mnl_nlmsg_get_payload(h);
	uint32_t ifindex, on;
	struct attrs t = {0};

	(void)mnl_attr_parse(h, sizeof(*m), collect, &t);
	ifindex = u32_attr(t.of[NETCONFA_IFINDEX], 0);
	on = u32_attr(t.of[NETCONFA_FORWARDING], UINT32_MAX);
	if (ev->forwarding != NULL && on != UINT32_MAX &&
	    (m->ncm_family == AF_INET || m->ncm_family == AF_INET6))
		ev->forwarding(user, ifindex, m->ncm_family == AF_INET ? 4 : 6, on != 0);
}

void lm_nl_event(const struct lm_nl_events *ev, void *user, const struct nlmsghdr *h)
{
	size_t len = mnl_nlmsg_get_payload_len(h);

	switch (h->nlmsg_type) {
	case RTM_NEWADDR:
	case RTM_DELADDR:
		if (len >= sizeof(struct ifaddrmsg))
			on_addr(ev, user, h);
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		if (len >= sizeof(struct rtmsg))
			on_route(ev, user, h);
		break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		if (len >= sizeof(struct ndmsg))
			on_neigh(ev, user, h);
		break;
	case RTM_NEWLINK:
	case RTM_DELLINK:
		if (len >= sizeof(struct ifinfomsg))
			on_link(ev, user, h);
		break;
	case RTM_NEWNETCONF:
		if (len >= sizeof(struct netconfmsg))
			on_netconf(ev, user, h);
		break;
	default:
		break;
	}
}
