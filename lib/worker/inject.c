/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the control thread sends goes through two bounded rings to worker 0, which has a
 * queue on every port. Worker 0 is not woken for it: it looks at the rings at least
 * every millisecond.
 *
 * What keeps the mesh alive is urgent. It does not share a ring with what the kernel sends, of
 * which there may be any amount. And when traffic has filled a port's queue, which takes what comes
 * first after it has sent something, the worker keeps a few urgent frames and offers them before
 * any traffic at the start of each loop.
 */
#include "worker_internal.h"

#include <errno.h>
#include <rte_ethdev.h>

/* -------------------------------------------------------------- control -- */

static int drop(struct lm_dp *dp, enum lm_ctr why, int code)
{
	lm_count(&dp->counters, why, 1);
	return -code;
}

/* room: bytes before the data, to be left for a header. */
static int send_to_worker(struct lm_dp *dp, struct rte_ring *ring, enum lm_hand_kind kind,
			  uint16_t port, size_t room, const void *data, size_t len)
{
	struct lm_hand h = {.kind = (uint16_t)kind, .port = port};
	char *p;

	if (rte_ring_full(ring))
		return drop(dp, LM_C_INJECT_FULL, ENOBUFS);
	h.m = rte_pktmbuf_alloc(dp->pool);
	if (h.m == NULL)
		return drop(dp, LM_C_NO_MBUF, ENOBUFS);
	p = rte_pktmbuf_append(h.m, (uint16_t)(room + len));
	if (p == NULL) {
		rte_pktmbuf_free(h.m);
		return drop(dp, LM_C_INJECT_MALFORMED, EMSGSIZE);
	}
	memset(p, 0, room);
	memcpy(p + room, data, len);
	/* There is room: only this thread fills the ring. */
	return rte_ring_sp_enqueue_elem(ring, &h, sizeof(h));
}

static int send_frame(struct lm_dp *dp, struct rte_ring *ring, uint16_t port, const void *frame,
		      size_t len)
{
	if (port >= dp->n_ports || len < LM_ETH_LEN ||
	    len > (size_t)dp->port[port].mtu + LM_ETH_LEN + LM_VLAN_TAGS_LEN)
		return drop(dp, LM_C_INJECT_MALFORMED, EMSGSIZE);
	return send_to_worker(dp, ring, LM_HAND_TX, port, 0, frame, len);
}

int lm_dp_send(struct lm_dp *dp, uint16_t port, const void *frame, size_t len)
{
	return send_frame(dp, dp->worker[0]->inject, port, frame, len);
}

int lm_dp_send_urgent(struct lm_dp *dp, uint16_t port, const void *frame, size_t len)
{
	return send_frame(dp, dp->worker[0]->urgent, port, frame, len);
}

int lm_dp_inject(struct lm_dp *dp, const void *packet, size_t len)
{
	if (len < sizeof(struct lm_ip4_hdr) || len > UINT16_MAX - LM_ETH_LEN)
		return drop(dp, LM_C_INJECT_MALFORMED, EMSGSIZE);
	return send_to_worker(dp, dp->worker[0]->inject, LM_HAND_INJECT, LM_DP_PORT_NONE,
			      LM_ETH_LEN, packet, len);
}

/* --------------------------------------------------------------- worker -- */

/* False: the port's queue is full. */
static bool send_now(struct lm_worker *w, uint16_t port, struct rte_mbuf *m)
{
	const struct lm_dp_port *p = &w->dp->port[port];
	bool lan = p->role == LM_DP_LAN;
	uint32_t len = m->pkt_len;

	if (rte_eth_tx_burst(p->id, (uint16_t)w->index, &m, 1) == 0)
		return false;
	lm_count(&w->counters, lan ? LM_C_LAN_TX_PACKETS : LM_C_WAN_TX_PACKETS, 1);
	lm_count(&w->counters, lan ? LM_C_LAN_TX_BYTES : LM_C_WAN_TX_BYTES, len);
	return true;
}

static void send_kept(struct lm_worker *w, uint16_t port)
{
	struct lm_kept *k = &w->kept[port];
	unsigned sent = 0;

	while (sent < k->n && send_now(w, port, k->m[sent]))
		sent++;
	k->n = (uint16_t)(k->n - sent);
	w->n_kept -= sent;
	memmove(k->m, k->m + sent, k->n * sizeof(k->m[0]));
}

static void send_or_keep(struct lm_worker *w, uint16_t port, struct rte_mbuf *m)
{
	struct lm_kept *k = &w->kept[port];

	if (k->n == 0 && send_now(w, port, m))
		return;
	if (k->n == LM_KEPT_MAX) {
		lm_drop(w, m, LM_C_TX_RING_FULL);
		return;
	}
	k->m[k->n++] = m;
	w->n_kept++;
}

unsigned lm_urgent_receive(struct lm_worker *w)
{
	unsigned n = rte_ring_dequeue_burst_elem(w->urgent, w->received, sizeof(w->received[0]),
						 LM_BURST, NULL);

	for (uint16_t port = 0; w->n_kept > 0 && port < w->dp->n_ports; port++)
		send_kept(w, port);
	if (n > 0)
		lm_count(&w->counters, LM_C_INJECTED, n);
	for (unsigned i = 0; i < n; i++)
		send_or_keep(w, w->received[i].port, w->received[i].m);
	return n;
}
