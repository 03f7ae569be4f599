/* SPDX-License-Identifier: BSD-3-Clause */
/* Sending: frames gather for each port and leave when a burst is full or the loop ends. */
#include "ip.h"
#include "worker_internal.h"

#include <rte_ethdev.h>

static void count_sent(struct lm_worker *w, const struct lm_dp_port *p, unsigned n, uint64_t bytes)
{
	bool lan = p->role == LM_DP_LAN;

	lm_count(&w->counters, lan ? LM_C_LAN_TX_PACKETS : LM_C_WAN_TX_PACKETS, n);
	lm_count(&w->counters, lan ? LM_C_LAN_TX_BYTES : LM_C_WAN_TX_BYTES, bytes);
}

static void send_now(struct lm_worker *w, uint16_t port, struct rte_mbuf **m, unsigned n,
		     uint64_t bytes)
{
	const struct lm_dp_port *p = &w->dp->port[port];
	unsigned sent;

	if (unlikely(w->index >= p->queues)) {
		unsigned owner = lm_port_owner_of(p->queues, w->index);

		for (unsigned i = 0; i < n; i++)
			lm_hand_over(w, owner, m[i], LM_HAND_TX, port);
		return;
	}
	sent = rte_eth_tx_burst(p->id, (uint16_t)w->index, m, (uint16_t)n);
	for (unsigned i = sent; i < n; i++) {
		bytes -= m[i]->pkt_len;
		lm_drop(w, m[i], LM_C_TX_RING_FULL);
	}
	count_sent(w, p, sent, bytes);
}

void lm_tx_burst(struct lm_worker *w, uint16_t port)
{
	struct lm_tx *tx = &w->tx[port];
	unsigned n = tx->n;
	uint32_t bytes = tx->bytes;

	tx->n = 0;
	tx->bytes = 0;
	send_now(w, port, tx->m, n, bytes);
}

void lm_tx_all(struct lm_worker *w, uint16_t port, struct rte_mbuf **m, unsigned n, uint32_t bytes)
{
	if (likely(w->tx[port].n == 0)) {
		send_now(w, port, m, n, bytes);
		return;
	}
	for (unsigned i = 0; i < n; i++)
		lm_tx(w, port, m[i]);
}

void lm_tx_flush(struct lm_worker *w)
{
	for (uint16_t port = 0; port < w->dp->n_ports; port++)
		if (w->tx[port].n > 0)
			lm_tx_burst(w, port);
}

void lm_tx_neighbour(struct lm_worker *w, const struct lm_adj *adj, struct rte_mbuf *m)
{
	bool ip4 = lm_is_ip4(rte_pktmbuf_mtod(m, uint8_t *));
	/* There is room: the packet came with a link header. */
	struct lm_eth_hdr *eth = (struct lm_eth_hdr *)rte_pktmbuf_prepend(m, LM_ETH_LEN);

	memcpy(eth->dst, adj->mac.b, sizeof(eth->dst));
	memcpy(eth->src, w->dp->port[adj->port].mac.b, sizeof(eth->src));
	eth->type = htobe16(ip4 ? LM_ETHERTYPE_IP4 : LM_ETHERTYPE_IP6);
	lm_tx(w, adj->port, m);
}
