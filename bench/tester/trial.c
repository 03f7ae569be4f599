/* SPDX-License-Identifier: BSD-3-Clause */
#include "tester.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <sched.h>
#include <time.h>

/* When the tester itself stood still it makes up for this much time at once and skips the rest: a
 * link of constant rate has no longer bursts. */
#define CATCH_UP 1e-3
/* Packets under way at the end: this long without one, and no more come. */
#define QUIET	  0.3
#define DRAIN_MAX 2.0

static const uint16_t imix[12] = {64, 576, 64, 64, 576, 64, 1400, 64, 576, 64, 576, 64};

struct flow {
	struct tester_template size[12];
	unsigned n_sizes, next_size;
	uint64_t expected; /* number of the next packet to come in order */
	double ns_per_tick;
};

static double thread_cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void other_frame(struct tester_port *p, struct rte_mbuf *m)
{
	if (tester_arp(m, p) && rte_eth_tx_burst(p->id, 0, &m, 1) == 1)
		return;
	rte_pktmbuf_free(m);
}

static unsigned receive(struct tester *t, unsigned port, struct flow *f, struct trial *r)
{
	struct tester_port *p = &t->port[port];
	struct rte_mbuf *pkts[TESTER_BURST];
	unsigned n = rte_eth_rx_burst(p->id, 0, pkts, TESTER_BURST);
	uint64_t now = rte_rdtsc();

	for (unsigned i = 0; i < n; i++) {
		const struct tester_stamp *s = tester_stamp_of(pkts[i]);

		if (f == NULL || port != 1 || !tester_is_ours(pkts[i], t->trial)) {
			other_frame(p, pkts[i]);
			continue;
		}
		r->received++;
		r->bytes += pkts[i]->pkt_len - sizeof(struct lm_eth_hdr);
		if (s->seq < f->expected)
			r->misordered++;
		else
			f->expected = s->seq + 1;
		histogram_add(&r->latency, (uint64_t)((double)(now - s->tsc) * f->ns_per_tick));
		rte_pktmbuf_free(pkts[i]);
	}
	return n;
}

void tester_idle(struct tester *t)
{
	while (receive(t, 0, NULL, NULL) + receive(t, 1, NULL, NULL) > 0)
		;
}

/* Sends n <= TESTER_BURST packets. Ones that find the gateway's ring full are gone, as they would
 * be at a card. */
static int transmit(struct tester *t, struct flow *f, struct trial *r, unsigned n)
{
	struct rte_mbuf *pkts[TESTER_BURST];
	unsigned sent;
	uint64_t now;

	if (rte_pktmbuf_alloc_bulk(t->pool, pkts, n) != 0)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		tester_fill(pkts[i], &f->size[f->next_size], t->trial, r->offered + i);
		f->next_size = f->next_size + 1 == f->n_sizes ? 0 : f->next_size + 1;
	}
	now = rte_rdtsc();
	for (unsigned i = 0; i < n; i++)
		tester_stamp_of(pkts[i])->tsc = now;
	sent = rte_eth_tx_burst(t->port[0].id, 0, pkts, (uint16_t)n);
	if (sent < n)
		rte_pktmbuf_free_bulk(pkts + sent, n - sent);
	r->offered += n;
	r->refused += n - sent;
	return 0;
}

static void rest(unsigned us)
{
	struct timespec ts = {.tv_nsec = (long)us * 1000};

	if (us > 0)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

static void drain(struct tester *t, struct flow *f, struct trial *r)
{
	double hz = (double)rte_get_tsc_hz();
	uint64_t start = rte_rdtsc(), last = start;

	while (r->received + r->refused < r->offered) {
		uint64_t before = r->received, now;

		receive(t, 0, f, r);
		receive(t, 1, f, r);
		now = rte_rdtsc();
		if (r->received != before)
			last = now;
		else
			rest(r->interval_us);
		if ((double)(now - last) > QUIET * hz || (double)(now - start) > DRAIN_MAX * hz)
			break;
	}
}

/* A real tester is another machine. Here it must at least not wait for the CPU until what it tests
 * is done; a thread that never rests must not have that right. */
static void claim_cpu(const struct trial *r)
{
	struct sched_param p = {.sched_priority = r->interval_us > 0 ? 1 : 0};

	(void)sched_setscheduler(0, r->interval_us > 0 ? SCHED_FIFO : SCHED_OTHER, &p);
}

static void prepare(struct tester *t, struct flow *f, struct trial *r)
{
	f->n_sizes = r->size == 0 ? LM_ARRAY_SIZE(imix) : 1;
	for (unsigned i = 0; i < f->n_sizes; i++)
		tester_template(&f->size[i], &t->port[0], &t->port[1],
				r->size == 0 ? imix[i] : r->size);
	f->ns_per_tick = 1e9 / (double)rte_get_tsc_hz();
	r->offered = r->refused = r->received = r->misordered = r->skipped = r->bytes = 0;
	memset(&r->latency, 0, sizeof(r->latency));
	t->trial++;
}

int tester_run(struct tester *t, struct trial *r)
{
	double hz = (double)rte_get_tsc_hz(), per_tick = r->pps / hz;
	double catch_up = r->pps * CATCH_UP > TESTER_BURST ? r->pps * CATCH_UP : TESTER_BURST;
	uint64_t start, now = 0, end;
	double cpu = thread_cpu();
	struct flow f = {0};
	int rc = 0;

	prepare(t, &f, r);
	claim_cpu(r);
	tester_idle(t);
	start = rte_rdtsc();
	end = start + (uint64_t)(r->seconds * hz);
	while (rc == 0 && (now = rte_rdtsc()) < end) {
		double due = (double)(now - start) * per_tick - (double)(r->offered + r->skipped);
		unsigned got;

		if (due > catch_up) {
			r->skipped += (uint64_t)(due - catch_up);
			due = catch_up;
		}
		for (; rc == 0 && due >= 1; due -= TESTER_BURST)
			rc = transmit(t, &f, r, due < TESTER_BURST ? (unsigned)due : TESTER_BURST);
		got = receive(t, 0, &f, r) + receive(t, 1, &f, r);
		if (got < TESTER_BURST)
			rest(r->interval_us);
	}
	r->lasted = (double)(now - start) / hz;
	r->cpu = thread_cpu() - cpu;
	drain(t, &f, r);
	return rc;
}
