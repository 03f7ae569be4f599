/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * LAN to WAN, from top to bottom:
 *
 *   frame -> ours? IP? -> header -> routes of a burst -> source ours? -> TTL
 *         -> peer: MSS, MTU, seal, send | neighbour: send | kernel: punt | drop
 */
#include "batch.h"
#include "worker_internal.h"

#define IGMP	 2
#define HOPBYHOP 0

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

/* True: an IP packet to be routed, m's data begins with it. Otherwise m is dealt with. */
static bool take_frame(struct lm_worker *w, uint16_t port, struct rte_mbuf *m)
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
	m->data_off += LM_ETH_LEN;
	m->data_len = (uint16_t)total;
	m->pkt_len = total;
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

/* Queues the packet for sealing with this worker's lane. */
static bool to_peer(struct lm_worker *w, uint16_t port, struct rte_mbuf *m, uint32_t peer,
		    struct lm_esp_tx *d)
{
	const struct lm_peer_slot *slot = &w->dp->peer[peer];
	struct lm_sas_out *out = lm_rcu_load(&slot->out);
	const struct lm_path_out *path = lm_rcu_load(&slot->path);
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);
	bool ip4 = lm_is_ip4(ip);

	if (unlikely(out == NULL || path == NULL)) {
		lm_drop(w, m, LM_C_NO_SESSION);
		return false;
	}
	if (unlikely(m->data_len > path->inner_mtu)) {
		too_big(w, port, m, path->inner_mtu);
		return false;
	}
	if (ip[ip4 ? 9 : 6] != LM_PROTO_UDP)
		lm_mss_clamp(ip, m->data_len, path->inner_mtu);
	if (likely(ip4))
		lm_ip4_dec_ttl(ip);
	else
		ip[7]--;
	*d = (struct lm_esp_tx){
	    .sa = &out->sa[w->index],
	    .outer = &path->outer,
	    .data = ip,
	    .len = m->data_len,
	    .headroom = rte_pktmbuf_headroom(m),
	    .tailroom = rte_pktmbuf_tailroom(m),
	    .next = ip4 ? LM_PROTO_IP4 : LM_PROTO_IP6,
	    .tos =
		likely(ip4)
		    ? ip[1]
		    : lm_ip_tos(ip), /* DSCP: RFC 2983 uniform; ECN: RFC 6040 section 4.1 normal */
	};
	return true;
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

static void seal_and_send(struct lm_worker *w, unsigned n)
{
	uint64_t packets = 0, bytes = 0;

	for (unsigned i = 0; i < n; i++)
		bytes += w->seal[i].len;
	lm_esp_seal(w->aead, w->seal, n);
	for (unsigned i = 0; i < n; i++) {
		const struct lm_esp_tx *d = &w->seal[i];
		struct rte_mbuf *m = w->seal_m[i];

		if (unlikely(d->status != LM_ESP_OK)) {
			bytes -= d->len;
			lm_drop(w, m,
				d->status == LM_ESP_EXPIRED ? LM_C_SEAL_EXPIRED
							    : LM_C_SEAL_NO_ROOM);
			continue;
		}
		packets++;
		m->data_off = (uint16_t)(d->data - (uint8_t *)m->buf_addr);
		m->data_len = (uint16_t)d->len;
		m->pkt_len = d->len;
		lm_tx(w, d->outer->port, m);
	}
	lm_count(&w->counters, LM_C_SEALED_PACKETS, packets);
	lm_count(&w->counters, LM_C_SEALED_BYTES, bytes);
}

static void route(struct lm_worker *w, uint16_t port)
{
	struct lm_batch *b = &w->batch;
	const struct lm_fwd *f = w->dp->fwd;
	const struct lm_srccheck *own = lm_rcu_load(&w->dp->own);
	const struct lm_adj *adjs = lm_fwd_adjs(f);
	unsigned sealing = 0;

	lm_batch_lookup(b, f);
	for (unsigned i = 0; i < b->n; i++) {
		const struct lm_adj *adj = &adjs[b->dst[i]];
		struct rte_mbuf *m = b->m[i];
		const uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);

		if (unlikely(adj->kind == LM_ROUTE_TO_ME)) {
			to_me(w, port, m, &adjs[b->src[i]]);
			continue;
		}
		if (unlikely(!lm_source_ok(own, f, ip, b->src[i]))) {
			lm_drop(w, m, LM_C_LAN_SOURCE_NOT_OURS);
			continue;
		}
		if (unlikely(lm_ip_ttl(ip) <= 1)) {
			refuse(w, port, m, LM_C_LAN_TTL_EXPIRED, LM_ICMP_TIME_EXCEEDED, 0);
			continue;
		}
		switch (adj->kind) {
		case LM_ROUTE_PEER:
			w->seal_m[sealing] = m;
			sealing += to_peer(w, port, m, adj->peer, &w->seal[sealing]);
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
	if (sealing > 0)
		seal_and_send(w, sealing);
}

void lm_lan_to_wan(struct lm_worker *w, uint16_t port, struct rte_mbuf **pkts, unsigned n)
{
	lm_batch_reset(&w->batch);
	for (unsigned i = 0; i < n; i++)
		if (take_frame(w, port, pkts[i]))
			lm_batch_add(&w->batch, pkts[i], rte_pktmbuf_mtod(pkts[i], uint8_t *));
	if (w->batch.n > 0)
		route(w, port);
}

void lm_lan_inject(struct lm_worker *w, struct rte_mbuf **pkts, unsigned n)
{
	lm_batch_reset(&w->batch);
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *ip = (const uint8_t *)rte_pktmbuf_adj(pkts[i], LM_ETH_LEN);
		unsigned len = pkts[i]->data_len;
		bool ok = lm_is_ip4(ip) ? lm_ip4_total(ip, len) == len && !local_only4(ip, false)
					: lm_ip6_total(ip, len) == len && !local_only6(ip, false);

		if (ok)
			lm_batch_add(&w->batch, pkts[i], ip);
		else
			lm_drop(w, pkts[i], LM_C_INJECT_MALFORMED);
	}
	if (w->batch.n > 0)
		route(w, LM_DP_PORT_NONE);
}
