/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The gateway benchmark: the data plane as lanemeshd starts it, its worker lent out between two
 * bursts. A receive callback of the port that the traffic comes from runs on the worker's own
 * thread. It lets bursts pass while the gateway is measured, and otherwise keeps the thread for a
 * slice of the two things that the gateway is compared with:
 *
 *   floor    the same ports and packets through a loop that only receives and transmits
 *   cipher   intel-ipsec-mb's direct calls on the inner packets' sizes, and on what ESP encrypts
 *
 * A last slice of each round is the gateway's again, unmeasured, while sample.c looks where it is.
 * So all of them share core, thread, buffers and caches, and follow each other within milliseconds.
 *
 * As a relay the gateway has two slices: of decrypting, and of passing on what the same frames
 * are made to be first (relayed.h). What making them takes is not the gateway's: a second slice of
 * the floor does it too, for bench/run to subtract.
 *
 * Inbound, the port's packets repeat, which a replay window refuses. At the start of each lap the
 * callback sets the windows back: every packet is checked, opened, committed and accepted, as new
 * numbers are. The bytes behind the ICV are the worker's own affair.
 */
#include "options.h"
#include "raw.h"
#include "relayed.h"
#include "sample.h"
#include "site.h"
#include "slice.h"

#include "worker_internal.h"

#include <rte_ethdev.h>
#include <stdlib.h>
#include <unistd.h>
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_START_INSTRUMENTATION
#define CALLGRIND_STOP_INSTRUMENTATION
#endif

#define WARM_UP_SLICES 3

enum series { GATEWAY, RELAY, FLOOR, FED_FLOOR, CIPHER_PAYLOAD, CIPHER_ESP, SERIES };
static const char *const series[SERIES] = {"gateway_ns",   "relay_fed_ns",	"floor_ns",
					   "floor_fed_ns", "cipher_payload_ns", "cipher_esp_ns"};

struct lender {
	struct site *site;
	struct raw_cipher *raw;
	unsigned rounds, ms, round;
	uint16_t from, to;			       /* DPDK's numbers of the ports */
	bool nested, fed, only_gateway, sampled;       /* fed: frames become relayed ones */
	enum { LEND_WAIT, LEND_RUN, LEND_DONE } state; /* main stores RUN; the worker DONE */
	struct bench_slice gateway;
	struct lm_replay **window; /* of each peer */
	uint32_t next;		   /* frame of the lap */
	uint64_t lap;
	double *result[SERIES];
};

static void windows_back(struct lender *l)
{
	for (uint32_t p = 0; p < l->site->cfg.peers; p++)
		site_window_back(l->window[p]);
}

/* Bursts are always full and a lap is a whole number of them: a lap begins with a burst. */
static void note_lap(struct lender *l, struct rte_mbuf **pkts, unsigned n)
{
	const uint8_t *esp = rte_pktmbuf_mtod(pkts[0], const uint8_t *) + LM_OUTER4_LEN;
	const uint32_t start[2] = {htobe32(SITE_SPI(0)), htobe32(1)};

	if (l->site->cfg.inbound && memcmp(esp, start, sizeof(start)) == 0) {
		windows_back(l);
		l->next = 0;
		l->lap++;
	}
	if (l->fed)
		relayed_frames(l->site, pkts, n, l->next, l->lap);
	l->next += n;
}

static double floor_slice(struct lender *l, bool fed)
{
	struct bench_slice s = bench_begin(l->ms);

	l->nested = true;
	l->fed = fed;
	while (!bench_over(&s)) {
		struct rte_mbuf *pkts[LM_BURST];
		uint16_t n = rte_eth_rx_burst(l->from, 0, pkts, LM_BURST);
		uint16_t sent = rte_eth_tx_burst(l->to, 0, pkts, n);

		rte_pktmbuf_free_bulk(pkts + sent, n - sent);
		s.done += n;
	}
	l->nested = l->fed = false;
	return bench_end(&s);
}

static double cipher_slice(struct lender *l, enum raw_reading what)
{
	struct bench_slice s = bench_begin(l->ms);

	while (!bench_over(&s)) {
		raw_burst(l->raw, !l->site->cfg.inbound, what);
		s.done += RAW_BURST;
	}
	return bench_end(&s);
}

/* The others' slices of round r, once the gateway's are over. */
static void others(struct lender *l, unsigned r)
{
	l->result[FLOOR][r] = floor_slice(l, false);
	if (l->site->cfg.relays) {
		l->result[FED_FLOOR][r] = floor_slice(l, true);
		return;
	}
	l->result[CIPHER_PAYLOAD][r] = cipher_slice(l, RAW_PAYLOAD);
	l->result[CIPHER_ESP][r] = cipher_slice(l, RAW_ESP);
	l->sampled = r > 0 || sample_create() == 0;
}

/* Ends the gateway's slice, has the others', begins its next one: as a relay, the sampled one, or
 * the next round's. */
static void next_slice(struct lender *l)
{
	bool warm = l->round >= WARM_UP_SLICES;
	unsigned r = l->round - WARM_UP_SLICES;

	if (l->sampled) {
		sample_stop();
		l->sampled = false;
	} else if (l->gateway.done > 0) {
		if (warm)
			l->result[l->fed ? RELAY : GATEWAY][r] = bench_end(&l->gateway);
		l->fed = l->site->cfg.relays && !l->fed;
		if (!l->fed) {
			if (warm && !l->only_gateway)
				others(l, r);
			if (++l->round == WARM_UP_SLICES + l->rounds) {
				__atomic_store_n(&l->state, LEND_DONE, __ATOMIC_RELEASE);
				return;
			}
		}
	}
	windows_back(l); /* in the middle of a lap: all that follows is new */
	l->gateway = bench_begin(l->ms);
	if (l->sampled)
		sample_start();
}

static uint16_t lend(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n,
		     uint16_t max, void *user)
{
	struct lender *l = user;

	(void)port, (void)queue, (void)max;
	if (__atomic_load_n(&l->state, __ATOMIC_ACQUIRE) != LEND_RUN) {
		rte_pktmbuf_free_bulk(pkts, n);
		return 0;
	}
	if (!l->nested && bench_over(&l->gateway)) {
		/* They would be of the next slice's kind, and counted in this one. */
		l->next += n;
		rte_pktmbuf_free_bulk(pkts, n);
		next_slice(l);
		return 0;
	}
	if (n > 0)
		note_lap(l, pkts, n);
	if (l->nested)
		return n;
	l->gateway.done += n;
	return n;
}

/* What came in went out, every packet of it; else the figures would be of something else. Returns
 * how many. */
static uint64_t check(const struct site *s, const struct lm_counters *before)
{
	struct lm_counters c;
	bool in = s->cfg.inbound;
	uint64_t offered, sent;

	lm_dp_counters(s->dp, 0, &c);
	for (unsigned i = 0; i < LM_CTR_COUNT; i++) {
		const struct lm_ctr_info *info = lm_ctr_info(i);

		c.v[i] -= before->v[i];
		if (info->kind == LM_CTR_DROP && c.v[i] > 0) {
			fprintf(stderr, "bench: %llu packets dropped: %s\n",
				(unsigned long long)c.v[i], info->name);
			exit(1);
		}
	}
	offered = c.v[in ? LM_C_WAN_RX_PACKETS : LM_C_LAN_RX_PACKETS];
	sent = c.v[LM_C_LAN_TX_PACKETS] + c.v[LM_C_WAN_TX_PACKETS];
	if (offered != sent || offered == 0 ||
	    (s->cfg.relays && (c.v[LM_C_RELAYED_PACKETS] == 0 ||
			       c.v[LM_C_RELAYED_PACKETS] != c.v[LM_C_WAN_TX_PACKETS]))) {
		fprintf(stderr, "bench: %llu packets in, %llu out\n", (unsigned long long)offered,
			(unsigned long long)sent);
		exit(1);
	}
	return offered;
}

static void ignore_punt(void *user, const struct lm_punt *p)
{
	(void)user, (void)p;
}

static void run(struct lender *l, const char *name)
{
	struct site *s = l->site;
	struct timespec ts = {.tv_nsec = 20000000};
	const struct rte_eth_rxtx_callback *cb;
	struct lm_counters before;
	uint64_t packets;

	for (unsigned i = 0; i < SERIES; i++)
		l->result[i] = calloc(l->rounds, sizeof(double));
	l->raw = raw_new(s->len, s->cfg.packets);
	l->from = s->dp->port[s->cfg.inbound ? s->wan : s->lan].id;
	l->to = s->dp->port[s->cfg.inbound ? s->lan : s->wan].id;
	cb = rte_eth_add_rx_callback(l->from, 0, lend, l);
	if (l->raw == NULL || cb == NULL)
		exit(1);
	site_open(s);
	if (s->cfg.relays)
		relayed_open(s);
	l->window = calloc(s->cfg.peers, sizeof(l->window[0]));
	for (uint32_t p = 0; p < s->cfg.peers; p++)
		l->window[p] = &lm_sa_table_get(s->dp->sas, SITE_SPI(p))->sa[0].replay;
	lm_dp_counters(s->dp, 0, &before);
	CALLGRIND_START_INSTRUMENTATION; /* of the packets alone, by bench/run's misses */
	__atomic_store_n(&l->state, LEND_RUN, __ATOMIC_RELEASE);
	while (__atomic_load_n(&l->state, __ATOMIC_ACQUIRE) != LEND_DONE) {
		clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
		while (lm_dp_poll(s->dp, 64, ignore_punt, NULL) > 0)
			;
	}
	CALLGRIND_STOP_INSTRUMENTATION;
	lm_dp_quiesce(s->dp);
	packets = check(s, &before);
	for (unsigned r = 0; r < l->rounds; r++)
		for (unsigned i = 0; i < SERIES; i++)
			if (l->result[i][r] != 0)
				bench_print(name, series[i], r, l->result[i][r]);
	if (l->only_gateway)
		bench_print(name, "packets", 0, (double)packets);
	else if (!s->cfg.relays)
		sample_print(name);
	for (unsigned i = 0; i < SERIES; i++)
		free(l->result[i]);
	free(l->window);
	raw_free(l->raw);
	fprintf(stderr, "%s\n", lm_dp_aead(s->dp));
}

int main(int argc, char **argv)
{
	struct site_config cfg = {
	    .size = 64, .peers = 16, .routes = 16, .packets = 192, .workers = 1};
	struct site site;
	struct lender l = {.site = &site, .rounds = 100, .ms = 5};
	const char *name = "gateway";
	unsigned cpu = 0;
	const struct bench_option options[] = {
	    {.letter = 'i', .flag = &cfg.inbound},
	    {.letter = 'R', .flag = &cfg.relays},
	    {.letter = 'g', .flag = &l.only_gateway},
	    {.letter = 'H', .flag = &cfg.hugepages},
	    {.letter = 'n', .what = "name", .text = &name},
	    {.letter = 's', .what = "size", .number = &cfg.size, .most = 1400},
	    {.letter = 'p', .what = "peers", .number = &cfg.peers, .least = 1, .most = 16384},
	    {.letter = 'r', .what = "routes", .number = &cfg.routes, .least = 1, .most = 2000000},
	    {.letter = 'l',
	     .what = "packets",
	     .number = &cfg.packets,
	     .least = LM_BURST,
	     .most = 1 << 20},
	    {.letter = 'c', .what = "cpu", .number = &cpu, .most = 4095},
	    {.letter = 'm', .what = "ms", .number = &l.ms, .least = 1, .most = 1000},
	    {.letter = 't', .what = "rounds", .number = &l.rounds, .least = 1, .most = 100000},
	};

	bench_options(argc, argv, options, LM_ARRAY_SIZE(options));
	cfg.packets = cfg.packets / LM_BURST * LM_BURST;
	cfg.cpu[0] = (int)cpu;
	if (cfg.relays)
		cfg.inbound = true;
	site_start(&site, &cfg);
	run(&l, name);
	site_stop(&site);
	return 0;
}
