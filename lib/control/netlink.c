/* SPDX-License-Identifier: BSD-3-Clause */
#include "netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>

#define BUF_LEN	   32768
#define DUMP_TRIES 8

/* Requests, dumps and events have a socket and a buffer each: a handler of an event, or of a
 * message of a dump, makes requests while the rest waits. */
struct lm_nl {
	struct mnl_socket *req, *mon;
	uint32_t seq;
	struct lm_nl_events ev;
	void *user;
	uint8_t req_buf[BUF_LEN] __attribute__((aligned(8)));
	uint8_t mon_buf[BUF_LEN] __attribute__((aligned(8)));
};

static uint8_t family_of(const struct lm_ip *ip)
{
	return ip->family == 4 ? AF_INET : AF_INET6;
}

/* One datagram of the kernel's. A process may send to our socket too (it needs CAP_NET_ADMIN): such
 * a datagram has length 0 here. Bytes, or -errno. */
static ssize_t receive(const struct mnl_socket *sock, uint8_t *buf, int flags)
{
	struct sockaddr_nl from = {0};
	socklen_t from_len = sizeof(from);
	ssize_t n;

	do
		n = recvfrom(mnl_socket_get_fd(sock), buf, BUF_LEN, flags, (struct sockaddr *)&from,
			     &from_len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return from_len == sizeof(from) && from.nl_pid == 0 ? n : 0;
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

/* Are these the answer to request seq, and not one that came too late for an earlier request? */
static bool is_answer(const uint8_t *buf, size_t len, uint32_t seq, unsigned port)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)buf;

	return mnl_nlmsg_ok(h, (int)len) && mnl_nlmsg_seq_ok(h, seq) &&
	       mnl_nlmsg_portid_ok(h, port);
}

/* Clears the flag that libmnl takes for a reason to stop in the middle. Was it set? */
static bool was_interrupted(uint8_t *buf, size_t len)
{
	struct nlmsghdr *h = (struct nlmsghdr *)buf;
	int left = (int)len;
	bool set = false;

	for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
		set = set || (h->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
		h->nlmsg_flags &= (uint16_t)~NLM_F_DUMP_INTR;
	}
	return set;
}

/* Sends and reads the answer: the acknowledgement, one message, or a whole dump. 0 or -errno;
 * -EINTR: a dump is complete, but the table changed meanwhile. */
static int transact(const struct mnl_socket *sock, uint8_t *buf, const struct nlmsghdr *h,
		    mnl_cb_t cb, void *user)
{
	unsigned port = mnl_socket_get_portid(sock);
	bool interrupted = false;
	int rc = MNL_CB_OK;
	ssize_t n;

	if (mnl_socket_sendto(sock, h, h->nlmsg_len) < 0)
		return -errno;
	while (rc != MNL_CB_STOP) {
		n = receive(sock, buf, 0);
		if (n < 0)
			return (int)n;
		if (!is_answer(buf, (size_t)n, h->nlmsg_seq, port))
			continue;
		interrupted = was_interrupted(buf, (size_t)n) || interrupted;
		errno = 0;
		rc = mnl_cb_run(buf, (size_t)n, h->nlmsg_seq, port, cb, user);
		if (rc < 0) /* the kernel's error arrives in errno */
			return errno != 0 ? -errno : -EIO;
	}
	return interrupted ? -EINTR : 0;
}

static int ask(struct lm_nl *nl, const struct nlmsghdr *h)
{
	return transact(nl->req, nl->req_buf, h, NULL, NULL);
}

static int open_socket(int groups, struct mnl_socket **out)
{
	/* The kernel answers at once; a second without an answer means that none will come. */
	struct timeval limit = {.tv_sec = 1};
	struct mnl_socket *sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int code;

	if (sock == NULL)
		return -errno;
	if (mnl_socket_bind(sock, (unsigned)groups, MNL_SOCKET_AUTOPID) < 0 ||
	    setsockopt(mnl_socket_get_fd(sock), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) <
		0) {
		code = errno;
		(void)mnl_socket_close(sock);
		return -code;
	}
	*out = sock;
	return 0;
}

/* ---------------------------------------------------------------- dump -- */

static int on_message(const struct nlmsghdr *h, void *user)
{
	struct lm_nl *nl = user;

	lm_nl_event(&nl->ev, nl->user, h);
	return MNL_CB_OK;
}

static int dump(struct lm_nl *nl, const struct mnl_socket *sock, uint8_t *buf, uint16_t type,
		uint8_t family)
{
	int rc = -EINTR;

	for (unsigned i = 0; rc == -EINTR && i < DUMP_TRIES; i++) {
		uint8_t msg[256];
		struct nlmsghdr *h = request(nl, msg, type, NLM_F_DUMP);
		struct rtgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof(struct rtmsg));

		g->rtgen_family = family;
		rc = transact(sock, buf, h, on_message, nl);
	}
	return rc;
}

int lm_nl_dump(struct lm_nl *nl)
{
	static const uint16_t types[] = {RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH};
	uint8_t *buf = malloc(BUF_LEN);
	struct mnl_socket *sock;
	int rc = buf == NULL ? -ENOMEM : open_socket(0, &sock);

	if (rc != 0) {
		free(buf);
		return rc;
	}
	for (unsigned i = 0; rc == 0 && i < LM_ARRAY_SIZE(types); i++) {
		rc = dump(nl, sock, buf, types[i], AF_INET);
		if (rc == 0)
			rc = dump(nl, sock, buf, types[i], AF_INET6);
	}
	(void)mnl_socket_close(sock);
	free(buf);
	return rc;
}

/* ------------------------------------------------------------ settings -- */

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
	return ask(nl, h);
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
	rc = ask(nl, h);
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
	return ask(nl, h);
}

int lm_nl_route_del(struct lm_nl *nl, const struct lm_prefix *prefix, unsigned ifindex,
		    uint8_t protocol, uint32_t metric)
{
	uint8_t buf[256];
	struct nlmsghdr *h =
	    route_request(nl, buf, RTM_DELROUTE, 0, prefix, ifindex, protocol, metric);

	((struct rtmsg *)mnl_nlmsg_get_payload(h))->rtm_scope = RT_SCOPE_NOWHERE;
	return ask(nl, h);
}

struct route_answer {
	struct lm_ip src, hop;
	bool unicast;
};

static struct lm_ip ip_of(const void *p, size_t len)
{
	return len == 4 ? lm_ip4(p) : len == 16 ? lm_ip6(p) : (struct lm_ip){0};
}

static int on_route_answer(const struct nlmsghdr *h, void *user)
{
	struct route_answer *out = user;
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;

	if (h->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	out->unicast = m->rtm_type == RTN_UNICAST;
	mnl_attr_for_each(a, h, sizeof(*m))
	{
		const uint8_t *p = mnl_attr_get_payload(a);
		size_t len = mnl_attr_get_payload_len(a);

		switch (mnl_attr_get_type(a)) {
		case RTA_PREFSRC:
			out->src = ip_of(p, len);
			break;
		case RTA_GATEWAY:
			out->hop = ip_of(p, len);
			break;
		case RTA_VIA: /* a gateway of the other family, RFC 8950 */
			if (len > sizeof(struct rtvia))
				out->hop =
				    ip_of(p + sizeof(struct rtvia), len - sizeof(struct rtvia));
			break;
		default:
			break;
		}
	}
	return MNL_CB_STOP;
}

static int get_route(struct lm_nl *nl, const struct lm_ip *dst, unsigned ifindex, uint32_t flags,
		     struct route_answer *out)
{
	uint8_t buf[256];
	struct nlmsghdr *h = request(nl, buf, RTM_GETROUTE, 0);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	*out = (struct route_answer){0};
	m->rtm_family = family_of(dst);
	m->rtm_dst_len = (uint8_t)lm_ip_bits(dst);
	m->rtm_flags = flags;
	put_ip(h, RTA_DST, dst);
	mnl_attr_put_u32(h, RTA_OIF, ifindex);
	return transact(nl->req, nl->req_buf, h, on_route_answer, out);
}

int lm_nl_route_get(struct lm_nl *nl, const struct lm_ip *dst, unsigned ifindex, struct lm_ip *src,
		    struct lm_ip *hop)
{
	struct route_answer a, match;
	int rc = get_route(nl, dst, ifindex, 0, &a);

	if (rc != 0)
		return rc;
	if (!a.unicast || a.src.family != dst->family || lm_ip_is_special(&a.src))
		return -ENETUNREACH;
	/* Without a route for an IPv4 address the kernel takes it to be on the named link. */
	if (dst->family == 4 && a.hop.family == 0 &&
	    get_route(nl, dst, ifindex, RTM_F_FIB_MATCH, &match) != 0)
		return -ENETUNREACH;
	*src = a.src;
	*hop = a.hop.family != 0 ? a.hop : *dst;
	return 0;
}

static int neigh_request(struct lm_nl *nl, uint16_t type, uint16_t flags, uint8_t ndm_flags,
			 unsigned ifindex, const struct lm_ip *ip)
{
	uint8_t buf[256];
	struct nlmsghdr *h = request(nl, buf, type, NLM_F_ACK | flags);
	struct ndmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	m->ndm_family = family_of(ip);
	m->ndm_ifindex = (int)ifindex;
	m->ndm_flags = ndm_flags;
	put_ip(h, NDA_DST, ip);
	return ask(nl, h);
}

int lm_nl_neigh_use(struct lm_nl *nl, unsigned ifindex, const struct lm_ip *ip)
{
	return neigh_request(nl, RTM_NEWNEIGH, NLM_F_CREATE, NTF_USE, ifindex, ip);
}

int lm_nl_neigh_del(struct lm_nl *nl, unsigned ifindex, const struct lm_ip *ip)
{
	return neigh_request(nl, RTM_DELNEIGH, 0, 0, ifindex, ip);
}

/* ------------------------------------------------------------- socket -- */

/* Throws away what is queued: it is older than the dump that follows. */
static void drain(struct lm_nl *nl)
{
	for (unsigned i = 0; i < 65536; i++) {
		ssize_t n = receive(nl->mon, nl->mon_buf, MSG_DONTWAIT);

		if (n < 0 && n != -ENOBUFS)
			return;
	}
}

void lm_nl_read(struct lm_nl *nl)
{
	/* Bounded: a flood of kernel events must not keep the loop from its other work. */
	for (unsigned i = 0; i < 64; i++) {
		ssize_t n = receive(nl->mon, nl->mon_buf, MSG_DONTWAIT);

		if (n == -ENOBUFS) {
			drain(nl);
			nl->ev.overrun(nl->user);
		}
		if (n < 0)
			return;
		(void)mnl_cb_run(nl->mon_buf, (size_t)n, 0, 0, on_message, nl);
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
		(void)mnl_socket_close(nl->req);
	if (nl->mon != NULL)
		(void)mnl_socket_close(nl->mon);
	free(nl);
}

/*
 * Events about mesh routes, which are ours (LM_RTPROT and no default route), are not for us: those
 * of thousands of peers would fill the socket, and the events that matter would be lost in them.
 * A filter that cannot be set only costs that. Classic BPF; halfwords are loaded as big-endian.
 */
static void mute_own_routes(int fd)
{
	enum {
		TYPE = offsetof(struct nlmsghdr, nlmsg_type),
		LEN = NLMSG_HDRLEN + offsetof(struct rtmsg, rtm_dst_len),
		PROTOCOL = NLMSG_HDRLEN + offsetof(struct rtmsg, rtm_protocol)
	};
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_H | BPF_ABS, TYPE),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWROUTE), 1, 0),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 0, 5),
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, PROTOCOL),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, LM_RTPROT, 0, 3),
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, LEN),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	    BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog filter = {.len = LM_ARRAY_SIZE(code), .filter = code};

	(void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
}

int lm_nl_open(const struct lm_nl_events *ev, void *user, struct lm_nl **out, struct lm_error *err)
{
	static const int groups = RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_IFADDR |
				  RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE |
				  1 << (RTNLGRP_IPV4_NETCONF - 1) | 1 << (RTNLGRP_IPV6_NETCONF - 1);
	struct lm_nl *nl = calloc(1, sizeof(*nl));
	int size = 1 << 20, rc;

	if (nl == NULL)
		return lm_error_set(err, ENOMEM, "no memory for netlink");
	nl->ev = *ev;
	nl->user = user;
	rc = open_socket(0, &nl->req);
	if (rc == 0)
		rc = open_socket(groups, &nl->mon);
	if (rc != 0) {
		lm_nl_close(nl);
		return lm_error_set(err, -rc, "cannot open a netlink socket: %s", strerror(-rc));
	}
	mute_own_routes(mnl_socket_get_fd(nl->mon));
	/* Beyond net.core.rmem_max; a smaller one works too, with more dumps. */
	if (setsockopt(mnl_socket_get_fd(nl->mon), SOL_SOCKET, SO_RCVBUFFORCE, &size,
		       sizeof(size)) < 0)
		(void)setsockopt(mnl_socket_get_fd(nl->mon), SOL_SOCKET, SO_RCVBUF, &size,
				 sizeof(size));
	*out = nl;
	return 0;
}
