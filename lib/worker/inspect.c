/* SPDX-License-Identifier: BSD-3-Clause */
/* Looking at the data plane: whatever workers write is read whole, and never waited for. */
#include "worker_internal.h"

#include <errno.h>

static uint64_t peek(const uint64_t *v)
{
	return __atomic_load_n(v, __ATOMIC_RELAXED);
}

unsigned lm_dp_workers(const struct lm_dp *dp)
{
	return dp->n_workers;
}

void lm_dp_counters(const struct lm_dp *dp, uint32_t worker, struct lm_counters *out)
{
	memset(out, 0, sizeof(*out));
	if (worker != UINT32_MAX) {
		if (worker < dp->n_workers)
			lm_counters_add(out, &dp->worker[worker]->counters);
		return;
	}
	for (unsigned i = 0; i < dp->n_workers; i++)
		lm_counters_add(out, &dp->worker[i]->counters);
	lm_counters_add(out, &dp->counters);
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
	out->rx_missed = stats.rx_missed + stats.rx_nombuf;
	out->rx_errors = stats.rx_errors;
	out->tx_errors = stats.tx_errors;
	return 0;
}

int lm_dp_worker_info(const struct lm_dp *dp, uint32_t worker, struct lm_dp_worker_info *out)
{
	const struct lm_dp_worker_info *s;

	memset(out, 0, sizeof(*out));
	if (worker >= dp->n_workers)
		return -ENOENT;
	s = &dp->worker[worker]->stats;
	out->cpu = dp->worker[worker]->cpu;
	out->loops = peek(&s->loops);
	out->busy_loops = peek(&s->busy_loops);
	out->sleeps = peek(&s->sleeps);
	out->rx_bursts = peek(&s->rx_bursts);
	out->rx_packets = peek(&s->rx_packets);
	return 0;
}

const char *lm_dp_aead(const struct lm_dp *dp)
{
	return lm_aead_description(dp->aead);
}
