/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Relayed datagrams (PROTOCOL.md section 9), a burst from top to bottom:
 *
 *   header, what is inside -> id -> from its end? -> we are the end: header off, and back
 *                                                 -> relay: fingerprint -> copy? -> quota
 *                                                    -> outer headers and id of the other end, send
 *
 * A relay has no key of what it passes on and touches no byte of it. It answers nobody, and sends
 * one datagram, as long as the one that came, or none: FAULTS rows 20 and 21.
 */
#include "relay.h"

#include "prefetch.h"

#define UDP_LEN	 ((unsigned)sizeof(struct lm_udp_hdr))
#define IP6_LEN	 ((unsigned)sizeof(struct lm_ip6_hdr))
#define TAKE_MIN 2048u /* bytes of the quota that a worker takes at once */
#define TAKE_MAX 65536u
#define BURST	 (50 * LM_MSEC) /* by which a member may be ahead of its quota */

/* lm_msg_relay_decode says the same, more slowly. */
static inline bool well_formed(const uint8_t *p, unsigned len)
{
	unsigned inner = len - LM_RELAY_HDR_LEN;
	uint64_t first;

	if (len < LM_RELAY_HDR_LEN + 8 || !lm_is_relayed(p))
		return false;
	if (likely(p[LM_RELAY_HDR_LEN] >= 0x80)) /* RFC 4303 section 2.4: whole words */
		return inner >= LM_ESP_MIN_LEN && (inner & 3) == 0;
	first = be64toh(lm_word64(p + LM_RELAY_HDR_LEN));
	/* Never another relayed message: a datagram is relayed at most once. */
	return (first & ~(UINT64_C(0xff) << 24)) == 0 && first >> 24 >= LM_MSG_INIT &&
	       first >> 24 <= LM_MSG_TRANSPORT && inner <= LM_CONTROL_MAX;
}

static inline const struct lm_relay *lookup(const struct lm_relay_table *t, uint64_t id)
{
	if (unlikely(t == NULL))
		return NULL;
	for (uint32_t i = lm_relay_slot(t, id);; i = (i + 1) & t->mask) {
		const struct lm_relay *r = lm_rcu_load(&t->slot[i].relay);

		if (likely(r == NULL || t->slot[i].id == id))
			return r;
	}
}

static inline bool from_its_end(const struct lm_relay *r, uint16_t port, const uint8_t *ip)
{
	if (r->port != port)
		return false;
	if (likely(lm_is_ip4(ip)))
		return lm_relay_from4(ip + 12, ip + (ip[0] & 15u) * 4) == r->from4;
	return r->from4 == 0 && lm_word64(ip + 8) == lm_word64(r->from6) &&
	       lm_word64(ip + 16) == lm_word64(r->from6 + 8) && lm_half(ip + IP6_LEN) == r->udp_be;
}

/*
 * The member's quota: the time at which all that was taken from it is worth is kept in one place
 * (a virtual scheduling algorithm, ITU-T I.371), from which each worker takes more than one
 * datagram's worth at once.
 */
static bool take(struct lm_worker *w, const struct lm_relay *r, uint32_t len)
{
	uint32_t *credit = &r->state->credit[w->index], more;
	uint64_t rate, tat, next;

	if (likely(*credit >= len)) {
		*credit -= len;
		return true;
	}
	rate = __atomic_load_n(&w->dp->relay_rate, __ATOMIC_RELAXED);
	if (rate == 0)
		return true;
	more = rate / 1000 < TAKE_MAX ? (uint32_t)(rate / 1000) : TAKE_MAX;
	more = RTE_MAX(more, TAKE_MIN);
	more = RTE_MAX(more, len);
	tat = __atomic_load_n(&w->dp->relay_tat[r->member], __ATOMIC_RELAXED);
	do {
		next = RTE_MAX(tat, w->now);
		if (next > w->now + BURST)
			return false;
		next += more * LM_SEC / rate;
	} while (!__atomic_compare_exchange_n(&w->dp->relay_tat[r->member], &tat, next, true,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	*credit += more - len;
	return true;
}

/* ------------------------------------------------------------- headers -- */

static inline uint32_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* What of an IPv6 datagram's checksum goes with addresses, ports, and id. */
static uint32_t outer_sum6(const uint8_t *ip, const uint8_t *udp)
{
	return fold(lm_csum_add(lm_csum_add(lm_csum_add(0, ip + 8, 32), udp, 4),
				udp + UDP_LEN + LM_RELAY_ID_OFF, 8));
}

/*
 * The UDP checksum over IPv6 (RFC 8200 section 8.1). One that came is mended (RFC 1624 equation 3),
 * so that an error on the way here stays visible. before: its complement without the old
 * headers' part, in 16 bits; UINT32_MAX: there was none.
 */
static uint16_t csum6(const struct lm_outer *o, const uint8_t *udp, unsigned udp_len,
		      uint32_t before)
{
	uint16_t csum;

	if (before != UINT32_MAX)
		csum = (uint16_t)~fold(before + outer_sum6(udp - IP6_LEN, udp));
	else /* the length counts twice, in the pseudo-header too */
		csum = lm_csum_finish(lm_csum_add(o->csum0 + 2u * htobe16((uint16_t)udp_len),
						  udp + UDP_LEN, udp_len - UDP_LEN));
	return csum == 0 ? 0xffff : csum;
}

static __rte_noinline void write_headers6(uint8_t *frame, const struct lm_outer *o,
					  const struct lm_datagram *d)
{
	struct lm_udp_hdr *udp = (struct lm_udp_hdr *)(d->payload - UDP_LEN);
	unsigned udp_len = UDP_LEN + d->len;
	uint8_t tos = lm_ip_tos(d->ip);
	uint32_t before = UINT32_MAX;

	if (!lm_is_ip4(d->ip) && udp->csum != 0)
		before =
		    fold((uint16_t)~udp->csum + (uint16_t)~outer_sum6(d->ip, (const uint8_t *)udp));
	lm_esp_outer6(frame, o, udp_len, tos);
	memcpy(d->payload, o->hdr + o->hdr_len - LM_RELAY_HDR_LEN, LM_RELAY_HDR_LEN);
	udp->csum = csum6(o, (const uint8_t *)udp, udp_len, before);
}

/* Replaces all in front of the datagram inside. id: of the IPv4 packet. */
static inline void send_on(struct lm_worker *w, const struct lm_outer *o,
			   const struct lm_datagram *d, uint16_t id)
{
	uint8_t *frame = d->payload + LM_RELAY_HDR_LEN - o->hdr_len;

	if (likely(!o->ip6)) {
		lm_esp_outer4(frame, o, UDP_LEN + d->len, id, lm_ip_tos(d->ip));
		memcpy(d->payload, o->hdr + LM_OUTER4_LEN, LM_RELAY_HDR_LEN);
	} else {
		write_headers6(frame, o, d);
	}
	lm_mbuf_set(d->m, frame, o->hdr_len - LM_RELAY_HDR_LEN + d->len);
	lm_tx(w, o->port, d->m);
}

/* ---------------------------------------------------------------- burst -- */

/* What is to be passed on: datagrams, their ids and prints. */
struct passing {
	unsigned n;
	const struct lm_relay *relay[LM_BURST];
	const struct lm_datagram *d[LM_BURST];
	struct lm_relay_print print[LM_BURST];
};

static inline struct lm_relay_set *set_of(const struct passing *p, unsigned i)
{
	return &p->relay[i]->state->seen[lm_relay_set_of(p->print[i].p, p->print[i].print)];
}

static void pass_on(struct lm_worker *w, const struct passing *p)
{
	uint64_t packets = 0, bytes = 0;

	for (unsigned i = 0; i < p->n; i++) {
		const struct lm_datagram *d = p->d[i];
		struct lm_relay_state *s = p->relay[i]->state;
		struct lm_relay_set *set = set_of(p, i);
		uint32_t tag = lm_relay_tag(p->print[i].print), len = d->len;

		if (unlikely(lm_relay_seen(set, tag))) {
			lm_drop(w, d->m, LM_C_RELAY_DUPLICATE);
			continue;
		}
		if (unlikely(!take(w, p->relay[i], len))) {
			lm_drop(w, d->m, LM_C_RELAY_QUOTA);
			continue;
		}
		lm_relay_remember(set, tag);
		__atomic_store_n(&s->packets, s->packets + 1, __ATOMIC_RELAXED);
		__atomic_store_n(&s->bytes, s->bytes + len, __ATOMIC_RELAXED);
		packets++;
		bytes += len;
		send_on(w, &p->relay[i]->outer, d, (uint16_t)p->print[i].print);
	}
	lm_count(&w->counters, LM_C_RELAYED_PACKETS, packets);
	lm_count(&w->counters, LM_C_RELAYED_BYTES, bytes);
}

/* With many ids, each datagram of a burst is under another one, and nothing of it in a near cache:
 * all of them are asked for at once. Changes and decides nothing. */
static void prefetch_ids(const struct lm_relay_table *t, const struct lm_datagram *d, unsigned n)
{
	const struct lm_relay_slot *slot[LM_BURST];
	const struct lm_relay *r;

	for (unsigned i = 0; i < n; i++) {
		uint64_t id = 0;

		if (d[i].len >= LM_RELAY_HDR_LEN)
			id = be64toh(lm_word64(d[i].payload + LM_RELAY_ID_OFF));
		slot[i] = &t->slot[lm_relay_slot(t, id)];
		rte_prefetch0(slot[i]);
	}
	for (unsigned i = 0; i < n; i++) {
		r = lm_rcu_load(&slot[i]->relay);
		rte_prefetch0(r);
		rte_prefetch0((const char *)r + 64);
	}
	for (unsigned i = 0; i < n; i++) {
		r = lm_rcu_load(&slot[i]->relay);
		if (r != NULL && r->state != NULL)
			rte_prefetch0(r->state);
	}
}

/* Does it fit the way to the other end, and is there room for its headers? */
static inline bool fits(const struct lm_relay *r, const struct lm_datagram *d)
{
	return d->len <= r->longest &&
	       d->payload + LM_RELAY_HDR_LEN - (uint8_t *)d->m->buf_addr >= r->outer.hdr_len;
}

/* The id that the datagram came under, if it may; else it is dropped. */
static inline const struct lm_relay *check(struct lm_worker *w, const struct lm_relay_table *t,
					   uint16_t port, const struct lm_datagram *d)
{
	const struct lm_relay *r = NULL;
	enum lm_ctr why;

	if (unlikely(!well_formed(d->payload, d->len)))
		why = LM_C_RELAY_MALFORMED;
	else if (unlikely((r = lookup(t, be64toh(lm_word64(d->payload + LM_RELAY_ID_OFF)))) ==
			  NULL))
		why = LM_C_RELAY_UNKNOWN;
	else if (unlikely(!from_its_end(r, port, d->ip)))
		why = LM_C_RELAY_SOURCE;
	else if (unlikely(r->passes_on && !fits(r, d)))
		why = LM_C_RELAY_TOO_BIG;
	else
		return r;
	lm_drop(w, d->m, why);
	return NULL;
}

unsigned lm_relay_burst(struct lm_worker *w, uint16_t port, struct lm_datagram *d, unsigned n)
{
	const struct lm_relay_table *t = lm_rcu_load(&w->dp->relays);
	bool many = t != NULL && t->used > LM_PREFETCH_PEERS;
	struct passing on;
	uint8_t own[LM_BURST];
	unsigned ours = 0, passing = 0;

	if (many)
		prefetch_ids(t, d, n);
	for (unsigned i = 0; i < n; i++) {
		const struct lm_relay *r = check(w, t, port, &d[i]);

		if (unlikely(r == NULL))
			continue;
		if (!r->passes_on) {
			d[i].relay = r->id;
			own[ours++] = (uint8_t)i;
			continue;
		}
		on.relay[passing] = r;
		on.d[passing] = &d[i];
		on.print[passing].p = d[i].payload + LM_RELAY_HDR_LEN;
		on.print[passing++].len = d[i].len - LM_RELAY_HDR_LEN;
	}
	if (passing > 0) {
		on.n = passing;
		w->dp->relay_prints(w->dp->relay_secret, on.print, passing);
		for (unsigned i = 0; many && i < passing; i++)
			rte_prefetch0(set_of(&on, i));
		pass_on(w, &on);
	}
	for (unsigned i = 0; i < ours; i++) {
		d[i] = d[own[i]];
		d[i].payload += LM_RELAY_HDR_LEN;
		d[i].len -= LM_RELAY_HDR_LEN;
	}
	return ours;
}
