/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames for the gateway benchmark, as a pcap file in memory. */
#include "site.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define ETH_LEN	   sizeof(struct lm_eth_hdr)
#define IP4_LEN	   sizeof(struct lm_ip4_hdr)
#define HOSTS	   200 /* of a peer's prefix that take part */
#define FRAME_MAX  2048
#define PCAP_MAGIC 0xa1b2c3d4

/* Simple IMIX: 7 of 64, 4 of 576, 1 of 1400 bytes. */
static const uint16_t imix[12] = {64, 576, 64, 64, 576, 64, 1400, 64, 576, 64, 576, 64};

struct lm_prefix site_prefix(uint32_t n, uint32_t peers)
{
	uint32_t net = n < peers ? 0x0a400000u + (n << 8) : 0x20000000u + ((n - peers) << 8);
	uint8_t b[4] = {(uint8_t)(net >> 24), (uint8_t)(net >> 16), (uint8_t)(net >> 8), 0};

	return (struct lm_prefix){.ip = lm_ip4(b), .len = 24};
}

static void ip4(uint8_t *p, unsigned len, const uint8_t src[4], const uint8_t dst[4])
{
	struct lm_ip4_hdr *ip = (struct lm_ip4_hdr *)p;
	struct lm_udp_hdr *udp = (struct lm_udp_hdr *)(p + IP4_LEN);

	*ip = (struct lm_ip4_hdr){
	    .ver_ihl = 0x45, .len = htobe16((uint16_t)len), .ttl = 64, .proto = LM_PROTO_UDP};
	memcpy(ip->src, src, 4);
	memcpy(ip->dst, dst, 4);
	ip->csum = lm_csum_finish(lm_csum_add(0, ip, IP4_LEN));
	*udp = (struct lm_udp_hdr){
	    .src = htobe16(5000), .dst = htobe16(5001), .len = htobe16((uint16_t)(len - IP4_LEN))};
}

/* The inner packet number i. Deterministic, so that runs are alike. */
static unsigned inner(struct site *s, uint32_t i, uint8_t *p)
{
	const struct site_config *c = &s->cfg;
	uint32_t peer = i % c->peers, round = i / c->peers, each = c->routes / c->peers;
	/* Steps through the peer's prefixes by a large odd number: neighbours are far apart. */
	uint32_t nth = each > 1 ? round * 2654435761u % each : 0;
	struct lm_prefix there = site_prefix(peer + nth * c->peers, c->peers);
	const uint8_t here[4] = {10, 0, 0, 2};
	unsigned len =
	    c->size != 0 ? c->size : imix[(peer + round / site_lanes(c)) % LM_ARRAY_SIZE(imix)];

	there.ip.b[3] = (uint8_t)(1 + round % HOSTS);
	for (unsigned k = 0; k < len; k++)
		p[k] = (uint8_t)(i + k);
	if (c->inbound)
		ip4(p, len, there.ip.b, here);
	else
		ip4(p, len, here, there.ip.b);
	s->len[i] = (uint16_t)len;
	return len;
}

/* A peer's packets take its lanes in turn. */
static unsigned lane_of(const struct site_config *c, uint32_t i)
{
	return i / c->peers % site_lanes(c);
}

static unsigned queue_of(const struct site_config *c, uint32_t i)
{
	unsigned lane = lane_of(c, i);

	return c->steered || !c->inbound ? lane % c->workers : lane / c->workers % c->workers;
}

static struct lm_outer outer_of(uint32_t peer, const struct lm_mac *mac)
{
	const struct lm_mac gateway = {{2, 0, 0, 0, 0, 1}};
	const struct lm_endpoint us = site_endpoint(SITE_SELF), from = site_endpoint(peer);
	struct lm_outer o;

	if (lm_outer_build(&o, &gateway, mac, &from, &us, true) != 0)
		abort();
	return o;
}

/* Makes frame i in buf, which has room on both sides of the packet; returns where and its length.
 */
static uint8_t *frame(struct site *s, uint32_t i, const struct lm_mac *mac, uint8_t *buf,
		      unsigned *len)
{
	uint8_t *p = buf + LM_ESP_HEADROOM;
	struct lm_outer outer = outer_of(i % s->cfg.peers, mac);
	struct lm_esp_tx tx = {
	    .outer = &outer,
	    .data = p,
	    .len = inner(s, i, p),
	    .headroom = LM_ESP_HEADROOM,
	    .tailroom = LM_ESP_TAILROOM,
	    .next = LM_PROTO_IP4,
	};

	if (s->cfg.inbound) {
		tx.sa = &s->far[i % s->cfg.peers * site_lanes(&s->cfg) + lane_of(&s->cfg, i)];
		if (lm_esp_seal(s->aead, &tx, 1) != 1)
			abort();
	} else {
		struct lm_eth_hdr *eth;

		tx.data -= ETH_LEN;
		tx.len += (uint32_t)ETH_LEN;
		eth = (struct lm_eth_hdr *)tx.data;
		*eth = (struct lm_eth_hdr){.src = {2, 0, 0, 0, 0, 2},
					   .type = htobe16(LM_ETHERTYPE_IP4)};
		memcpy(eth->dst, mac->b, sizeof(eth->dst));
	}
	*len = tx.len;
	return tx.data;
}

static FILE *pcap_begin(int *fd)
{
	const uint32_t head[6] = {PCAP_MAGIC, 4 << 16 | 2, 0, 0, 65535, 1 /* Ethernet */};
	FILE *f;

	*fd = memfd_create("bench-traffic", MFD_CLOEXEC);
	f = *fd >= 0 ? fdopen(dup(*fd), "w") : NULL;
	if (f != NULL)
		fwrite(head, sizeof(head), 1, f);
	return f;
}

int site_traffic(struct site *s, int fd[SITE_WORKERS_MAX])
{
	/* The first net_pcap port's own address: drivers/net/pcap/pcap_ethdev.c. */
	const struct lm_mac mac = {{2, 'p', 'c', 'a', 'p', 0}};
	FILE *f[SITE_WORKERS_MAX];
	uint8_t buf[FRAME_MAX];
	int failed = 0;

	s->len = calloc(s->cfg.packets, sizeof(s->len[0]));
	for (unsigned q = 0; q < s->cfg.workers; q++) {
		f[q] = pcap_begin(&fd[q]);
		if (f[q] == NULL || s->len == NULL)
			return -1;
	}
	for (uint32_t i = 0; i < s->cfg.packets; i++) {
		unsigned len, q = queue_of(&s->cfg, i);
		const uint8_t *p = frame(s, i, &mac, buf, &len);
		const uint32_t record[4] = {0, 0, len, len};

		fwrite(record, sizeof(record), 1, f[q]);
		fwrite(p, len, 1, f[q]);
		s->frame_bytes += len;
	}
	for (unsigned q = 0; q < s->cfg.workers; q++)
		failed |= fclose(f[q]);
	return failed == 0 ? 0 : -1;
}
