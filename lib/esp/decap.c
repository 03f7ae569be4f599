/* SPDX-License-Identifier: BSD-3-Clause */
/* Bursts of ESP packets opened; what is done to each is in esp_packet.h. */
#include <lanemesh/esp_packet.h>

#include <assert.h>

_Static_assert(sizeof(struct lm_esp_rx) <= 32, "two descriptors to a cache line");

unsigned lm_esp_open(struct lm_aead *aead, struct lm_esp_rx *pkts, unsigned n)
{
	struct lm_aead_op ops[LM_ESP_BURST], *op = ops;
	unsigned good = 0;

	assert(n <= LM_ESP_BURST);
	for (unsigned i = 0; i < n; i++) {
		pkts[i].newest = false;
		pkts[i].status = lm_esp_open_begin(&pkts[i], op);
		op += pkts[i].status == LM_ESP_OK;
	}
	lm_aead_open(aead, ops, (unsigned)(op - ops));
	op = ops;
	for (unsigned i = 0; i < n; i++) {
		if (pkts[i].status != LM_ESP_OK)
			continue;
		pkts[i].status = lm_esp_open_end(&pkts[i], op++);
		good += pkts[i].status == LM_ESP_OK;
	}
	return good;
}
