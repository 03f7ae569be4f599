/* SPDX-License-Identifier: BSD-3-Clause */
#include "site.h"

#include "worker_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MTU	   1500
#define INNER_MTU  1440
#define WAN_SOURCE 4500

/* Own buffers of rings, caches and bursts, beside the traffic's: the data plane asks for more when
 * this is not enough. */
#define MBUFS_OWN 8192
#define MBUF_SIZE 2560 /* room, headroom, struct rte_mbuf, mempool's header */

static void must(int e, const char *what)
{
	if (e == 0)
		return;
	fprintf(stderr, "bench: %s: %s\n", what, strerror(-e));
	exit(1);
}

static size_t key_stride(const struct site *s)
{
	return (lm_aead_key_size(s->aead) + 63) / 64 * 64;
}

static void make_keys(struct site *s)
{
	uint32_t lanes = site_lanes(&s->cfg), n = s->cfg.peers * lanes;
	struct lm_error err = {0};

	s->aead = lm_aead_new(NULL, &err);
	if (s->aead == NULL) {
		fprintf(stderr, "bench: %s\n", err.text);
		exit(1);
	}
	s->raw_keys = calloc(n, sizeof(s->raw_keys[0]));
	s->far = aligned_alloc(64, n * sizeof(s->far[0]));
	s->keys = aligned_alloc(64, n * key_stride(s));
	if (s->raw_keys == NULL || s->far == NULL || s->keys == NULL)
		must(-ENOMEM, "keys");
	for (uint32_t i = 0; i < n; i++) {
		struct lm_aead_key *key =
		    (struct lm_aead_key *)((char *)s->keys + i * key_stride(s));

		memcpy(s->raw_keys[i].key, &i, sizeof(i));
		memcpy(s->raw_keys[i].salt, &i, sizeof(i));
		lm_aead_key_init(s->aead, key, s->raw_keys[i].key);
		lm_sa_out_init(&s->far[i], key, s->raw_keys[i].salt,
			       SITE_SPI(i / lanes) + i % lanes, LM_ESP_HARD_LIMIT);
	}
}

struct lm_endpoint site_endpoint(uint32_t p)
{
	uint8_t us[4] = {192, 0, 2, 1},
		peer[4] = {198, 51, (uint8_t)(100 + (p >> 8)), (uint8_t)(1 + p % 250)};

	return (struct lm_endpoint){.ip = lm_ip4(p == SITE_SELF ? us : peer), .port = WAN_SOURCE};
}

static void create(struct site *s, const int *pcap)
{
	char source[LM_CONFIG_DEVICE_MAX];
	int n;
	struct lm_log log = {.level = LM_LOG_WARN, .sink = lm_log_stderr};
	struct lm_error err = {0};
	struct lm_dp_port_config ports[3] = {
	    {.name = "from", .device = source, .mtu = MTU, .udp_port = WAN_SOURCE},
	    {.name = "to", .device = "net_null0,no-rx=1", .mtu = MTU, .udp_port = WAN_SOURCE},
	    {.name = "onward", .device = "net_null1,no-rx=1", .mtu = MTU, .udp_port = WAN_SOURCE},
	};
	char instance[32];
	struct lm_dp_config cfg = {
	    .instance = instance,
	    .workers = s->cfg.workers,
	    .cpus = s->cfg.cpu,
	    .idle_poll = true,
	    .hugepages = s->cfg.hugepages ? LM_HUGEPAGES_YES : LM_HUGEPAGES_NO,
	    .mbufs = s->cfg.packets + MBUFS_OWN * s->cfg.workers,
	    .max_peers = s->cfg.peers,
	    .max_routes = s->cfg.routes + 1024,
	    .ports = ports,
	    .n_ports = s->cfg.relays ? 3 : 2,
	    .log = &log,
	};

	n = snprintf(source, sizeof(source), "%s",
		     s->cfg.source != NULL ? s->cfg.source : "net_pcap0,infinite_rx=1");
	for (unsigned q = 0; s->cfg.source == NULL && q < s->cfg.workers; q++)
		n += snprintf(source + n, sizeof(source) - (size_t)n, ",rx_pcap=/proc/self/fd/%d",
			      pcap[q]);
	snprintf(instance, sizeof(instance), "bench-%d", (int)getpid());
	cfg.memory_mb = (unsigned)((uint64_t)cfg.mbufs * MBUF_SIZE >> 20) + 64 * s->cfg.workers;
	s->lan = s->cfg.inbound;
	s->wan = !s->cfg.inbound;
	s->onward = 2;
	ports[s->lan].role = LM_DP_LAN;
	ports[s->wan].role = ports[s->onward].role = LM_DP_WAN;
	if (lm_dp_create(&cfg, &s->dp, &err) != 0) {
		fprintf(stderr, "bench: %s\n", err.text);
		exit(1);
	}
}

static void add_own(struct site *s)
{
	const struct lm_ip wan = site_endpoint(SITE_SELF).ip;
	struct lm_prefix own, host;
	struct lm_route r = {.kind = LM_ROUTE_CONNECTED, .port = s->lan};

	must(lm_prefix_parse("10.0.0.0/16", &own), "prefix");
	must(lm_prefix_parse("10.0.0.2/32", &host), "prefix");
	must(lm_dp_route_set(s->dp, &own, &r), "route");
	r = (struct lm_route){
	    .kind = LM_ROUTE_NEIGHBOUR, .port = s->lan, .mac = {{2, 0, 0, 0, 0, 2}}};
	must(lm_dp_route_set(s->dp, &host, &r), "route");
	must(lm_dp_own_set(s->dp, &own, 1), "own prefixes");
	must(lm_dp_addresses_set(s->dp, s->wan, &wan, 1), "addresses");
}

static void add_peer(struct site *s, uint32_t p)
{
	struct lm_outer outer;
	const struct lm_mac us = {{2, 0, 0, 0, 0, 3}}, gateway = {{2, 0, 0, 0, 0, 1}};
	const struct lm_endpoint from = site_endpoint(SITE_SELF), to = site_endpoint(p);
	struct lm_prefix carries[2] = {site_prefix(p, s->cfg.peers)};
	unsigned n = 1, lanes = site_lanes(&s->cfg);
	const struct lm_esp_key *keys = &s->raw_keys[p * lanes];

	/* A peer with many routes carries them by one large prefix. */
	if (s->cfg.routes > s->cfg.peers)
		must(lm_prefix_parse("32.0.0.0/3", &carries[n++]), "prefix");
	must(lm_outer_build(&outer, &us, &gateway, &from, &to, true), "outer header");
	outer.port = s->wan;
	must(lm_dp_peer_set(s->dp, p, carries, n), "peer");
	must(lm_dp_sa_in_add(s->dp, p, SITE_SPI(p), lanes, keys), "inbound SA");
	must(lm_dp_sa_out_set(s->dp, p, SITE_SPI(p), s->cfg.workers, keys), "outbound SA");
	must(lm_dp_path_set(s->dp, p, &outer, INNER_MTU), "path");
}

void site_start(struct site *s, const struct site_config *cfg)
{
	int pcap[SITE_WORKERS_MAX];

	*s = (struct site){.cfg = *cfg};
	if (s->cfg.routes < s->cfg.peers)
		s->cfg.routes = s->cfg.peers;
	must(lm_crypto_init(), "libsodium");
	make_keys(s);
	must(site_traffic(s, pcap) != 0 ? -EIO : 0, "traffic files");
	create(s, pcap);
	s->traffic = -1;
	for (unsigned q = 0; q < s->cfg.workers; q++)
		if (q == 0 && s->cfg.source != NULL)
			s->traffic = pcap[q];
		else
			close(pcap[q]);
}

void site_open(struct site *s)
{
	for (uint32_t p = 0; p < s->cfg.peers; p++)
		add_peer(s, p);
	for (uint32_t i = 0; i < s->cfg.routes; i++) {
		struct lm_prefix prefix = site_prefix(i, s->cfg.peers);
		struct lm_route r = {.kind = LM_ROUTE_PEER, .peer = i % s->cfg.peers};

		must(lm_dp_route_set(s->dp, &prefix, &r), "route");
	}
	add_own(s);
}

void site_windows_back(const struct site *s)
{
	for (uint32_t p = 0; p < s->cfg.peers; p++) {
		struct lm_session_in *in = lm_sa_table_get(s->dp->sas, SITE_SPI(p));

		for (unsigned lane = 0; lane < in->lanes; lane++)
			site_window_back(&in->sa[lane].replay);
	}
}

void site_stop(struct site *s)
{
	lm_dp_free(s->dp);
	lm_aead_free(s->aead);
	free(s->raw_keys);
	free(s->keys);
	free(s->far);
	free(s->len);
	if (s->traffic >= 0)
		close(s->traffic);
}
