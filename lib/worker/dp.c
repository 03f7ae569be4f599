/* SPDX-License-Identifier: BSD-3-Clause */
/* Start and end of the data plane: EAL, buffers, ports, rings, workers. */
#include "relay.h"

#include <errno.h>
#include <rte_launch.h>
#include <rte_malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define INJECT_RING 512

/* Rings share a budget, so that many workers do not need many more buffers. Powers of two. */
static unsigned ring_size(unsigned budget, unsigned workers, unsigned least, unsigned most)
{
	unsigned size = most;

	while (size > least && size * workers > budget)
		size /= 2;
	return size;
}

static unsigned hand_ring(unsigned workers)
{
	return ring_size(16384, workers, 128, 1024);
}

static unsigned punt_ring(unsigned workers)
{
	return ring_size(4096, workers, 64, 512);
}

static struct rte_ring *ring_new(const char *what, unsigned worker, unsigned elem, unsigned size,
				 unsigned flags)
{
	char name[32];

	snprintf(name, sizeof(name), "lm-%s-%u", what, worker);
	return rte_ring_create_elem(name, elem, size, SOCKET_ID_ANY, flags);
}

static int check(const struct lm_dp_config *cfg, struct lm_error *err)
{
	if (cfg->workers < 1 || cfg->workers > LM_DP_WORKERS_MAX)
		return lm_error_set(err, EINVAL, "%u workers: 1 to %u are possible", cfg->workers,
				    LM_DP_WORKERS_MAX);
	if (cfg->n_ports < 1 || cfg->n_ports > LM_DP_PORTS_MAX)
		return lm_error_set(err, EINVAL, "%u ports: 1 to %u are possible", cfg->n_ports,
				    LM_DP_PORTS_MAX);
	if (cfg->max_peers < 1)
		return lm_error_set(err, EINVAL, "max_peers must be at least 1");
	for (unsigned i = 0; i < cfg->n_ports; i++)
		if (cfg->ports[i].n_accept_tcp > LM_CONFIG_ACCEPT_MAX ||
		    cfg->ports[i].n_accept_udp > LM_CONFIG_ACCEPT_MAX)
			return lm_error_set(err, EINVAL, "port %s: more than %u accepted ports",
					    cfg->ports[i].name, LM_CONFIG_ACCEPT_MAX);
	return 0;
}

static int start_eal(struct lm_dp *dp, const struct lm_dp_config *cfg, struct lm_error *err)
{
	const char *devices[LM_DP_PORTS_MAX];
	struct lm_eal_config eal = {
	    .instance = cfg->instance,
	    .workers = cfg->workers,
	    .cpus = cfg->cpus,
	    .hugepages = cfg->hugepages,
	    .memory_mb = cfg->memory_mb,
	    .devices = devices,
	    .n_devices = cfg->n_ports,
	    .log = cfg->log,
	};
	int e;

	for (unsigned i = 0; i < cfg->n_ports; i++)
		devices[i] = cfg->ports[i].device;
	e = lm_eal_start(&eal, &dp->eal, err);
	dp->eal_started = e == 0;
	return e;
}

static int create_pool(struct lm_dp *dp, const struct lm_dp_config *cfg, struct lm_error *err)
{
	unsigned w = cfg->workers, rings, need, mbufs = cfg->mbufs;
	uint16_t mtu = 0;

	rings =
	    w * (hand_ring(w) + 2 * punt_ring(w)) + 2 * INJECT_RING + cfg->n_ports * LM_KEPT_MAX;
	need = lm_pool_need(cfg->n_ports, w, rings);
	for (unsigned i = 0; i < cfg->n_ports; i++)
		mtu = RTE_MAX(mtu, cfg->ports[i].mtu);
	if (mbufs < need) {
		if (mbufs > 0)
			lm_log(cfg->log, LM_LOG_INFO,
			       "%u packet buffers instead of %u: %u workers on %u ports need them",
			       need, mbufs, w, cfg->n_ports);
		mbufs = need;
	}
	return lm_pool_create("lm-pool", mbufs, mtu, &dp->pool, err);
}

static int open_port(struct lm_dp *dp, const struct lm_dp_port_config *c, struct lm_error *err)
{
	const uint16_t ip4 = htobe16(LM_ETHERTYPE_IP4);
	struct lm_dp_port *p = &dp->port[dp->n_ports];
	const struct lm_port_config cfg = {
	    .name = c->name,
	    .device = c->device,
	    .mtu = c->mtu,
	    .has_mac = c->has_mac,
	    .mac = c->mac,
	    .workers = dp->n_workers,
	    .udp_port = c->role == LM_DP_WAN ? c->udp_port : 0,
	    .pool = dp->pool,
	};
	int e;

	*p = (struct lm_dp_port){
	    .udp_port = c->udp_port,
	    .role = c->role,
	    .n_accept_tcp = c->n_accept_tcp,
	    .n_accept_udp = c->n_accept_udp,
	};
	memcpy(p->accept_tcp, c->accept_tcp, sizeof(p->accept_tcp));
	memcpy(p->accept_udp, c->accept_udp, sizeof(p->accept_udp));
	p->name = strdup(c->name);
	if (p->name == NULL)
		return lm_error_set(err, ENOMEM, "out of memory");
	dp->n_ports++;
	e = lm_port_open(&cfg, &p->port, err);
	if (e != 0)
		return e;
	p->id = lm_port_id(p->port);
	p->queues = (uint16_t)lm_port_queues(p->port);
	p->udp_csum = lm_port_udp_checksum(p->port);
	p->mtu = lm_port_mtu(p->port);
	p->lan_mtu = p->role == LM_DP_LAN ? p->mtu : 0;
	p->mac = lm_port_mac(p->port);
	memcpy(&p->from_us4, p->mac.b, sizeof(p->mac.b));
	memcpy((uint8_t *)&p->from_us4 + sizeof(p->mac.b), &ip4, sizeof(ip4));
	return 0;
}

static int create_tables(struct lm_dp *dp, const struct lm_dp_config *cfg, struct lm_error *err)
{
	struct lm_fwd_config fwd = {.max_routes4 = cfg->max_routes, .max_routes6 = cfg->max_routes};
	int e;

	dp->qsbr =
	    rte_zmalloc("lm-qsbr", rte_rcu_qsbr_get_memsize(dp->n_workers), RTE_CACHE_LINE_SIZE);
	if (dp->qsbr == NULL || rte_rcu_qsbr_init(dp->qsbr, dp->n_workers) != 0)
		return lm_error_set(err, ENOMEM, "no DPDK memory for RCU: raise memory.size_mb");
	for (unsigned i = 0; i < dp->n_workers; i++)
		if (rte_rcu_qsbr_thread_register(dp->qsbr, i) != 0)
			return lm_error_set(err, EIO, "RCU refuses worker %u", i);
	fwd.qsbr = dp->qsbr;
	e = lm_fwd_create(&fwd, &dp->fwd, err);
	if (e != 0)
		return e;
	dp->sas = lm_sa_table_new(1024);
	dp->peer = aligned_alloc(_Alignof(max_align_t), dp->max_peers * sizeof(dp->peer[0]));
	if (dp->sas == NULL || dp->peer == NULL)
		return lm_error_set(err, ENOMEM, "out of memory for %u peers", dp->max_peers);
	memset(dp->peer, 0, dp->max_peers * sizeof(dp->peer[0]));
	e = lm_relay_init(dp);
	if (e != 0)
		return lm_error_set(err, -e, "relay tables: %s", strerror(-e));
	return 0;
}

static int create_worker(struct lm_dp *dp, unsigned index, const char *aead, struct lm_error *err)
{
	unsigned n = dp->n_workers;
	struct lm_worker *w = aligned_alloc(_Alignof(struct lm_worker), sizeof(*w));

	if (w == NULL)
		return lm_error_set(err, ENOMEM, "out of memory for worker %u", index);
	memset(w, 0, sizeof(*w));
	dp->worker[index] = w;
	w->dp = dp;
	w->index = index;
	for (unsigned lane = index; lane < LM_LANES_MAX; lane += n)
		w->lanes |= UINT64_C(1) << lane;
	w->cpu = dp->eal.cpu[index];
	w->aead = lm_aead_new(aead, err);
	if (w->aead == NULL)
		return -ENOTSUP;
	if (lm_share_init(&w->share, dp->max_peers) != 0)
		return lm_error_set(err, ENOMEM, "out of memory for worker %u", index);
	w->hand = calloc(n, sizeof(w->hand[0]));
	w->handover = ring_new("hand", index, sizeof(struct lm_hand), hand_ring(n),
			       RING_F_MP_RTS_ENQ | RING_F_SC_DEQ);
	w->punt_control = ring_new("control", index, sizeof(struct lm_punt_item), punt_ring(n),
				   RING_F_SP_ENQ | RING_F_SC_DEQ);
	w->punt_other = ring_new("other", index, sizeof(struct lm_punt_item), punt_ring(n),
				 RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (index == 0) {
		w->inject = ring_new("inject", index, sizeof(struct lm_hand), INJECT_RING,
				     RING_F_SP_ENQ | RING_F_SC_DEQ);
		w->urgent = ring_new("urgent", index, sizeof(struct lm_hand), INJECT_RING,
				     RING_F_SP_ENQ | RING_F_SC_DEQ);
	}
	if (w->hand == NULL || w->handover == NULL || w->punt_control == NULL ||
	    w->punt_other == NULL || (index == 0 && (w->inject == NULL || w->urgent == NULL)))
		return lm_error_set(err, ENOMEM,
				    "no DPDK memory for the rings of worker %u: raise "
				    "memory.size_mb",
				    index);
	return 0;
}

static int build(struct lm_dp *dp, const struct lm_dp_config *cfg, struct lm_error *err)
{
	int e;

	dp->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (dp->event_fd < 0)
		return lm_error_set(err, errno, "eventfd: %s", strerror(errno));
	e = start_eal(dp, cfg, err);
	if (e == 0)
		e = create_pool(dp, cfg, err);
	if (e == 0)
		e = create_tables(dp, cfg, err);
	for (unsigned i = 0; e == 0 && i < cfg->n_ports; i++)
		e = open_port(dp, &cfg->ports[i], err);
	for (unsigned i = 0; e == 0 && i < dp->n_workers; i++)
		e = create_worker(dp, i, cfg->aead, err);
	if (e != 0)
		return e;
	dp->aead = lm_aead_new(cfg->aead, err);
	if (dp->aead == NULL)
		return -ENOTSUP;
	if (lm_aead_warning(dp->aead) != NULL)
		lm_log(cfg->log, LM_LOG_WARN, "%s", lm_aead_warning(dp->aead));
	dp->key_size = lm_aead_key_size(dp->aead);
	dp->key_stride = (dp->key_size + 63) / 64 * 64;
	return 0;
}

static uint16_t only_wan(const struct lm_dp_config *cfg)
{
	uint16_t found = LM_DP_PORT_NONE;

	for (uint16_t i = 0; i < cfg->n_ports; i++) {
		if (cfg->ports[i].role != LM_DP_WAN)
			continue;
		if (found != LM_DP_PORT_NONE)
			return LM_DP_PORT_NONE;
		found = i;
	}
	return found;
}

int lm_dp_create(const struct lm_dp_config *cfg, struct lm_dp **out, struct lm_error *err)
{
	struct lm_dp *dp;
	int e = check(cfg, err);

	if (e != 0)
		return e;
	dp = aligned_alloc(_Alignof(struct lm_dp), sizeof(*dp));
	if (dp == NULL)
		return lm_error_set(err, ENOMEM, "out of memory");
	memset(dp, 0, sizeof(*dp));
	dp->log = cfg->log;
	dp->n_workers = cfg->workers;
	dp->idle_poll = cfg->idle_poll;
	dp->max_peers = cfg->max_peers;
	dp->only_wan = only_wan(cfg);
	dp->control_sleeps = true;
	e = build(dp, cfg, err);
	for (unsigned i = 0; e == 0 && i < dp->n_workers; i++) {
		if (rte_eal_remote_launch(lm_worker_main, dp->worker[i], dp->eal.lcore[i]) != 0)
			e = lm_error_set(err, EIO, "worker %u does not start", i);
		else
			dp->n_launched++;
	}
	if (e != 0) {
		lm_dp_free(dp);
		return e;
	}
	*out = dp;
	return 0;
}

static void drain_hand(struct rte_ring *r)
{
	struct lm_hand h;

	while (r != NULL && rte_ring_dequeue_elem(r, &h, sizeof(h)) == 0)
		rte_pktmbuf_free(h.m);
	rte_ring_free(r);
}

static void drain_punt(struct rte_ring *r)
{
	struct lm_punt_item item;

	while (r != NULL && rte_ring_dequeue_elem(r, &item, sizeof(item)) == 0)
		rte_pktmbuf_free(item.m);
	rte_ring_free(r);
}

static void worker_free(struct lm_worker *w)
{
	if (w == NULL)
		return;
	drain_hand(w->handover);
	drain_hand(w->inject);
	drain_hand(w->urgent);
	for (unsigned port = 0; port < LM_DP_PORTS_MAX; port++)
		for (unsigned i = 0; i < w->kept[port].n; i++)
			rte_pktmbuf_free(w->kept[port].m[i]);
	drain_punt(w->punt_control);
	drain_punt(w->punt_other);
	lm_aead_free(w->aead);
	lm_share_free(&w->share);
	free(w->hand);
	free(w);
}

void lm_dp_free(struct lm_dp *dp)
{
	if (dp == NULL)
		return;
	__atomic_store_n(&dp->stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < dp->n_launched; i++)
		rte_eal_wait_lcore(dp->eal.lcore[i]);
	for (unsigned i = 0; i < dp->n_workers; i++)
		worker_free(dp->worker[i]);
	for (unsigned i = 0; i < dp->n_ports; i++) {
		lm_port_close(dp->port[i].port);
		free(dp->port[i].name);
	}
	lm_dp_tables_free(dp);
	lm_aead_free(dp->aead);
	rte_free(dp->qsbr);
	if (dp->pool != NULL)
		lm_pool_free(dp->pool);
	if (dp->eal_started)
		lm_eal_stop(&dp->eal);
	if (dp->event_fd >= 0)
		close(dp->event_fd);
	free(dp);
}
