/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * LAN to WAN, from top to bottom:
 *
 *   frame -> ours? IP? -> header -> routes of a burst -> source ours? -> TTL
 *         -> peer: MSS, MTU, seal, send | neighbour: send | kernel: punt | drop
 */
#include "batch.h"
#include "prefetch.h"
#include "worker_internal.h"

#include <rte_ip.h>

#define IGMP	     2
#define HOPBYHOP     0
#define TCP_FLAGS    33u /* after an IPv4 header without options */
#define TCP_FLAG_SYN 0x02

/* Frames other than IP that the kernel's own protocols need: ARP, VLANs, LLC (STP, IS-IS), LACP,
 * EAPOL, LLDP. */
static bool kernel_type(uint16_t type)
{
	return type == LM_ETHERTYPE_ARP || type == LM_ETHERTYPE_VLAN || type < 0x600 ||
	       type == 0x88a8 || type == 0x8809 || type == 0x888e || type == 0x88cc;
}

/*
 * What never is routed: multicast, broadcast, link-local, and senders that have no
 * address yet. The kernel gets what its protocols on this link may need.
 */
static bool local_only4(const uint8_t *ip, bool group)
{
	return group || !lm_ip4_routable(lm_be32(ip + 16)) || lm_be32(ip + 12) == 0;
}

static bool kernel_wants4(const uint8_t *ip)
{
	uint32_t dst = lm_be32(ip + 16);

	/* 224.0.0.0/4 beyond this link, loopback, 0/8 and class E: nobody's here. A unicast address
	 * in a broadcast frame is a subnet's broadcast address, or is refused by the kernel. */
	return lm_ip4_routable(dst) || dst == UINT32_MAX || dst >> 8 == 0xe00000 || ip[9] == IGMP;
}

static bool local_only6(const uint8_t *ip, bool group)
{
	static const uint8_t none[16];

	return group || !lm_ip6_routable(ip + 24) || lm_ip6_link_local(ip + 8) ||
	       memcmp(ip + 8, none, 16) == 0;
}

static bool kernel_wants6(const uint8_t *ip)
{
	const uint8_t *dst = ip + 24;

	if (dst[0] == 0xff)
		return (dst[1] & 15) <= 2 || ip[6] == LM_PROTO_ICMP6 || ip[6] == HOPBYHOP;
	return lm_ip6_link_local(dst) || lm_ip6_routable(dst);
}

/* The frame that nearly all are: for us, an intact IPv4 header without options, to be routed, with
 * room for ESP around it. What is not, take_frame sorts out. Nearly all are right in every way: so
 * all that may be wrong is gathered, and asked for once. */
static inline bool is_plain(uint64_t mac, const struct rte_mbuf *m, const uint8_t *frame)
{
	const uint8_t *ip = frame + LM_ETH_LEN;
	int have = m->data_len - LM_ETH_LEN, total = lm_be16(ip + 2);
	uint64_t wrong = (lm_quad(frame) ^ mac) & LM_MAC_BITS;
	int lengths;

	if (unlikely(have < (int)sizeof(struct lm_ip4_hdr)))
		return false;
	lengths = (have - total) | (total - (int)sizeof(struct lm_ip4_hdr)) |
		  (m->data_off + LM_ETH_LEN - (int)LM_ESP_HEADROOM) |
		  (m->buf_len - m->data_off - m->data_len - (int)LM_ESP_TAILROOM);
	wrong |= lm_not_plain4(frame + 12);
	wrong |= m->nb_segs ^ 1u;
	wrong |= (lengths < 0) | (lm_word(ip + 12) == 0);
	wrong |= lm_ip4_special[ip[16]];
	wrong |= !lm_ip4_intact(ip, sizeof(struct lm_ip4_hdr));
	return wrong == 0;
}

/* True: an IP packet to be routed, m's data begins with it. Otherwise m is dealt with. */
static __attribute__((noinline)) bool take_frame(struct lm_worker *w, uint16_t port,
						 struct rte_mbuf *m)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *), *ip = frame + LM_ETH_LEN;
	bool group, local, wanted;
	unsigned total;
	uint16_t type;

	if (m->nb_segs != 1 || m->data_len < LM_ETH_LEN) {
		lm_drop(w, m, m->nb_segs != 1 ? LM_C_LAN_TOO_BIG : LM_C_LAN_MALFORMED);
		return false;
	}
	group = frame[0] & 1;
	if (!group && !lm_mac_equal(frame, w->dp->port[port].mac.b)) {
		lm_drop(w, m, LM_C_LAN_NOT_FOR_US);
		return false;
	}
	type = lm_be16(frame + 12);
	if (type == LM_ETHERTYPE_IP4) {
		total = lm_ip4_total(ip, m->data_len - LM_ETH_LEN);
		local = total > 0 && local_only4(ip, group);
		wanted = local && kernel_wants4(ip);
	} else if (type == LM_ETHERTYPE_IP6) {
		total = lm_ip6_total(ip, m->data_len - LM_ETH_LEN);
		local = total > 0 && local_only6(ip, group);
		wanted = local && kernel_wants6(ip);
	} else {
		if (kernel_type(type))
			lm_punt_twin(w, port, m);
		else
			lm_drop(w, m, LM_C_LAN_NOT_IP);
		return false;
	}
	if (total == 0) {
		lm_drop(w, m, LM_C_LAN_MALFORMED);
		return false;
	}
	if (local) {
		if (wanted)
			lm_punt_twin(w, port, m);
		else
			lm_drop(w, m, LM_C_LAN_MULTICAST);
		return false;
	}
	lm_mbuf_set(m, ip, total);
	return true;
}

/* Drops with an ICMP error about the packet, which has passed the source check. */
static void refuse(struct lm_worker *w, uint16_t port, struct rte_mbuf *m, enum lm_ctr why,
		   enum lm_icmp_error error, uint16_t mtu)
{
	lm_count(&w->counters, why, 1);
	lm_punt_error(w, port, m, UINT32_MAX, error, mtu);
}

/* Larger than the way out allows: the sender is told, or, when it allows fragments, the control
 * thread makes them. */
static void too_big(struct lm_worker *w, uint16_t port, struct rte_mbuf *m, uint16_t mtu)
{
	if (!lm_ip_may_fragment(rte_pktmbuf_mtod(m, uint8_t *))) {
		refuse(w, port, m, LM_C_LAN_TOO_BIG, LM_ICMP_TOO_BIG, mtu);
		return;
	}
	lm_punt_item(w, &(struct lm_punt_item){.m = m,
					       .kind = LM_PUNT_ERROR,
					       .error = LM_ICMP_TOO_BIG,
					       .port = port,
					       .mtu = mtu,
					       .peer = UINT32_MAX});
}

/* To the kernel: an address of ours. It answers our LANs and what else is on the link, but nobody
 * who claims to be another site. */
static void to_me(struct lm_worker *w, uint16_t port, struct rte_mbuf *m, const struct lm_adj *src)
{
	if (src->kind == LM_ROUTE_PEER) {
		lm_drop(w, m, LM_C_LAN_SOURCE_NOT_OURS);
		return;
	}
	if (port == LM_DP_PORT_NONE) { /* the kernel would not have given it to us */
		lm_drop(w, m, LM_C_LAN_NO_ROUTE);
		return;
	}
	rte_pktmbuf_prepend(m, LM_ETH_LEN);
	lm_punt_twin(w, port, m);
}

/* Puts the packet into ESP with this worker's lane; what is left to the cipher is queued. plain:
 * IPv4 without options. */
static __rte_always_inline void to_peer(struct lm_worker *w, uint16_t port, struct rte_mbuf *m,
					uint8_t *ip, unsigned len, uint32_t peer, bool plain)
{
	const struct lm_peer_slot *slot = &w->dp->peer[peer];
	struct lm_sas_out *out = lm_rcu_load(&slot->out);
	const struct lm_path_out *path = lm_rcu_load(&slot->path);
	struct lm_crypt *c = &w->crypt;
	struct lm_esp_tx d;
	enum lm_esp_status status;

	if (unlikely(out == NULL || path == NULL)) {
		lm_punt_wanted(w, peer);
		lm_drop(w, m, LM_C_NO_SESSION);
		return;
	}
	if (unlikely(len > path->inner_mtu)) {
		lm_mbuf_set(m, ip, len);
		too_big(w, port, m, path->inner_mtu);
		return;
	}
	/* DSCP: RFC 2983 uniform; ECN: RFC 6040 section 4.1 normal. */
	if (plain) {
		if (unlikely(ip[9] == LM_PROTO_TCP && (ip[TCP_FLAGS] & TCP_FLAG_SYN) != 0))
			lm_mss_clamp(ip, len, path->inner_mtu);
		lm_ip4_dec_ttl(ip);
		d.next = LM_PROTO_IP4;
		d.tos = ip[1];
	} else {
		lm_mss_clamp(ip, len, path->inner_mtu);
		lm_ip_dec_ttl(ip);
		d.next = lm_is_ip4(ip) ? LM_PROTO_IP4 : LM_PROTO_IP6;
		d.tos = lm_ip_tos(ip);
	}
	d.sa = &out->sa[w->index];
	d.outer = &path->outer;
	d.data = ip;
	d.len = len;
	d.headroom = plain ? LM_ESP_HEADROOM : rte_pktmbuf_headroom(m);
	d.tailroom = plain ? LM_ESP_TAILROOM : rte_pktmbuf_tailroom(m);
	status = lm_esp_seal_begin(&d, &c->op[c->n]);
	if (unlikely(status != LM_ESP_OK)) {
		lm_drop(w, m, status == LM_ESP_EXPIRED ? LM_C_SEAL_EXPIRED : LM_C_SEAL_NO_ROOM);
		return;
	}
	lm_mbuf_set(m, d.data, d.len);
	c->outer[c->n] = d.outer;
	c->m[c->n++] = m;
	c->inner_bytes += len;
	c->frame_bytes += d.len;
	c->ip6 |= d.outer->ip6;
}

/* Between LANs of this site. */
static void to_link(struct lm_worker *w, uint16_t port, struct rte_mbuf *m,
		    const struct lm_adj *adj)
{
	const struct lm_dp_port *out = &w->dp->port[adj->port];

	if (out->role != LM_DP_LAN) { /* never in the clear to a WAN */
		refuse(w, port, m, LM_C_LAN_NO_ROUTE, LM_ICMP_PROHIBITED, 0);
		return;
	}
	if (m->data_len > out->mtu) {
		too_big(w, port, m, out->mtu);
		return;
	}
	lm_ip_dec_ttl(rte_pktmbuf_mtod(m, uint8_t *));
	if (adj->kind == LM_ROUTE_NEIGHBOUR)
		lm_tx_neighbour(w, adj, m);
	else
		lm_punt_neighbour(w, adj, m);
}

/* A packet that passed the checks of all families, m's data. */
static void route_one(struct lm_worker *w, uint16_t port, struct rte_mbuf *m,
		      const struct lm_adj *adj)
{
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);

	if (lm_ip_ttl(ip) <= 1) {
		refuse(w, port, m, LM_C_LAN_TTL_EXPIRED, LM_ICMP_TIME_EXCEEDED, 0);
		return;
	}
	switch (adj->kind) {
	case LM_ROUTE_PEER:
		to_peer(w, port, m, ip, m->data_len, adj->peer, false);
		break;
	case LM_ROUTE_NEIGHBOUR:
	case LM_ROUTE_CONNECTED:
		to_link(w, port, m, adj);
		break;
	case LM_ROUTE_DROP:
		refuse(w, port, m, LM_C_LAN_NO_ROUTE, LM_ICMP_PROHIBITED, 0);
		break;
	default:
		refuse(w, port, m, LM_C_LAN_NO_ROUTE, LM_ICMP_NO_ROUTE, 0);
		break;
	}
}

/* Packet i of the batch, m's data, in full. */
static __rte_noinline void route_in_full(struct lm_worker *w, uint16_t port,
					 const struct lm_batch *b, unsigned i)
{
	const struct lm_fwd *f = w->dp->fwd;
	const struct lm_adj *adjs = lm_fwd_adjs(f);
	struct rte_mbuf *m = b->m[i];

	if (adjs[b->hop[i].dst].kind == LM_ROUTE_TO_ME)
		to_me(w, port, m, &adjs[b->hop[i].src]);
	else if (!lm_source_ok(lm_rcu_load(&w->dp->own), f, b->ip[i], b->hop[i].src))
		lm_drop(w, m, LM_C_LAN_SOURCE_NOT_OURS);
	else
		route_one(w, port, m, &adjs[b->hop[i].dst]);
}

/* The batch of plain packets: those that go to a peer, without detours. */
static __rte_noinline void route_plain(struct lm_worker *w, uint16_t port)
{
	static const struct lm_srccheck nobody = {.quick_net = 1};
	const struct lm_srccheck *own = lm_rcu_load(&w->dp->own);
	const struct lm_adj *adjs = lm_fwd_adjs(w->dp->fwd);
	struct lm_batch *b = &w->plain;

	if (unlikely(own == NULL))
		own = &nobody;
	for (unsigned i = 0; i < b->n; i++) {
		const struct lm_adj *adj = &adjs[b->hop[i].dst];
		struct rte_mbuf *m = b->m[i];
		uint8_t *ip = b->ip[i];
		unsigned len = lm_be16(ip + 2);

		if (likely(adj->kind == LM_ROUTE_PEER && ip[8] > 1 &&
			   lm_srccheck4_quick(own, b->addr4[i].src, &adjs[b->hop[i].src]))) {
			to_peer(w, port, m, ip, len, adj->peer, true);
		} else {
			lm_mbuf_set(m, ip, len);
			route_in_full(w, port, b, i);
		}
	}
}

/* The UDP checksum over IPv6 reads every byte again: the device's, where it can. It wants the sum
 * of the pseudo-header in the field. */
static void checksum6(struct lm_worker *w, struct rte_mbuf *m, const struct lm_outer *outer)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	struct lm_udp_hdr *udp;

	if (!w->dp->port[outer->port].udp_csum) {
		lm_esp_seal_end6(frame, outer);
		return;
	}
	m->l2_len = sizeof(struct lm_eth_hdr);
	m->l3_len = sizeof(struct lm_ip6_hdr);
	m->ol_flags |= RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_UDP_CKSUM;
	udp = (struct lm_udp_hdr *)(frame + m->l2_len + m->l3_len);
	udp->csum =
	    rte_ipv6_phdr_cksum((const struct rte_ipv6_hdr *)(frame + m->l2_len), m->ol_flags);
}

static void send_sealed(struct lm_worker *w)
{
	struct lm_crypt *c = &w->crypt;

	lm_aead_seal(w->aead, c->op, c->n);
	for (unsigned i = 0; c->ip6 && i < c->n; i++)
		if (c->outer[i]->ip6)
			checksum6(w, c->m[i], c->outer[i]);
	if (likely(w->dp->only_wan != LM_DP_PORT_NONE))
		lm_tx_all(w, w->dp->only_wan, c->m, c->n, c->frame_bytes);
	else
		for (unsigned i = 0; i < c->n; i++)
			lm_tx(w, c->outer[i]->port, c->m[i]);
	lm_count(&w->counters, LM_C_SEALED_PACKETS, c->n);
	lm_count(&w->counters, LM_C_SEALED_BYTES, c->inner_bytes);
}

/* Both batches have been filled. */
static void route(struct lm_worker *w, uint16_t port)
{
	lm_crypt_reset(&w->crypt);
	if (w->plain.n > 0) {
		lm_batch_lookup4(&w->plain, w->dp->fwd);
		if (__atomic_load_n(&w->dp->n_out, __ATOMIC_RELAXED) > LM_PREFETCH_PEERS)
			lm_prefetch_out(w, lm_fwd_adjs(w->dp->fwd), &w->plain);
		route_plain(w, port);
	}
	if (unlikely(w->other.n > 0)) {
		lm_batch_lookup(&w->other, w->dp->fwd);
		for (unsigned i = 0; i < w->other.n; i++)
			route_in_full(w, port, &w->other, i);
	}
	if (w->crypt.n > 0)
		send_sealed(w);
}

static __rte_noinline uint64_t parse(struct lm_worker *w, uint16_t port, struct rte_mbuf **pkts,
				     unsigned n)
{
	uint64_t mac = lm_mac_quad(&w->dp->port[port].mac), bytes = 0;
	unsigned plain = 0;

	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);

		lm_prefetch_frame(pkts, i, n);
		bytes += m->pkt_len;
		if (likely(is_plain(mac, m, frame)))
			lm_batch_put4(&w->plain, plain++, m, frame + LM_ETH_LEN);
		else if (take_frame(w, port, m))
			lm_batch_add(&w->other, m, frame + LM_ETH_LEN);
	}
	w->plain.n = plain;
	return bytes;
}

uint64_t lm_lan_to_wan(struct lm_worker *w, uint16_t port, struct rte_mbuf **pkts, unsigned n)
{
	uint64_t bytes;

	lm_batch_reset(&w->plain);
	lm_batch_reset(&w->other);
	bytes = parse(w, port, pkts, n);
	route(w, port);
	return bytes;
}

void lm_lan_inject(struct lm_worker *w, struct rte_mbuf **pkts, unsigned n)
{
	lm_batch_reset(&w->plain);
	lm_batch_reset(&w->other);
	for (unsigned i = 0; i < n; i++) {
		uint8_t *ip = (uint8_t *)rte_pktmbuf_adj(pkts[i], LM_ETH_LEN);
		unsigned len = pkts[i]->data_len;
		bool ok = lm_is_ip4(ip) ? lm_ip4_total(ip, len) == len && !local_only4(ip, false)
					: lm_ip6_total(ip, len) == len && !local_only6(ip, false);

		if (ok)
			lm_batch_add(&w->other, pkts[i], ip);
		else
			lm_drop(w, pkts[i], LM_C_INJECT_MALFORMED);
	}
	route(w, LM_DP_PORT_NONE);
}
