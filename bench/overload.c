/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Overload: what a worker delivers when it is offered less, and up to three times as much, as
 * it can do. The worker has a core of its own; the main thread, on another one, is network and
 * card: it puts fresh packets at a constant rate into the ring that the worker's port (net_ring)
 * receives from. Where the ring has no room it drops them before they cost anything, and counts
 * them, as a card does without free descriptors.
 *
 * Packets come in bursts of LM_BURST, all or none of them, of one lap of the traffic. So a burst
 * whose numbers do not go up is the first of another lap, and sets the replay windows back.
 */
#include "options.h"
#include "site.h"
#include "slice.h"

#include "ip.h"
#include "worker_internal.h"

#include <pthread.h>
#include <rte_ethdev.h>
#include <rte_pause.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define SOURCE	     "net_ring0"
#define SOURCE_RING  "ETH_RXTX0_net_ring0" /* of its queue 0: drivers/net/ring/rte_eth_ring.c */
#define POOL	     4095		   /* four times what the ring holds */
#define LATE_US	     200 /* a sender that was away for longer does not make up for it */
#define TRIES	     3	 /* a rate loses packets when it does so as often in a row */
#define UNDISTURBED  0.98
#define DRAIN_LIMIT  (2 * LM_SEC)
#define SEARCH_STEPS 5

/* Of the zero-loss rate. */
static const double times[] = {0.5, 0.9, 1, 1.25, 1.5, 2, 3};
#define TIMES LM_ARRAY_SIZE(times)

struct frame {
	uint8_t *data;
	unsigned len;
};

struct bench {
	struct site site;
	struct frame *frame;
	uint32_t at; /* the next frame */
	struct rte_ring *ring;
	struct rte_mempool *pool;
	uint16_t port; /* DPDK's number */
	uint32_t last; /* the worker's: number of the last burst's first packet */
	bool known;    /* the worker stores it once: worker_clock may be read */
	pthread_t worker;
	clockid_t worker_clock;
};

struct trial {
	uint64_t offered, missed; /* missed: no room in the ring */
	uint64_t delivered, dropped;
	double seconds;
};

static void fail(const char *what)
{
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

/* ------------------------------------------------------ on the worker's side -- */

static uint16_t look(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n,
		     uint16_t max, void *user)
{
	struct bench *b = user;

	(void)port, (void)queue, (void)max;
	if (unlikely(!b->known)) {
		b->worker = pthread_self();
		__atomic_store_n(&b->known, true, __ATOMIC_RELEASE);
	}
	if (n > 0 && b->site.cfg.inbound) {
		uint32_t number =
		    lm_be32(rte_pktmbuf_mtod_offset(pkts[0], uint8_t *, LM_OUTER4_LEN + 4));

		if (number <= b->last)
			site_windows_back(&b->site);
		b->last = number;
	}
	return n;
}

static double worker_seconds(const struct bench *b)
{
	struct timespec ts;

	clock_gettime(b->worker_clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ------------------------------------------------------- the network's side -- */

static void read_frames(struct bench *b, int fd)
{
	struct site *s = &b->site;
	struct rte_ether_addr mac;
	off_t at = SITE_PCAP_HEAD;

	b->frame = calloc(s->cfg.packets, sizeof(b->frame[0]));
	if (b->frame == NULL || rte_eth_macaddr_get(b->port, &mac) != 0)
		fail("out of memory");
	for (uint32_t i = 0; i < s->cfg.packets; i++) {
		struct frame *f = &b->frame[i];
		uint32_t record[4];

		if (pread(fd, record, sizeof(record), at) != sizeof(record))
			fail("the traffic cannot be read");
		at += (off_t)sizeof(record);
		f->len = record[2];
		f->data = malloc(f->len);
		if (f->data == NULL || pread(fd, f->data, f->len, at) != (ssize_t)f->len)
			fail("the traffic cannot be read");
		memcpy(f->data, mac.addr_bytes, sizeof(mac.addr_bytes));
		at += (off_t)f->len;
	}
}

/* A burst into the ring. False: there was no room. */
static bool put_burst(struct bench *b)
{
	struct rte_mbuf *m[LM_BURST];

	if (rte_ring_free_count(b->ring) < LM_BURST ||
	    rte_pktmbuf_alloc_bulk(b->pool, m, LM_BURST) != 0)
		return false;
	for (unsigned i = 0; i < LM_BURST; i++) {
		const struct frame *f = &b->frame[b->at + i];

		m[i]->data_len = (uint16_t)f->len;
		m[i]->pkt_len = f->len;
		memcpy(rte_pktmbuf_mtod(m[i], void *), f->data, f->len);
	}
	rte_ring_sp_enqueue_bulk(b->ring, (void **)m, LM_BURST, NULL);
	return true;
}

/* rate: packets a second; 0: as many as find room, and none is missed. */
static void offer(struct bench *b, double rate, double seconds, struct trial *t)
{
	uint64_t hz = rte_get_tsc_hz(), now = rte_rdtsc(), next = now;
	uint64_t end = now + (uint64_t)(seconds * (double)hz), late = hz / 1000000 * LATE_US;
	double period = rate > 0 ? LM_BURST / rate * (double)hz : 0;

	while ((now = rte_rdtsc()) < end) {
		if (now < next) {
			rte_pause();
			continue;
		}
		next = now - next > late ? now : next + (uint64_t)period;
		if (!put_burst(b)) {
			if (rate == 0)
				continue;
			t->missed += LM_BURST;
		}
		t->offered += LM_BURST;
		b->at = (b->at + LM_BURST) % b->site.cfg.packets;
	}
}

static void count(const struct bench *b, struct trial *t)
{
	struct lm_counters c;

	lm_dp_counters(b->site.dp, 0, &c);
	t->dropped = 0;
	t->delivered = c.v[b->site.cfg.inbound ? LM_C_LAN_TX_PACKETS : LM_C_WAN_TX_PACKETS];
	for (unsigned i = 0; i < LM_CTR_COUNT; i++)
		if (lm_ctr_info(i)->kind == LM_CTR_DROP)
			t->dropped += c.v[i];
}

/* Offers for a while, waits until nothing is under way; every packet is accounted for. */
static struct trial once(struct bench *b, double rate, double seconds)
{
	struct trial before, after, t = {0};
	uint64_t hz = rte_get_tsc_hz(), start, limit;

	count(b, &before);
	start = rte_rdtsc();
	offer(b, rate, seconds, &t);
	limit = rte_rdtsc() + DRAIN_LIMIT / LM_SEC * hz;
	do {
		count(b, &after);
		t.delivered = after.delivered - before.delivered;
		t.dropped = after.dropped - before.dropped;
	} while (t.delivered + t.dropped + t.missed != t.offered && rte_rdtsc() < limit);
	t.seconds = (double)(rte_rdtsc() - start) / (double)hz;
	if (t.delivered + t.dropped + t.missed != t.offered) {
		fprintf(stderr,
			"bench: %llu packets offered, %llu without room, %llu dropped, %llu out\n",
			(unsigned long long)t.offered, (unsigned long long)t.missed,
			(unsigned long long)t.dropped, (unsigned long long)t.delivered);
		exit(1);
	}
	return t;
}

/* Again when something else had the worker's core for a part of it. */
static struct trial trial(struct bench *b, double rate, double seconds)
{
	struct trial t;

	for (unsigned i = 0; i < TRIES; i++) {
		double began = worker_seconds(b);

		t = once(b, rate, seconds);
		if (worker_seconds(b) - began >= UNDISTURBED * t.seconds)
			break;
	}
	return t;
}

static double mpps(uint64_t packets, const struct trial *t)
{
	return (double)packets / t->seconds / 1e6;
}

static bool lossless(struct bench *b, double rate, double seconds)
{
	for (unsigned i = 0; i < TRIES; i++) {
		struct trial t = trial(b, rate, seconds);

		if (t.delivered == t.offered)
			return true;
	}
	return false;
}

/* The zero-loss rate (RFC 2544 section 26.1), between nothing and what goes through without a
 * pause. */
static double zero_loss(struct bench *b, double seconds)
{
	struct trial most = trial(b, 0, seconds);
	double high = 1.05 * mpps(most.delivered, &most) * 1e6, low = high / 2;

	while (low > 1000 && !lossless(b, low, seconds)) {
		high = low;
		low /= 2;
	}
	for (unsigned i = 0; i < SEARCH_STEPS; i++) {
		double middle = (low + high) / 2;

		if (lossless(b, middle, seconds))
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* What each rate delivers is told as a share of what goes through without a pause just before,
 * so that a CPU that changes its speed is none of it. */
static void one_round(struct bench *b, const char *name, unsigned round, double seconds)
{
	double rate = zero_loss(b, seconds);

	bench_print(name, "zero_loss_mpps", round, rate / 1e6);
	for (unsigned i = 0; i < TIMES; i++) {
		struct trial most = trial(b, 0, seconds), t = trial(b, times[i] * rate, seconds);
		double all = mpps(most.delivered, &most);
		char series[32];

		if (i == 0)
			bench_print(name, "most_mpps", round, all);
		snprintf(series, sizeof(series), "%.2f offered", times[i]);
		bench_print(name, series, round, mpps(t.offered, &t) / all);
		snprintf(series, sizeof(series), "%.2f delivered", times[i]);
		bench_print(name, series, round, mpps(t.delivered, &t) / all);
		if (times[i] != 2)
			continue;
		bench_print(name, "2.00 missed_share", round, (double)t.missed / (double)t.offered);
		bench_print(name, "2.00 dropped_share", round,
			    (double)t.dropped / (double)t.offered);
	}
}

/* This thread to any core but the worker's, if there is one. allowed: before DPDK chose one. */
static void step_aside(cpu_set_t allowed, int worker)
{
	CPU_CLR((unsigned)worker, &allowed);
	if (CPU_COUNT(&allowed) > 0)
		(void)sched_setaffinity(0, sizeof(allowed), &allowed);
}

static void start(struct bench *b)
{
	const struct timespec ts = {.tv_nsec = 1000000};
	struct site *s = &b->site;

	b->port = s->dp->port[s->cfg.inbound ? s->wan : s->lan].id;
	b->ring = rte_ring_lookup(SOURCE_RING);
	b->pool = rte_pktmbuf_pool_create("overload", POOL, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
					  SOCKET_ID_ANY);
	if (b->ring == NULL || b->pool == NULL)
		fail("no ring or no buffers for the traffic");
	if (rte_eth_add_rx_callback(b->port, 0, look, b) == NULL)
		fail("no receive callback");
	while (!__atomic_load_n(&b->known, __ATOMIC_ACQUIRE))
		nanosleep(&ts, NULL);
	if (pthread_getcpuclockid(b->worker, &b->worker_clock) != 0)
		fail("the worker's clock is not to be had");
}

int main(int argc, char **argv)
{
	struct site_config cfg = {
	    .size = 64, .peers = 16, .routes = 16, .packets = 192, .workers = 1, .source = SOURCE};
	const char *name = "overload";
	unsigned rounds = 5, ms = 10, cpu = 0;
	const struct bench_option options[] = {
	    {.letter = 'i', .flag = &cfg.inbound},
	    {.letter = 'n', .what = "name", .text = &name},
	    {.letter = 's', .what = "size", .number = &cfg.size, .most = 1400},
	    {.letter = 'c', .what = "cpu", .number = &cpu, .most = 4095},
	    {.letter = 'm', .what = "ms", .number = &ms, .least = 1, .most = 1000},
	    {.letter = 't', .what = "rounds", .number = &rounds, .least = 1, .most = 10000},
	};
	static struct bench b;
	cpu_set_t allowed;

	bench_options(argc, argv, options, LM_ARRAY_SIZE(options));
	cfg.cpu[0] = (int)cpu;
	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		fail("no CPU");
	site_start(&b.site, &cfg);
	step_aside(allowed, cfg.cpu[0]);
	start(&b);
	read_frames(&b, b.site.traffic);
	site_open(&b.site);
	for (unsigned r = 0; r < rounds; r++)
		one_round(&b, name, r, ms / 1000.0);
	site_stop(&b.site); /* and DPDK, with all its memory */
	for (uint32_t i = 0; i < cfg.packets; i++)
		free(b.frame[i].data);
	free(b.frame);
	return 0;
}
