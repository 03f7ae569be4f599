/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A real data plane in this process, whose ports are DPDK's net_ring devices: the test
 * holds the other ends of the rings. And two peers: the other ends of its SAs.
 *
 * Addresses: we are site 1. Port 0 is a LAN (10.1.0.0/24, fd00:1::/64), port 1 the WAN
 * (192.0.2.1, 2001:db8::1), port 2 a second LAN (10.1.1.0/24), port 3, if any, a second WAN
 * (192.0.2.129). Peer n is site n + 2
 * (10.<n+2>.0.0/16, fd00:<n+2>::/48) at 198.51.100.<n+2>.
 */
#ifndef RIG_H
#define RIG_H

#include <lanemesh/worker.h>

#define RIG_LAN	      0
#define RIG_WAN	      1
#define RIG_LAN2      2
#define RIG_PORTS     3
#define RIG_WAN2      3 /* when asked for */
#define RIG_PORTS_MAX 4
#define RIG_PEERS     2
#define RIG_PUNTS     4096
#define RIG_FRAME_MAX 2000
#define RIG_MTU	      1400 /* inner, of both peers' paths */
#define RIG_PORT_MTU  1500

struct rig_config {
	unsigned workers;
	unsigned queues; /* of each port; 0 = as many as workers */
	bool poll;
	bool wan2;	/* a fourth port */
	unsigned peers; /* most of them; 0 = RIG_PEERS. Only those have sessions */
	unsigned ring;	/* frames in each queue, a power of two; 0 = 1,024 */
};

struct rig_punt {
	struct lm_punt p; /* data is NULL */
	uint8_t data[256];
};

/* The far end of one lane each way. */
struct rig_lane {
	struct lm_sa_out out; /* to us */
	struct lm_sa_in in;   /* from us */
};

struct rig_peer {
	uint32_t spi_in, spi_out; /* our inbound block, and theirs */
	unsigned lanes_in;
	struct lm_esp_key key_in[LM_LANES_MAX], key_out[LM_LANES_MAX];
	struct rig_lane lane[LM_LANES_MAX];
	void *keys;
	struct lm_outer outer; /* from the peer to us, IPv4 */
};

struct rig {
	struct lm_dp *dp;
	unsigned workers, queues, n_ports, ring, pool_size;
	struct lm_aead *aead;
	struct rig_peer peer[RIG_PEERS];
	uint64_t fed, injected; /* frames, packets */
	struct rig_punt *punts; /* the first RIG_PUNTS since rig_forget */
	unsigned n_punts;	/* all of them */
	struct rig_ports *ports;
	unsigned device_checksums; /* frames whose UDP checksum was left to the device */
};

/* Starts it with addresses, routes, peers, sessions on every lane, and paths. */
void rig_start(struct rig *r, const struct rig_config *cfg);
/* Fails the test unless every packet is accounted for and every buffer given back. */
void rig_stop(struct rig *r);

/* Puts a frame into the queue of a port. False: the ring or the pool is full. */
bool rig_feed(struct rig *r, unsigned port, unsigned queue, const void *frame, size_t len);
struct rig_frame {
	uint16_t len;
	uint8_t data[RIG_FRAME_MAX];
};
/* Puts so many frames into an empty queue at once: its worker finds none of them or all, however
 * slow this thread is. Fails the test when they are more than the ring or the pool holds. */
void rig_feed_all(struct rig *r, unsigned port, unsigned queue, const struct rig_frame *frames,
		  unsigned n);
/* The next frame that the data plane sent on a port, in any queue; 0 = none. */
size_t rig_read(struct rig *r, unsigned port, uint8_t *buf);
/* Waits until all that was fed is dealt with, collecting punts. Fails after a minute. */
void rig_settle(struct rig *r);
/* Collects punts that are there now. */
void rig_poll(struct rig *r);
void rig_forget(struct rig *r);
uint64_t rig_count(const struct rig *r, enum lm_ctr id);
/* Sum of all drops of the workers. */
uint64_t rig_drops(const struct rig *r);
/* All that was fed and injected = tx + punted + keepalives + drops? */
bool rig_balanced(const struct rig *r);

/* Replaces the sessions of a peer by new ones with new keys. */
void rig_rekey_in(struct rig *r, unsigned peer, uint32_t spi, unsigned lanes);
void rig_rekey_out(struct rig *r, unsigned peer, uint32_t spi);
/* An inner packet sealed by the peer on a lane, as a frame at our WAN port. */
size_t rig_seal(struct rig *r, unsigned peer, unsigned lane, uint8_t next, const void *inner,
		size_t len, uint8_t tos, uint8_t *frame);
/* Opens a frame that we sent to the peer. Length of the inner packet, which is copied; 0 when it is
 * not authentic. */
size_t rig_open(struct rig *r, unsigned peer, const uint8_t *frame, size_t len, uint8_t *inner);

struct lm_mac rig_mac(unsigned port);	   /* ours */
struct lm_mac rig_host_mac(unsigned port); /* of the host behind it, or of the WAN's router */

/* ------------------------------------------------------------- packets -- */

struct rig_ip {
	const char *src, *dst;
	uint8_t proto, ttl, tos;
	bool df;
	size_t payload; /* bytes after the IP header: counting up from 0 unless l4 is given */
	const void *l4;
};
/* Builds an IP packet of either family. */
size_t rig_ip(const struct rig_ip *d, uint8_t *out);
/* A UDP datagram in an IP packet. */
size_t rig_udp(const char *src, uint16_t sport, const char *dst, uint16_t dport, const void *data,
	       size_t len, uint8_t *out);
/* An Ethernet header before it; to our port's MAC from the host's. */
size_t rig_eth(unsigned port, uint16_t type, const void *payload, size_t len, uint8_t *out);
/* rig_ip in rig_eth. */
size_t rig_frame(unsigned port, const struct rig_ip *d, uint8_t *out);
/* Numeric; a v4-mapped address stays one, unlike in lm_ip_parse. */
struct lm_ip rig_addr(const char *text);

#endif
