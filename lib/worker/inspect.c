/* SPDX-License-Identifier: BSD-3-Clause */
/* Looking at the data plane: whatever workers write is read whole, and never waited for. */
#include "worker_internal.h"

#include <errno.h>
#include <rte_cycles.h>

static uint64_t peek(const uint64_t *v)
{
	return __atomic_load_n(v, __ATOMIC_RELAXED);
}

unsigned lm_dp_workers(const struct lm_dp *dp)
{
	return dp->n_workers;
}

/* Lost before a worker had them. */
static uint64_t missed(const struct lm_port_stats *s)
{
	return s->rx_missed + s->rx_nombuf;
}

void lm_dp_counters(const struct lm_dp *dp, uint32_t worker, struct lm_counters *out)
{
	struct lm_port_stats stats;

	memset(out, 0, sizeof(*out));
	if (worker != UINT32_MAX) {
		if (worker < dp->n_workers)
			lm_counters_add(out, &dp->worker[worker]->counters);
		return;
	}
	for (unsigned i = 0; i < dp->n_workers; i++)
		lm_counters_add(out, &dp->worker[i]->counters);
	lm_counters_add(out, &dp->counters);
	for (unsigned i = 0; i < dp->n_ports; i++)
		if (lm_port_stats(dp->port[i].port, &stats) == 0)
			out->v[LM_C_RX_MISSED] += missed(&stats);
}

int lm_dp_usage(const struct lm_dp *dp, uint32_t spi_base, struct lm_dp_usage *out)
{
	const struct lm_session_in *s;
	const struct lm_sas_out *sas;

	memset(out, 0, sizeof(*out));
	s = lm_spi_base_valid(spi_base) ? lm_sa_table_get(dp->sas, spi_base) : NULL;
	if (s == NULL)
		return -ENOENT;
	for (unsigned i = 0; i < s->lanes; i++) {
		lm_time seen = peek(&s->sa[i].last_seen);

		out->last_rx = seen > out->last_rx ? seen : out->last_rx;
		out->rx_packets += peek(&s->sa[i].packets);
		out->rx_bytes += peek(&s->sa[i].bytes);
	}
	sas = dp->peer[s->peer].out;
	for (unsigned i = 0; sas != NULL && i < sas->lanes; i++) {
		uint32_t seq = __atomic_load_n(&sas->sa[i].seq, __ATOMIC_RELAXED);

		out->highest_seq = seq > out->highest_seq ? seq : out->highest_seq;
		out->tx_packets += __atomic_load_n(&sas->sa[i].seq, __ATOMIC_RELAXED);
		out->tx_bytes += peek(&sas->sa[i].bytes);
	}
	return 0;
}

unsigned lm_dp_port_count(const struct lm_dp *dp)
{
	return dp->n_ports;
}

int lm_dp_port_info(const struct lm_dp *dp, uint16_t port, struct lm_dp_port_info *out)
{
	const struct lm_dp_port *p;
	struct lm_port_stats stats;

	memset(out, 0, sizeof(*out));
	if (port >= dp->n_ports)
		return -ENOENT;
	p = &dp->port[port];
	*out = (struct lm_dp_port_info){
	    .name = p->name,
	    .driver = lm_port_driver(p->port),
	    .rss = lm_port_rss(p->port),
	    .offloads = lm_port_offloads(p->port),
	    .steers = lm_port_steers(p->port),
	    .role = p->role,
	    .mac = p->mac,
	    .link_up = lm_port_link_up(p->port),
	    .mtu = p->mtu,
	    .queues = p->queues,
	};
	if (lm_port_stats(p->port, &stats) != 0)
		return 0; /* a driver without statistics: zeros */
	out->rx_packets = stats.rx_packets;
	out->rx_bytes = stats.rx_bytes;
	out->tx_packets = stats.tx_packets;
	out->tx_bytes = stats.tx_bytes;
	out->rx_missed = missed(&stats);
	out->rx_errors = stats.rx_errors;
	out->tx_errors = stats.tx_errors;
	return 0;
}

static lm_time cycles_ns(uint64_t cycles)
{
	uint64_t hz = rte_get_tsc_hz();

	return (lm_time)(cycles / hz * LM_SEC + cycles % hz * LM_SEC / hz);
}

int lm_dp_worker_info(const struct lm_dp *dp, uint32_t worker, struct lm_dp_worker_info *out)
{
	const struct lm_worker *w;
	uint64_t started, busy;

	memset(out, 0, sizeof(*out));
	if (worker >= dp->n_workers)
		return -ENOENT;
	w = dp->worker[worker];
	started = peek(&w->started);
	busy = peek(&w->busy); /* before the clock: never more than running */
	*out = (struct lm_dp_worker_info){
	    .cpu = w->cpu,
	    .busy = cycles_ns(busy),
	    .loops = peek(&w->stats.loops),
	    .busy_loops = peek(&w->stats.busy_loops),
	    .sleeps = peek(&w->stats.sleeps),
	    .rx_bursts = peek(&w->stats.rx_bursts),
	    .rx_packets = peek(&w->stats.rx_packets),
	    .full_bursts = peek(&w->stats.full_bursts),
	    .handed_out = peek(&w->counters.v[LM_C_HANDED_OVER]),
	    .handed_in = peek(&w->stats.handed_in),
	};
	if (started != 0)
		out->running = cycles_ns(rte_rdtsc() - started);
	return 0;
}

const char *lm_dp_aead(const struct lm_dp *dp)
{
	return lm_aead_description(dp->aead);
}
