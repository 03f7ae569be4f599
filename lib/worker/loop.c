/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker's life: receive from its queue of every port, run each burst to
 * completion, take what others handed over, send, report a quiescent state.
 *
 * Tables are read only after the packets were received. So a packet that was
 * caused by a publication (a peer's first ESP packet after message 2) always
 * finds what was published.
 */
#include "worker_internal.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_pause.h>
#include <sys/prctl.h>
#include <time.h>

/* Adaptive idling: empty loops before the first sleep, then sleeps that double. The last step
 * comes after a time without a packet; it bounds both wake-ups and the first packet's delay. */
#define IDLE_SPINS	64
#define IDLE_SLEEP_MIN	(20 * LM_USEC)
#define IDLE_SLEEP_MAX	(500 * LM_USEC)
#define IDLE_LONG	(100 * LM_MSEC)
#define IDLE_SLEEP_LONG LM_MSEC

struct idle {
	unsigned spins;
	lm_time sleep, slept; /* slept: since the last packet */
};

/* A few ms behind, for free: the control thread wants seconds. */
static lm_time coarse_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (lm_time)ts.tv_sec * LM_SEC + (lm_time)ts.tv_nsec;
}

static unsigned receive(struct lm_worker *w, uint16_t port)
{
	const struct lm_dp_port *p = &w->dp->port[port];
	struct rte_mbuf *pkts[LM_BURST];
	unsigned n = rte_eth_rx_burst(p->id, (uint16_t)w->index, pkts, LM_BURST);

	if (n == 0)
		return 0;
	lm_stat_add(&w->stats.rx_bursts, 1);
	lm_stat_add(&w->stats.rx_packets, n);
	if (n == LM_BURST)
		lm_stat_add(&w->stats.full_bursts, 1);
	if (p->role == LM_DP_LAN) {
		lm_count(&w->counters, LM_C_LAN_RX_PACKETS, n);
		lm_count(&w->counters, LM_C_LAN_RX_BYTES, lm_lan_to_wan(w, port, pkts, n));
	} else {
		w->waiting += n == LM_BURST ? n : 0;
		lm_count(&w->counters, LM_C_WAN_RX_PACKETS, n);
		lm_count(&w->counters, LM_C_WAN_RX_BYTES, lm_wan_to_lan(w, port, pkts, n, false));
	}
	return n;
}

static unsigned run_once(struct lm_worker *w)
{
	unsigned done = 0;

	w->now = coarse_now();
	w->waiting = 0;
	if (w->urgent != NULL)
		done += lm_urgent_receive(w);
	for (uint16_t port = 0; port < w->dp->n_ports; port++)
		if (w->index < w->dp->port[port].queues)
			done += receive(w, port);
	done += lm_hand_receive(w);
	if (w->inject != NULL)
		done += lm_inject_receive(w);
	lm_tx_flush(w);
	lm_hand_flush(w);
	lm_punt_wake(w);
	w->sharing = lm_share_loop(&w->share, w->waiting);
	return done;
}

static void rest(struct lm_worker *w, struct idle *idle)
{
	struct timespec ts = {0};

	if (idle->spins++ < IDLE_SPINS) {
		rte_pause();
		return;
	}
	if (idle->sleep == 0)
		idle->sleep = IDLE_SLEEP_MIN;
	else if (idle->slept > IDLE_LONG)
		idle->sleep = IDLE_SLEEP_LONG;
	else
		idle->sleep = RTE_MIN(idle->sleep * 2, IDLE_SLEEP_MAX);
	idle->slept += idle->sleep;
	ts.tv_nsec = (long)idle->sleep;
	/* Who sleeps holds nothing: the control thread need not wait for it. */
	rte_rcu_qsbr_thread_offline(w->dp->qsbr, w->index);
	clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
	rte_rcu_qsbr_thread_online(w->dp->qsbr, w->index);
	lm_stat_add(&w->stats.sleeps, 1);
}

int lm_worker_main(void *worker)
{
	struct lm_worker *w = worker;
	struct lm_dp *dp = w->dp;
	struct idle idle = {0};
	uint64_t last;

	/* The kernel's default slack of 50 us would more than double the shortest sleep. */
	prctl(PR_SET_TIMERSLACK, 1000UL);
	rte_rcu_qsbr_thread_online(dp->qsbr, w->index);
	last = rte_rdtsc();
	__atomic_store_n(&w->started, last, __ATOMIC_RELAXED);
	while (!__atomic_load_n(&dp->stop, __ATOMIC_RELAXED)) {
		unsigned done = run_once(w);
		uint64_t now = rte_rdtsc();

		lm_stat_add(&w->stats.loops, 1);
		rte_rcu_qsbr_quiescent(dp->qsbr, w->index);
		if (done > 0) {
			lm_stat_add(&w->stats.busy_loops, 1);
			lm_stat_add(&w->busy, now - last);
			idle = (struct idle){0};
		} else if (!dp->idle_poll) {
			rest(w, &idle);
			now = rte_rdtsc();
		}
		last = now;
	}
	lm_tx_flush(w);
	lm_hand_flush(w);
	rte_rcu_qsbr_thread_offline(dp->qsbr, w->index);
	return 0;
}
