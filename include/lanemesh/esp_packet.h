/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One packet before and after the cipher, inline: the data plane's loops over a burst are made of
 * these, and so are lm_esp_seal and lm_esp_open.
 */
#ifndef LANEMESH_ESP_PACKET_H
#define LANEMESH_ESP_PACKET_H

#include <lanemesh/esp.h>
#include <lanemesh/esp_replay.h>

#include <arpa/inet.h>
#include <endian.h>

#define LM_ESP_HEAD_LEN (sizeof(struct lm_esp_hdr) + LM_ESP_IV_LEN)
#define LM_OUTER4_LEN                                                                              \
	(sizeof(struct lm_eth_hdr) + sizeof(struct lm_ip4_hdr) + sizeof(struct lm_udp_hdr))
#define LM_ESP_MIN (LM_ESP_HEAD_LEN + 4 + LM_ESP_ICV_LEN) /* pad to 4, trailer */

/* -------------------------------------------------------------- sealing -- */

/*
 * Inner packet to outer frame, in place:
 *
 *   | Ethernet | IP | UDP | SPI, number | IV | inner packet | 1 2 3 | pad length, next | ICV |
 *   '---- copied from the path ----'         '------------- encrypted --------------'
 *
 * Through a relay its header stands between UDP and SPI, and is copied as well.
 * ESP: RFC 4303; in UDP: RFC 3948; AES-GCM: RFC 4106.
 */

/* A sum of up to four 16-bit words, complemented. Its halves add up in the upper half, carry and
 * all. */
static inline uint16_t lm_esp_csum_of_few(uint32_t sum)
{
	return (uint16_t) ~((sum + (sum << 16 | sum >> 16)) >> 16);
}

/* UDP checksum zero: RFC 3948 section 2.1. */
static inline void lm_esp_outer4(uint8_t *frame, const struct lm_outer *outer, uint32_t udp_len,
				 uint16_t id, uint8_t tos)
{
	struct lm_ip4_hdr *ip = (struct lm_ip4_hdr *)(frame + sizeof(struct lm_eth_hdr));
	struct lm_udp_hdr *udp = (struct lm_udp_hdr *)(ip + 1);
	uint16_t len_be = htons((uint16_t)(sizeof(*ip) + udp_len));

	memcpy(frame, outer->hdr, sizeof(struct lm_eth_hdr) + sizeof(*ip) + sizeof(*udp));
	ip->tos = tos;
	ip->len = len_be;
	ip->id = id;
	ip->csum = lm_esp_csum_of_few(outer->csum0 + len_be + id + htons(tos));
	udp->len = htons((uint16_t)udp_len);
}

static inline void lm_esp_outer6(uint8_t *frame, const struct lm_outer *outer, uint32_t udp_len,
				 uint8_t tc)
{
	struct lm_ip6_hdr *ip = (struct lm_ip6_hdr *)(frame + sizeof(struct lm_eth_hdr));
	struct lm_udp_hdr *udp = (struct lm_udp_hdr *)(ip + 1);

	memcpy(frame, outer->hdr, sizeof(struct lm_eth_hdr) + sizeof(*ip) + sizeof(*udp));
	ip->ver_tc_flow |= htonl((uint32_t)tc << 20);
	ip->payload_len = udp->len = htons((uint16_t)udp_len);
}

/* Two words of memory in one store. */
static inline void lm_esp_store(uint8_t *p, uint32_t first, uint32_t second)
{
	uint64_t v = htole64((uint64_t)le32toh(second) << 32 | le32toh(first));

	memcpy(p, &v, sizeof(v));
}

/* Salt and IV (RFC 4106 section 4), written as the cipher reads them, 8 bytes and 4: so it need not
 * wait for the stores. iv_low: the IV's second half. */
static inline void lm_esp_nonce(uint8_t nonce[12], const uint8_t salt[4], uint32_t iv_high,
				uint32_t iv_low)
{
	uint32_t first;

	memcpy(&first, salt, sizeof(first));
	lm_esp_store(nonce, first, iv_high);
	memcpy(nonce + 8, &iv_low, sizeof(iv_low));
}

/* Padding of 0 to 3 bytes and the trailer of an IPv4 packet, first byte lowest (RFC 4303 section
 * 2.4). */
static const uint64_t lm_esp_trailer4[4] = {0x0400, 0x040101, 0x04020201, 0x0403030201};
_Static_assert(LM_PROTO_IP4 == 4, "what the table ends in");

/* Padding and trailer (RFC 4303 section 2.4) in one store; its end is where the ICV comes. */
static inline void lm_esp_trailer(uint8_t *tail, uint32_t pad, uint8_t next)
{
	uint64_t v = lm_esp_trailer4[pad];

	_Static_assert(sizeof(v) <= LM_ESP_TRAILER_LEN + LM_ESP_ICV_LEN, "it overwrites nothing");
	if (next != LM_PROTO_IP4)
		v ^= (uint64_t)(next ^ LM_PROTO_IP4) << 8 * (pad + 1);
	v = htole64(v);
	memcpy(tail, &v, sizeof(v));
}

/* Outer headers before the esp_len bytes of ESP, which begin 16 before the packet. */
static inline void lm_esp_write_outer(struct lm_esp_tx *pkt, uint32_t esp_len, uint16_t id)
{
	const struct lm_outer *outer = pkt->outer;
	uint8_t *esp = pkt->data - LM_ESP_HEAD_LEN;
	uint32_t hdr_len = outer->hdr_len, udp_len;

	if (__builtin_expect(hdr_len == LM_OUTER4_LEN, 1)) { /* IPv4, and no relay */
		pkt->data = esp - LM_OUTER4_LEN;
		pkt->len = LM_OUTER4_LEN + esp_len;
		lm_esp_outer4(pkt->data, outer, (uint32_t)sizeof(struct lm_udp_hdr) + esp_len, id,
			      pkt->tos);
		return;
	}
	pkt->data = esp - hdr_len;
	pkt->len = hdr_len + esp_len;
	udp_len = (uint32_t)sizeof(struct lm_udp_hdr) + outer->relay_len + esp_len;
	if (outer->relay_len != 0)
		memcpy(esp - LM_RELAY_HDR_LEN, outer->hdr + hdr_len - LM_RELAY_HDR_LEN,
		       LM_RELAY_HDR_LEN);
	if (outer->ip6)
		lm_esp_outer6(pkt->data, outer, udp_len, pkt->tos);
	else
		lm_esp_outer4(pkt->data, outer, udp_len, id, pkt->tos);
}

/* Takes a number, writes all around the packet and says what is left to the cipher. Over IPv6
 * lm_esp_seal_end6 follows the cipher. Unless LM_ESP_OK nothing has changed. */
static inline enum lm_esp_status lm_esp_seal_begin(struct lm_esp_tx *pkt, struct lm_aead_op *op)
{
	struct lm_sa_out *sa = pkt->sa;
	uint32_t pad = -(pkt->len + LM_ESP_TRAILER_LEN) & 3;
	uint32_t sealed = pkt->len + pad + LM_ESP_TRAILER_LEN, seq = sa->seq, number;
	uint8_t *head = pkt->data - LM_ESP_HEAD_LEN;

	if (__builtin_expect(pkt->headroom < LM_ESP_HEADROOM || pkt->len > LM_ESP_INNER_MAX ||
				 pkt->tailroom < LM_ESP_TAILROOM,
			     0))
		return LM_ESP_NO_ROOM;
	/* A number, and so an IV, is never used twice. */
	if (__builtin_expect(seq >= sa->hard, 0))
		return LM_ESP_EXPIRED;
	__atomic_store_n(&sa->seq, ++seq, __ATOMIC_RELAXED);
	__atomic_store_n(&sa->bytes, sa->bytes + pkt->len, __ATOMIC_RELAXED);
	number = htonl(seq);

	op->key = sa->key;
	op->src = op->dst = pkt->data;
	op->len = sealed;
	op->tag = pkt->data + sealed;
	op->aad = head;
	op->aad_len = sizeof(struct lm_esp_hdr);
	lm_esp_nonce(op->iv, sa->salt, 0, number);

	lm_esp_trailer(pkt->data + pkt->len, pad, pkt->next);
	/* The IV is the number, in 64 bits (RFC 4106 section 3.1). */
	lm_esp_store(head, sa->spi_be, number);
	lm_esp_store(head + sizeof(struct lm_esp_hdr), 0, number);
	lm_esp_write_outer(pkt, (uint32_t)LM_ESP_HEAD_LEN + sealed + LM_ESP_ICV_LEN,
			   (uint16_t)(number >> 16 ^ sa->id_mix));
	return LM_ESP_OK;
}

/*
 * Over IPv6 the UDP checksum is computed, as Linux does: RFC 8200 section 8.1 has a receiver drop
 * zero unless that port was set up for it (RFC 6935, RFC 6936), and on the way there may be many.
 */
void lm_esp_seal_end6(uint8_t *frame, const struct lm_outer *outer);

/* -------------------------------------------------------------- opening -- */

/*
 * ESP to inner packet, in place. Every byte is hostile until the ICV is good, and the sender may
 * still be: RFC 4303 section 3.4, RFC 4106.
 *
 *   length, replay check -> decrypt -> replay commit -> padding -> inner header
 */

static inline uint32_t lm_esp_number(const uint8_t *esp)
{
	return ntohl(((const struct lm_esp_hdr *)esp)->seq);
}

/* Checks what can be checked before the cipher, and says what it shall do. Changes nothing. */
static inline enum lm_esp_status lm_esp_open_begin(const struct lm_esp_rx *pkt,
						   struct lm_aead_op *op)
{
	const struct lm_sa_in *sa = pkt->sa;
	uint8_t *body = pkt->data + LM_ESP_HEAD_LEN;
	enum lm_esp_status status;
	uint32_t iv[2];

	if (__builtin_expect(pkt->len < LM_ESP_MIN || (pkt->len & 3) != 0, 0))
		return LM_ESP_SHORT;
	status = lm_replay_check(&sa->replay, lm_esp_number(pkt->data));
	if (__builtin_expect(status != LM_ESP_OK, 0))
		return status;
	op->key = sa->key;
	op->src = op->dst = body;
	op->len = pkt->len - (uint32_t)(LM_ESP_HEAD_LEN + LM_ESP_ICV_LEN);
	op->tag = body + op->len;
	op->aad = pkt->data; /* SPI and number: no ESN */
	op->aad_len = sizeof(struct lm_esp_hdr);
	memcpy(iv, pkt->data + sizeof(struct lm_esp_hdr), sizeof(iv));
	lm_esp_nonce(op->iv, sa->salt, iv[0], iv[1]);
	return LM_ESP_OK;
}

/* Length of the inner packet in len bytes at p, 0 when its header does not agree with them. What
 * follows it is traffic-flow-confidentiality padding (RFC 4303 section 2.7). */
static inline uint32_t lm_esp_inner4(const uint8_t *p, uint32_t len)
{
	const struct lm_ip4_hdr *ip = (const struct lm_ip4_hdr *)p;
	uint32_t ihl, total;

	if (len < sizeof(*ip) || ip->ver_ihl >> 4 != 4)
		return 0;
	ihl = (ip->ver_ihl & 15u) * 4;
	total = ntohs(ip->len);
	return ihl < sizeof(*ip) || total < ihl || total > len ? 0 : total;
}

static inline uint32_t lm_esp_inner6(const uint8_t *p, uint32_t len)
{
	const struct lm_ip6_hdr *ip = (const struct lm_ip6_hdr *)p;
	uint32_t total;

	if (len < sizeof(*ip) || p[0] >> 4 != 6)
		return 0;
	total = (uint32_t)sizeof(*ip) + ntohs(ip->payload_len);
	return total > len ? 0 : total;
}

/* Is it 1, 2, 3 and so on (RFC 4303 section 2.4)? Four bytes more may be read: the ICV. */
static inline bool lm_esp_padding_ok(const uint8_t *p, uint32_t pad)
{
	uint32_t word;

	if (__builtin_expect(pad < 4, 1)) {
		memcpy(&word, p, sizeof(word));
		return ((le32toh(word) ^ 0x030201) & ((1u << 8 * pad) - 1)) == 0;
	}
	for (uint32_t i = 0; i < pad; i++)
		if (p[i] != i + 1)
			return false;
	return true;
}

/* len bytes at p are authentic: takes off padding and trailer, and finds the inner packet. */
static inline enum lm_esp_status lm_esp_unwrap(struct lm_esp_rx *pkt, uint8_t *p, uint32_t len)
{
	uint32_t pad = p[len - 2];

	pkt->next = p[len - 1];
	if (pad + LM_ESP_TRAILER_LEN > len)
		return LM_ESP_PADDING;
	len -= pad + LM_ESP_TRAILER_LEN;
	if (!lm_esp_padding_ok(p + len, pad))
		return LM_ESP_PADDING;
	if (__builtin_expect(pkt->next == LM_PROTO_IP4, 1))
		len = lm_esp_inner4(p, len);
	else if (pkt->next == LM_PROTO_IP6)
		len = lm_esp_inner6(p, len);
	else if (pkt->next == LM_PROTO_ETHERNET)
		len = len < sizeof(struct lm_eth_hdr) ? 0 : len;
	else
		return pkt->next == LM_PROTO_DUMMY ? LM_ESP_DUMMY : LM_ESP_NEXT;
	if (len == 0)
		return LM_ESP_INNER;
	pkt->data = p;
	pkt->len = len;
	return LM_ESP_OK;
}

/* What nearly all are, after the cipher and authentic: an IPv4 packet without options and at most 3
 * bytes of padding. Its length; 0: something else or wrong, and lm_esp_open_end decides. */
static inline uint32_t lm_esp_plain4(const struct lm_aead_op *op)
{
	const uint8_t *p = op->dst;
	uint32_t head, pad, total;
	uint64_t tail;

	/* Of the shortest packet, some bytes of ESP's header. */
	_Static_assert(LM_ESP_MIN - LM_ESP_ICV_LEN >= sizeof(tail), "it reads nothing before");
	memcpy(&head, p, sizeof(head));
	memcpy(&tail, p + op->len - sizeof(tail), sizeof(tail));
	head = ntohl(head);
	tail = le64toh(tail);
	pad = tail >> 48 & 3;
	total = head & 0xffff;
	if (__builtin_expect(((tail >> (48 - 8 * pad)) ^ lm_esp_trailer4[pad]) |
				 (head >> 24 ^ 0x45) | (total < sizeof(struct lm_ip4_hdr)) |
				 (total + pad + LM_ESP_TRAILER_LEN > op->len),
			     0))
		return 0;
	return total;
}

/* Counts an inner packet that was taken. */
static inline void lm_esp_opened(struct lm_sa_in *sa, uint32_t len)
{
	__atomic_store_n(&sa->packets, sa->packets + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&sa->bytes, sa->bytes + len, __ATOMIC_RELAXED);
}

/* After the cipher; pkt as lm_esp_open_begin saw it. Sets its other fields. */
static inline enum lm_esp_status lm_esp_open_end(struct lm_esp_rx *pkt, const struct lm_aead_op *op)
{
	struct lm_sa_in *sa = pkt->sa;
	uint32_t seq = lm_esp_number(op->aad);
	bool newest = seq > sa->replay.top;
	enum lm_esp_status status;

	pkt->newest = false;
	if (__builtin_expect(!op->ok, 0))
		return LM_ESP_ICV;
	status = lm_replay_commit(&sa->replay, seq);
	if (__builtin_expect(status != LM_ESP_OK, 0))
		return status;
	pkt->newest = newest;
	status = lm_esp_unwrap(pkt, op->dst, op->len);
	if (__builtin_expect(status != LM_ESP_OK, 0))
		return status;
	lm_esp_opened(sa, pkt->len);
	return LM_ESP_OK;
}

#endif
