/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What of a WAN port's IP traffic the kernel twin may have, FAULTS row 31. Stateless:
 * answers to what the box itself began, what keeps the link alive, and the ports that
 * the operator opened. Nothing that passes here can get to a LAN.
 */
#include "ip.h"
#include "worker_internal.h"

#define TCP_RST	     0x04
#define TCP_ACK	     0x10
#define TCP_FLAGS    13
#define TCP_MIN	     20
#define PORT_DNS     53
#define PORT_NTP     123
#define PORT_DHCP_S  67
#define PORT_DHCP_C  68
#define PORT_DHCP6_C 546
#define PORT_DHCP6_S 547
#define EPHEMERAL    1024
#define HOPBYHOP     0

static bool listed(const uint16_t *ports, unsigned n, uint16_t port)
{
	for (unsigned i = 0; i < n; i++)
		if (ports[i] == port)
			return true;
	return false;
}

/* Segments of connections that exist, and new ones to open ports. */
static bool tcp(const struct lm_dp_port *p, const uint8_t *l4, unsigned len)
{
	if (len < TCP_MIN)
		return false;
	return (l4[TCP_FLAGS] & (TCP_ACK | TCP_RST)) != 0 ||
	       listed(p->accept_tcp, p->n_accept_tcp, lm_be16(l4 + 2));
}

static bool udp(const struct lm_dp_port *p, const uint8_t *l4, unsigned len)
{
	uint16_t src, dst;

	if (len < sizeof(struct lm_udp_hdr))
		return false;
	src = lm_be16(l4);
	dst = lm_be16(l4 + 2);
	if (dst == p->udp_port) /* the mesh's, never the kernel's */
		return false;
	return ((src == PORT_DNS || src == PORT_NTP) && dst >= EPHEMERAL) ||
	       listed(p->accept_udp, p->n_accept_udp, dst);
}

/* Echo both ways, unreachable, time exceeded, parameter problem (RFC 792). */
static bool icmp4(const uint8_t *l4, unsigned len)
{
	static const uint8_t types[] = {0, 3, 8, 11, 12};

	return len >= 8 && memchr(types, l4[0], sizeof(types)) != NULL;
}

/* Errors and echo (RFC 4443), router advertisement, neighbour discovery (RFC 4861), listener
 * queries (RFC 2710): without the answers a switch cuts neighbour discovery off. No redirects. */
static bool icmp6(const uint8_t *l4, unsigned len)
{
	static const uint8_t types[] = {1, 2, 3, 4, 128, 129, 130, 134, 135, 136};

	return len >= 4 && memchr(types, l4[0], sizeof(types)) != NULL;
}

static bool has_ip4(const struct lm_addresses *own)
{
	for (unsigned i = 0; own != NULL && i < own->n; i++)
		if (own->ips[i].family == 4)
			return true;
	return false;
}

/* An answer comes to whatever address is offered, before there is one (RFC 2131 section 4.1). With
 * one, to it or to all: a packet to anybody else could be sent on by a kernel in which somebody
 * turned forwarding on. */
static bool dhcp4(const struct lm_addresses *own, const uint8_t *ip, const uint8_t *l4,
		  unsigned len)
{
	return ip[9] == LM_PROTO_UDP && len >= sizeof(struct lm_udp_hdr) &&
	       lm_be16(l4) == PORT_DHCP_S && lm_be16(l4 + 2) == PORT_DHCP_C &&
	       (!has_ip4(own) || lm_is_own4(own, ip + 16) || lm_be32(ip + 16) == UINT32_MAX);
}

bool lm_wan_filter4(const struct lm_dp_port *p, const struct lm_addresses *own, const uint8_t *ip,
		    unsigned len)
{
	unsigned ihl = (ip[0] & 15u) * 4;
	const uint8_t *l4 = ip + ihl;

	len -= ihl;
	if (dhcp4(own, ip, l4, len))
		return true;
	if (!lm_is_own4(own, ip + 16))
		return false;
	switch (ip[9]) {
	case LM_PROTO_ICMP:
		return icmp4(l4, len);
	case LM_PROTO_TCP:
		return tcp(p, l4, len);
	case LM_PROTO_UDP:
		return udp(p, l4, len);
	default:
		return false;
	}
}

bool lm_wan_filter6(const struct lm_dp_port *p, const struct lm_addresses *own, const uint8_t *ip,
		    unsigned len)
{
	const uint8_t *l4 = ip + sizeof(struct lm_ip6_hdr), *dst = ip + 24;
	uint8_t proto = ip[6];
	bool on_link = dst[0] == 0xff || lm_ip6_link_local(dst);

	len -= (unsigned)sizeof(struct lm_ip6_hdr);
	/* Listener discovery comes behind a router alert; no other extension header is let in. */
	if (proto == HOPBYHOP && len >= 8 && l4[0] == LM_PROTO_ICMP6 && l4[1] == 0) {
		proto = l4[0];
		l4 += 8;
		len -= 8;
	}
	if (proto == LM_PROTO_ICMP6)
		return (on_link || lm_is_own6(own, dst)) && icmp6(l4, len);
	if (proto == LM_PROTO_UDP && lm_ip6_link_local(dst))
		return len >= sizeof(struct lm_udp_hdr) && lm_be16(l4) == PORT_DHCP6_S &&
		       lm_be16(l4 + 2) == PORT_DHCP6_C;
	if (!lm_is_own6(own, dst))
		return false;
	if (proto == LM_PROTO_TCP)
		return tcp(p, l4, len);
	return proto == LM_PROTO_UDP && udp(p, l4, len);
}
