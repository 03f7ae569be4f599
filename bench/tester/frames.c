/* SPDX-License-Identifier: BSD-3-Clause */
#include "tester.h"

#include <endian.h>

#define ETH_LEN	 sizeof(struct lm_eth_hdr)
#define IP4_LEN	 sizeof(struct lm_ip4_hdr)
#define UDP_LEN	 sizeof(struct lm_udp_hdr)
#define HEAD_LEN (ETH_LEN + IP4_LEN + UDP_LEN)
#define DISCARD	 9 /* RFC 863 */

_Static_assert(IP4_LEN + UDP_LEN + sizeof(struct tester_stamp) <= TESTER_SIZE_MIN,
	       "the smallest packet has room for a stamp");

/* RFC 826 for IPv4 over Ethernet. */
struct arp {
	uint16_t hardware, protocol;
	uint8_t hardware_len, protocol_len;
	uint16_t operation;
	uint8_t sender_mac[6], sender_ip[4], target_mac[6], target_ip[4];
} __attribute__((packed));

void tester_template(struct tester_template *t, const struct tester_port *from,
		     const struct tester_port *to, uint16_t ip_len)
{
	struct lm_eth_hdr eth = {.type = htobe16(LM_ETHERTYPE_IP4)};
	struct lm_ip4_hdr ip = {.ver_ihl = 0x45,
				.len = htobe16(ip_len),
				.frag = htobe16(0x4000), /* DF */
				.ttl = 64,
				.proto = LM_PROTO_UDP};
	/* No checksum, which IPv4 allows: nobody on the way looks at it. */
	struct lm_udp_hdr udp = {.dst = htobe16(DISCARD),
				 .len = htobe16((uint16_t)(ip_len - IP4_LEN))};

	memcpy(eth.dst, from->gateway.b, sizeof(eth.dst));
	memcpy(eth.src, from->mac.b, sizeof(eth.src));
	memcpy(ip.src, from->ip, sizeof(ip.src));
	memcpy(ip.dst, to->ip, sizeof(ip.dst));
	ip.csum = lm_csum_finish(lm_csum_add(0, &ip, sizeof(ip)));
	memcpy(t->head, &eth, ETH_LEN);
	memcpy(t->head + ETH_LEN, &ip, IP4_LEN);
	memcpy(t->head + ETH_LEN + IP4_LEN, &udp, UDP_LEN);
	t->frame_len = (uint16_t)(ETH_LEN + ip_len);
}

struct tester_stamp *tester_stamp_of(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod_offset(m, struct tester_stamp *, HEAD_LEN);
}

void tester_fill(struct rte_mbuf *m, const struct tester_template *t, uint32_t trial, uint64_t seq)
{
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);
	struct lm_udp_hdr *udp = (struct lm_udp_hdr *)(p + ETH_LEN + IP4_LEN);

	memcpy(p, t->head, sizeof(t->head));
	udp->src = htobe16((uint16_t)(49152 + seq % TESTER_FLOWS));
	*tester_stamp_of(m) =
	    (struct tester_stamp){.magic = TESTER_MAGIC, .trial = trial, .seq = seq};
	m->data_len = t->frame_len;
	m->pkt_len = t->frame_len;
}

bool tester_is_ours(struct rte_mbuf *m, uint32_t trial)
{
	const struct tester_stamp *s = tester_stamp_of(m);

	return m->data_len >= HEAD_LEN + sizeof(*s) && s->magic == TESTER_MAGIC &&
	       s->trial == trial;
}

bool tester_arp(struct rte_mbuf *m, const struct tester_port *p)
{
	struct lm_eth_hdr *eth = rte_pktmbuf_mtod(m, struct lm_eth_hdr *);
	struct arp *a = (struct arp *)(eth + 1);

	if (m->data_len < ETH_LEN + sizeof(*a) || eth->type != htobe16(LM_ETHERTYPE_ARP) ||
	    a->operation != htobe16(1) || memcmp(a->target_ip, p->ip, sizeof(p->ip)) != 0)
		return false;
	a->operation = htobe16(2);
	memcpy(a->target_mac, a->sender_mac, sizeof(a->target_mac));
	memcpy(a->target_ip, a->sender_ip, sizeof(a->target_ip));
	memcpy(a->sender_mac, p->mac.b, sizeof(a->sender_mac));
	memcpy(a->sender_ip, p->ip, sizeof(a->sender_ip));
	memcpy(eth->dst, a->target_mac, sizeof(eth->dst));
	memcpy(eth->src, p->mac.b, sizeof(eth->src));
	return true;
}
