/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets from worker to worker: ESP whose lane belongs to another worker, handed
 * over before any crypto, and frames for a port on which the sender has no queue.
 *
 * Each worker has one bounded ring that all others fill. It is of the relaxed-tail
 * kind: a producer that is preempted half-way does not make the others wait, which
 * matters when workers share cores.
 */
#include "worker_internal.h"

static void flush_to(struct lm_worker *w, unsigned to)
{
	struct lm_hand_out *out = &w->hand[to];
	unsigned sent;

	sent = rte_ring_enqueue_burst_elem(w->dp->worker[to]->handover, out->item,
					   sizeof(out->item[0]), out->n, NULL);
	lm_count(&w->counters, LM_C_HANDED_OVER, sent);
	for (unsigned i = sent; i < out->n; i++)
		lm_drop(w, out->item[i].m, LM_C_HANDOVER_FULL);
	out->n = 0;
}

void lm_hand_over(struct lm_worker *w, unsigned to, struct rte_mbuf *m, enum lm_hand_kind kind,
		  uint16_t port)
{
	struct lm_hand_out *out = &w->hand[to];

	if (out->n == LM_HAND_BURST)
		flush_to(w, to);
	if (out->n == 0) {
		bool listed = false;

		for (unsigned i = 0; i < w->n_hand_dirty; i++)
			listed |= w->hand_dirty[i] == to;
		if (!listed)
			w->hand_dirty[w->n_hand_dirty++] = (uint16_t)to;
	}
	out->item[out->n++] = (struct lm_hand){.m = m, .kind = (uint16_t)kind, .port = port};
}

void lm_hand_flush(struct lm_worker *w)
{
	for (unsigned i = 0; i < w->n_hand_dirty; i++)
		flush_to(w, w->hand_dirty[i]);
	w->n_hand_dirty = 0;
}

/* ESP in runs of one port, so that a run is opened as one burst. */
static unsigned open_run(struct lm_worker *w, const struct lm_hand *item, unsigned n)
{
	struct rte_mbuf *pkts[LM_BURST];
	unsigned run = 0;

	while (run < n && item[run].kind == LM_HAND_ESP && item[run].port == item[0].port) {
		pkts[run] = item[run].m;
		rte_prefetch0(rte_pktmbuf_mtod(pkts[run], void *));
		run++;
	}
	lm_wan_to_lan(w, item[0].port, pkts, run, true);
	return run;
}

unsigned lm_hand_receive(struct lm_worker *w)
{
	unsigned n = rte_ring_dequeue_burst_elem(w->handover, w->received, sizeof(w->received[0]),
						 LM_BURST, NULL);

	if (n > 0)
		lm_stat_add(&w->stats.handed_in, n);
	w->waiting += n == LM_BURST ? n : 0;
	for (unsigned i = 0; i < n;) {
		if (w->received[i].kind == LM_HAND_ESP) {
			i += open_run(w, &w->received[i], n - i);
		} else {
			lm_tx(w, w->received[i].port, w->received[i].m);
			i++;
		}
	}
	return n;
}

unsigned lm_inject_receive(struct lm_worker *w)
{
	unsigned n = rte_ring_dequeue_burst_elem(w->inject, w->received, sizeof(w->received[0]),
						 LM_BURST, NULL);
	struct rte_mbuf *pkts[LM_BURST];
	unsigned ip = 0;

	if (n == 0)
		return 0;
	lm_count(&w->counters, LM_C_INJECTED, n);
	for (unsigned i = 0; i < n; i++) {
		if (w->received[i].kind == LM_HAND_INJECT)
			pkts[ip++] = w->received[i].m;
		else
			lm_tx(w, w->received[i].port, w->received[i].m);
	}
	if (ip > 0)
		lm_lan_inject(w, pkts, ip);
	return n;
}
