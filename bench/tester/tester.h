/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tester: a traffic generator with two Ethernet ports, each the LAN of a gateway, in the manner of
 * RFC 2544. Sends UDP at a constant rate from the first port's host to the second's and counts what
 * arrives; stamps give the time between sending and receiving. One thread, one clock. Both hosts
 * answer ARP.
 */
#ifndef BENCH_TESTER_H
#define BENCH_TESTER_H

#include <lanemesh/port.h>
#include <lanemesh/wire.h>

#include <rte_mbuf.h>

#define TESTER_BURST	32u
#define TESTER_FLOWS	64u /* UDP source ports in turn */
#define TESTER_SIZE_MIN 64u /* of IP packets; room for a stamp behind the headers */
#define TESTER_SIZE_MAX 1440u

/* ---------------------------------------------------------- histogram.c -- */

/* Buckets of 1/64 of a power of two: a percentile is at most 1.6 % off. */
#define HISTOGRAM_STEPS	  64u
#define HISTOGRAM_BUCKETS (HISTOGRAM_STEPS * 40u)

struct histogram {
	uint64_t n, max;
	uint32_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t v);
/* The value that a share (0..1) of all do not exceed; 0 when there is none. */
uint64_t histogram_at(const struct histogram *h, double share);

/* ------------------------------------------------------------- frames.c -- */

struct tester_port {
	struct lm_port *port;
	uint16_t id;
	struct lm_mac mac, gateway; /* gateway: the port of the gateway that we are joined to */
	uint8_t ip[4];
};

/* Behind the UDP header. */
struct tester_stamp {
	uint32_t magic, trial;
	uint64_t seq, tsc;
} __attribute__((packed));

#define TESTER_MAGIC 0x6c6d7473u

/* Headers of a packet of one size, ready to copy. */
struct tester_template {
	uint8_t
	    head[sizeof(struct lm_eth_hdr) + sizeof(struct lm_ip4_hdr) + sizeof(struct lm_udp_hdr)];
	uint16_t frame_len;
};

void tester_template(struct tester_template *t, const struct tester_port *from,
		     const struct tester_port *to, uint16_t ip_len);
/* Writes packet number seq of a trial; its time is set when it is sent. */
void tester_fill(struct rte_mbuf *m, const struct tester_template *t, uint32_t trial, uint64_t seq);
struct tester_stamp *tester_stamp_of(struct rte_mbuf *m);
/* Is it one of the trial's? */
bool tester_is_ours(struct rte_mbuf *m, uint32_t trial);
/* Turns an ARP request for the port's address into the answer; false: it is no such thing. */
bool tester_arp(struct rte_mbuf *m, const struct tester_port *p);

/* -------------------------------------------------------------- trial.c -- */

struct tester {
	struct tester_port port[2];
	struct rte_mempool *pool;
	uint32_t trial; /* number of the last one */
};

struct trial {
	/* Asked for. */
	uint16_t size; /* of the IP packets, 0 = IMIX (7x64, 4x576, 1x1400) */
	double pps, seconds;
	unsigned interval_us; /* between two looks at the ports; 0 = never rest */
	/* Found. Every packet that was due was sent, or refused because the gateway's ring was
	 * full: `offered` is both. `skipped` were not due in time because the tester itself
	 * stood still, and are nobody's loss. */
	uint64_t offered, refused, received, misordered, skipped, bytes;
	double lasted, cpu;	  /* seconds */
	struct histogram latency; /* ns */
};

/* Answers ARP on both ports for a moment; drops the rest. */
void tester_idle(struct tester *t);
/* 0, or -ENOMEM. */
int tester_run(struct tester *t, struct trial *r);

#endif
