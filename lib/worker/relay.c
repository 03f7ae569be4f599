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

/* First 8 bytes: marker, type, reserved. */
#define HEADER	 ((uint64_t)LM_MSG_RELAY << 24)
#define UDP_LEN	 ((unsigned)sizeof(struct lm_udp_hdr))
#define IP4_LEN	 ((unsigned)sizeof(struct lm_ip4_hdr))
#define IP6_LEN	 ((unsigned)sizeof(struct lm_ip6_hdr))
#define TAKE_MIN 2048u /* bytes of the quota that a worker takes at once */
#define TAKE_MAX 65536u
#define BURST	 (50 * LM_MSEC) /* by which a member may be ahead of its quota */

/* One that is to be passed on. */
struct passing {
	const struct lm_datagram *d;
	const struct lm_relay *relay;
	uint64_t print;
};

static inline uint64_t word64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

/* lm_msg_relay_decode says the same, more slowly. */
static bool well_formed(const uint8_t *p, unsigned len)
{
	unsigned inner = len - LM_RELAY_HDR_LEN;
	uint64_t first;

	if (len < LM_RELAY_HDR_LEN + 8 || be64toh(word64(p)) != HEADER)
		return false;
	first = be64toh(word64(p + LM_RELAY_HDR_LEN));
	if (first >> 63 != 0) /* RFC 4303 section 2.4: whole words */
		return inner >= LM_ESP_MIN_LEN && (inner & 3) == 0;
	/* Never another relayed message: a datagram is relayed at most once. */
	return (first & ~(UINT64_C(0xff) << 24)) == 0 && first >> 24 >= LM_MSG_INIT &&
	       first >> 24 <= LM_MSG_TRANSPORT && inner <= LM_CONTROL_MAX;
}

static const struct lm_relay *lookup(const struct lm_relay_table *t, uint64_t id)
{
	if (unlikely(t == NULL))
		return NULL;
	for (uint32_t i = lm_relay_slot(t, id);; i = (i + 1) & t->mask) {
		const struct lm_relay *r = lm_rcu_load(&t->slot[i].relay);

		if (r == NULL || t->slot[i].id == id)
			return r;
	}
}

static bool from_its_end(const struct lm_relay *r, uint16_t port, const uint8_t *ip)
{
	const uint8_t *udp;

	if (r->port != port)
		return false;
	if (lm_is_ip4(ip)) {
		udp = ip + (ip[0] & 15u) * 4;
		return r->family == 4 && lm_word(ip + 12) == lm_word(r->address) &&
		       memcmp(udp, &r->udp_be, 2) == 0;
	}
	udp = ip + IP6_LEN;
	return r->family == 6 && word64(ip + 8) == word64(r->address) &&
	       word64(ip + 16) == word64(r->address + 8) && memcmp(udp, &r->udp_be, 2) == 0;
}

/*
 * A universal hash (NH of RFC 4418 section 5.2 on 64-bit words, then multiply and shift): two
 * datagrams that differ anywhere collide by chance of the secret only, whoever made them up.
 */
static uint64_t fingerprint(const struct lm_relay_secret *key, const uint8_t *p, unsigned len)
{
	unsigned __int128 sum = (unsigned __int128)(key->length[0] + len) * key->length[1];
	uint8_t last[16] = {0};
	unsigned i = 0;

	for (; i + 16 <= len; i += 16)
		sum += (unsigned __int128)(word64(p + i) + key->word[i / 8]) *
		       (word64(p + i + 8) + key->word[i / 8 + 1]);
	if (i < len) {
		memcpy(last, p + i, len - i);
		sum += (unsigned __int128)(word64(last) + key->word[i / 8]) *
		       (word64(last + 8) + key->word[i / 8 + 1]);
	}
	return (uint64_t)(((unsigned __int128)(uint64_t)sum * key->fold[0] +
			   (unsigned __int128)(uint64_t)(sum >> 64) * key->fold[1]) >>
			  64);
}

static inline uint32_t *set_of(struct lm_relay_state *s, uint64_t print)
{
	return s->seen[print & (LM_RELAY_SETS - 1)];
}

static inline uint32_t tag_of(uint64_t print)
{
	return (uint32_t)(print >> 32) | 1; /* never 0, which is nobody's */
}

static inline bool seen(const uint32_t *set, uint32_t tag)
{
	unsigned same = 0;

	for (unsigned i = 0; i < LM_RELAY_WAYS; i++)
		same |= set[i] == tag;
	return same != 0;
}

static inline void remember(uint32_t *set, uint32_t tag)
{
	memmove(set + 1, set, (LM_RELAY_WAYS - 1) * sizeof(set[0]));
	set[0] = tag;
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

static void write_ip4(uint8_t *frame, const struct lm_outer *o, unsigned udp_len, uint16_t id,
		      uint8_t tos)
{
	struct lm_ip4_hdr *ip = (struct lm_ip4_hdr *)(frame + LM_ETH_LEN);

	ip->tos = tos;
	ip->len = htobe16((uint16_t)(IP4_LEN + udp_len));
	ip->id = id;
	ip->csum = (uint16_t)~fold(o->csum0 + ip->len + id + htobe16(tos));
}

static void write_ip6(uint8_t *frame, unsigned udp_len, uint8_t tos)
{
	struct lm_ip6_hdr *ip = (struct lm_ip6_hdr *)(frame + LM_ETH_LEN);

	ip->ver_tc_flow |= htobe32((uint32_t)tos << 20);
	ip->payload_len = htobe16((uint16_t)udp_len);
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

/* Replaces all in front of the datagram inside. */
static void send_on(struct lm_worker *w, const struct passing *p)
{
	const struct lm_outer *o = &p->relay->outer;
	const struct lm_datagram *d = p->d;
	struct lm_udp_hdr *udp = (struct lm_udp_hdr *)(d->payload - UDP_LEN);
	uint8_t *frame = d->payload + LM_RELAY_HDR_LEN - o->hdr_len, tos = lm_ip_tos(d->ip);
	unsigned udp_len = UDP_LEN + d->len;
	uint32_t before = UINT32_MAX;
	struct rte_mbuf *m = d->m;

	if (o->ip6 && !lm_is_ip4(d->ip) && udp->csum != 0)
		before =
		    fold((uint16_t)~udp->csum + (uint16_t)~outer_sum6(d->ip, (const uint8_t *)udp));
	memcpy(frame, o->hdr, o->hdr_len);
	udp->len = htobe16((uint16_t)udp_len);
	if (o->ip6) {
		write_ip6(frame, udp_len, tos);
		udp->csum = csum6(o, (const uint8_t *)udp, udp_len, before);
	} else {
		write_ip4(frame, o, udp_len, (uint16_t)p->print, tos);
	}
	m->data_off = (uint16_t)(frame - (uint8_t *)m->buf_addr);
	m->data_len = (uint16_t)(o->hdr_len - LM_RELAY_HDR_LEN + d->len);
	m->pkt_len = m->data_len;
	lm_tx(w, o->port, m);
}

/* ---------------------------------------------------------------- burst -- */

/* Does it fit the way to the other end, and is there room for its headers? */
static bool fits(const struct lm_worker *w, const struct lm_datagram *d, const struct lm_outer *o)
{
	unsigned len = d->len - LM_RELAY_HDR_LEN;

	return len <= LM_RELAY_LONGEST &&
	       o->hdr_len - LM_ETH_LEN + len <= w->dp->port[o->port].mtu &&
	       d->payload + LM_RELAY_HDR_LEN - (uint8_t *)d->m->buf_addr >= o->hdr_len;
}

static void pass_on(struct lm_worker *w, struct passing *p, unsigned n)
{
	uint64_t packets = 0, bytes = 0;

	for (unsigned i = 0; i < n; i++) {
		struct lm_relay_state *s = p[i].relay->state;
		uint32_t *set = set_of(s, p[i].print), tag = tag_of(p[i].print);
		unsigned len = p[i].d->len;

		if (unlikely(seen(set, tag))) {
			lm_drop(w, p[i].d->m, LM_C_RELAY_DUPLICATE);
			continue;
		}
		if (unlikely(!take(w, p[i].relay, len))) {
			lm_drop(w, p[i].d->m, LM_C_RELAY_QUOTA);
			continue;
		}
		remember(set, tag);
		__atomic_store_n(&s->packets, s->packets + 1, __ATOMIC_RELAXED);
		__atomic_store_n(&s->bytes, s->bytes + len, __ATOMIC_RELAXED);
		packets++;
		bytes += len;
		send_on(w, &p[i]);
	}
	lm_count(&w->counters, LM_C_RELAYED_PACKETS, packets);
	lm_count(&w->counters, LM_C_RELAYED_BYTES, bytes);
}

unsigned lm_relay_burst(struct lm_worker *w, uint16_t port, struct lm_datagram *d, unsigned n)
{
	const struct lm_relay_table *t = lm_rcu_load(&w->dp->relays);
	struct passing passing[LM_BURST];
	uint8_t own[LM_BURST];
	unsigned ours = 0, on = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct lm_relay *r;
		uint64_t id;

		if (unlikely(!well_formed(d[i].payload, d[i].len))) {
			lm_drop(w, d[i].m, LM_C_RELAY_MALFORMED);
			continue;
		}
		id = be64toh(word64(d[i].payload + LM_RELAY_ID_OFF));
		r = lookup(t, id);
		if (unlikely(r == NULL)) {
			lm_drop(w, d[i].m, LM_C_RELAY_UNKNOWN);
			continue;
		}
		if (unlikely(!from_its_end(r, port, d[i].ip))) {
			lm_drop(w, d[i].m, LM_C_RELAY_SOURCE);
			continue;
		}
		if (!r->passes_on) {
			d[i].relay = id;
			own[ours++] = (uint8_t)i;
			continue;
		}
		if (unlikely(!fits(w, &d[i], &r->outer))) {
			lm_drop(w, d[i].m, LM_C_RELAY_TOO_BIG);
			continue;
		}
		passing[on] = (struct passing){.d = &d[i], .relay = r};
		passing[on].print =
		    fingerprint(w->dp->relay_secret, d[i].payload + LM_RELAY_HDR_LEN,
				d[i].len - LM_RELAY_HDR_LEN);
		rte_prefetch0(set_of(r->state, passing[on++].print));
	}
	if (on > 0)
		pass_on(w, passing, on);
	for (unsigned i = 0; i < ours; i++) {
		d[i] = d[own[i]];
		d[i].payload += LM_RELAY_HDR_LEN;
		d[i].len -= LM_RELAY_HDR_LEN;
	}
	return ours;
}
