/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A site with many peers, and the traffic through it, for the gateway benchmark.
 *
 * We are 10.0.0.0/16, LAN host 10.0.0.2, WAN address 192.0.2.1. Peer p is the /24 number p from
 * 10.64.0.0 on, behind a WAN address of its own. Beyond one prefix for each peer, prefixes from
 * 32.0.0.0 on are dealt to the peers in turn until there are `routes`. Packet i of the traffic
 * goes to, or comes from, peer i mod peers, and any of that peer's prefixes.
 *
 * What it relays between peers leaves by a WAN port of its own, which also only throws away.
 *
 * With several workers each has a queue of its own. What comes from peers comes on W * W lanes,
 * each always in one queue: that of the worker that owns it (steered), or so that each queue has as
 * many lanes of each worker (not steered, as RSS would do it).
 */
#ifndef BENCH_SITE_H
#define BENCH_SITE_H

#include <lanemesh/esp_replay.h>
#include <lanemesh/worker.h>
#include <string.h>

#define SITE_WORKERS_MAX 8 /* W * W lanes */
_Static_assert(SITE_WORKERS_MAX *SITE_WORKERS_MAX <= LM_LANES_MAX, "as many as there are");

struct site_config {
	bool inbound;  /* WAN to LAN */
	bool relays;   /* inbound: has a third port, a WAN port to send on from */
	unsigned size; /* bytes of the inner packets; 0 = IMIX */
	uint32_t peers, routes;
	uint32_t packets; /* before they repeat, over all queues */
	unsigned workers; /* 1..SITE_WORKERS_MAX */
	bool steered;
	int cpu[SITE_WORKERS_MAX]; /* of each worker */
	bool hugepages;
	const char *source; /* device that the traffic comes from; NULL: a port that repeats it */
};

static inline unsigned site_lanes(const struct site_config *c)
{
	return c->workers * c->workers;
}

struct site {
	struct site_config cfg;
	struct lm_dp *dp;
	uint16_t lan, wan, onward; /* numbers of the ports in dp; onward: if it relays */
	uint16_t *len;		   /* inner length of packet i */
	struct lm_aead *aead;
	void *keys;		     /* far ends', expanded */
	struct lm_esp_key *raw_keys; /* of each peer's lanes, as far is */
	struct lm_sa_out *far;	     /* inbound: what the peers seal with */
	uint64_t frame_bytes;
	int traffic; /* with a source: queue 0's pcap file, for whoever feeds it */
};

/* Starts a data plane whose workers receive the traffic again and again from an in-memory
 * port and sends into a port that throws away; until site_open it drops them. Tells on stderr why
 * it cannot, and exits. */
void site_start(struct site *s, const struct site_config *cfg);
void site_stop(struct site *s);
/* Sets routes and addresses, so that packets pass from now on. */
void site_open(struct site *s);

/* Back to empty. */
static inline void site_window_back(struct lm_replay *r)
{
	memset(r->bits, 0, (r->top / 64 % LM_REPLAY_WORDS + 1) * sizeof(r->bits[0]));
	r->newest = 0;
	r->top = 0;
}
/* Sets the replay windows of all inbound SAs back to empty. Their worker's thread, or any while it
 * is idle. */
void site_windows_back(const struct site *s);

/* Where peer p is; SITE_SELF: where we are. */
#define SITE_SELF UINT32_MAX
struct lm_endpoint site_endpoint(uint32_t p);

/* SPI blocks as the mesh draws them: no order. An odd factor, so all differ. */
#define SITE_SPI(peer) (LM_SPI_MIN | ((peer) + 1) * 0x2c1b3c6du << 6)

/* ------------------------------------------------------------ traffic.c -- */

#define SITE_PCAP_HEAD 24 /* bytes of the file before its first record, whose head has 16 */

struct lm_prefix site_prefix(uint32_t n, uint32_t peers);
/* For each queue a pcap file in memory with the frames that the site receives there; sets s->len.
 * 0 or -1. */
int site_traffic(struct site *s, int fd[SITE_WORKERS_MAX]);

#endif
