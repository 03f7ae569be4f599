/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * WAN to LAN, from top to bottom:
 *
 *   frame -> to our mesh port? -> SPI -> lane ours? -> peer's share -> open a burst
 *         -> source the peer's? -> congestion mark -> route
 *         -> neighbour: send | kernel, control: punt | drop
 *
 * What comes through a relay, or is for us to relay, takes a turn through relay.c.
 *
 * The outer UDP checksum is not looked at: ESP's ICV and the MACs of control messages
 * protect more, and STUN answers carry a transaction id that was never sent in clear
 * to anyone but the server. FAULTS rows 30 and 31 are here and in wan_filter.c.
 */
#include "batch.h"
#include "prefetch.h"
#include "relay.h"
#include "worker_internal.h"

#define UDP_LEN	       ((unsigned)sizeof(struct lm_udp_hdr))
#define PROTO_FRAGMENT 44 /* IPv6 */
/* IPv4 without options, UDP; the head of ESP. */
#define PLAIN_OFF (sizeof(struct lm_ip4_hdr) + sizeof(struct lm_udp_hdr))
#define PLAIN_MIN (PLAIN_OFF + LM_ESP_HEAD_LEN)

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
static inline uint32_t endpoint_hash(const uint8_t *ip, uint16_t port, uint64_t relay)
{
	const uint64_t odd = 0x9e3779b97f4a7c15;
	uint64_t hi, lo, h = (uint64_t)port << 48 ^ relay * odd;

	if (likely(lm_is_ip4(ip))) {
		h ^= (uint64_t)lm_word(ip + 12) << 16 | lm_half(ip + (ip[0] & 15u) * 4);
	} else {
		memcpy(&hi, ip + 8, 8);
		memcpy(&lo, ip + 16, 8);
		h ^= (hi * odd ^ lo) * odd ^ lm_half(ip + sizeof(struct lm_ip6_hdr));
	}
	return (uint32_t)(h * odd >> 32) | 1;
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
	d->payload = ip + header + UDP_LEN;
	d->len = udp_len - UDP_LEN;
	d->relay = 0;
	return true;
}

/* True: a datagram to the mesh's port. Otherwise m is dealt with. */
static __rte_noinline bool take_frame(struct lm_worker *w, uint16_t port, struct rte_mbuf *m,
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

/* What frames to our mesh port have in common: their first 16 bytes, and 16 from TTL to UDP ports.
 */
struct plain {
	lm_vec head, ports;
};

static const uint8_t HEAD_BITS[16] = {255, 255, 255, 255, 255, 255, [12] = 255, 255, 255},
		     PORTS_BITS[16] = {0, 255, [8] = 255, 255, 255, 255, 0, 0, 255, 255};
#define PORTS_AT 22u /* frame's byte */

static struct plain plain_of(const struct lm_dp_port *p)
{
	const struct lm_addresses *own = lm_rcu_load(&p->addresses);
	uint8_t head[16] = {0}, ports[16] = {[0] = 1}; /* nothing has that after PORTS_BITS */

	memcpy(head, p->mac.b, sizeof(p->mac.b));
	lm_put16(head + 12, LM_ETHERTYPE_IP4);
	head[14] = 0x45;
	ports[1] = LM_PROTO_UDP;
	lm_put16(ports + 14, p->udp_port);
	for (unsigned i = 0; own != NULL && i < own->n && ports[0] != 0; i++) {
		if (own->ips[i].family != 4)
			continue;
		memcpy(ports + 8, own->ips[i].b, 4);
		ports[0] = 0;
	}
	return (struct plain){.head = lm_vec_at(head), .ports = lm_vec_at(ports)};
}

/* The frame that nearly all are: UDP over IPv4 without options, to our mesh port, nothing cut off
 * or left over, as long as ESP's head at least. What is not, take_frame sorts out. Nearly all are
 * right in every way: so all that may be wrong is gathered, and asked for once. */
static inline bool is_plain(const struct plain *plain, const struct rte_mbuf *m,
			    const uint8_t *frame)
{
	const uint8_t *ip = frame + LM_ETH_LEN, *udp = ip + sizeof(struct lm_ip4_hdr);
	int have = m->data_len - LM_ETH_LEN, total = lm_be16(ip + 2);
	lm_vec differ = ((lm_vec_at(frame) & lm_vec_at(HEAD_BITS)) ^ plain->head) |
			((lm_vec_at(frame + PORTS_AT) & lm_vec_at(PORTS_BITS)) ^ plain->ports);
	uint64_t wrong = differ[0] | differ[1];

	wrong |= lm_half(ip + 6) & htobe16(0xbfff); /* any fragment; DF may be */
	wrong |= m->pkt_len ^ m->data_len;	    /* one segment */
	wrong |= (total - (int)sizeof(struct lm_ip4_hdr)) ^ lm_be16(udp + 4);
	wrong |= (((have - total) | (total - (int)PLAIN_MIN)) < 0) | (lm_half(udp) == 0);
	wrong |= !lm_ip4_intact(ip, sizeof(struct lm_ip4_hdr));
	return wrong == 0;
}

/* A message under the keys of a session that has SAs: its SPI is known to the peer alone, and to
 * who sees its packets. */
static bool of_session(const struct lm_sa_table *sas, const struct lm_datagram *d,
		       enum lm_demux what)
{
	return what == LM_DEMUX_CONTROL && d->len >= LM_TRANSPORT_OVERHEAD &&
	       d->payload[LM_TYPE_OFF] == LM_MSG_TRANSPORT &&
	       lm_sa_table_sa(sas, lm_be32(d->payload + LM_HDR_LEN)) != NULL;
}

/* Control messages and STUN; whatever else is not ESP. */
static void take_control(struct lm_worker *w, const struct lm_sa_table *sas, uint16_t port,
			 struct rte_mbuf *m, const struct lm_datagram *d, enum lm_demux what)
{
	struct lm_punt_item item = {
	    .m = m, .kind = LM_PUNT_CONTROL, .port = port, .peer = UINT32_MAX, .relay = d->relay};
	bool live;

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
	live = of_session(sas, d, what);
	/* An answer to such an address would go astray, or in a circle. */
	if (lm_ip_is_special(&item.from.ip) || (!lm_is_ip4(d->ip) && !lm_ip6_routable(d->ip + 8))) {
		lm_drop(w, m, LM_C_WAN_MALFORMED);
		return;
	}
	m->data_off = (uint16_t)(d->payload - (uint8_t *)m->buf_addr);
	m->data_len = (uint16_t)d->len;
	m->pkt_len = d->len;
	if (live)
		lm_punt_item(w, &item);
	else
		lm_punt_stranger(w, &item);
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

/* No SA of ours: another worker's, which gets the packet, or nobody's. */
static __rte_noinline void not_our_sa(struct lm_worker *w, uint16_t port, struct rte_mbuf *m,
				      const struct lm_sa_in *sa, uint32_t spi, bool handed)
{
	/* What was handed over is for this worker: the lane alone decides. */
	if (sa == NULL || handed)
		lm_drop(w, m, LM_C_ESP_UNKNOWN_SPI);
	else
		lm_hand_over(w, (spi & LM_SPI_LANE_MASK) % w->dp->n_workers, m, LM_HAND_ESP, port);
}

/* Number i of what is left to the cipher. */
static inline void queue(struct lm_crypt *c, unsigned i, struct rte_mbuf *m, struct lm_sa_in *sa,
			 const uint8_t *ip)
{
	c->sa[i] = sa;
	c->outer_ip[i] = ip;
	c->m[i] = m;
}

static inline bool lane_ours(const struct lm_worker *w, uint32_t spi)
{
	return w->lanes >> (spi & LM_SPI_LANE_MASK) & 1;
}

/* Finds the SA; what is left to the cipher becomes number *queued. False: not an SA of ours. ip:
 * outer header; esp: len bytes. */
static inline bool take_sa(struct lm_worker *w, const struct lm_sa_table *sas, unsigned *queued,
			   struct rte_mbuf *m, const uint8_t *ip, uint8_t *esp, unsigned len)
{
	struct lm_crypt *c = &w->crypt;
	uint32_t spi = lm_be32(esp);
	struct lm_esp_rx rx = {.sa = lm_sa_table_sa(sas, spi), .data = esp, .len = len};
	enum lm_esp_status status;

	if (unlikely(rx.sa == NULL || !lane_ours(w, spi)))
		return false;
	if (unlikely(w->sharing) && !lm_share_take(&w->share, rx.sa->peer, len)) {
		lm_drop(w, m, LM_C_PEER_OVER_SHARE);
		return true;
	}
	status = lm_esp_open_begin(&rx, &c->op[*queued]);
	if (likely(status == LM_ESP_OK))
		queue(c, (*queued)++, m, rx.sa, ip);
	else
		lm_drop(w, m, status_counter(status));
	return true;
}

/* The same for a datagram that is not plain. */
static void take_esp(struct lm_worker *w, const struct lm_sa_table *sas, uint16_t port,
		     struct rte_mbuf *m, const uint8_t *ip, uint8_t *esp, unsigned len, bool handed)
{
	uint32_t spi = lm_be32(esp);

	if (!take_sa(w, sas, &w->crypt.n, m, ip, esp, len))
		not_our_sa(w, port, m, lm_sa_table_sa(sas, spi), spi, handed);
}

/* The newest packet of an SA came from elsewhere than the one before it. */
static __rte_noinline void note_moved(struct lm_worker *w, uint16_t port, struct lm_sa_in *sa,
				      const uint8_t *outer, uint64_t relay, uint32_t hash)
{
	struct lm_endpoint from = endpoint(outer, true);

	if (!lm_ip_is_special(&from.ip) &&
	    lm_punt_moved(w, port, sa->spi & ~LM_SPI_LANE_MASK, &from, relay))
		sa->from_hash = hash;
}

/* An authentic packet says that the peer lives, and perhaps that it has moved. */
static inline void note_alive(struct lm_worker *w, uint16_t port, struct lm_sa_in *sa, bool newest,
			      const uint8_t *outer, uint64_t relay)
{
	uint32_t hash;

	if (sa->last_seen != w->now)
		__atomic_store_n(&sa->last_seen, w->now, __ATOMIC_RELAXED);
	if (!newest)
		return;
	hash = endpoint_hash(outer, port, relay);
	if (unlikely(sa->from_hash != hash))
		note_moved(w, port, sa, outer, relay, hash);
}

static inline bool routable(const uint8_t *ip)
{
	return lm_is_ip4(ip) ? lm_ip4_routable(lm_be32(ip + 16)) : lm_ip6_routable(ip + 24);
}

/* Packet i of those that were deciphered, in full. Its length, 0 when it is dropped. */
static __rte_noinline unsigned unwrap_in_full(struct lm_worker *w, uint16_t port, unsigned i)
{
	struct lm_crypt *c = &w->crypt;
	struct lm_esp_rx rx = {.sa = c->sa[i]};
	struct rte_mbuf *m = c->m[i];
	const uint8_t *outer = c->outer_ip[i];
	enum lm_esp_status status = lm_esp_open_end(&rx, &c->op[i]);

	if (status == LM_ESP_OK || status == LM_ESP_DUMMY)
		note_alive(w, port, rx.sa, rx.newest, outer, i < c->straight ? 0 : c->relay[i]);
	/* Bridging is not there yet. */
	if (status != LM_ESP_OK || rx.next == LM_PROTO_ETHERNET) {
		lm_drop(w, m, status_counter(status == LM_ESP_OK ? LM_ESP_NEXT : status));
		return 0;
	}
	if (!lm_ecn_apply(rx.data, lm_ip_tos(outer))) {
		lm_drop(w, m, LM_C_INNER_ECN);
	} else {
		lm_mbuf_set(m, rx.data, rx.len);
		w->other.peer[w->other.n] = rx.sa->peer;
		lm_batch_add(&w->other, m, rx.data);
	}
	return rx.len;
}

/* What has been deciphered goes into the batches. Plain packets came straight, have IPv4 without
 * options outside and inside, the same congestion mark, and are in order in every way. */
static __rte_noinline void unwrap(struct lm_worker *w, uint16_t port)
{
	/* An IPv4 header's first bytes: version and length; ECN, that must be as inside. */
	const uint32_t first_ecn = htobe32(0xff030000);
	struct lm_crypt *c = &w->crypt;
	unsigned opened = 0, plain = 0;
	uint64_t bytes = 0;

	for (unsigned i = 0; i < c->n; i++) {
		struct lm_sa_in *sa = c->sa[i];
		const struct lm_aead_op *op = &c->op[i];
		uint8_t *ip = op->dst;
		const uint8_t *outer = c->outer_ip[i];
		unsigned len = lm_esp_plain4(op);
		uint32_t seq = lm_esp_number(op->aad);
		uint32_t other = ((lm_word(ip) ^ lm_word(outer)) & first_ecn) | (len == 0) |
				 lm_ip4_special[ip[16]] | (i >= c->straight) | !op->ok;

		if (likely(other == 0) && likely(lm_replay_next(&sa->replay, seq))) {
			lm_esp_opened(sa, len);
			note_alive(w, port, sa, true, outer, 0);
			w->plain.peer[plain] = sa->peer;
			lm_batch_put4(&w->plain, plain++, c->m[i], ip);
		} else {
			len = unwrap_in_full(w, port, i);
		}
		opened += len > 0;
		bytes += len;
	}
	w->plain.n = plain;
	lm_count(&w->counters, LM_C_OPENED_PACKETS, opened);
	lm_count(&w->counters, LM_C_OPENED_BYTES, bytes);
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

/* Packet i of the batch, m's data, in full. */
static __rte_noinline void route_in_full(struct lm_worker *w, uint16_t port,
					 const struct lm_batch *b, unsigned i)
{
	const struct lm_fwd *f = w->dp->fwd;
	const struct lm_adj *adj = &lm_fwd_adjs(f)[b->hop[i].dst];
	struct rte_mbuf *m = b->m[i];
	uint32_t peer = b->peer[i];

	if (!lm_source_ok(lm_rcu_load(&w->dp->peer[peer].source), f, b->ip[i], b->hop[i].src)) {
		lm_drop(w, m, LM_C_INNER_SOURCE_DENIED);
		return;
	}
	if (!routable(b->ip[i])) {
		lm_drop(w, m, LM_C_INNER_NO_ROUTE);
		return;
	}
	switch (adj->kind) {
	case LM_ROUTE_NEIGHBOUR:
	case LM_ROUTE_CONNECTED:
		to_link(w, port, m, peer, adj);
		break;
	case LM_ROUTE_TO_ME:
		lm_punt_item(w, &(struct lm_punt_item){
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

/* The batch of plain packets: those that go to a LAN's neighbour, without detours. */
static __rte_noinline void route_plain(struct lm_worker *w, uint16_t port)
{
	const struct lm_peer_slot *peers = w->dp->peer;
	const struct lm_adj *adjs = lm_fwd_adjs(w->dp->fwd);
	struct lm_batch *b = &w->plain;

	for (unsigned i = 0; i < b->n; i++) {
		const struct lm_srccheck *source = lm_rcu_load(&peers[b->peer[i]].source);
		const struct lm_adj *adj = &adjs[b->hop[i].dst];
		const struct lm_dp_port *out = &w->dp->port[adj->port];
		struct rte_mbuf *m = b->m[i];
		uint8_t *ip = b->ip[i];
		unsigned len = lm_be16(ip + 2);

		if (likely(source != NULL) &&
		    likely(adj->kind == LM_ROUTE_NEIGHBOUR && len <= out->lan_mtu) &&
		    likely(lm_srccheck4_quick(source, b->addr4[i].src, &adjs[b->hop[i].src]) &&
			   ip[8] > 1)) {
			lm_ip4_dec_ttl(ip);
			lm_tx_neighbour4(w, adj, out, m, ip, len);
		} else {
			lm_mbuf_set(m, ip, len);
			route_in_full(w, port, b, i);
		}
	}
}

static inline void put_relayed(struct lm_worker *w, struct rte_mbuf *m, const uint8_t *ip,
			       uint8_t *payload, unsigned len)
{
	w->relayed[w->n_relayed++] =
	    (struct lm_datagram){.m = m, .ip = ip, .payload = payload, .len = len};
}

/* Queues what is to be opened here, and what came by a relay, for its turn. */
static __rte_noinline void take_datagram(struct lm_worker *w, const struct lm_sa_table *sas,
					 uint16_t port, struct rte_mbuf *m,
					 const struct lm_datagram *d, bool handed)
{
	enum lm_demux what = lm_demux(d->payload, d->len);

	if (what == LM_DEMUX_ESP) {
		take_esp(w, sas, port, m, d->ip, d->payload, d->len, handed);
	} else if (what == LM_DEMUX_CONTROL && d->payload[LM_TYPE_OFF] == LM_MSG_RELAY) {
		put_relayed(w, m, d->ip, d->payload, d->len);
	} else {
		take_control(w, sas, port, m, d, what);
	}
}

static __rte_noinline void take_other(struct lm_worker *w, const struct lm_sa_table *sas,
				      uint16_t port, struct rte_mbuf *m, bool handed)
{
	struct lm_datagram d = {0};

	if (take_frame(w, port, m, &d))
		take_datagram(w, sas, port, m, &d, handed);
}

/* What came through a relay joins what came straight. */
static void take_relayed(struct lm_worker *w, uint16_t port, bool handed)
{
	const struct lm_sa_table *sas = lm_rcu_load(&w->dp->sas);
	unsigned n = lm_relay_burst(w, port, w->relayed, w->n_relayed);

	for (unsigned i = 0; i < n; i++) {
		const struct lm_datagram *d = &w->relayed[i];

		w->crypt.relay[w->crypt.n] = d->relay;
		take_datagram(w, sas, port, d->m, d, handed);
	}
}

static __rte_noinline uint64_t parse(struct lm_worker *w, uint16_t port, struct rte_mbuf **pkts,
				     unsigned n, bool handed)
{
	const struct plain plain = plain_of(&w->dp->port[port]);
	const struct lm_sa_table *sas = lm_rcu_load(&w->dp->sas);
	struct lm_crypt *c = &w->crypt;
	unsigned queued = 0;
	uint64_t bytes = 0;

	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *), *ip = frame + LM_ETH_LEN;

		lm_prefetch_frame(pkts, i, n);
		bytes += m->pkt_len;
		if (likely(is_plain(&plain, m, frame))) {
			uint8_t *payload = ip + PLAIN_OFF;
			unsigned len = lm_be16(ip + 2) - (unsigned)PLAIN_OFF;

			if (likely(payload[0] >= LM_SPI_MIN >> 24)) {
				if (likely(take_sa(w, sas, &queued, m, ip, payload, len)))
					continue;
			} else if (lm_is_relayed(payload)) {
				put_relayed(w, m, ip, payload, len);
				continue;
			}
		}
		c->n = queued;
		take_other(w, sas, port, m, handed);
		queued = c->n;
	}
	c->n = queued;
	return bytes;
}

uint64_t lm_wan_to_lan(struct lm_worker *w, uint16_t port, struct rte_mbuf **pkts, unsigned n,
		       bool handed)
{
	struct lm_crypt *c = &w->crypt;
	const struct lm_sa_table *sas = lm_rcu_load(&w->dp->sas);
	bool many = __atomic_load_n(&sas->used, __ATOMIC_RELAXED) > LM_PREFETCH_PEERS;
	uint64_t bytes;

	lm_crypt_reset(c);
	w->n_relayed = 0;
	if (many)
		lm_prefetch_in(w, sas, pkts, n);
	bytes = parse(w, port, pkts, n, handed);
	c->straight = c->n;
	if (unlikely(w->n_relayed > 0))
		take_relayed(w, port, handed);
	if (c->n == 0)
		return bytes;
	lm_batch_reset(&w->plain);
	lm_batch_reset(&w->other);
	if (many)
		lm_prefetch_sources(w);
	lm_aead_open(w->aead, c->op, c->n);
	unwrap(w, port);
	if (likely(w->plain.n > 0)) {
		lm_batch_lookup4(&w->plain, w->dp->fwd);
		route_plain(w, port);
	}
	if (unlikely(w->other.n > 0)) {
		lm_batch_lookup(&w->other, w->dp->fwd);
		for (unsigned i = 0; i < w->other.n; i++)
			route_in_full(w, port, &w->other, i);
	}
	return bytes;
}
