/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * WAN to LAN, from top to bottom:
 *
 *   frame -> to our mesh port? -> SPI -> lane ours? -> open a burst -> source the peer's?
 *         -> congestion mark -> route -> neighbour: send | kernel, control: punt | drop
 *
 * What comes through a relay, or is for us to relay, takes a turn through relay.c.
 *
 * The outer UDP checksum is not looked at: ESP's ICV and the MACs of control messages
 * protect more, and STUN answers carry a transaction id that was never sent in clear
 * to anyone but the server. FAULTS rows 30 and 31 are here and in wan_filter.c.
 */
#include "batch.h"
#include "worker_internal.h"

#define PROTO_FRAGMENT 44 /* IPv6 */

static struct lm_endpoint endpoint(const uint8_t *ip, bool source)
{
	struct lm_endpoint ep = {0};
	bool ip4 = lm_is_ip4(ip);
	const uint8_t *l4 = ip + (ip4 ? (ip[0] & 15u) * 4 : sizeof(struct lm_ip6_hdr));

	if (ip4)
		ep.ip = lm_ip4(ip + (source ? 12 : 16));
	else
		ep.ip = lm_ip6(ip + (source ? 8 : 24));
	ep.port = lm_be16(l4 + (source ? 0 : 2));
	return ep;
}

/* Which address and port of which WAN port, and through which relay: never 0. Not keyed: a
 * collision that a member provokes only hides its own move. */
static uint32_t endpoint_hash(const uint8_t *ip, uint16_t port, uint64_t relay)
{
	uint64_t hi = 0, lo, h;

	if (lm_is_ip4(ip)) {
		lo = (uint64_t)lm_be32(ip + 12) << 16 | lm_be16(ip + (ip[0] & 15u) * 4);
	} else {
		memcpy(&hi, ip + 8, 8);
		memcpy(&lo, ip + 16, 8);
		lo ^= (uint64_t)lm_be16(ip + sizeof(struct lm_ip6_hdr)) << 48 ^ 0x6;
	}
	h = (lo ^ (uint64_t)port << 48 ^ relay) * 0x9e3779b97f4a7c15;
	h = (h ^ h >> 32 ^ hi) * 0xd6e8feb86659fd93;
	h ^= h >> 32;
	return (uint32_t)h == 0 ? 1 : (uint32_t)h;
}

/* False: m is dealt with. */
static bool take_udp(struct lm_worker *w, uint16_t port, struct rte_mbuf *m, uint8_t *ip,
		     unsigned total, struct lm_datagram *d)
{
	bool ip4 = lm_is_ip4(ip);
	unsigned header = ip4 ? (ip[0] & 15u) * 4 : sizeof(struct lm_ip6_hdr);
	const struct lm_addresses *own = lm_rcu_load(&w->dp->port[port].addresses);
	unsigned udp_len;

	if (!(ip4 ? lm_is_own4(own, ip + 16) : lm_is_own6(own, ip + 24))) {
		lm_drop(w, m, LM_C_WAN_NOT_FOR_US);
		return false;
	}
	udp_len = lm_be16(ip + header + 4);
	if (udp_len < sizeof(struct lm_udp_hdr) || udp_len > total - header ||
	    lm_be16(ip + header) == 0) {
		lm_drop(w, m, LM_C_WAN_MALFORMED);
		return false;
	}
	d->ip = ip;
	d->payload = ip + header + sizeof(struct lm_udp_hdr);
	d->len = udp_len - (unsigned)sizeof(struct lm_udp_hdr);
	return true;
}

/* True: a datagram to the mesh's port. Otherwise m is dealt with. */
static bool take_frame(struct lm_worker *w, uint16_t port, struct rte_mbuf *m,
		       struct lm_datagram *d)
{
	const struct lm_dp_port *p = &w->dp->port[port];
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *), *ip = frame + LM_ETH_LEN;
	bool mine, pass, mesh, fragment;
	unsigned total, header;
	uint16_t type;

	if (m->nb_segs != 1 || m->data_len < LM_ETH_LEN) {
		lm_drop(w, m, LM_C_WAN_MALFORMED);
		return false;
	}
	mine = lm_mac_equal(frame, p->mac.b);
	type = lm_be16(frame + 12);
	if (!mine && (frame[0] & 1) == 0) {
		lm_drop(w, m, LM_C_WAN_NOT_FOR_US);
		return false;
	}
	if (type != LM_ETHERTYPE_IP4 && type != LM_ETHERTYPE_IP6) {
		if (type == LM_ETHERTYPE_ARP)
			lm_punt_twin(w, port, m);
		else
			lm_drop(w, m, LM_C_WAN_FILTERED);
		return false;
	}
	if (type == LM_ETHERTYPE_IP4) {
		total = lm_ip4_total(ip, m->data_len - LM_ETH_LEN);
		header = total > 0 ? (ip[0] & 15u) * 4 : 0;
		mesh = total > 0 && ip[9] == LM_PROTO_UDP;
		fragment = total > 0 && (lm_be16(ip + 6) & 0x3fff) != 0;
	} else {
		total = lm_ip6_total(ip, m->data_len - LM_ETH_LEN);
		header = sizeof(struct lm_ip6_hdr);
		mesh = total > 0 && ip[6] == LM_PROTO_UDP;
		fragment = total > 0 && ip[6] == PROTO_FRAGMENT;
	}
	if (total == 0 || fragment) {
		lm_drop(w, m, fragment ? LM_C_WAN_FRAGMENT : LM_C_WAN_MALFORMED);
		return false;
	}
	if (mine && mesh && total >= header + sizeof(struct lm_udp_hdr) &&
	    lm_be16(ip + header + 2) == p->udp_port)
		return take_udp(w, port, m, ip, total, d);
	pass = type == LM_ETHERTYPE_IP4 ? lm_wan_filter4(p, lm_rcu_load(&p->addresses), ip, total)
					: lm_wan_filter6(p, lm_rcu_load(&p->addresses), ip, total);
	if (pass)
		lm_punt_twin(w, port, m);
	else
		lm_drop(w, m, LM_C_WAN_FILTERED);
	return false;
}

/* Control messages and STUN; whatever else is not ESP. */
static void take_control(struct lm_worker *w, uint16_t port, struct rte_mbuf *m,
			 const struct lm_datagram *d, enum lm_demux what)
{
	struct lm_punt_item item = {
	    .m = m, .kind = LM_PUNT_CONTROL, .port = port, .peer = UINT32_MAX, .relay = d->relay};

	if (what == LM_DEMUX_KEEPALIVE) {
		lm_drop(w, m, LM_C_KEEPALIVE_RX);
		return;
	}
	if (what == LM_DEMUX_BAD) {
		lm_drop(w, m, LM_C_DEMUX_BAD);
		return;
	}
	item.from = endpoint(d->ip, true);
	item.to = endpoint(d->ip, false);
	/* An answer to such an address would go astray, or in a circle. */
	if (lm_ip_is_special(&item.from.ip) || (!lm_is_ip4(d->ip) && !lm_ip6_routable(d->ip + 8))) {
		lm_drop(w, m, LM_C_WAN_MALFORMED);
		return;
	}
	m->data_off = (uint16_t)(d->payload - (uint8_t *)m->buf_addr);
	m->data_len = (uint16_t)d->len;
	m->pkt_len = d->len;
	lm_punt_item(w, &item);
}

/* Finds the SA; hands over what belongs to another worker. True: m is to be opened here. */
static bool take_esp(struct lm_worker *w, struct lm_sa_table *sas, uint16_t port,
		     struct rte_mbuf *m, const struct lm_datagram *d, bool handed,
		     struct lm_esp_rx *rx)
{
	uint32_t spi = lm_be32(d->payload), lane = spi & LM_SPI_LANE_MASK;
	struct lm_session_in *s = lm_sa_table_get(sas, spi);

	if (s == NULL || lane >= s->lanes) {
		lm_drop(w, m, LM_C_ESP_UNKNOWN_SPI);
		return false;
	}
	if (unlikely((w->lanes >> lane & 1) == 0)) {
		if (handed) /* cannot be: the lane alone decides */
			lm_drop(w, m, LM_C_ESP_UNKNOWN_SPI);
		else
			lm_hand_over(w, lane % w->dp->n_workers, m, LM_HAND_ESP, port);
		return false;
	}
	*rx = (struct lm_esp_rx){.sa = &s->sa[lane], .data = d->payload, .len = d->len};
	return true;
}

static enum lm_ctr status_counter(enum lm_esp_status status)
{
	static const enum lm_ctr of[LM_ESP_STATUS_COUNT] = {
	    [LM_ESP_SHORT] = LM_C_ESP_SHORT,
	    [LM_ESP_SEQ_ZERO] = LM_C_ESP_SEQ_ZERO,
	    [LM_ESP_REPLAY] = LM_C_ESP_REPLAY,
	    [LM_ESP_OLD] = LM_C_ESP_OLD,
	    [LM_ESP_ICV] = LM_C_ESP_ICV,
	    [LM_ESP_PADDING] = LM_C_ESP_PADDING,
	    [LM_ESP_DUMMY] = LM_C_ESP_DUMMY,
	    [LM_ESP_NEXT] = LM_C_ESP_NEXT_HEADER,
	    [LM_ESP_INNER] = LM_C_ESP_INNER_MALFORMED,
	};

	return of[status];
}

/* An authentic packet says that the peer lives, and perhaps that it has moved. */
static void note_alive(struct lm_worker *w, uint16_t port, const struct lm_esp_rx *rx,
		       const uint8_t *outer, uint64_t relay)
{
	struct lm_sa_in *sa = rx->sa;
	struct lm_endpoint from;
	uint32_t hash;

	if (sa->last_seen != w->now)
		__atomic_store_n(&sa->last_seen, w->now, __ATOMIC_RELAXED);
	if (!rx->newest)
		return;
	hash = endpoint_hash(outer, port, relay);
	if (likely(sa->from_hash == hash))
		return;
	from = endpoint(outer, true);
	if (!lm_ip_is_special(&from.ip) &&
	    lm_punt_moved(w, port, sa->spi & ~LM_SPI_LANE_MASK, &from, relay))
		sa->from_hash = hash;
}

/* Opens a burst, of which all but the first `straight` came through relays; what is good goes into
 * the batch. */
static void open_burst(struct lm_worker *w, uint16_t port, unsigned n, unsigned straight)
{
	struct lm_batch *b = &w->batch;
	uint64_t bytes = 0;

	lm_esp_open(w->aead, w->open, n);
	for (unsigned i = 0; i < n; i++) {
		const struct lm_esp_rx *rx = &w->open[i];
		struct rte_mbuf *m = w->open_m[i];
		enum lm_esp_status status = rx->status;

		if (status == LM_ESP_OK || status == LM_ESP_DUMMY)
			note_alive(w, port, rx, w->open_ip[i],
				   likely(i < straight) ? 0 : w->open_relay[i]);
		/* Bridging is not there yet. */
		if (status == LM_ESP_OK && rx->next == LM_PROTO_ETHERNET)
			status = LM_ESP_NEXT;
		if (unlikely(status != LM_ESP_OK)) {
			lm_drop(w, m, status_counter(status));
			continue;
		}
		bytes += rx->len;
		m->data_off = (uint16_t)(rx->data - (uint8_t *)m->buf_addr);
		m->data_len = (uint16_t)rx->len;
		m->pkt_len = rx->len;
		b->sa[b->n] = rx->sa;
		b->outer_tos[b->n] = lm_ip_tos(w->open_ip[i]);
		lm_batch_add(b, m, rx->data);
	}
	lm_count(&w->counters, LM_C_OPENED_PACKETS, b->n);
	lm_count(&w->counters, LM_C_OPENED_BYTES, bytes);
}

static bool routable(const uint8_t *ip)
{
	return lm_is_ip4(ip) ? lm_ip4_routable(lm_be32(ip + 16)) : lm_ip6_routable(ip + 24);
}

/* Out of a LAN port. */
static void to_link(struct lm_worker *w, uint16_t port, struct rte_mbuf *m, uint32_t peer,
		    const struct lm_adj *adj)
{
	const struct lm_dp_port *out = &w->dp->port[adj->port];
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);

	if (out->role != LM_DP_LAN) { /* a peer does not get out of our WAN */
		lm_drop(w, m, LM_C_INNER_NO_ROUTE);
	} else if (lm_ip_ttl(ip) <= 1) {
		lm_count(&w->counters, LM_C_INNER_TTL_EXPIRED, 1);
		lm_punt_error(w, port, m, peer, LM_ICMP_TIME_EXCEEDED, 0);
	} else if (m->data_len > out->mtu) {
		lm_count(&w->counters, LM_C_INNER_TOO_BIG, 1);
		lm_punt_error(w, port, m, peer, LM_ICMP_TOO_BIG, out->mtu);
	} else {
		lm_ip_dec_ttl(ip);
		if (likely(adj->kind == LM_ROUTE_NEIGHBOUR))
			lm_tx_neighbour(w, adj, m);
		else
			lm_punt_neighbour(w, adj, m);
	}
}

static void route(struct lm_worker *w, uint16_t port)
{
	struct lm_batch *b = &w->batch;
	const struct lm_fwd *f = w->dp->fwd;
	const struct lm_adj *adjs = lm_fwd_adjs(f);

	lm_batch_lookup(b, f);
	for (unsigned i = 0; i < b->n; i++) {
		const struct lm_adj *adj = &adjs[b->dst[i]];
		struct rte_mbuf *m = b->m[i];
		uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);
		uint32_t peer = b->sa[i]->peer;

		if (unlikely(
			!lm_source_ok(lm_rcu_load(&w->dp->peer[peer].source), f, ip, b->src[i]))) {
			lm_drop(w, m, LM_C_INNER_SOURCE_DENIED);
			continue;
		}
		if (unlikely(!lm_ecn_apply(ip, b->outer_tos[i]))) {
			lm_drop(w, m, LM_C_INNER_ECN);
			continue;
		}
		if (unlikely(!routable(ip))) {
			lm_drop(w, m, LM_C_INNER_NO_ROUTE);
			continue;
		}
		switch (adj->kind) {
		case LM_ROUTE_NEIGHBOUR:
		case LM_ROUTE_CONNECTED:
			to_link(w, port, m, peer, adj);
			break;
		case LM_ROUTE_TO_ME:
			lm_punt_item(
			    w, &(struct lm_punt_item){
				   .m = m, .kind = LM_PUNT_LOCAL, .port = port, .peer = peer});
			break;
		case LM_ROUTE_PEER: /* a packet is sealed once (FAULTS row 32) */
			lm_drop(w, m, LM_C_INNER_TO_MESH);
			break;
		default:
			lm_drop(w, m, LM_C_INNER_NO_ROUTE);
			break;
		}
	}
}

/* Queues what is to be opened here, as number `opening`; or what came by a relay, for its turn. */
static inline unsigned take_datagram(struct lm_worker *w, struct lm_sa_table *sas, uint16_t port,
				     struct rte_mbuf *m, const struct lm_datagram *d, bool handed,
				     unsigned opening)
{
	enum lm_demux what = lm_demux(d->payload, d->len);

	if (unlikely(what != LM_DEMUX_ESP)) {
		if (what == LM_DEMUX_CONTROL && d->payload[LM_TYPE_OFF] == LM_MSG_RELAY) {
			w->relayed[w->n_relayed] = *d;
			w->relayed[w->n_relayed++].m = m;
		} else {
			take_control(w, port, m, d, what);
		}
		return 0;
	}
	if (!take_esp(w, sas, port, m, d, handed, &w->open[opening]))
		return 0;
	w->open_m[opening] = m;
	w->open_ip[opening] = d->ip;
	return 1;
}

/* What came through a relay joins what came straight. */
static unsigned take_relayed(struct lm_worker *w, struct lm_sa_table *sas, uint16_t port,
			     bool handed, unsigned opening)
{
	unsigned n = lm_relay_burst(w, port, w->relayed, w->n_relayed), end = opening;

	for (unsigned i = 0; i < n; i++) {
		const struct lm_datagram *d = &w->relayed[i];

		w->open_relay[end] = d->relay;
		end += take_datagram(w, sas, port, d->m, d, handed, end);
	}
	return end;
}

void lm_wan_to_lan(struct lm_worker *w, uint16_t port, struct rte_mbuf **pkts, unsigned n,
		   bool handed)
{
	struct lm_sa_table *sas = lm_rcu_load(&w->dp->sas);
	struct lm_datagram d = {0};
	unsigned straight = 0, opening;

	w->n_relayed = 0;
	lm_batch_reset(&w->batch);
	for (unsigned i = 0; i < n; i++)
		if (take_frame(w, port, pkts[i], &d))
			straight += take_datagram(w, sas, port, pkts[i], &d, handed, straight);
	opening = straight;
	if (unlikely(w->n_relayed > 0))
		opening = take_relayed(w, sas, port, handed, straight);
	if (opening > 0) {
		open_burst(w, port, opening, straight);
		route(w, port);
	}
}
