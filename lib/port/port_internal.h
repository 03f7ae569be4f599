/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LM_PORT_INTERNAL_H
#define LM_PORT_INTERNAL_H

#include <lanemesh/port.h>

#define LM_RX_DESC    1024u
#define LM_TX_DESC    1024u
#define LM_POOL_CACHE 256u
#define LM_PORT_BURST 64u

/* What the kernel lost before net_af_packet's ring; all zero: the port has no packet sockets. */
struct lm_packet_sockets {
	int fd[LM_EAL_WORKERS_MAX]; /* the driver's */
	unsigned n;
	uint64_t lost; /* as read so far */
};

struct lm_port {
	uint16_t id, queues, mtu;
	bool attached;	   /* the device is ours to close */
	unsigned if_index; /* of the kernel interface under a software device, or 0 */
	bool hardware;
	bool steers;
	uint64_t rss, tx_offloads; /* RTE_ETH_RSS_*, RTE_ETH_TX_OFFLOAD_* in use */
	char rss_text[40], offloads_text[40];
	struct lm_mac mac;
	char driver[32];
	char name[32];
	struct lm_packet_sockets sockets;
};

/* --------------------------------------------------------- af_packet.c -- */

/* Finds the sockets that net_af_packet has on this interface of the kernel. Their file descriptors
 * stay the driver's, and are valid until the device is closed. 0 or -errno. */
int lm_packet_sockets_find(struct lm_packet_sockets *s, unsigned if_index) LM_MUST_CHECK;
/* How many packets the kernel has had no ring slot for since the device was opened (packet(7),
 * PACKET_STATISTICS; struct tpacket_stats.tp_drops). */
uint64_t lm_packet_sockets_lost(struct lm_packet_sockets *s);

/* ------------------------------------------------------------- steer.c -- */

/* Asks the device to put ESP in UDP to udp_port into the queue of the worker that owns its lane.
 * All or nothing: false when it cannot, and then there is no rule. */
bool lm_port_steer(const struct lm_port *p, uint16_t udp_port, unsigned workers);

/* ----------------------------------------------------------- devargs.c -- */

#define LM_AF_PACKET "net_af_packet"

/* Is it on the PCI bus: [pci:][domain:]bus:device.function[,options]? */
bool lm_devargs_is_pci(const char *devargs);
/* The device's name: what stands before the first comma, without "bus:". -EINVAL: does not fit. */
int lm_devargs_name(const char *devargs, char *out, size_t cap) LM_MUST_CHECK;
/* devargs as DPDK gets them: net_af_packet's queues and frame size added unless they are there.
 * -EINVAL: does not fit; -EMSGSIZE: frame and block size there do not fit the MTU or
 * each other. */
int lm_devargs_complete(const char *devargs, unsigned workers, uint16_t mtu, char *out,
			size_t cap) LM_MUST_CHECK;

/* ---------------------------------------------------------- eal_args.c -- */

#define LM_EAL_ARGS_MAX (32 + 2 * LM_CONFIG_PORTS_MAX)
struct lm_eal_args {
	int n;
	char *v[LM_EAL_ARGS_MAX + 1]; /* owned; NULL behind the last */
};
/* allowed: CPUs of this process, ascending. Fills *out's lcores, cpus, pci. 0 or -errno. */
int lm_eal_args_build(const struct lm_eal_config *cfg, const int *allowed, unsigned n_allowed,
		      bool hugepages, struct lm_eal *out, struct lm_eal_args *args,
		      struct lm_error *err) LM_MUST_CHECK;
void lm_eal_args_free(struct lm_eal_args *args);

/* --------------------------------------------------------- hugepages.c -- */

/* Free huge pages of sizes that a hugetlbfs is mounted for, in MB. sys: "/sys/kernel/mm/hugepages",
 * mounts: "/proc/mounts" (other paths in tests). *mounted: is there any such mount? */
uint64_t lm_hugepages_free_mb(const char *sys, const char *mounts, bool *mounted);

/* Deletes the files of huge pages that DPDK made under this file prefix: they outlive the process,
 * and so would the memory. abandoned: only those that no process has locked, as DPDK does what it
 * uses. */
void lm_hugepages_remove(const char *mounts, const char *prefix, bool abandoned);

/* ----------------------------------------------------------- eal_log.c -- */

/* DPDK's log becomes lines of log, until stopped. NULL when out of memory. */
void *lm_eal_log_start(const struct lm_log *log);
/* The last error that DPDK reported, "" when none; for messages. */
const char *lm_eal_log_last_error(const void *eal_log);
void lm_eal_log_stop(void *eal_log);

#endif
