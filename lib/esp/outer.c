/* SPDX-License-Identifier: BSD-3-Clause */
/* Outer headers of a path, built once by the control thread; encap.c patches copies. */
#include <lanemesh/esp.h>

#include <arpa/inet.h>
#include <errno.h>

#define ETH_LEN	     sizeof(struct lm_eth_hdr)
#define OUTER_TTL    64 /* RFC 1122 section 3.2.1.7 leaves it to us; the number of RFC 1700 */
#define IP4_DF	     0x4000
#define IP4_VER_IHL  0x45
#define IP6_VERSION  0x60000000u
#define CSUM_FOLD(s) ((uint16_t)~lm_csum_finish(s))

_Static_assert(LM_OUTER_MAX == ETH_LEN + sizeof(struct lm_ip6_hdr) + sizeof(struct lm_udp_hdr) +
				   LM_RELAY_HDR_LEN,
	       "the longest outer header");
_Static_assert(LM_OUTER_MAX <= sizeof(((struct lm_outer *)0)->hdr), "it fits the template");

static void build_ip4(struct lm_outer *o, const struct lm_endpoint *src,
		      const struct lm_endpoint *dst, bool df)
{
	struct lm_ip4_hdr *ip = (struct lm_ip4_hdr *)(o->hdr + o->ip_off);

	ip->ver_ihl = IP4_VER_IHL;
	ip->frag = htons(df ? IP4_DF : 0);
	ip->ttl = OUTER_TTL;
	ip->proto = LM_PROTO_UDP;
	memcpy(ip->src, src->ip.b, 4);
	memcpy(ip->dst, dst->ip.b, 4);
	o->csum0 = CSUM_FOLD(lm_csum_add(0, ip, sizeof(*ip)));
	o->hdr_len = (uint8_t)(o->ip_off + sizeof(*ip) + sizeof(struct lm_udp_hdr));
}

static void build_ip6(struct lm_outer *o, const struct lm_endpoint *src,
		      const struct lm_endpoint *dst)
{
	struct lm_ip6_hdr *ip = (struct lm_ip6_hdr *)(o->hdr + o->ip_off);
	const uint16_t fixed[3] = {htons(LM_PROTO_UDP), htons(src->port), htons(dst->port)};

	ip->ver_tc_flow = htonl(IP6_VERSION);
	ip->next = LM_PROTO_UDP;
	ip->hop_limit = OUTER_TTL;
	memcpy(ip->src, src->ip.b, 16);
	memcpy(ip->dst, dst->ip.b, 16);
	/* Pseudo-header (RFC 8200 section 8.1) and UDP header without their lengths. */
	o->csum0 = CSUM_FOLD(lm_csum_add(lm_csum_add(0, fixed, sizeof(fixed)), ip->src, 32));
	o->hdr_len = (uint8_t)(o->ip_off + sizeof(*ip) + sizeof(struct lm_udp_hdr));
}

int lm_outer_build(struct lm_outer *o, const struct lm_mac *src_mac, const struct lm_mac *dst_mac,
		   const struct lm_endpoint *src, const struct lm_endpoint *dst, bool df)
{
	struct lm_eth_hdr *eth = (struct lm_eth_hdr *)o->hdr;
	struct lm_udp_hdr *udp;

	if (src->ip.family != dst->ip.family || (src->ip.family != 4 && src->ip.family != 6) ||
	    src->port == 0 || dst->port == 0)
		return -EINVAL;
	*o = (struct lm_outer){.ip_off = ETH_LEN, .ip6 = src->ip.family == 6};
	memcpy(eth->dst, dst_mac->b, sizeof(eth->dst));
	memcpy(eth->src, src_mac->b, sizeof(eth->src));
	eth->type = htons(o->ip6 ? LM_ETHERTYPE_IP6 : LM_ETHERTYPE_IP4);
	if (o->ip6)
		build_ip6(o, src, dst);
	else
		build_ip4(o, src, dst, df);
	udp = (struct lm_udp_hdr *)(o->hdr + o->hdr_len - sizeof(*udp));
	udp->src = htons(src->port);
	udp->dst = htons(dst->port);
	return 0;
}

void lm_outer_relay(struct lm_outer *o, uint64_t id)
{
	lm_msg_relay_header(o->hdr + o->hdr_len, id);
	o->relay_len = LM_RELAY_HDR_LEN;
	o->hdr_len += LM_RELAY_HDR_LEN;
}
