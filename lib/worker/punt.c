/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets for the control thread. Each worker has two bounded rings of its own, so
 * that nothing is shared between workers, and a LAN host that floods ARP cannot
 * push out handshakes, nor a handshake flood the neighbours. Packets that only
 * cause an ICMP error may fill their ring half at most, and so may control
 * messages that anybody can send: the probes of live sessions, which keep paths
 * alive, have room whatever strangers do (FAULTS row 1).
 */
#include "ip.h"
#include "worker_internal.h"

#include <errno.h>
#include <unistd.h>

#define POLL_BURST 32u

/* Makes the descriptor readable. Fails only with a full counter, and then it is readable anyway. */
static void event_give(const struct lm_dp *dp)
{
	const uint64_t one = 1;

	while (write(dp->event_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
}

static void event_take(const struct lm_dp *dp)
{
	uint64_t n;

	while (read(dp->event_fd, &n, sizeof(n)) < 0 && errno == EINTR)
		continue;
}

/* -------------------------------------------------------------- worker -- */

static bool put(struct lm_worker *w, struct rte_ring *ring, const struct lm_punt_item *item)
{
	if (rte_ring_sp_enqueue_elem(ring, (void *)(uintptr_t)item, sizeof(*item)) != 0)
		return false;
	w->punted = true;
	return true;
}

void lm_punt_item(struct lm_worker *w, const struct lm_punt_item *item)
{
	struct rte_ring *ring = item->kind == LM_PUNT_CONTROL ? w->punt_control : w->punt_other;

	if (put(w, ring, item))
		lm_count(&w->counters, LM_C_PUNTED, 1);
	else
		lm_drop(w, item->m, LM_C_PUNT_FULL);
}

void lm_punt_stranger(struct lm_worker *w, const struct lm_punt_item *item)
{
	if (rte_ring_count(w->punt_control) > rte_ring_get_capacity(w->punt_control) / 2)
		lm_drop(w, item->m, LM_C_PUNT_FULL);
	else
		lm_punt_item(w, item);
}

void lm_punt_twin(struct lm_worker *w, uint16_t port, struct rte_mbuf *m)
{
	lm_punt_item(w, &(struct lm_punt_item){
			    .m = m, .kind = LM_PUNT_TWIN, .port = port, .peer = UINT32_MAX});
}

void lm_punt_neighbour(struct lm_worker *w, const struct lm_adj *adj, struct rte_mbuf *m)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	struct lm_punt_item item = {
	    .m = m, .kind = LM_PUNT_NEIGHBOUR, .port = adj->port, .peer = UINT32_MAX};

	item.via = adj->via;
	if (item.via.family == 0)
		item.via = lm_is_ip4(ip) ? lm_ip4(ip + 16) : lm_ip6(ip + 24);
	lm_punt_item(w, &item);
}

void lm_punt_error(struct lm_worker *w, uint16_t port, struct rte_mbuf *m, uint32_t peer,
		   enum lm_icmp_error error, uint16_t mtu)
{
	const struct lm_punt_item item = {.m = m,
					  .kind = LM_PUNT_ERROR,
					  .error = (uint8_t)error,
					  .port = port,
					  .mtu = mtu,
					  .peer = peer};

	if (rte_ring_count(w->punt_other) > rte_ring_get_capacity(w->punt_other) / 2 ||
	    !put(w, w->punt_other, &item))
		rte_pktmbuf_free(m);
}

bool lm_punt_moved(struct lm_worker *w, uint16_t port, uint32_t session,
		   const struct lm_endpoint *from, uint64_t relay)
{
	return put(w, w->punt_control,
		   &(struct lm_punt_item){.kind = LM_PUNT_MOVED,
					  .port = port,
					  .peer = UINT32_MAX,
					  .session = session,
					  .from = *from,
					  .relay = relay});
}

void lm_punt_wanted(struct lm_worker *w, uint32_t peer)
{
	lm_time *wanted = &w->dp->peer[peer].wanted;
	lm_time last = __atomic_load_n(wanted, __ATOMIC_RELAXED);

	if (last != 0 && w->now < last + LM_SEC)
		return;
	/* One LAN host can ask for many peers: others need the ring too. */
	if (rte_ring_count(w->punt_other) <= rte_ring_get_capacity(w->punt_other) / 2 &&
	    put(w, w->punt_other, &(struct lm_punt_item){.kind = LM_PUNT_WANTED, .peer = peer}))
		__atomic_store_n(wanted, w->now, __ATOMIC_RELAXED);
}

/* The one system call of a worker, and only when there is something for a sleeping control thread.
 * The fence and the one in lm_dp_poll make sure that one of the two sees the other's store. */
void lm_punt_wake(struct lm_worker *w)
{
	struct lm_dp *dp = w->dp;

	if (!w->punted)
		return;
	w->punted = false;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&dp->control_sleeps, __ATOMIC_RELAXED) &&
	    __atomic_exchange_n(&dp->control_sleeps, false, __ATOMIC_ACQ_REL))
		event_give(dp);
}

/* ------------------------------------------------------------- control -- */

typedef void (*punt_handler)(void *user, const struct lm_punt *p);

static void hand_out(const struct lm_punt_item *item, punt_handler handler, void *user)
{
	struct lm_punt p = {
	    .kind = item->kind,
	    .port = item->port,
	    .from = item->from,
	    .session = item->session,
	    .peer = item->peer,
	    .error = item->error,
	    .mtu = item->mtu,
	    .relay = item->relay,
	};

	if (item->kind == LM_PUNT_CONTROL)
		p.to = item->to;
	else if (item->kind == LM_PUNT_NEIGHBOUR)
		p.via = item->via;
	if (item->m != NULL) {
		p.data = rte_pktmbuf_mtod(item->m, const uint8_t *);
		p.len = item->m->data_len;
	}
	handler(user, &p);
	rte_pktmbuf_free(item->m);
}

static unsigned poll_ring(struct rte_ring *ring, unsigned max, punt_handler handler, void *user)
{
	struct lm_punt_item item[POLL_BURST];
	unsigned n;

	n = rte_ring_sc_dequeue_burst_elem(ring, item, sizeof(item[0]), RTE_MIN(max, POLL_BURST),
					   NULL);
	for (unsigned i = 0; i < n; i++)
		hand_out(&item[i], handler, user);
	return n;
}

/* Every ring once, the control messages of all workers first. */
static unsigned poll_round(struct lm_dp *dp, unsigned max, punt_handler handler, void *user)
{
	unsigned done = 0;

	for (unsigned i = 0; i < 2 * dp->n_workers && done < max; i++) {
		struct lm_worker *w = dp->worker[(dp->punt_turn + i) % dp->n_workers];

		done += poll_ring(i < dp->n_workers ? w->punt_control : w->punt_other, max - done,
				  handler, user);
	}
	dp->punt_turn = (dp->punt_turn + 1) % dp->n_workers;
	return done;
}

static bool anything(const struct lm_dp *dp)
{
	for (unsigned i = 0; i < dp->n_workers; i++)
		if (!rte_ring_empty(dp->worker[i]->punt_control) ||
		    !rte_ring_empty(dp->worker[i]->punt_other))
			return true;
	return false;
}

int lm_dp_event_fd(const struct lm_dp *dp)
{
	return dp->event_fd;
}

unsigned lm_dp_poll(struct lm_dp *dp, unsigned max, punt_handler handler, void *user)
{
	unsigned done = 0, round;

	__atomic_store_n(&dp->control_sleeps, false, __ATOMIC_RELAXED);
	while (done < max) {
		round = poll_round(dp, max - done, handler, user);
		done += round;
		if (round > 0)
			continue;
		/* Nothing left: from here on workers wake us, unless something came just now. */
		event_take(dp);
		__atomic_store_n(&dp->control_sleeps, true, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (!anything(dp))
			return done;
		__atomic_store_n(&dp->control_sleeps, false, __ATOMIC_RELAXED);
	}
	event_give(dp); /* there may be more */
	return done;
}
