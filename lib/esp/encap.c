/* SPDX-License-Identifier: BSD-3-Clause */
/* Bursts of packets into ESP; what is done to each is in esp_packet.h. */
#include <lanemesh/esp_packet.h>

#include <assert.h>

_Static_assert(sizeof(struct lm_esp_tx) <= 64, "a descriptor fits a cache line");

void lm_esp_seal_end6(uint8_t *frame, const struct lm_outer *outer)
{
	struct lm_udp_hdr *udp =
	    (struct lm_udp_hdr *)(frame + sizeof(struct lm_eth_hdr) + sizeof(struct lm_ip6_hdr));
	/* The length counts twice, in the pseudo-header and in the UDP header. */
	uint32_t sum = outer->csum0 + 2u * udp->len;

	sum = lm_csum_add(sum, udp + 1, ntohs(udp->len) - sizeof(*udp));
	udp->csum = lm_csum_finish(sum);
	if (udp->csum == 0)
		udp->csum = 0xffff;
}

unsigned lm_esp_seal(struct lm_aead *aead, struct lm_esp_tx *pkts, unsigned n)
{
	struct lm_aead_op ops[LM_ESP_BURST];
	unsigned good = 0;

	assert(n <= LM_ESP_BURST);
	for (unsigned i = 0; i < n; i++) {
		pkts[i].status = lm_esp_seal_begin(&pkts[i], &ops[good]);
		good += pkts[i].status == LM_ESP_OK;
	}
	lm_aead_seal(aead, ops, good);
	for (unsigned i = 0; i < n; i++)
		if (pkts[i].status == LM_ESP_OK && pkts[i].outer->ip6)
			lm_esp_seal_end6(pkts[i].data, pkts[i].outer);
	return good;
}
