/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * port: DPDK's environment, packet buffers and Ethernet devices. One thread (the
 * control thread, EAL's main lcore) makes every call here; workers move packets
 * with rte_eth_rx_burst/tx_burst on lm_port_id(), queue = own number. No DPDK type
 * appears here.
 */
#ifndef LANEMESH_PORT_H
#define LANEMESH_PORT_H

#include <lanemesh/base.h>
#include <lanemesh/config.h> /* enum lm_hugepages */

#define LM_EAL_WORKERS_MAX 64

/* ----------------------------------------------------------- environment -- */

struct lm_eal_config {
	const char *instance; /* file prefix "lanemesh-<instance>": one for each process */
	unsigned workers;     /* 1..64 */
	const int *cpus;      /* one for each worker, may repeat; NULL: bound to none */
	enum lm_hugepages hugepages;
	unsigned memory_mb; /* DPDK's memory; 0 = default */
	/* devargs of every port: the PCI bus is only scanned when one needs it. Borrowed. */
	const char *const *devices;
	unsigned n_devices;
	const struct lm_log *log; /* until lm_eal_stop; DPDK's threads write to it too */
};

struct lm_eal {
	bool hugepages;	     /* in use */
	bool pci;	     /* bus scanned */
	unsigned memory_mb;  /* asked for */
	unsigned main_lcore; /* of the calling thread */
	unsigned workers;
	/* Worker i runs on lcore lcore[i], bound to cpu[i] (-1: any allowed one). */
	unsigned lcore[LM_EAL_WORKERS_MAX];
	int cpu[LM_EAL_WORKERS_MAX];
	void *log; /* private */
};

#define LM_EAL_MEMORY_DEFAULT 256 /* MB; only what is touched is used without hugepages */

/* Starts EAL. The caller becomes the main lcore. Once per process (DPDK's rule). AUTO hugepages:
 * used when enough are free and hugetlbfs is mounted, else none, with a note in the log.
 * 0 or -errno with err naming the cure. */
int lm_eal_start(const struct lm_eal_config *cfg, struct lm_eal *out,
		 struct lm_error *err) LM_MUST_CHECK;
/* After all ports are closed and workers have returned. Removes DPDK's run-time files. */
void lm_eal_stop(struct lm_eal *eal);

/* --------------------------------------------------------------- buffers -- */

/*
 * One pool of packet buffers for all ports. Each holds a frame with an IP packet of mtu bytes, room
 * before it for ESP's outer headers after the Ethernet header is gone (LM_ESP_HEADROOM), and after
 * it for LM_ESP_TAILROOM: frames are always one segment. mbufs: how many in all; cache per worker.
 * *out is a struct rte_mempool. -ENOMEM with err.
 */
int lm_pool_create(const char *name, unsigned mbufs, uint16_t mtu, void **out,
		   struct lm_error *err) LM_MUST_CHECK;
/* No buffer may be in use. */
void lm_pool_free(void *pool);
/* How many buffers these ports and workers need at least: every ring full, every cache full, one
 * burst in each worker's hands, and rings_total more for the caller's own rings. */
unsigned lm_pool_need(unsigned ports, unsigned workers, unsigned rings_total);

/* ----------------------------------------------------------------- ports -- */

struct lm_port;

struct lm_port_config {
	const char *name;   /* for messages */
	const char *device; /* devargs: "0000:03:00.0", "net_af_packet0,iface=eth1", ... */
	uint16_t mtu;	    /* of the IP packets in its frames */
	bool has_mac; /* use this address; promiscuous when the device cannot change its own */
	struct lm_mac mac;
	unsigned workers; /* wishes for as many queue pairs */
	uint16_t
	    udp_port; /* WAN: ESP to this port is steered by lane where the device can; else 0 */
	void *pool;   /* from lm_pool_create; borrowed until closed */
};

/*
 * Finds or hot-plugs the device, configures min(workers, what it has) queue pairs with RSS over IP
 * and UDP where offered, sets MTU and MAC, accepts all multicast (OSPF, neighbour discovery for the
 * twin), and starts it. net_af_packet gets qpairs= and framecnt=, and for jumbo frames framesz= and
 * blocksz=, unless the devargs say them. 0 or -errno with err naming the port and the cure.
 */
int lm_port_open(const struct lm_port_config *cfg, struct lm_port **out,
		 struct lm_error *err) LM_MUST_CHECK;
/* Stops, closes and unplugs. No worker may use it any more. NULL is allowed. */
void lm_port_close(struct lm_port *p);

/*
 * Queue pairs. Worker w with w < queues owns RX and TX queue w alone. Another worker gets packets
 * only by handover and sends through the TX queue of worker lm_port_owner(p, w), by a ring to it.
 */
unsigned lm_port_queues(const struct lm_port *p);
static inline unsigned lm_port_owner_of(unsigned queues, unsigned worker)
{
	return worker % queues;
}
uint16_t lm_port_id(const struct lm_port *p); /* DPDK's number */
const char *lm_port_driver(const struct lm_port *p);
struct lm_mac lm_port_mac(const struct lm_port *p); /* in use */
uint16_t lm_port_mtu(const struct lm_port *p);	    /* in use */
bool lm_port_link_up(const struct lm_port *p);

/* What the device does for us, for people. What it spreads packets over queues by ("ip4",
 * "ip4-ports ip6", ...), transmit offloads in use ("fast-free", ...); "" when none. */
const char *lm_port_rss(const struct lm_port *p);
const char *lm_port_offloads(const struct lm_port *p);
/* Does every ESP packet arrive in the queue of the worker that owns its lane? */
bool lm_port_steers(const struct lm_port *p);
/* Does it compute the UDP checksum of a frame whose mbuf asks for it? On WAN ports only. */
bool lm_port_udp_checksum(const struct lm_port *p);

struct lm_port_stats {
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
	/* missed: lost before any worker could take them, for want of room in a queue or, with
	 * net_af_packet, in the kernel's ring */
	uint64_t rx_missed, rx_errors, tx_errors, rx_nombuf;
};
/* Since the port was opened. 0 or -errno; then *out is zero. */
int lm_port_stats(struct lm_port *p, struct lm_port_stats *out) LM_MUST_CHECK;

#endif
