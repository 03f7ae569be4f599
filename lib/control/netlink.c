/* SPDX-License-Identifier: BSD-3-Clause */
#include "netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>

#define BUF_LEN 32768

struct lm_nl {
	struct mnl_socket *req, *mon;
	uint32_t seq;
	struct lm_nl_events ev;
	void *user;
	uint8_t buf[BUF_LEN] __attribute__((aligned(8)));
};

static struct lm_ip ip_attr(uint8_t family, const struct nlattr *a)
{
	struct lm_ip none = {0};

	if (a == NULL)
		return none;
	if (family == AF_INET && mnl_attr_get_payload_len(a) == 4)
		return lm_ip4(mnl_attr_get_payload(a));
	if (family == AF_INET6 && mnl_attr_get_payload_len(a) == 16)
		return lm_ip6(mnl_attr_get_payload(a));
	return none;
}

static uint8_t family_of(const struct lm_ip *ip)
{
	return ip->family == 4 ? AF_INET : AF_INET6;
}

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

/* ------------------------------------------------------------- events -- */

static void on_addr(struct lm_nl *nl, const struct nlmsghdr *h)
{
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
	struct attrs t = {0};
	struct lm_nl_addr a = {.ifindex = m->ifa_index, .addr.len = m->ifa_prefixlen};
	uint32_t flags = m->ifa_flags;

	(void)mnl_attr_parse(h, sizeof(*m), collect, &t);
	if (t.of[IFA_FLAGS] != NULL)
		flags = mnl_attr_get_u32(t.of[IFA_FLAGS]);
	/* On a point-to-point link IFA_ADDRESS is the other end; IFA_LOCAL is ours when present. */
	a.addr.ip = ip_attr(m->ifa_family, t.of[IFA_LOCAL] ? t.of[IFA_LOCAL] : t.of[IFA_ADDRESS]);
	a.usable = (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) == 0;
	if (a.addr.ip.family != 0 && nl->ev.addr != NULL)
		nl->ev.addr(nl->user, &a, h->nlmsg_type == RTM_DELADDR);
}

static void on_route(struct lm_nl *nl, const struct nlmsghdr *h)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	struct attrs t = {0};
	struct lm_nl_route r = {.prefix.len = m->rtm_dst_len};
	uint32_t table = m->rtm_table;

	(void)mnl_attr_parse(h, sizeof(*m), collect, &t);
	if (t.of[RTA_TABLE] != NULL)
		table = mnl_attr_get_u32(t.of[RTA_TABLE]);
	if (table != RT_TABLE_MAIN || m->rtm_type != RTN_UNICAST || t.of[RTA_OIF] == NULL ||
	    (m->rtm_flags & RTM_F_CLONED) != 0)
		return;
	r.ifindex = mnl_attr_get_u32(t.of[RTA_OIF]);
	r.via = ip_attr(m->rtm_family, t.of[RTA_GATEWAY]);
	if (t.of[RTA_DST] != NULL)
		r.prefix.ip = ip_attr(m->rtm_family, t.of[RTA_DST]);
	else
		r.prefix.ip.family = m->rtm_family == AF_INET ? 4 : 6;
	if (lm_prefix_valid(&r.prefix) && nl->ev.route != NULL)
		nl->ev.route(nl->user, &r, h->nlmsg_type == RTM_DELROUTE);
}

static void on_neigh(struct lm_nl *nl, const struct nlmsghdr *h)
{
	const struct ndmsg *m = mnl_nlmsg_get_payload(h);
	struct attrs t = {0};
	struct lm_nl_neigh n = {.ifindex = (unsigned)m->ndm_ifindex};

	if (m->ndm_family != AF_INET && m->ndm_family != AF_INET6)
		return;
	(void)mnl_attr_parse(h, sizeof(*m), collect, &t);
	n.ip = ip_attr(m->ndm_family, t.of[NDA_DST]);
	if (t.of[NDA_LLADDR] != NULL && mnl_attr_get_payload_len(t.of[NDA_LLADDR]) == 6) {
		memcpy(n.mac.b, mnl_attr_get_payload(t.of[NDA_LLADDR]), 6);
		n.valid = (m->ndm_state & (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE |
					   NUD_PERMANENT)) != 0;
		n.stale = (m->ndm_state & NUD_STALE) != 0;
	}
	if (n.ip.family != 0 && nl->ev.neigh != NULL)
		nl->ev.neigh(nl->user, &n, h->nlmsg_type == RTM_DELNEIGH);
}

static int on_message(const struct nlmsghdr *h, void *user)
{
	struct lm_nl *nl = user;
	const struct ifinfomsg *link;

	switch (h->nlmsg_type) {
	case RTM_NEWADDR:
	case RTM_DELADDR:
		on_addr(nl, h);
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		on_route(nl, h);
		break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		on_neigh(nl, h);
		break;
	case RTM_NEWLINK:
	case RTM_DELLINK:
		link = mnl_nlmsg_get_payload(h);
		if (nl->ev.link != NULL)
			nl->ev.link(nl->user, (unsigned)link->ifi_index,
				    h->nlmsg_type == RTM_NEWLINK &&
					(link->ifi_flags & IFF_UP) != 0);
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

/* ----------------------------------------------------------- requests -- */

static struct nlmsghdr *request(struct lm_nl *nl, uint8_t *buf, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = ++nl->seq;
	return h;
}

/* Sends and reads the answer: the acknowledgement, one message, or a whole dump. 0 or -errno. */
static int transact(struct lm_nl *nl, struct nlmsghdr *h, mnl_cb_t cb, void *user)
{
	unsigned port = mnl_socket_get_portid(nl->req);
	ssize_t n;
	int rc;

	if (mnl_socket_sendto(nl->req, h, h->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(nl->req, nl->buf, sizeof(nl->buf));
		if (n < 0)
			return -errno;
		errno = 0;
		rc = mnl_cb_run(nl->buf, (size_t)n, h->nlmsg_seq, port, cb, user);
		if (rc < 0) {
			/* The kernel's error arrives in errno; a message of another request that
			 * timed out earlier is skipped. */
			if (errno == EPROTO || errno == ESRCH)
				continue;
			return errno != 0 ? -errno : -EIO;
		}
	} while (rc != MNL_CB_STOP);
	return 0;
}

static int dump(struct lm_nl *nl, uint16_t type, uint8_t family)
{
	uint8_t buf[256];
	struct nlmsghdr *h = request(nl, buf, type, NLM_F_DUMP);
	struct rtgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof(struct rtmsg));

	g->rtgen_family = family;
	return transact(nl, h, on_message, nl);
}

int lm_nl_dump(struct lm_nl *nl)
{
	static const uint16_t types[] = {RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH};
	int rc;

	for (unsigned i = 0; i < LM_ARRAY_SIZE(types); i++) {
		rc = dump(nl, types[i], AF_INET);
		if (rc == 0)
			rc = dump(nl, types[i], AF_INET6);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int lm_nl_link_set(struct lm_nl *nl, unsigned ifindex, bool up, unsigned mtu,
		   const struct lm_mac *mac)
{
	uint8_t buf[256];
	struct nlmsghdr *h = request(nl, buf, RTM_NEWLINK, NLM_F_ACK);
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	m->ifi_index = (int)ifindex;
	m->ifi_change = IFF_UP;
	m->ifi_flags = up ? IFF_UP : 0;
	if (mtu != 0)
		mnl_attr_put_u32(h, IFLA_MTU, mtu);
	if (mac != NULL)
		mnl_attr_put(h, IFLA_ADDRESS, 6, mac->b);
	return transact(nl, h, NULL, NULL);
}

static void put_ip(struct nlmsghdr *h, uint16_t attr, const struct lm_ip *ip)
{
	mnl_attr_put(h, attr, lm_ip_bits(ip) / 8, ip->b);
}

int lm_nl_addr_add(struct lm_nl *nl, unsigned ifindex, const struct lm_ifaddr *addr)
{
	uint8_t buf[256];
	struct nlmsghdr *h = request(nl, buf, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	uint8_t bc[4];
	int rc;

	m->ifa_family = family_of(&addr->ip);
	m->ifa_prefixlen = addr->len;
	m->ifa_index = ifindex;
	m->ifa_scope = RT_SCOPE_UNIVERSE;
	m->ifa_flags = addr->ip.family == 6 ? IFA_F_NODAD : 0;
	put_ip(h, IFA_LOCAL, &addr->ip);
	put_ip(h, IFA_ADDRESS, &addr->ip);
	if (addr->ip.family == 4 && addr->len < 31) {
		for (unsigned i = 0; i < 4; i++) {
			unsigned bits = addr->len > i * 8 ? addr->len - i * 8 : 0;

			bc[i] = addr->ip.b[i] | (uint8_t)(bits >= 8 ? 0 : 0xff >> bits);
		}
		mnl_attr_put(h, IFA_BROADCAST, 4, bc);
	}
	rc = transact(nl, h, NULL, NULL);
	return rc == -EEXIST ? 0 : rc;
}

static struct nlmsghdr *route_request(struct lm_nl *nl, uint8_t *buf, uint16_t type, uint16_t flags,
				      const struct lm_prefix *prefix, unsigned ifindex,
				      uint8_t protocol, uint32_t metric)
{
	struct nlmsghdr *h = request(nl, buf, type, NLM_F_ACK | flags);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	m->rtm_family = family_of(&prefix->ip);
	m->rtm_dst_len = prefix->len;
	m->rtm_table = RT_TABLE_MAIN;
	m->rtm_protocol = protocol;
	m->rtm_type = RTN_UNICAST;
	m->rtm_scope = RT_SCOPE_UNIVERSE;
	put_ip(h, RTA_DST, &prefix->ip);
	mnl_attr_put_u32(h, RTA_OIF, ifindex);
	mnl_attr_put_u32(h, RTA_PRIORITY, metric);
	return h;
}

int lm_nl_route_set(struct lm_nl *nl, const struct lm_prefix *prefix, unsigned ifindex,
		    const struct lm_ip *via, uint8_t protocol, uint32_t metric)
{
	uint8_t buf[256];
	struct nlmsghdr *h = route_request(nl, buf, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE,
					   prefix, ifindex, protocol, metric);

	if (via != NULL)
		put_ip(h, RTA_GATEWAY, via);
	else if (prefix->ip.family == 4)
		((struct rtmsg *)mnl_nlmsg_get_payload(h))->rtm_scope = RT_SCOPE_LINK;
	return transact(nl, h, NULL, NULL);
}

int lm_nl_route_del(struct lm_nl *nl, const struct lm_prefix *prefix, unsigned ifindex,
		    uint8_t protocol, uint32_t metric)
{
	uint8_t buf[256];
	struct nlmsghdr *h =
	    route_request(nl, buf, RTM_DELROUTE, 0, prefix, ifindex, protocol, metric);

	((struct rtmsg *)mnl_nlmsg_get_payload(h))->rtm_scope = RT_SCOPE_NOWHERE;
	return transact(nl, h, NULL, NULL);
}

struct route_answer {
	struct lm_ip src, hop;
	bool unicast;
};

static int on_route_answer(const struct nlmsghdr *h, void *user)
{
	struct route_answer *out = user;
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	struct attrs t = {0};

	if (h->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	(void)mnl_attr_parse(h, sizeof(*m), collect, &t);
	out->unicast = m->rtm_type == RTN_UNICAST;
	out->src = ip_attr(m->rtm_family, t.of[RTA_PREFSRC]);
	out->hop = ip_attr(m->rtm_family, t.of[RTA_GATEWAY]);
	return MNL_CB_STOP;
}

int lm_nl_route_get(struct lm_nl *nl, const struct lm_ip *dst, unsigned ifindex, struct lm_ip *src,
		    struct lm_ip *hop)
{
	uint8_t buf[256];
	struct nlmsghdr *h = request(nl, buf, RTM_GETROUTE, 0);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	struct route_answer a = {0};
	int rc;

	m->rtm_family = family_of(dst);
	m->rtm_dst_len = (uint8_t)lm_ip_bits(dst);
	put_ip(h, RTA_DST, dst);
	mnl_attr_put_u32(h, RTA_OIF, ifindex);
	rc = transact(nl, h, on_route_answer, &a);
	if (rc != 0)
		return rc;
	if (!a.unicast || a.src.family == 0)
		return -ENETUNREACH;
	*src = a.src;
	*hop = a.hop.family != 0 ? a.hop : *dst;
	return 0;
}

int lm_nl_neigh_use(struct lm_nl *nl, unsigned ifindex, const struct lm_ip *ip)
{
	uint8_t buf[256];
	struct nlmsghdr *h = request(nl, buf, RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE);
	struct ndmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	m->ndm_family = family_of(ip);
	m->ndm_ifindex = (int)ifindex;
	m->ndm_flags = NTF_USE;
	put_ip(h, NDA_DST, ip);
	return transact(nl, h, NULL, NULL);
}

/* ------------------------------------------------------------- socket -- */

void lm_nl_read(struct lm_nl *nl)
{
	ssize_t n;

	/* Bounded: a flood of kernel events must not keep the loop from its other work. */
	for (unsigned i = 0; i < 64; i++) {
		n = recv(mnl_socket_get_fd(nl->mon), nl->buf, sizeof(nl->buf), MSG_DONTWAIT);
		if (n < 0) {
			if (errno == ENOBUFS && nl->ev.overrun != NULL)
				nl->ev.overrun(nl->user);
			if (errno == EINTR || errno == ENOBUFS)
				continue;
			return;
		}
		(void)mnl_cb_run(nl->buf, (size_t)n, 0, 0, on_message, nl);
	}
}

int lm_nl_fd(const struct lm_nl *nl)
{
	return mnl_socket_get_fd(nl->mon);
}

void lm_nl_close(struct lm_nl *nl)
{
	if (nl == NULL)
		return;
	if (nl->req != NULL)
		mnl_socket_close(nl->req);
	if (nl->mon != NULL)
		mnl_socket_close(nl->mon);
	free(nl);
}

int lm_nl_open(const struct lm_nl_events *ev, void *user, struct lm_nl **out, struct lm_error *err)
{
	static const int groups = RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_IFADDR |
				  RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
	/* The kernel answers at once; a second without an answer means that none will come. */
	struct timeval limit = {.tv_sec = 1};
	struct lm_nl *nl = calloc(1, sizeof(*nl));
	int size = 1 << 20;

	if (nl == NULL)
		return lm_error_set(err, ENOMEM, "no memory for netlink");
	nl->ev = *ev;
	nl->user = user;
	nl->req = mnl_socket_open(NETLINK_ROUTE);
	nl->mon = mnl_socket_open(NETLINK_ROUTE);
	if (nl->req == NULL || nl->mon == NULL ||
	    mnl_socket_bind(nl->req, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_bind(nl->mon, (unsigned)groups, MNL_SOCKET_AUTOPID) < 0) {
		int code = errno;

		lm_nl_close(nl);
		return lm_error_set(err, code, "cannot open a netlink socket: %s", strerror(code));
	}
	(void)setsockopt(mnl_socket_get_fd(nl->req), SOL_SOCKET, SO_RCVTIMEO, &limit,
			 sizeof(limit));
	(void)setsockopt(mnl_socket_get_fd(nl->mon), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	*out = nl;
	return 0;
}
