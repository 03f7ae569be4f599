/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * worker: the data plane as the control thread sees it. No DPDK type appears
 * here. One control thread makes every call in this header; workers run on their
 * own cores and are reached through published tables (RCU) and bounded rings.
 */
#ifndef LANEMESH_WORKER_H
#define LANEMESH_WORKER_H

#include <lanemesh/config.h> /* enum lm_hugepages */
#include <lanemesh/crypto.h>
#include <lanemesh/esp.h>
#include <lanemesh/fwd.h>
#include <lanemesh/telemetry.h>
#include <lanemesh/wire.h>

struct lm_dp;

#define LM_DP_PORTS_MAX	    16
#define LM_DP_WORKERS_MAX   64
#define LM_DP_PREFIXES_MAX  (LM_PREFIXES_MAX + LM_OVERLAYS_MAX)
#define LM_DP_ADDRESSES_MAX 64
#define LM_DP_PORT_NONE	    UINT16_MAX /* in place of a port: the box itself */

enum lm_dp_role { LM_DP_LAN, LM_DP_WAN };

struct lm_dp_port_config {
	const char *name; /* for messages */
	enum lm_dp_role role;
	const char *device; /* DPDK devargs: a PCI address or "net_af_packet0,iface=..." */
	uint16_t mtu;	    /* of the IP packets in its frames */
	bool has_mac;
	struct lm_mac mac;
	uint16_t udp_port; /* WAN: the mesh's port */
	/* WAN: new TCP connections and UDP datagrams to these ports are given to the kernel twin.
	 */
	uint16_t accept_tcp[LM_CONFIG_ACCEPT_MAX], accept_udp[LM_CONFIG_ACCEPT_MAX];
	uint8_t n_accept_tcp, n_accept_udp;
};

struct lm_dp_config {
	const char *instance; /* DPDK file prefix "lanemesh-<instance>" */
	unsigned workers;     /* 1..64 */
	const int *cpus;      /* one for each worker, may repeat; NULL: chosen */
	bool idle_poll;	      /* never sleep; else at most 1 ms, when there is nothing to do */
	enum lm_hugepages hugepages;
	unsigned memory_mb;
	unsigned mbufs;	  /* packet buffers; raised to what queues and rings can hold at once */
	const char *aead; /* backend, NULL = best */
	uint32_t max_peers;
	uint32_t max_routes; /* of each IP version; 0: fwd's default. Memory only as they come */
	const struct lm_dp_port_config *ports;
	unsigned n_ports;
	const struct lm_log *log; /* borrowed */
};

/* Starts EAL, opens and starts the ports, launches the workers (which forward nothing until tables
 * say so). Once per process. 0 or -errno with err naming the port or option and the cure. */
int lm_dp_create(const struct lm_dp_config *cfg, struct lm_dp **out,
		 struct lm_error *err) LM_MUST_CHECK;
/* Stops the workers, frees all, wipes keys. Packets in rings and queues are lost. */
void lm_dp_free(struct lm_dp *dp);

/* --------------------------------------------------------------- tables -- */

/*
 * struct lm_route is fwd's; LM_ROUTE_CONNECTED is punted as LM_PUNT_NEIGHBOUR. The control thread
 * resolves conflicts: one route a prefix. Routes to a neighbour on a WAN port are never used:
 * nothing leaves there but ESP and what the control thread sends.
 *
 * Calls that replace or remove something wait until no worker uses it any more, sleeping:
 * microseconds when workers idle, at most what a worker takes for a burst on each of its ports.
 * lm_dp_path_set, of which there are many at once when a WAN port fails, waits in few of its calls.
 */

/* Adds or replaces. -ENOMEM / -ENOSPC leaves the table as it was. */
int lm_dp_route_set(struct lm_dp *dp, const struct lm_prefix *prefix,
		    const struct lm_route *r) LM_MUST_CHECK;
/* -ENOENT when there is none. Packets that are in a worker's hands may still follow it (until the
 * next call that waits, e.g. lm_dp_peer_set), no later ones. */
int lm_dp_route_del(struct lm_dp *dp, const struct lm_prefix *prefix);
uint32_t lm_dp_route_count(const struct lm_dp *dp);

/* Inner source addresses that this site may send (LAN ingress check). */
int lm_dp_own_set(struct lm_dp *dp, const struct lm_prefix *prefixes, unsigned n) LM_MUST_CHECK;
/* Our addresses on a port: outer destinations accepted on a WAN port. */
int lm_dp_addresses_set(struct lm_dp *dp, uint16_t port, const struct lm_ip *ips,
			unsigned n) LM_MUST_CHECK;

/* Inner source addresses that the peer may send (decap check). n = 0 forgets the peer: its outbound
 * SAs and path too; inbound sessions are the caller's to delete. Then its number may be used again.
 */
int lm_dp_peer_set(struct lm_dp *dp, uint32_t peer, const struct lm_prefix *prefixes,
		   unsigned n) LM_MUST_CHECK;
/* Lane j gets SPI spi_base + j and belongs to worker j mod W. Packets that arrive after it has
 * returned are accepted. -EEXIST: the block is in use; -EINVAL, -ENOMEM. */
int lm_dp_sa_in_add(struct lm_dp *dp, uint32_t peer, uint32_t spi_base, unsigned lanes,
		    const struct lm_esp_key *keys) LM_MUST_CHECK;
/* Returns once no worker uses it; keys are wiped. */
void lm_dp_sa_in_del(struct lm_dp *dp, uint32_t spi_base);
/* New outbound SAs, numbers from 1; lanes must be lm_dp_workers(). spi_base 0: none, traffic is a
 * counted drop (no_session). The old ones are wiped. 0, -EINVAL, -ENOMEM. */
int lm_dp_sa_out_set(struct lm_dp *dp, uint32_t peer, uint32_t spi_base, unsigned lanes,
		     const struct lm_esp_key *keys) LM_MUST_CHECK;
/* The outer headers and the WAN port that packets to the peer take, and the largest inner packet.
 * outer->port: a WAN port's index. NULL: no way at present. A burst that is in a worker's hands may
 * still take the old one. 0, -EINVAL, -ENOMEM. */
int lm_dp_path_set(struct lm_dp *dp, uint32_t peer, const struct lm_outer *outer,
		   uint16_t inner_mtu) LM_MUST_CHECK;

/* --------------------------------------------------------------- relay -- */

#define LM_DP_RELAYS_MAX 8192 /* ids */

/*
 * What comes under a relay id, and counts only from there (PROTOCOL.md section 9). A relay has two
 * ids for each pair of ends, one each way.
 */
struct lm_dp_relay {
	uint16_t port;		 /* WAN port */
	struct lm_endpoint from; /* the end; or the relay, when we are the end */
	/* To the other end: its outer headers, and its id (lm_outer_relay). NULL: we are the end.
	 */
	const struct lm_outer *outer;
	uint32_t member; /* peer number whose quota it uses; not for an end */
};
/* Adds or changes: what is counted, remembered and left of the quota goes on. -EEXIST: the id is of
 * the other sort; -ENOSPC, -ENOMEM, -EINVAL. */
int lm_dp_relay_set(struct lm_dp *dp, uint64_t id, const struct lm_dp_relay *r) LM_MUST_CHECK;
/* Returns once nothing is passed on or taken under it any more. */
void lm_dp_relay_end(struct lm_dp *dp, uint64_t id);
/* What each member may have relayed, bytes of UDP payload a second over all of its ids; 0 = no
 * limit, which is so at first. */
void lm_dp_relay_quota(struct lm_dp *dp, uint64_t bytes_per_second);
struct lm_dp_relay_usage {
	uint64_t packets, bytes; /* passed on from this id; bytes of UDP payload */
};
/* Of an id that is passed on, or -ENOENT. */
int lm_dp_relay_usage(const struct lm_dp *dp, uint64_t id,
		      struct lm_dp_relay_usage *out) LM_MUST_CHECK;

/* ---------------------------------------------------------------- rings -- */

/*
 * Every packet ends in exactly one counter. Of the workers' counters,
 *   lan_rx_packets + wan_rx_packets + injected
 *     = lan_tx_packets + wan_tx_packets + punted + keepalive_rx + the sum of the drops
 * whenever no packet is in their hands. `punted` counts TWIN, LOCAL, CONTROL, NEIGHBOUR, and ERROR
 * for a packet to be fragmented; any other ERROR is about a packet that counts as a drop. Calls
 * below that fail count among the control side's drops.
 */

/* Frames from the kernel twin or from the control thread, sent as they are. -ENOBUFS (ring or
 * buffers full), -EMSGSIZE: dropped and counted. */
int lm_dp_send(struct lm_dp *dp, uint16_t port, const void *frame, size_t len);
/* The same for what keeps the mesh alive: handshakes, probes, keepalives, ARP and ND. Has a ring of
 * its own, goes out before everything else, and waits when traffic has filled the port's queue. */
int lm_dp_send_urgent(struct lm_dp *dp, uint16_t port, const void *frame, size_t len);
/* An IP packet from the box itself (lm0): routed like one from a LAN, source check, TTL and MTU
 * included. Also the way for ICMP errors and for fragments of a packet that was punted. Errors as
 * above. */
int lm_dp_inject(struct lm_dp *dp, const void *packet, size_t len);

enum lm_punt_kind {
	LM_PUNT_TWIN,	   /* Ethernet frame for the port's kernel twin */
	LM_PUNT_LOCAL,	   /* inner IP packet from a peer to one of our addresses */
	LM_PUNT_CONTROL,   /* UDP payload with the non-ESP marker, or STUN */
	LM_PUNT_NEIGHBOUR, /* IP packet, TTL already lowered, to be sent on `port` once `via` is
			    * resolved */
	LM_PUNT_ERROR,	   /* IP packet about which `error` is to be sent back; or, when `peer` is
			    * UINT32_MAX, it is IPv4 without DF and the error is LM_ICMP_TOO_BIG,
			    * which is to be cut into fragments of `mtu` and injected again */
	LM_PUNT_WANTED,	   /* no data: a packet for `peer` found no session; each second at most */
	LM_PUNT_MOVED,	   /* no data: a lane's newest authentic packet came from another address,
			    * WAN port or relay id than its newest before. Also for a lane's first
			    * packet,     so every lane of every session makes one note at least */
};

struct lm_punt {
	enum lm_punt_kind kind;
	uint16_t port;		 /* where it came in, LM_DP_PORT_NONE: lm_dp_inject; NEIGHBOUR:
				  * where it is to go out */
	struct lm_endpoint from; /* CONTROL, MOVED: outer source */
	struct lm_endpoint to;	 /* CONTROL: outer destination */
	uint64_t relay;		 /* CONTROL, MOVED: id under which it came through a relay, or 0 */
	uint32_t session;	 /* MOVED: SPI base */
	uint32_t peer;		 /* LOCAL, WANTED, ERROR about a packet from a peer; else
				  * UINT32_MAX */
	struct lm_ip via;	 /* NEIGHBOUR */
	enum lm_icmp_error error;
	uint16_t mtu; /* ERROR, LM_ICMP_TOO_BIG */
	const uint8_t *data;
	size_t len;
};

/* Readable while there is something to poll, or was a moment ago. For poll(2), not to be read. */
int lm_dp_event_fd(const struct lm_dp *dp);
/* Hands up to max punted packets to the handler, control messages of all workers first; data lives
 * during the call. Returns how many. */
unsigned lm_dp_poll(struct lm_dp *dp, unsigned max,
		    void (*handler)(void *user, const struct lm_punt *p), void *user);

/* ----------------------------------------------------------- inspection -- */

unsigned lm_dp_workers(const struct lm_dp *dp);
/* Counters of one worker, or of all together (worker = UINT32_MAX, with the control side's and what
 * the ports missed, rx_missed). */
void lm_dp_counters(const struct lm_dp *dp, uint32_t worker, struct lm_counters *out);

struct lm_dp_usage {
	lm_time last_rx;      /* monotonic ns of the last authentic packet, 0 = none */
	uint32_t highest_seq; /* sent, over the lanes */
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes; /* inner */
};
/* Of an inbound session, or -ENOENT. Sent ones are those of the peer's present outbound SAs. */
int lm_dp_usage(const struct lm_dp *dp, uint32_t spi_base, struct lm_dp_usage *out) LM_MUST_CHECK;

struct lm_dp_port_info {
	const char *name, *driver;
	const char *rss, *offloads; /* as lm_port_rss, lm_port_offloads */
	bool steers;		    /* WAN: the device does the hand-over */
	enum lm_dp_role role;
	struct lm_mac mac;
	bool link_up;
	uint16_t mtu, queues;
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes, rx_missed, rx_errors, tx_errors;
};
unsigned lm_dp_port_count(const struct lm_dp *dp);
int lm_dp_port_info(const struct lm_dp *dp, uint16_t port,
		    struct lm_dp_port_info *out) LM_MUST_CHECK;

/* Of one worker since it started. Times are of the clock, also where workers share a CPU. */
struct lm_dp_worker_info {
	int cpu;
	lm_time running, busy; /* busy: in loops that had a packet; the rest is polling and sleep */
	uint64_t loops, busy_loops, sleeps;
	uint64_t rx_bursts, rx_packets; /* packets / bursts = mean burst */
	uint64_t full_bursts;		/* as large as they get: packets are waiting */
	uint64_t handed_out, handed_in; /* packets passed to, and taken from, other workers */
};
int lm_dp_worker_info(const struct lm_dp *dp, uint32_t worker,
		      struct lm_dp_worker_info *out) LM_MUST_CHECK;
/* "ipsec-mb 1.3.0 (AVX2)". */
const char *lm_dp_aead(const struct lm_dp *dp);

#endif
