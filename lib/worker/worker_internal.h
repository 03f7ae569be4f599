/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of this module share. Who writes and who reads each field is
 * said beside it: "control" is the control thread, "worker" the one worker that
 * owns the structure, "const" is written before the workers start.
 *
 * A pointer marked RCU is loaded with lm_rcu_load after the packets were received,
 * and forgotten before the worker reports its quiescent state at the end of a loop.
 */
#ifndef LANEMESH_WORKER_INTERNAL_H
#define LANEMESH_WORKER_INTERNAL_H

#include "share.h"
#include "slab.h"

#include <lanemesh/esp_packet.h>
#include <lanemesh/port.h>
#include <lanemesh/worker.h>

#include <rte_mbuf.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>

#define LM_BURST	   LM_ESP_BURST
#define LM_ETH_LEN	   ((uint16_t)sizeof(struct lm_eth_hdr))
#define LM_HAND_BURST	   32
#define LM_VLAN_TAGS_LEN   8 /* QinQ, in frames of the twin */
#define lm_rcu_load(p)	   __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define lm_rcu_store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

/* -------------------------------------------------------------- tables -- */

/* Our addresses on a port. Constant once published. */
struct lm_addresses {
	unsigned n;
	struct lm_ip ips[];
};

static inline bool lm_is_own4(const struct lm_addresses *own, const uint8_t *address)
{
	for (unsigned i = 0; own != NULL && i < own->n; i++)
		if (own->ips[i].family == 4 && memcmp(own->ips[i].b, address, 4) == 0)
			return true;
	return false;
}

static inline bool lm_is_own6(const struct lm_addresses *own, const uint8_t *address)
{
	for (unsigned i = 0; own != NULL && i < own->n; i++)
		if (own->ips[i].family == 6 && memcmp(own->ips[i].b, address, 16) == 0)
			return true;
	return false;
}

/* How packets reach a peer. Constant once published. For IPv4 outside, all in the first line. */
struct lm_path_out {
	uint16_t inner_mtu;
	struct lm_outer outer;
} __attribute__((aligned(64)));
_Static_assert(offsetof(struct lm_path_out, outer.hdr) + 42 <= 64, "IPv4's headers: one line");

/* Outbound SAs of a peer, then their keys; lane = worker. Each SA is written by its worker alone.
 */
struct lm_sas_out {
	size_t size; /* of all */
	uint32_t spi_base;
	unsigned lanes;
	struct lm_sa_out sa[];
};

/* Inbound SAs of a session, then their keys. Each SA is written by the worker that owns its lane.
 */
struct lm_session_in {
	size_t size;
	uint32_t spi_base, peer;
	unsigned lanes;
	struct lm_sa_in sa[];
};

/* All that workers know about a peer: three pointers, each replaced on its own. Control's, but for
 * wanted. */
struct lm_peer_slot {
	struct lm_sas_out *out;	    /* RCU */
	struct lm_path_out *path;   /* RCU */
	struct lm_srccheck *source; /* RCU */
	lm_time wanted;		    /* a worker, atomic: a packet found no session, and when */
};

/* SPI block to session: open addressing, at most half full. Control writes, workers read. */
struct lm_sa_slot {
	struct lm_session_in *session; /* NULL: never used; LM_SA_GONE: removed */
	uint32_t spi_base;	       /* written before session */
	uint32_t lanes;		       /* same */
};
struct lm_sa_table {
	uint32_t mask;
	uint32_t used; /* control: slots that are not NULL */
	struct lm_sa_slot slot[];
};
#define LM_SA_GONE ((struct lm_session_in *)1)

struct lm_sa_table *lm_sa_table_new(uint32_t slots);
/* Control. Needs a slot to be free: lm_sa_table_full says whether to move to a larger one first. */
void lm_sa_table_put(struct lm_sa_table *t, struct lm_session_in *s);
bool lm_sa_table_full(const struct lm_sa_table *t);
/* A new table with the sessions of t and room for as many again, or NULL. */
struct lm_sa_table *lm_sa_table_grown(const struct lm_sa_table *t);
struct lm_session_in *lm_sa_table_get(struct lm_sa_table *t, uint32_t spi);

/* SPIs are random (the mesh draws them), so need no hashing beyond dropping the lane. */
static inline uint32_t lm_sa_table_first(const struct lm_sa_table *t, uint32_t spi)
{
	return spi / LM_LANES_MAX & t->mask;
}

/* Worker: the SA with this SPI, or NULL. Does not touch it. */
static inline struct lm_sa_in *lm_sa_table_sa(const struct lm_sa_table *t, uint32_t spi)
{
	uint32_t lane = spi & LM_SPI_LANE_MASK;

	for (uint32_t i = lm_sa_table_first(t, spi);; i = (i + 1) & t->mask) {
		const struct lm_sa_slot *slot = &t->slot[i];
		struct lm_session_in *s = lm_rcu_load(&slot->session);

		if (unlikely(s == NULL))
			return NULL;
		if (likely(__atomic_load_n(&slot->spi_base, __ATOMIC_RELAXED) == spi - lane &&
			   s != LM_SA_GONE))
			return lane < __atomic_load_n(&slot->lanes, __ATOMIC_RELAXED) ? &s->sa[lane]
										      : NULL;
	}
}
/* Takes it out and returns it; the caller waits for the workers and frees it. */
struct lm_session_in *lm_sa_table_take(struct lm_sa_table *t, uint32_t spi_base);

/* --------------------------------------------------------------- rings -- */

/* A packet on its way to another worker, or from control to worker 0. */
enum lm_hand_kind {
	LM_HAND_ESP,	/* received on `port`, its lane belongs to the ring's worker */
	LM_HAND_TX,	/* to be sent on `port`, whose TX queue belongs to the ring's worker */
	LM_HAND_INJECT, /* room for an Ethernet header and an IP packet from the box itself */
};
struct lm_hand {
	struct rte_mbuf *m;
	uint16_t kind, port;
	uint32_t pad_;
};

/* A packet on its way to the control thread: struct lm_punt, packed. */
struct lm_punt_item {
	struct rte_mbuf *m; /* NULL: MOVED, WANTED */
	uint8_t kind, error;
	uint16_t port, mtu, pad_;
	uint32_t peer, session;
	struct lm_endpoint from;
	union {
		struct lm_endpoint to;
		struct lm_ip via;
	};
	uint64_t relay;
};
_Static_assert(sizeof(struct lm_punt_item) % 4 == 0, "rte_ring wants that");

/* -------------------------------------------------------------- workers -- */

struct lm_dp_port {
	struct lm_port *port; /* control */
	uint16_t id, queues;  /* const, as is all up to the last field */
	uint16_t mtu;	      /* of IP packets */
	uint16_t lan_mtu;     /* the same of a LAN's port, 0 of a WAN's */
	uint16_t udp_port;    /* host order */
	enum lm_dp_role role;
	bool udp_csum; /* the device computes UDP checksums of what it sends */
	struct lm_mac mac;
	uint64_t from_us4; /* of a frame with IPv4: the bytes of its source and type */
	uint8_t n_accept_tcp, n_accept_udp;
	uint16_t accept_tcp[LM_CONFIG_ACCEPT_MAX], accept_udp[LM_CONFIG_ACCEPT_MAX];
	struct lm_addresses *addresses; /* RCU */
	char *name;
};

/* A datagram to the mesh's port. */
struct lm_datagram {
	struct rte_mbuf *m;
	const uint8_t *ip; /* outer header */
	uint8_t *payload;
	unsigned len;
	uint64_t relay; /* id under which it came, whose header is taken off; 0 = straight */
};

struct lm_tx {
	uint16_t n;
	uint32_t bytes;
	struct rte_mbuf *m[LM_BURST];
};

/* Urgent frames for a port whose queue was full. */
#define LM_KEPT_MAX 16
struct lm_kept {
	uint16_t n;
	struct rte_mbuf *m[LM_KEPT_MAX];
};

struct lm_hand_out {
	uint16_t n;
	struct lm_hand item[LM_HAND_BURST];
};

/* A packet's destination and source, or the next hops of both. */
struct lm_pair {
	uint32_t dst, src;
};

/* Decrypted or LAN packets on their way through the route lookup. */
struct lm_batch {
	unsigned n, n6;
	struct rte_mbuf *m[LM_BURST];
	uint8_t *ip[LM_BURST];		/* the packet in m */
	uint32_t peer[LM_BURST];	/* that it came from */
	struct lm_pair addr4[LM_BURST]; /* 0 for IPv6, whose places are at6 */
	struct lm_pair hop[LM_BURST];	/* after the lookup */
	uint8_t at6[LM_BURST];
	const uint8_t *dst6[LM_BURST], *src6[LM_BURST];
};

/* Packets for the cipher, one way or the other. */
struct lm_crypt {
	unsigned n;
	bool ip6; /* sealing: some outer header is IPv6 */
	uint32_t inner_bytes, frame_bytes;
	struct lm_aead_op op[LM_BURST];
	struct rte_mbuf *m[LM_BURST];
	union {
		const struct lm_outer *outer[LM_BURST]; /* sealing */
		struct lm_sa_in *sa[LM_BURST];		/* opening */
	};
	const uint8_t *outer_ip[LM_BURST]; /* opening */
	unsigned straight;		   /* opening: those from here on came through relays, */
	uint64_t relay[LM_BURST];	   /* under these ids */
};

/* Written by the worker alone; other threads read counters and stats only. */
struct lm_worker {
	struct lm_dp *dp; /* const */
	unsigned index;	  /* const */
	uint64_t lanes;	  /* const: bit j: lane j belongs to this worker */
	int cpu;	  /* const; -1: any */
	bool sharing;	  /* packets are weighed: lm_share_take */
	unsigned waiting; /* packets of this loop from a WAN or another worker with more waiting
			     behind */
	struct lm_aead *aead;
	struct rte_ring *handover;	  /* const; many workers in, this one out */
	struct rte_ring *inject, *urgent; /* const; control in, worker 0 out; NULL for the others */
	struct rte_ring *punt_control, *punt_other; /* const; this worker in, control out */
	bool punted;				    /* since the control thread was last woken */
	lm_time now;				    /* of this burst; coarse */
	struct lm_hand_out *hand;		    /* one for each worker */
	unsigned n_hand_dirty;
	uint16_t hand_dirty[LM_DP_WORKERS_MAX];
	uint64_t started, busy;		/* TSC at the start; cycles of loops that had a packet */
	struct lm_dp_worker_info stats; /* but times and handed_out, which are elsewhere */
	struct lm_counters counters;
	struct lm_tx tx[LM_DP_PORTS_MAX];
	unsigned n_kept; /* on all ports */
	struct lm_kept kept[LM_DP_PORTS_MAX];
	/* A burst: IPv4 packets without options, which nearly all are, and the others, whose mbufs'
	 * data is the IP packet. */
	struct lm_batch plain, other;
	struct lm_crypt crypt;
	unsigned n_relayed;
	struct lm_datagram relayed[LM_BURST];
	struct lm_hand received[LM_BURST];
	struct lm_share share;
} __attribute__((aligned(64)));

struct lm_relay_table;
struct lm_relay_secret;
struct lm_relay_print;

#define LM_RETIRED_MAX 1024

struct lm_dp {
	const struct lm_log *log;
	unsigned n_workers, n_ports;
	unsigned n_launched;
	bool idle_poll, eal_started;
	uint16_t only_wan; /* the one WAN port; LM_DP_PORT_NONE: there are several */
	uint32_t max_peers;
	uint32_t n_out; /* peers with outbound SAs; control writes, workers read */
	struct lm_eal eal;
	void *pool;
	struct rte_rcu_qsbr *qsbr;
	struct lm_fwd *fwd;		      /* const pointer, RCU inside */
	struct lm_srccheck *own;	      /* RCU */
	struct lm_sa_table *sas;	      /* RCU */
	struct lm_relay_table *relays;	      /* RCU */
	struct lm_relay_secret *relay_secret; /* const, as is the next */
	void (*relay_prints)(const struct lm_relay_secret *key, struct lm_relay_print *d,
			     unsigned n);
	uint64_t relay_rate;	   /* control writes, workers read: bytes a second; 0 = no limit */
	uint64_t *relay_tat;	   /* of each peer, all workers: theoretical arrival time, ns */
	struct lm_peer_slot *peer; /* const array of max_peers */
	struct lm_slab slab;	   /* control: what the tables point to */
	struct lm_aead *aead;	   /* control: expands keys */
	size_t key_size;
	size_t key_stride; /* const: bytes from the key of a lane to the next one's */
	struct lm_worker *worker[LM_DP_WORKERS_MAX];
	struct lm_dp_port port[LM_DP_PORTS_MAX];
	bool stop; /* control writes, workers read */
	/* Control sleeps on event_fd; set by it, taken by the worker that wakes it. */
	bool control_sleeps __attribute__((aligned(64)));
	int event_fd;
	unsigned punt_turn;	     /* control: whose ring is first */
	struct lm_counters counters; /* control's own */
	unsigned n_retired;	     /* control: unpublished, but some worker may still use them */
	struct lm_path_out *retired[LM_RETIRED_MAX];
};

void lm_dp_tables_free(struct lm_dp *dp);

/* Control: returns once every worker has forgotten what was unpublished before, and what was
 * retired is freed. Sleeps. */
void lm_dp_quiesce(struct lm_dp *dp);

/* The frame in one of the next mbufs of a burst will soon be read. */
#define LM_AHEAD 4
static inline void lm_prefetch_frame(struct rte_mbuf *const *pkts, unsigned i, unsigned n)
{
	if (i + LM_AHEAD < n)
		rte_prefetch0(rte_pktmbuf_mtod(pkts[i + LM_AHEAD], void *));
}

/* m's data becomes len bytes at p. */
static inline void lm_mbuf_set(struct rte_mbuf *m, const uint8_t *p, unsigned len)
{
	m->data_off = (uint16_t)(p - (const uint8_t *)m->buf_addr);
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
}

/* Of the worker's own stats: others may look. */
static inline void lm_stat_add(uint64_t *v, uint64_t n)
{
	__atomic_store_n(v, *v + n, __ATOMIC_RELAXED);
}

static inline void lm_drop(struct lm_worker *w, struct rte_mbuf *m, enum lm_ctr why)
{
	lm_count(&w->counters, why, 1);
	rte_pktmbuf_free(m);
}

/* --------------------------------------------------- parts of the loop -- */

int lm_worker_main(void *worker);

/* Frames from a LAN port's queue. Takes all mbufs; n <= LM_BURST, as below. Returns the bytes of
 * all frames. */
uint64_t lm_lan_to_wan(struct lm_worker *w, uint16_t port, struct rte_mbuf **pkts, unsigned n);
/* IP packets from the box itself, after room for an Ethernet header. */
void lm_lan_inject(struct lm_worker *w, struct rte_mbuf **pkts, unsigned n);
/* Frames from a WAN port's queue, or handed over by the worker that received them. */
uint64_t lm_wan_to_lan(struct lm_worker *w, uint16_t port, struct rte_mbuf **pkts, unsigned n,
		       bool handed);
/* Relayed datagrams of a burst. Those that are for us, without their header, stay, at the front of
 * d; how many. */
unsigned lm_relay_burst(struct lm_worker *w, uint16_t port, struct lm_datagram *d, unsigned n);
/* May the kernel twin have this packet of a WAN port? It is no fragment and fits len bytes. */
bool lm_wan_filter4(const struct lm_dp_port *p, const struct lm_addresses *own, const uint8_t *ip,
		    unsigned len);
bool lm_wan_filter6(const struct lm_dp_port *p, const struct lm_addresses *own, const uint8_t *ip,
		    unsigned len);

void lm_tx_burst(struct lm_worker *w, uint16_t port);
/* Sends a frame: at the latest when the loop ends. */
static inline void lm_tx(struct lm_worker *w, uint16_t port, struct rte_mbuf *m)
{
	struct lm_tx *tx = &w->tx[port];

	tx->bytes += m->pkt_len;
	tx->m[tx->n++] = m;
	if (unlikely(tx->n == LM_BURST))
		lm_tx_burst(w, port);
}
/* Sends n <= LM_BURST frames of `bytes` bytes, now if none are gathered. */
void lm_tx_all(struct lm_worker *w, uint16_t port, struct rte_mbuf **m, unsigned n, uint32_t bytes);
void lm_tx_flush(struct lm_worker *w);
/* Puts an Ethernet header before the IP packet and sends it to the neighbour. */
void lm_tx_neighbour(struct lm_worker *w, const struct lm_adj *adj, struct rte_mbuf *m);

/* The same for an IPv4 packet of len bytes in m, wherever m's data begins; out: adj's port. */
static inline void lm_tx_neighbour4(struct lm_worker *w, const struct lm_adj *adj,
				    const struct lm_dp_port *out, struct rte_mbuf *m, uint8_t *ip,
				    unsigned len)
{
	/* There is room: the packet came with a link header. */
	uint8_t *frame = ip - LM_ETH_LEN;

	/* Two bytes more than the address, which the next store mends. */
	_Static_assert(offsetof(struct lm_adj, mac) + 8 <= sizeof(*adj), "it has them");
	memcpy(frame, adj->mac.b, 8);
	memcpy(frame + sizeof(adj->mac), &out->from_us4, 8);
	lm_mbuf_set(m, frame, LM_ETH_LEN + len);
	lm_tx(w, adj->port, m);
}

void lm_hand_over(struct lm_worker *w, unsigned to, struct rte_mbuf *m, enum lm_hand_kind kind,
		  uint16_t port);
void lm_hand_flush(struct lm_worker *w);
/* Handles what others handed over; returns how many. */
unsigned lm_hand_receive(struct lm_worker *w);
/* Sends what the control thread has that is urgent; returns how many came. */
unsigned lm_urgent_receive(struct lm_worker *w);
/* The same for the rest of what it sends. */
unsigned lm_inject_receive(struct lm_worker *w);

/* The ways to the control thread. Frame: for the port's kernel twin. */
void lm_punt_twin(struct lm_worker *w, uint16_t port, struct rte_mbuf *m);
/* A packet for someone in particular: item->m is set. Counted as punted, or as punt_full. */
void lm_punt_item(struct lm_worker *w, const struct lm_punt_item *item);
/* The same, of a control message that need not be a member's: half of the ring is for those. */
void lm_punt_stranger(struct lm_worker *w, const struct lm_punt_item *item);
/* A packet to be sent on adj's link once the next hop's MAC address is known. */
void lm_punt_neighbour(struct lm_worker *w, const struct lm_adj *adj, struct rte_mbuf *m);
/* About a packet that was counted as a drop; freed when there is no room to tell of it. */
void lm_punt_error(struct lm_worker *w, uint16_t port, struct rte_mbuf *m, uint32_t peer,
		   enum lm_icmp_error error, uint16_t mtu);
/* False: no room, try again with a later packet. */
bool lm_punt_moved(struct lm_worker *w, uint16_t port, uint32_t session,
		   const struct lm_endpoint *from, uint64_t relay);
/* A packet for the peer found no session: a note, if there was none for a second. */
void lm_punt_wanted(struct lm_worker *w, uint32_t peer);
/* At the end of a loop: wakes the control thread if it sleeps and there is something for it. */
void lm_punt_wake(struct lm_worker *w);

#endif
