/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ESP to inner packet, in place. Every byte is hostile until the ICV is good, and
 * the sender may still be: RFC 4303 section 3.4, RFC 4106.
 *
 *   length, replay check -> decrypt -> replay commit -> padding -> inner header
 */
#include "replay.h"

#include <arpa/inet.h>
#include <assert.h>

#define HEAD_LEN (sizeof(struct lm_esp_hdr) + LM_ESP_IV_LEN)
#define ESP_MIN	 (HEAD_LEN + 4 + LM_ESP_ICV_LEN) /* the least ciphertext: pad to 4, trailer */
#define IP4_LEN	 sizeof(struct lm_ip4_hdr)
#define IP6_LEN	 sizeof(struct lm_ip6_hdr)
#define ETH_LEN	 sizeof(struct lm_eth_hdr)

_Static_assert(sizeof(struct lm_esp_rx) <= 32, "two descriptors to a cache line");

static inline uint32_t number(const struct lm_esp_rx *pkt)
{
	return ntohl(((const struct lm_esp_hdr *)pkt->data)->seq);
}

static inline enum lm_esp_status prepare(const struct lm_esp_rx *pkt, struct lm_aead_op *op)
{
	const struct lm_sa_in *sa = pkt->sa;
	uint8_t *body = pkt->data + HEAD_LEN;
	enum lm_esp_status status;

	if (pkt->len < ESP_MIN || (pkt->len & 3) != 0)
		return LM_ESP_SHORT;
	status = lm_replay_check(&sa->replay, number(pkt));
	if (status != LM_ESP_OK)
		return status;
	op->key = sa->key;
	op->src = op->dst = body;
	op->len = pkt->len - (uint32_t)(HEAD_LEN + LM_ESP_ICV_LEN);
	op->tag = body + op->len;
	op->aad = pkt->data; /* SPI and number: no ESN */
	op->aad_len = sizeof(struct lm_esp_hdr);
	memcpy(op->iv, sa->salt, 4);
	memcpy(op->iv + 4, pkt->data + sizeof(struct lm_esp_hdr), LM_ESP_IV_LEN);
	return LM_ESP_OK;
}

/* Length of the inner packet in len bytes at p, 0 when its header does not agree with them. What
 * follows it is traffic-flow-confidentiality padding (RFC 4303 section 2.7). */
static inline uint32_t inner_len4(const uint8_t *p, uint32_t len)
{
	const struct lm_ip4_hdr *ip = (const struct lm_ip4_hdr *)p;
	uint32_t ihl, total;

	if (len < IP4_LEN || ip->ver_ihl >> 4 != 4)
		return 0;
	ihl = (ip->ver_ihl & 15u) * 4;
	total = ntohs(ip->len);
	return ihl < IP4_LEN || total < ihl || total > len ? 0 : total;
}

static inline uint32_t inner_len6(const uint8_t *p, uint32_t len)
{
	const struct lm_ip6_hdr *ip = (const struct lm_ip6_hdr *)p;
	uint32_t total;

	if (len < IP6_LEN || p[0] >> 4 != 6)
		return 0;
	total = (uint32_t)IP6_LEN + ntohs(ip->payload_len);
	return total > len ? 0 : total;
}

/* len bytes at p are authentic: takes off padding and trailer, and finds the inner packet. */
static inline enum lm_esp_status unwrap(struct lm_esp_rx *pkt, uint8_t *p, uint32_t len)
{
	uint32_t pad = p[len - 2];

	pkt->next = p[len - 1];
	if (pad + LM_ESP_TRAILER_LEN > len)
		return LM_ESP_PADDING;
	len -= pad + LM_ESP_TRAILER_LEN;
	for (uint32_t i = 0; i < pad; i++)
		if (p[len + i] != i + 1)
			return LM_ESP_PADDING;
	switch (pkt->next) {
	case LM_PROTO_IP4:
		len = inner_len4(p, len);
		break;
	case LM_PROTO_IP6:
		len = inner_len6(p, len);
		break;
	case LM_PROTO_ETHERNET:
		len = len < ETH_LEN ? 0 : len;
		break;
	case LM_PROTO_DUMMY:
		return LM_ESP_DUMMY;
	default:
		return LM_ESP_NEXT;
	}
	if (len == 0)
		return LM_ESP_INNER;
	pkt->data = p;
	pkt->len = len;
	return LM_ESP_OK;
}

static inline enum lm_esp_status finish(struct lm_esp_rx *pkt, const struct lm_aead_op *op)
{
	struct lm_sa_in *sa = pkt->sa;
	uint32_t seq = number(pkt);
	bool newest = seq > sa->replay.top;
	enum lm_esp_status status;

	if (!op->ok)
		return LM_ESP_ICV;
	status = lm_replay_commit(&sa->replay, seq);
	if (status != LM_ESP_OK)
		return status;
	pkt->newest = newest;
	status = unwrap(pkt, op->dst, op->len);
	if (status != LM_ESP_OK)
		return status;
	__atomic_store_n(&sa->packets, sa->packets + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&sa->bytes, sa->bytes + pkt->len, __ATOMIC_RELAXED);
	return LM_ESP_OK;
}

unsigned lm_esp_open(struct lm_aead *aead, struct lm_esp_rx *pkts, unsigned n)
{
	struct lm_aead_op ops[LM_ESP_BURST], *op = ops;
	unsigned good = 0;

	assert(n <= LM_ESP_BURST);
	for (unsigned i = 0; i < n; i++) {
		pkts[i].newest = false;
		pkts[i].status = prepare(&pkts[i], op);
		op += pkts[i].status == LM_ESP_OK;
	}
	lm_aead_open(aead, ops, (unsigned)(op - ops));
	op = ops;
	for (unsigned i = 0; i < n; i++) {
		if (pkts[i].status != LM_ESP_OK)
			continue;
		pkts[i].status = finish(&pkts[i], op++);
		good += pkts[i].status == LM_ESP_OK;
	}
	return good;
}
