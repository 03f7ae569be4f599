/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses of ports are announced on their links: ARP announcements (RFC 5227 section 2.3) and
 * unsolicited neighbour advertisements (RFC 4861 section 7.2.6). So hosts and switches send to this
 * gateway at once when it took the place of another machine, and do not wait until what they
 * remember is stale. The kernel does so for some events only, and the twin's link is not the
 * port's.
 */
#include "internal.h"
#include "twin.h"

#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/in.h>

/* The first one may be lost, or come before a switch lets it through. ND: now and at the next two
 * ticks (MAX_NEIGHBOR_ADVERTISEMENT, RFC 4861 section 10); ARP: now and two seconds later
 * (ANNOUNCE_NUM and ANNOUNCE_INTERVAL, RFC 5227 section 1.1). */
#define TICKS 3

struct arp_frame {
	struct lm_eth_hdr eth;
	struct ether_arp arp;
} __attribute__((packed));

struct na_frame {
	struct lm_eth_hdr eth;
	struct lm_ip6_hdr ip;
	struct nd_neighbor_advert na;
	struct nd_opt_hdr opt;
	struct lm_mac mac;
} __attribute__((packed));

static void send_arp(struct lm_control *c, const struct lm_twin *t, const struct lm_ip *ip)
{
	struct arp_frame f = {
	    .eth.type = htons(ETHERTYPE_ARP),
	    .arp.ea_hdr = {.ar_hrd = htons(ARPHRD_ETHER),
			   .ar_pro = htons(ETHERTYPE_IP),
			   .ar_hln = 6,
			   .ar_pln = 4,
			   .ar_op = htons(ARPOP_REQUEST)},
	};

	memset(f.eth.dst, 0xff, sizeof(f.eth.dst));
	memcpy(f.eth.src, t->mac.b, sizeof(f.eth.src));
	memcpy(f.arp.arp_sha, t->mac.b, sizeof(f.arp.arp_sha));
	memcpy(f.arp.arp_spa, ip->b, sizeof(f.arp.arp_spa));
	memcpy(f.arp.arp_tpa, ip->b, sizeof(f.arp.arp_tpa));
	(void)lm_dp_send(c->dp, t->port, &f, sizeof(f)); /* counted when it fails */
}

static void send_na(struct lm_control *c, const struct lm_twin *t, const struct lm_ip *ip)
{
	static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
	const struct lm_ip to = lm_ip6(all_nodes);
	const uint16_t len = sizeof(struct na_frame) - offsetof(struct na_frame, na);
	/* As the kernel says it when it is asked; a host drops a router that denies being one. */
	bool router = lm_twin_sysctl_get("ipv6", t->name, "forwarding") > 0;
	struct na_frame f = {
	    .eth = {.dst = {0x33, 0x33, 0, 0, 0, 1}, .type = htons(ETHERTYPE_IPV6)},
	    .ip = {.ver_tc_flow = htonl(6u << 28),
		   .payload_len = htons(len),
		   .next = IPPROTO_ICMPV6,
		   .hop_limit = 255},
	    .na.nd_na_hdr = {.icmp6_type = ND_NEIGHBOR_ADVERT},
	    .opt = {.nd_opt_type = ND_OPT_TARGET_LINKADDR, .nd_opt_len = 1},
	    .mac = t->mac,
	};

	memcpy(f.eth.src, t->mac.b, sizeof(f.eth.src));
	memcpy(f.ip.src, ip->b, sizeof(f.ip.src));
	memcpy(f.ip.dst, all_nodes, sizeof(f.ip.dst));
	f.na.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE | (router ? ND_NA_FLAG_ROUTER : 0);
	memcpy(&f.na.nd_na_target, ip->b, 16);
	f.na.nd_na_cksum = lm_csum_pseudo(ip, &to, IPPROTO_ICMPV6, &f.na, len);
	(void)lm_dp_send(c->dp, t->port, &f, sizeof(f));
}

static void tell(struct lm_control *c, const struct lm_twin *t, const struct lm_ip *ip)
{
	if (lm_ip_is_special(ip) && !(ip->family == 6 && ip->b[0] == 0xfe))
		return;
	if (ip->family == 6 && t->advertise > 0)
		send_na(c, t, ip);
	else if (ip->family == 4 && (t->advertise == TICKS || t->advertise == 0))
		send_arp(c, t, ip);
}

void lm_advertise(struct lm_control *c, struct lm_twin *t, const struct lm_ip *ip)
{
	if (t->port == LM_NO_PORT)
		return;
	t->advertise = TICKS;
	tell(c, t, ip);
}

void lm_advertise_all(struct lm_control *c, struct lm_twin *t)
{
	for (unsigned i = 0; i < t->n_addrs; i++)
		lm_advertise(c, t, &t->addrs[i].ip);
}

void lm_advertise_tick(struct lm_control *c)
{
	for (uint16_t p = 0; p < c->cfg->n_ports; p++) {
		struct lm_twin *t = &c->twins[p];

		if (t->advertise == 0 || !t->has_link)
			continue;
		t->advertise--;
		for (unsigned i = 0; i < t->n_addrs; i++)
			tell(c, t, &t->addrs[i].ip);
	}
}
