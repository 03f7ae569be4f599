/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig.h"

#include <rte_mbuf.h>
#include <rte_ring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define RING_SIZE  1024
#define POOL_SIZE  8191	 /* more for larger rings */
#define WAIT_TURNS 60000 /* of 1 ms */
#define OUTER_LEN  42

/* What net_ring takes by address in its "internal" argument: drivers/net/ring/rte_eth_ring.c. */
struct ring_args {
	struct rte_ring *const *rx;
	unsigned n_rx;
	struct rte_ring *const *tx;
	unsigned n_tx;
	unsigned numa;
	void *self;
};

struct rig_ports {
	struct rte_ring *rx[RIG_PORTS_MAX][LM_DP_WORKERS_MAX],
	    *tx[RIG_PORTS_MAX][LM_DP_WORKERS_MAX];
	struct ring_args args[RIG_PORTS_MAX];
	char device[RIG_PORTS_MAX][64];
	struct rte_mempool *pool;
};

static struct rte_ring *ring_new(unsigned n)
{
	size_t size = ((size_t)rte_ring_get_memsize(n) + 63) & ~(size_t)63;
	struct rte_ring *r = aligned_alloc(64, size);

	assert_non_null(r);
	assert_int_equal(rte_ring_init(r, "rig", n, RING_F_SP_ENQ | RING_F_SC_DEQ), 0);
	return r;
}

static void ports_new(struct rig *r)
{
	struct rig_ports *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	r->ports = p;
	for (unsigned i = 0; i < r->n_ports; i++) {
		for (unsigned q = 0; q < r->queues; q++) {
			p->rx[i][q] = ring_new(r->ring);
			p->tx[i][q] = ring_new(r->ring);
		}
		p->args[i] = (struct ring_args){.rx = p->rx[i],
						.n_rx = r->queues,
						.tx = p->tx[i],
						.n_tx = r->queues,
						.self = &p->args[i]};
		snprintf(p->device[i], sizeof(p->device[i]), "net_ring%u,internal=%p", i,
			 (void *)&p->args[i]);
	}
}

static void route(struct rig *r, const char *prefix, struct lm_route to)
{
	struct lm_prefix p;

	assert_int_equal(lm_prefix_parse(prefix, &p), 0);
	assert_int_equal(lm_dp_route_set(r->dp, &p, &to), 0);
}

static void to_host(struct rig *r, const char *prefix, uint16_t port)
{
	route(
	    r, prefix,
	    (struct lm_route){.kind = LM_ROUTE_NEIGHBOUR, .port = port, .mac = rig_host_mac(port)});
}

static void set_routes(struct rig *r)
{
	route(r, "10.1.0.0/24", (struct lm_route){.kind = LM_ROUTE_CONNECTED, .port = RIG_LAN});
	route(r, "fd00:1::/64", (struct lm_route){.kind = LM_ROUTE_CONNECTED, .port = RIG_LAN});
	route(r, "10.1.1.0/24", (struct lm_route){.kind = LM_ROUTE_CONNECTED, .port = RIG_LAN2});
	route(r, "10.1.2.0/24",
	      (struct lm_route){
		  .kind = LM_ROUTE_CONNECTED, .port = RIG_LAN2, .via = rig_addr("10.1.1.254")});
	to_host(r, "10.1.0.10/32", RIG_LAN);
	to_host(r, "fd00:1::10/128", RIG_LAN);
	to_host(r, "10.1.1.10/32", RIG_LAN2);
	/* What a careless kernel route would look like: out of the WAN in the clear. */
	to_host(r, "203.0.113.0/24", RIG_WAN);
	route(r, "10.1.0.1/32", (struct lm_route){.kind = LM_ROUTE_TO_ME});
	route(r, "fd00:1::1/128", (struct lm_route){.kind = LM_ROUTE_TO_ME});
	route(r, "10.99.0.0/16", (struct lm_route){.kind = LM_ROUTE_DROP});
}

static void set_addresses(struct rig *r)
{
	struct lm_ip wan[2] = {rig_addr("192.0.2.1"), rig_addr("2001:db8::1")};
	struct lm_ip wan2 = rig_addr("192.0.2.129");
	struct lm_prefix own[2];

	assert_int_equal(lm_prefix_parse("10.1.0.0/16", &own[0]), 0);
	assert_int_equal(lm_prefix_parse("fd00:1::/48", &own[1]), 0);
	assert_int_equal(lm_dp_own_set(r->dp, own, 2), 0);
	assert_int_equal(lm_dp_addresses_set(r->dp, RIG_WAN, wan, 2), 0);
	if (r->n_ports > RIG_WAN2)
		assert_int_equal(lm_dp_addresses_set(r->dp, RIG_WAN2, &wan2, 1), 0);
}

static void random_keys(struct lm_esp_key *keys)
{
	for (unsigned i = 0; i < LM_LANES_MAX; i++)
		for (unsigned k = 0; k < sizeof(keys[i].key); k++)
			keys[i].key[k] = (uint8_t)rand();
}

/* Far ends' expanded keys: inbound lanes first, then outbound ones. */
static struct lm_aead_key *key_at(struct rig *r, struct rig_peer *p, unsigned i)
{
	size_t stride = (lm_aead_key_size(r->aead) + 63) & ~(size_t)63;

	if (p->keys == NULL)
		p->keys = aligned_alloc(64, stride * 2 * LM_LANES_MAX);
	assert_non_null(p->keys);
	return (struct lm_aead_key *)((char *)p->keys + stride * i);
}

void rig_rekey_in(struct rig *r, unsigned peer, uint32_t spi, unsigned lanes)
{
	struct rig_peer *p = &r->peer[peer];
	uint32_t old = p->spi_in;

	random_keys(p->key_in);
	assert_int_equal(lm_dp_sa_in_add(r->dp, peer, spi, lanes, p->key_in), 0);
	p->spi_in = spi;
	p->lanes_in = lanes;
	for (unsigned i = 0; i < lanes; i++) {
		struct lm_aead_key *key = key_at(r, p, i);

		lm_aead_key_init(r->aead, key, p->key_in[i].key);
		lm_sa_out_init(&p->lane[i].out, key, p->key_in[i].salt, spi + i, LM_ESP_HARD_LIMIT);
	}
	if (old != 0)
		lm_dp_sa_in_del(r->dp, old);
}

void rig_rekey_out(struct rig *r, unsigned peer, uint32_t spi)
{
	struct rig_peer *p = &r->peer[peer];

	random_keys(p->key_out);
	assert_int_equal(lm_dp_sa_out_set(r->dp, peer, spi, r->workers, p->key_out), 0);
	p->spi_out = spi;
	for (unsigned i = 0; i < r->workers; i++) {
		struct lm_aead_key *key = key_at(r, p, LM_LANES_MAX + i);

		lm_aead_key_init(r->aead, key, p->key_out[i].key);
		lm_sa_in_init(&p->lane[i].in, key, p->key_out[i].salt, spi + i, peer);
	}
}

static void peer_up(struct rig *r, unsigned peer)
{
	struct lm_mac ours = rig_mac(RIG_WAN), router = rig_host_mac(RIG_WAN);
	struct lm_endpoint us = {rig_addr("192.0.2.1"), 4500}, them = {.port = 4500};
	struct lm_prefix prefixes[2];
	struct lm_outer outer;
	char text[64];

	snprintf(text, sizeof(text), "10.%u.0.0/16", peer + 2);
	assert_int_equal(lm_prefix_parse(text, &prefixes[0]), 0);
	route(r, text, (struct lm_route){.kind = LM_ROUTE_PEER, .peer = peer});
	snprintf(text, sizeof(text), "fd00:%u::/48", peer + 2);
	assert_int_equal(lm_prefix_parse(text, &prefixes[1]), 0);
	route(r, text, (struct lm_route){.kind = LM_ROUTE_PEER, .peer = peer});
	assert_int_equal(lm_dp_peer_set(r->dp, peer, prefixes, 2), 0);
	snprintf(text, sizeof(text), "198.51.100.%u", peer + 2);
	them.ip = rig_addr(text);
	assert_int_equal(lm_outer_build(&outer, &ours, &router, &us, &them, true), 0);
	outer.port = RIG_WAN;
	assert_int_equal(lm_dp_path_set(r->dp, peer, &outer, RIG_MTU), 0);
	assert_int_equal(lm_outer_build(&r->peer[peer].outer, &router, &ours, &them, &us, true), 0);
	rig_rekey_in(r, peer, 0x80010000 + peer * 64, LM_LANES_MAX);
	rig_rekey_out(r, peer, 0x90010000 + peer * 64);
}

static void log_line(void *user, enum lm_log_level level, const char *line)
{
	(void)user;
	if (level <= LM_LOG_WARN)
		print_message("%s: %s\n", lm_log_level_name(level), line);
}

static bool is_wan(unsigned port)
{
	return port == RIG_WAN || port == RIG_WAN2;
}

void rig_start(struct rig *r, const struct rig_config *cfg)
{
	static const struct lm_log log = {.level = LM_LOG_INFO, .sink = log_line};
	struct lm_dp_port_config ports[RIG_PORTS_MAX];
	char instance[32];
	struct lm_dp_config dp = {
	    .instance = instance,
	    .workers = cfg->workers,
	    .idle_poll = cfg->poll,
	    .hugepages = LM_HUGEPAGES_NO,
	    .memory_mb = cfg->workers > 16 ? 2048 : 512,
	    .max_peers = cfg->peers > 0 ? cfg->peers : RIG_PEERS,
	    .ports = ports,
	    .n_ports = cfg->wan2 ? RIG_PORTS_MAX : RIG_PORTS,
	    .log = &log,
	};
	struct lm_error err = {""};

	*r = (struct rig){.workers = cfg->workers,
			  .queues = cfg->queues > 0 ? cfg->queues : cfg->workers,
			  .n_ports = dp.n_ports,
			  .ring = cfg->ring > 0 ? cfg->ring : RING_SIZE};
	r->pool_size = r->ring > RING_SIZE ? 2 * r->ring - 1 : POOL_SIZE;
	assert_int_equal(lm_crypto_init(), 0);
	ports_new(r);
	for (unsigned i = 0; i < r->n_ports; i++)
		ports[i] = (struct lm_dp_port_config){.name = is_wan(i) ? "wan" : "lan",
						      .role = is_wan(i) ? LM_DP_WAN : LM_DP_LAN,
						      .device = r->ports->device[i],
						      .mtu = RIG_PORT_MTU,
						      .has_mac = true,
						      .mac = rig_mac(i),
						      .udp_port = 4500,
						      .accept_tcp = {22},
						      .accept_udp = {5353},
						      .n_accept_tcp = 1,
						      .n_accept_udp = 1};
	snprintf(instance, sizeof(instance), "lmt-worker-%d", (int)getpid());
	if (lm_dp_create(&dp, &r->dp, &err) != 0)
		fail_msg("%s", err.text);
	r->aead = lm_aead_new(NULL, &err);
	assert_non_null(r->aead);
	r->punts = calloc(RIG_PUNTS, sizeof(*r->punts));
	assert_non_null(r->punts);
	r->ports->pool = rte_pktmbuf_pool_create("rig", r->pool_size, 0, 0,
						 RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	assert_non_null(r->ports->pool);
	set_addresses(r);
	set_routes(r);
	for (unsigned i = 0; i < RIG_PEERS; i++)
		peer_up(r, i);
}

void rig_stop(struct rig *r)
{
	uint8_t frame[RIG_FRAME_MAX];

	rig_settle(r);
	for (unsigned i = 0; i < r->n_ports; i++)
		while (rig_read(r, i, frame) > 0)
			continue;
	assert_int_equal(rte_mempool_avail_count(r->ports->pool), r->pool_size);
	rte_mempool_free(r->ports->pool);
	lm_aead_free(r->aead);
	lm_dp_free(r->dp);
	for (unsigned i = 0; i < RIG_PEERS; i++)
		free(r->peer[i].keys);
	for (unsigned i = 0; i < r->n_ports; i++) {
		for (unsigned q = 0; q < r->queues; q++) {
			free(r->ports->rx[i][q]);
			free(r->ports->tx[i][q]);
		}
	}
	free(r->ports);
	free(r->punts);
}

bool rig_feed(struct rig *r, unsigned port, unsigned queue, const void *frame, size_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->ports->pool);

	if (m == NULL)
		return false;
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
	if (rte_ring_enqueue(r->ports->rx[port][queue], m) != 0) {
		rte_pktmbuf_free(m);
		return false;
	}
	r->fed++;
	return true;
}

void rig_feed_all(struct rig *r, unsigned port, unsigned queue, const struct rig_frame *frames,
		  unsigned n)
{
	struct rte_mbuf **pkts = calloc(n, sizeof(struct rte_mbuf *));

	assert_non_null(pkts);
	assert_int_equal(rte_pktmbuf_alloc_bulk(r->ports->pool, pkts, n), 0);
	for (unsigned i = 0; i < n; i++)
		memcpy(rte_pktmbuf_append(pkts[i], frames[i].len), frames[i].data, frames[i].len);
	assert_int_equal(
	    rte_ring_enqueue_bulk(r->ports->rx[port][queue], (void *const *)pkts, n, NULL), n);
	r->fed += n;
	free(pkts);
}

/* What a device does whose driver offers the UDP checksum: the field holds the pseudo-header's sum.
 */
static void device_checksum(struct rig *r, struct rte_mbuf *m)
{
	uint8_t *l4 = rte_pktmbuf_mtod_offset(m, uint8_t *, m->l2_len + m->l3_len);
	struct lm_udp_hdr *udp = (struct lm_udp_hdr *)l4;

	if ((m->ol_flags & RTE_MBUF_F_TX_UDP_CKSUM) == 0)
		return;
	assert_true((m->ol_flags & RTE_MBUF_F_TX_IPV6) != 0);
	udp->csum =
	    lm_csum_finish(lm_csum_add(0, l4, m->data_len - (size_t)(m->l2_len + m->l3_len)));
	r->device_checksums++;
}

size_t rig_read(struct rig *r, unsigned port, uint8_t *buf)
{
	for (unsigned q = 0; q < r->queues; q++) {
		struct rte_mbuf *m;
		size_t len;

		if (rte_ring_dequeue(r->ports->tx[port][q], (void **)&m) != 0)
			continue;
		device_checksum(r, m);
		len = m->data_len;
		assert_int_equal(len, m->pkt_len);
		assert_true(len <= RIG_FRAME_MAX);
		memcpy(buf, rte_pktmbuf_mtod(m, void *), len);
		rte_pktmbuf_free(m);
		return len;
	}
	return 0;
}

static void on_punt(void *user, const struct lm_punt *p)
{
	struct rig *r = user;

	if (r->n_punts < RIG_PUNTS) {
		struct rig_punt *kept = &r->punts[r->n_punts];

		kept->p = *p;
		kept->p.data = NULL;
		memset(kept->data, 0, sizeof(kept->data));
		if (p->len > 0)
			memcpy(kept->data, p->data,
			       p->len < sizeof(kept->data) ? p->len : sizeof(kept->data));
	}
	r->n_punts++;
}

void rig_poll(struct rig *r)
{
	while (lm_dp_poll(r->dp, 64, on_punt, r) > 0)
		continue;
}

void rig_forget(struct rig *r)
{
	r->n_punts = 0;
}

uint64_t rig_count(const struct rig *r, enum lm_ctr id)
{
	struct lm_counters c;

	lm_dp_counters(r->dp, UINT32_MAX, &c);
	return c.v[id];
}

static struct lm_counters of_workers(const struct rig *r)
{
	struct lm_counters sum = {0}, c;

	for (unsigned i = 0; i < r->workers; i++) {
		lm_dp_counters(r->dp, i, &c);
		lm_counters_add(&sum, &c);
	}
	return sum;
}

static uint64_t drops(const struct lm_counters *c)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < LM_CTR_COUNT; i++)
		if (lm_ctr_info(i)->kind == LM_CTR_DROP)
			sum += c->v[i];
	return sum;
}

uint64_t rig_drops(const struct rig *r)
{
	struct lm_counters c = of_workers(r);

	return drops(&c);
}

bool rig_balanced(const struct rig *r)
{
	struct lm_counters c = of_workers(r);
	uint64_t in = c.v[LM_C_LAN_RX_PACKETS] + c.v[LM_C_WAN_RX_PACKETS] + c.v[LM_C_INJECTED];
	uint64_t out = c.v[LM_C_LAN_TX_PACKETS] + c.v[LM_C_WAN_TX_PACKETS] + c.v[LM_C_PUNTED] +
		       c.v[LM_C_KEEPALIVE_RX];

	return in == r->fed + r->injected && in == out + drops(&c);
}

void rig_settle(struct rig *r)
{
	const struct timespec ms = {.tv_nsec = 1000000};

	for (unsigned i = 0; i < WAIT_TURNS; i++) {
		rig_poll(r);
		if (rig_balanced(r)) {
			/* A packet is counted a little before what it caused gets to us. */
			nanosleep(&ms, NULL);
			rig_poll(r);
			return;
		}
		nanosleep(&ms, NULL);
	}
	fail_msg("packets are unaccounted for: %llu fed, %llu injected, %llu dropped",
		 (unsigned long long)r->fed, (unsigned long long)r->injected,
		 (unsigned long long)rig_drops(r));
}

size_t rig_seal(struct rig *r, unsigned peer, unsigned lane, uint8_t next, const void *inner,
		size_t len, uint8_t tos, uint8_t *frame)
{
	uint8_t room[RIG_FRAME_MAX + LM_ESP_HEADROOM + LM_ESP_TAILROOM];
	struct rig_peer *p = &r->peer[peer];
	struct lm_esp_tx d = {
	    .sa = &p->lane[lane].out,
	    .outer = &p->outer,
	    .data = room + LM_ESP_HEADROOM,
	    .len = (uint32_t)len,
	    .headroom = LM_ESP_HEADROOM,
	    .tailroom = LM_ESP_TAILROOM,
	    .next = next,
	    .tos = tos,
	};

	memcpy(d.data, inner, len);
	assert_int_equal(lm_esp_seal(r->aead, &d, 1), 1);
	memcpy(frame, d.data, d.len);
	return d.len;
}

size_t rig_open(struct rig *r, unsigned peer, const uint8_t *frame, size_t len, uint8_t *inner)
{
	struct rig_peer *p = &r->peer[peer];
	uint8_t copy[RIG_FRAME_MAX];
	struct lm_esp_rx d = {.data = copy, .len = (uint32_t)(len - OUTER_LEN)};
	uint32_t spi;

	assert_true(len > OUTER_LEN + 8);
	memcpy(copy, frame + OUTER_LEN, len - OUTER_LEN);
	spi = (uint32_t)copy[0] << 24 | (uint32_t)copy[1] << 16 | (uint32_t)copy[2] << 8 | copy[3];
	assert_int_equal(spi & ~LM_SPI_LANE_MASK, p->spi_out);
	assert_true((spi & LM_SPI_LANE_MASK) < r->workers);
	d.sa = &p->lane[spi & LM_SPI_LANE_MASK].in;
	if (lm_esp_open(r->aead, &d, 1) != 1)
		return 0;
	memcpy(inner, d.data, d.len);
	return d.len;
}
