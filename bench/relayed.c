/* SPDX-License-Identifier: BSD-3-Clause */
#include "relayed.h"

#include "worker_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define QUOTA	 UINT64_C(8000000000) /* bytes a second of one member */
#define HEAD_LEN LM_OUTER4_LEN
#define LAP_AT	 (HEAD_LEN + LM_RELAY_HDR_LEN + LM_ESP_HEAD_LEN)

/* As those that a relay draws: no order, never 0. */
static uint64_t id_of(uint32_t peer)
{
	return (peer + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

void relayed_open(struct site *s)
{
	const struct lm_mac us = {{2, 0, 0, 0, 0, 3}}, gateway = {{2, 0, 0, 0, 0, 1}};
	const struct lm_endpoint here = site_endpoint(SITE_SELF);

	lm_dp_relay_quota(s->dp, QUOTA);
	for (uint32_t p = 0; p < s->cfg.peers; p++) {
		uint32_t other = (p + 1) % s->cfg.peers;
		const struct lm_endpoint to = site_endpoint(other);
		struct lm_outer outer;
		struct lm_dp_relay r = {
		    .port = s->wan, .from = site_endpoint(p), .outer = &outer, .member = p};

		if (lm_outer_build(&outer, &us, &gateway, &here, &to, true) != 0)
			abort();
		outer.port = s->onward;
		lm_outer_relay(&outer, id_of(other));
		if (lm_dp_relay_set(s->dp, id_of(p), &r) != 0) {
			fprintf(stderr, "bench: the relay id of peer %u was refused\n", p);
			exit(1);
		}
	}
}

static uint16_t longer(uint16_t be)
{
	return htobe16((uint16_t)(be16toh(be) + LM_RELAY_HDR_LEN));
}

void relayed_frames(const struct site *s, struct rte_mbuf **pkts, unsigned n, uint32_t first,
		    uint64_t lap)
{
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *esp = rte_pktmbuf_mtod(pkts[i], uint8_t *);
		uint8_t *frame = (uint8_t *)rte_pktmbuf_prepend(pkts[i], LM_RELAY_HDR_LEN);
		struct lm_ip4_hdr *ip = (struct lm_ip4_hdr *)(frame + sizeof(struct lm_eth_hdr));
		struct lm_udp_hdr *udp = (struct lm_udp_hdr *)(ip + 1);

		memmove(frame, esp, HEAD_LEN);
		lm_msg_relay_header(frame + HEAD_LEN, id_of((first + i) % s->cfg.peers));
		udp->len = longer(udp->len);
		ip->len = longer(ip->len);
		ip->csum = 0;
		ip->csum = lm_csum_finish(lm_csum_add(0, ip, sizeof(*ip)));
		memcpy(frame + LAP_AT, &lap, sizeof(lap));
	}
}
