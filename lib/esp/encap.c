/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inner packet to outer frame, in place:
 *
 *   | Ethernet | IP | UDP | SPI, number | IV | inner packet | 1 2 3 | pad length, next | ICV |
 *   '---- copied from the path ----'         '------------- encrypted --------------'
 *
 * Through a relay its header stands between UDP and SPI, and is copied as well.
 * ESP: RFC 4303; in UDP: RFC 3948; AES-GCM: RFC 4106.
 */
#include <lanemesh/esp.h>

#include <arpa/inet.h>
#include <assert.h>
#include <endian.h>

#define ETH_LEN	 14
#define IP4_LEN	 sizeof(struct lm_ip4_hdr)
#define IP6_LEN	 sizeof(struct lm_ip6_hdr)
#define UDP_LEN	 sizeof(struct lm_udp_hdr)
#define HEAD_LEN (sizeof(struct lm_esp_hdr) + LM_ESP_IV_LEN)

_Static_assert(sizeof(struct lm_esp_tx) <= 64, "a descriptor fits a cache line");

/* A sum of up to four 16-bit words, complemented. */
static inline uint16_t csum_of_few(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

/* UDP checksum zero: RFC 3948 section 2.1. */
static inline void write_outer4(uint8_t *frame, const struct lm_outer *outer, uint32_t udp_len,
				uint16_t id, uint8_t tos)
{
	struct lm_ip4_hdr *ip = (struct lm_ip4_hdr *)(frame + ETH_LEN);
	struct lm_udp_hdr *udp = (struct lm_udp_hdr *)(frame + ETH_LEN + IP4_LEN);
	uint16_t len_be = htons((uint16_t)(IP4_LEN + udp_len));

	memcpy(frame, outer->hdr, ETH_LEN + IP4_LEN + UDP_LEN);
	ip->tos = tos;
	ip->len = len_be;
	ip->id = id;
	ip->csum = csum_of_few(outer->csum0 + len_be + id + htons(tos));
	udp->len = htons((uint16_t)udp_len);
}

static inline void write_outer6(uint8_t *frame, const struct lm_outer *outer, uint32_t udp_len,
				uint8_t tc)
{
	struct lm_ip6_hdr *ip = (struct lm_ip6_hdr *)(frame + ETH_LEN);
	struct lm_udp_hdr *udp = (struct lm_udp_hdr *)(frame + ETH_LEN + IP6_LEN);

	memcpy(frame, outer->hdr, ETH_LEN + IP6_LEN + UDP_LEN);
	ip->ver_tc_flow |= htonl((uint32_t)tc << 20);
	ip->payload_len = udp->len = htons((uint16_t)udp_len);
}

/*
 * Over IPv6 the checksum is computed, as Linux does: RFC 8200 section 8.1 has a
 * receiver drop zero unless that port was set up for it (RFC 6935, RFC 6936), and
 * on the way there may be many.
 */
static void checksum_udp6(uint8_t *frame, const struct lm_outer *outer)
{
	struct lm_udp_hdr *udp = (struct lm_udp_hdr *)(frame + ETH_LEN + IP6_LEN);
	/* The length counts twice, in the pseudo-header and in the UDP header. */
	uint32_t sum = outer->csum0 + 2u * udp->len;

	sum = lm_csum_add(sum, udp + 1, ntohs(udp->len) - UDP_LEN);
	udp->csum = lm_csum_finish(sum);
	if (udp->csum == 0)
		udp->csum = 0xffff;
}

static inline enum lm_esp_status prepare(struct lm_esp_tx *pkt, struct lm_aead_op *op)
{
	struct lm_sa_out *sa = pkt->sa;
	const struct lm_outer *outer = pkt->outer;
	uint32_t pad = -(pkt->len + LM_ESP_TRAILER_LEN) & 3;
	uint32_t sealed = pkt->len + pad + LM_ESP_TRAILER_LEN;
	uint32_t esp_len = HEAD_LEN + sealed + LM_ESP_ICV_LEN;
	uint32_t udp_len = UDP_LEN + outer->relay_len + esp_len;
	uint8_t *frame, *head, *tail;
	uint64_t iv;

	if (pkt->headroom < HEAD_LEN + outer->hdr_len || pkt->len > LM_ESP_INNER_MAX ||
	    pkt->tailroom < pad + LM_ESP_TRAILER_LEN + LM_ESP_ICV_LEN)
		return LM_ESP_NO_ROOM;
	if (sa->seq >= sa->hard) /* a number, and so an IV, is never used twice */
		return LM_ESP_EXPIRED;
	iv = htobe64(++sa->seq);
	__atomic_store_n(&sa->packets, sa->packets + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&sa->bytes, sa->bytes + pkt->len, __ATOMIC_RELAXED);

	head = pkt->data - HEAD_LEN;
	frame = head - outer->hdr_len;
	tail = pkt->data + pkt->len;
	/* Four bytes at once: what is too many, trailer and ICV overwrite. */
	memcpy(tail, "\1\2\3", 4);
	tail[pad] = (uint8_t)pad;
	tail[pad + 1] = pkt->next;

	if (__builtin_expect(outer->relay_len != 0, false))
		memcpy(head - LM_RELAY_HDR_LEN, outer->hdr + outer->hdr_len - LM_RELAY_HDR_LEN,
		       LM_RELAY_HDR_LEN);
	memcpy(head, &sa->spi_be, 4);
	memcpy(head + 4, (uint8_t *)&iv + 4, 4);
	memcpy(head + 8, &iv, LM_ESP_IV_LEN);
	/* Lanes share the outer addresses: their own upper bits keep the ids apart (RFC 6864). */
	if (outer->ip6)
		write_outer6(frame, outer, udp_len, pkt->tos);
	else
		write_outer4(frame, outer, udp_len,
			     htons((uint16_t)(sa->seq ^ ntohl(sa->spi_be) << 10)), pkt->tos);

	op->key = sa->key;
	op->src = op->dst = pkt->data;
	op->len = sealed;
	op->tag = pkt->data + sealed;
	op->aad = head;
	op->aad_len = sizeof(struct lm_esp_hdr);
	memcpy(op->iv, sa->salt, 4);
	memcpy(op->iv + 4, &iv, 8);
	pkt->data = frame;
	pkt->len = outer->hdr_len + esp_len;
	return LM_ESP_OK;
}

unsigned lm_esp_seal(struct lm_aead *aead, struct lm_esp_tx *pkts, unsigned n)
{
	struct lm_aead_op ops[LM_ESP_BURST];
	unsigned good = 0;
	bool ip6 = false;

	assert(n <= LM_ESP_BURST);
	for (unsigned i = 0; i < n; i++) {
		pkts[i].status = prepare(&pkts[i], &ops[good]);
		good += pkts[i].status == LM_ESP_OK;
		ip6 |= pkts[i].outer->ip6;
	}
	lm_aead_seal(aead, ops, good);
	for (unsigned i = 0; ip6 && i < n; i++)
		if (pkts[i].status == LM_ESP_OK && pkts[i].outer->ip6)
			checksum_udp6(pkts[i].data, pkts[i].outer);
	return good;
}
