/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Several workers: what a packet costs when it arrives in the queue of the worker that owns its
 * lane (a card that steers) and when it does not (the handover ring).
 *
 * A receive callback of each queue, on its worker's thread, lets one lap of the queue's packets
 * pass and then none, until all workers are done and the main thread has set the replay windows
 * back: so every number is new in each round. Loops without a packet are not busy
 * (lm_dp_worker_info), and so the time between rounds does not count.
 */
#include "options.h"
#include "raw.h"
#include "site.h"
#include "slice.h"

#include "worker_internal.h"

#include <rte_ethdev.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define ROUND_LIMIT (20 * LM_SEC)

/* The worker's own, but for the constants and what the main thread reads. */
struct gate {
	const uint32_t *now;	/* main writes: the round that is on; 0: none yet */
	const uint64_t *handed; /* packets that the worker has taken from others */
	uint64_t lap;
	uint64_t passed; /* in this round */
	uint32_t round;
	bool was_busy;		  /* the loop that is ending had packets of the queue */
	uint64_t last, handed_in; /* at the last call */
	uint64_t busy;		  /* ns; main reads */
} __attribute__((aligned(64)));

static const char *const series[] = {"busy_ns", "cipher_ns", "million_per_s", "handed_over",
				     "lost"};
struct figures {
	double v[LM_ARRAY_SIZE(series)];
};

/* A loop is from call to call. */
static void take_time(struct gate *g)
{
	uint64_t now = bench_cpu_ns(), handed = __atomic_load_n(g->handed, __ATOMIC_RELAXED);

	if (g->was_busy || handed != g->handed_in)
		__atomic_store_n(&g->busy, g->busy + now - g->last, __ATOMIC_RELEASE);
	g->handed_in = handed;
	g->last = now;
	g->was_busy = false;
}

static uint16_t pass(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n,
		     uint16_t max, void *user)
{
	struct gate *g = user;
	uint32_t now = __atomic_load_n(g->now, __ATOMIC_ACQUIRE);

	(void)port, (void)queue, (void)max;
	take_time(g);
	if (now != g->round) {
		g->round = now;
		g->passed = 0;
	}
	/* Bursts are full and a lap is a whole number of them, so that each round is a lap, though
	 * not from its first packet on. */
	if (now == 0 || g->passed >= g->lap) {
		rte_pktmbuf_free_bulk(pkts, n);
		return 0;
	}
	g->passed += n;
	g->was_busy = n > 0;
	return n;
}

static uint64_t sum(const struct lm_counters *c, enum lm_ctr_kind kind)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < LM_CTR_COUNT; i++)
		if (lm_ctr_info(i)->kind == kind)
			n += c->v[i];
	return n;
}

static void counters(const struct site *s, struct lm_counters *c, const struct lm_counters *before)
{
	lm_dp_counters(s->dp, UINT32_MAX, c);
	for (unsigned i = 0; before != NULL && i < LM_CTR_COUNT; i++)
		c->v[i] -= before->v[i];
}

/* Until as much has come out as went in, drops counted. False: it never does. */
static bool wait_round(const struct site *s, const struct lm_counters *before,
		       struct lm_counters *c)
{
	const enum lm_ctr out = s->cfg.inbound ? LM_C_LAN_TX_PACKETS : LM_C_WAN_TX_PACKETS;
	struct timespec ts = {.tv_nsec = 5000000}; /* seldom: a worker waits for us meanwhile */
	uint64_t end = rte_rdtsc() + ROUND_LIMIT / LM_SEC * rte_get_tsc_hz();

	do {
		clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
		counters(s, c, before);
		if (c->v[out] + sum(c, LM_CTR_DROP) == s->cfg.packets)
			return true;
	} while (rte_rdtsc() < end);
	return false;
}

static double cipher_slice(struct raw_cipher *raw, bool seal)
{
	struct bench_slice s = bench_begin(2);

	while (!bench_over(&s)) {
		raw_burst(raw, seal, RAW_PAYLOAD);
		s.done += RAW_BURST;
	}
	return bench_end(&s);
}

static void fail(const char *what)
{
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

/* What overload may cost: a ring between workers is full, or a worker without a core to itself gets
 * so uneven a stretch of the traffic that a peer is above its share. How many is told. */
static uint64_t lost(const struct lm_counters *c)
{
	return c->v[LM_C_HANDOVER_FULL] + c->v[LM_C_PEER_OVER_SHARE];
}

/* Nothing else may. */
static void check(const struct site *s, const struct lm_counters *c)
{
	uint64_t came = c->v[s->cfg.inbound ? LM_C_WAN_RX_PACKETS : LM_C_LAN_RX_PACKETS];

	if (came != s->cfg.packets)
		fail("not every packet came in");
	if (sum(c, LM_CTR_DROP) != lost(c))
		for (unsigned i = 0; i < LM_CTR_COUNT; i++)
			if (lm_ctr_info(i)->kind == LM_CTR_DROP && c->v[i] > 0)
				fail(lm_ctr_info(i)->help);
}

static void one_round(struct site *s, const struct gate *gate, struct raw_cipher *raw,
		      uint32_t *now, struct figures *out)
{
	uint64_t busy[SITE_WORKERS_MAX];
	struct lm_counters before, c;
	double packets = s->cfg.packets, all = 0, most = 0;

	site_windows_back(s); /* workers are idle */
	counters(s, &before, NULL);
	for (unsigned i = 0; i < s->cfg.workers; i++)
		busy[i] = __atomic_load_n(&gate[i].busy, __ATOMIC_ACQUIRE);
	__atomic_store_n(now, *now + 1, __ATOMIC_RELEASE);
	if (!wait_round(s, &before, &c))
		fail("a round does not end");
	lm_dp_quiesce(s->dp); /* twice: the last loop is over, and the next has taken its time */
	lm_dp_quiesce(s->dp);
	check(s, &c);
	for (unsigned i = 0; i < s->cfg.workers; i++) {
		double mine = (double)(__atomic_load_n(&gate[i].busy, __ATOMIC_ACQUIRE) - busy[i]);

		all += mine;
		most = mine > most ? mine : most;
	}
	out->v[0] = all / packets;
	out->v[1] = cipher_slice(raw, !s->cfg.inbound);
	out->v[2] = packets / most * 1000;
	out->v[3] = (double)c.v[LM_C_HANDED_OVER] / packets;
	out->v[4] = (double)lost(&c) / packets;
}

static void run(struct site *s, const char *name, unsigned rounds)
{
	static struct gate gate[SITE_WORKERS_MAX];
	static uint32_t now;
	uint16_t from = s->dp->port[s->cfg.inbound ? s->wan : s->lan].id;
	struct raw_cipher *raw = raw_new(s->len, s->cfg.packets);
	struct figures *f = calloc(rounds, sizeof(*f));
	bool enough = sysconf(_SC_NPROCESSORS_ONLN) >= (long)s->cfg.workers;

	if (raw == NULL || f == NULL)
		fail("out of memory");
	for (unsigned q = 0; q < s->cfg.workers; q++) {
		gate[q].now = &now;
		gate[q].handed = &s->dp->worker[q]->stats.handed_in;
		gate[q].lap = s->cfg.packets / s->cfg.workers;
		if (rte_eth_add_rx_callback(from, (uint16_t)q, pass, &gate[q]) == NULL)
			fail("no receive callback");
	}
	lm_dp_quiesce(s->dp); /* callbacks are in use from the next burst on */
	site_open(s);
	for (unsigned r = 0; r < rounds; r++)
		one_round(s, gate, raw, &now, &f[r]);
	/* Workers that share cores wait for each other: no figure of time means anything. */
	for (unsigned r = 0; r < rounds; r++)
		for (unsigned i = enough ? 0 : 3; i < LM_ARRAY_SIZE(series); i++)
			bench_print(name, series[i], r, f[r].v[i]);
	free(f);
	raw_free(raw);
}

/* Workers on the CPUs that we may use, in turn, beginning with the last. */
static void choose_cpus(struct site_config *cfg)
{
	cpu_set_t allowed;
	int cpu = CPU_SETSIZE;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0 || CPU_COUNT(&allowed) == 0)
		fail("no CPU");
	for (unsigned i = 0; i < cfg->workers; i++) {
		do
			cpu = cpu > 0 ? cpu - 1 : CPU_SETSIZE - 1;
		while (!CPU_ISSET(cpu, &allowed));
		cfg->cpu[i] = cpu;
	}
}

int main(int argc, char **argv)
{
	struct site_config cfg = {.peers = 16, .routes = 16, .workers = 2};
	unsigned rounds = 20, lap = 8192;
	const char *name = "cores";
	const struct bench_option options[] = {
	    {.letter = 'i', .flag = &cfg.inbound},
	    {.letter = 'S', .flag = &cfg.steered},
	    {.letter = 'n', .what = "name", .text = &name},
	    {.letter = 's', .what = "size", .number = &cfg.size, .most = 1400},
	    {.letter = 'w',
	     .what = "workers",
	     .number = &cfg.workers,
	     .least = 1,
	     .most = SITE_WORKERS_MAX},
	    {.letter = 'l', .what = "packets", .number = &lap, .least = 1024, .most = 65536},
	    {.letter = 't', .what = "rounds", .number = &rounds, .least = 1, .most = 10000},
	};
	struct site site;

	bench_options(argc, argv, options, LM_ARRAY_SIZE(options));
	/* Each lane of each peer as often, each queue whole bursts. */
	cfg.packets = lap / 1024 * 1024 * cfg.workers;
	choose_cpus(&cfg);
	site_start(&site, &cfg);
	run(&site, name, rounds);
	site_stop(&site);
	return 0;
}
