/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_internal.h"

#include <errno.h>
#include <net/if.h>
#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEVARGS_MAX (LM_CONFIG_DEVICE_MAX + 64)
#define RSS_WANTED                                                                                 \
	(RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV4_TCP |          \
	 RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_NONFRAG_IPV6_UDP | RTE_ETH_RSS_NONFRAG_IPV6_TCP)

static int fail(const struct lm_port *p, int rc, struct lm_error *err, const char *what)
{
	return lm_error_set(err, -rc, "port %s (%s): %s: %s", p->name,
			    p->driver[0] != '\0' ? p->driver : "no driver", what, strerror(-rc));
}

/*
 * Two ports of a config on one device would close it under each other. Not ethdev's
 * ownership: owned ports are invisible to DPDK's own tools (telemetry, dumpcap).
 */
static int take_found(struct lm_port *p, struct lm_error *err)
{
	struct rte_eth_dev_info info;
	int rc = rte_eth_dev_info_get(p->id, &info);

	if (rc < 0)
		return fail(p, rc, err, "no information");
	if (info.nb_rx_queues != 0) /* configured, so in use */
		return lm_error_set(err, EEXIST, "port %s: another port has the same device",
				    p->name);
	p->attached = true;
	return 0;
}

/* Plugs the device in, unless EAL found it at start (PCI), and finds its port number. */
static int attach(struct lm_port *p, const struct lm_port_config *cfg, struct lm_error *err)
{
	char devargs[DEVARGS_MAX], name[RTE_ETH_NAME_MAX_LEN];
	int rc;

	rc = lm_devargs_name(cfg->device, name, sizeof(name));
	if (rc == 0)
		rc = lm_devargs_complete(cfg->device, cfg->workers, cfg->mtu, devargs,
					 sizeof(devargs));
	if (rc == -EMSGSIZE)
		return lm_error_set(
		    err, EMSGSIZE,
		    "port %s: framesz= and blocksz= in \"%s\": frames must hold MTU "
		    "%u and fill blocks; leave both out",
		    p->name, cfg->device, cfg->mtu);
	if (rc < 0)
		return lm_error_set(err, EINVAL,
				    "port %s: device \"%s\" should be a PCI address or a virtual "
				    "device like \"net_af_packet0,iface=eth1\"",
				    p->name, cfg->device);
	/* EAL has found PCI devices when it started. */
	if (rte_eth_dev_get_port_by_name(name, &p->id) == 0)
		return take_found(p, err);
	rc = rte_dev_probe(devargs);
	if (rc < 0)
		return lm_error_set(err, -rc,
				    "port %s: DPDK cannot use device \"%s\" (%s); does it exist, "
				    "is it bound (drivers-config/bind), is its driver's package "
				    "installed (librte-net-...)?",
				    p->name, devargs, strerror(-rc));
	rc = rte_eth_dev_get_port_by_name(name, &p->id);
	if (rc < 0)
		return lm_error_set(err, ENODEV, "port %s: device %s is no network port", p->name,
				    name);
	p->attached = true;
	return 0;
}

static void describe(struct lm_port *p, const struct rte_eth_dev_info *info)
{
	const char *bus = rte_bus_name(rte_dev_bus(info->device));

	snprintf(p->driver, sizeof(p->driver), "%s", info->driver_name);
	p->hardware = strcmp(bus, "vdev") != 0;
	p->if_index = p->hardware ? 0 : info->if_index;
}

/* ----------------------------------------------------------- configure -- */

static int set_queues(struct lm_port *p, const struct lm_port_config *cfg,
		      const struct rte_eth_dev_info *info, const struct rte_eth_conf *conf)
{
	struct rte_eth_rxconf rx = info->default_rxconf;
	struct rte_eth_txconf tx = info->default_txconf;
	uint16_t n_rx = LM_RX_DESC, n_tx = LM_TX_DESC;
	int socket = rte_eth_dev_socket_id(p->id);
	int rc = rte_eth_dev_adjust_nb_rx_tx_desc(p->id, &n_rx, &n_tx);

	tx.offloads = conf->txmode.offloads;
	for (uint16_t q = 0; rc == 0 && q < p->queues; q++)
		rc = rte_eth_rx_queue_setup(p->id, q, n_rx, (unsigned)socket, &rx, cfg->pool);
	for (uint16_t q = 0; rc == 0 && q < p->queues; q++)
		rc = rte_eth_tx_queue_setup(p->id, q, n_tx, (unsigned)socket, &tx);
	return rc;
}

/* The interface under a packet socket. ethdev would refuse more than 1,500 for net_af_packet, which
 * takes what fits its ring slots. */
static int kernel_set_mtu(unsigned if_index, uint16_t mtu)
{
	struct ifreq ifr = {.ifr_mtu = mtu};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0;

	if (fd < 0)
		return -errno;
	if (if_indextoname(if_index, ifr.ifr_name) == NULL || ioctl(fd, SIOCSIFMTU, &ifr) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static int set_mtu(struct lm_port *p, const struct lm_port_config *cfg, struct lm_error *err)
{
	uint16_t now;
	int rc;

	if (strcmp(p->driver, LM_AF_PACKET) == 0)
		rc = kernel_set_mtu(p->if_index, cfg->mtu);
	else
		rc = rte_eth_dev_set_mtu(p->id, cfg->mtu);

	p->mtu = cfg->mtu;
	if (rc == 0)
		return 0;
	/* A device that cannot be told its MTU is good enough when it takes frames as large. */
	if (rte_eth_dev_get_mtu(p->id, &now) == 0 && now >= cfg->mtu)
		return 0;
	return lm_error_set(err, -rc,
			    "port %s (%s): MTU %u: %s; lower ports.mtu, or raise the MTU "
			    "of the link under it",
			    p->name, p->driver, cfg->mtu, strerror(-rc));
}

/* Destination addresses that must come in: ours, every multicast group that the kernel twin may
 * join. What else comes in, the workers drop. */
static int set_filters(struct lm_port *p, const struct lm_port_config *cfg, struct lm_error *err)
{
	struct rte_ether_addr mac;
	bool promiscuous = false;
	int rc = rte_eth_macaddr_get(p->id, &mac);

	if (rc < 0)
		return fail(p, rc, err, "MAC address");
	if (cfg->has_mac && memcmp(mac.addr_bytes, cfg->mac.b, sizeof(cfg->mac.b)) != 0) {
		memcpy(mac.addr_bytes, cfg->mac.b, sizeof(mac.addr_bytes));
		promiscuous = rte_eth_dev_default_mac_addr_set(p->id, &mac) < 0;
	}
	memcpy(p->mac.b, mac.addr_bytes, sizeof(p->mac.b));
	/* Packet sockets get multicast anyway; of hardware it must be asked for. */
	if (rte_eth_allmulticast_enable(p->id) < 0 && p->hardware)
		promiscuous = true;
	rc = promiscuous ? rte_eth_promiscuous_enable(p->id) : 0;
	if (rc < 0)
		return fail(p, rc, err, "takes neither this MAC address nor promiscuous mode");
	return 0;
}

static void add_word(char *text, size_t cap, const char *word)
{
	size_t n = strlen(text);

	snprintf(text + n, cap - n, "%s%s", n > 0 ? " " : "", word);
}

/* What the device does for us, for people. */
static void describe_use(struct lm_port *p)
{
	const struct {
		uint64_t bits;
		const char *word;
	} rss[] = {
	    {RTE_ETH_RSS_IPV4, "ip4"},
	    {RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV4_TCP, "ip4-ports"},
	    {RTE_ETH_RSS_IPV6, "ip6"},
	    {RTE_ETH_RSS_NONFRAG_IPV6_UDP | RTE_ETH_RSS_NONFRAG_IPV6_TCP, "ip6-ports"},
	};

	for (size_t i = 0; i < RTE_DIM(rss); i++)
		if ((p->rss & rss[i].bits) != 0)
			add_word(p->rss_text, sizeof(p->rss_text), rss[i].word);
	if ((p->tx_offloads & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE) != 0)
		add_word(p->offloads_text, sizeof(p->offloads_text), "fast-free");
	if (lm_port_udp_checksum(p))
		add_word(p->offloads_text, sizeof(p->offloads_text), "udp-checksum");
}

static int configure(struct lm_port *p, const struct lm_port_config *cfg, struct lm_error *err)
{
	struct rte_eth_conf conf = {0};
	struct rte_eth_dev_info info;
	unsigned queues = cfg->workers;
	int rc = rte_eth_dev_info_get(p->id, &info);

	if (rc < 0)
		return fail(p, rc, err, "no information");
	describe(p, &info);
	queues = RTE_MIN(queues, info.max_rx_queues);
	queues = RTE_MIN(queues, info.max_tx_queues);
	if (queues == 0)
		return fail(p, -ENODEV, err, "no queues");
	p->queues = (uint16_t)queues;
	conf.rx_adv_conf.rss_conf.rss_hf = RSS_WANTED & info.flow_type_rss_offloads;
	if (queues > 1 && conf.rx_adv_conf.rss_conf.rss_hf != 0) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		p->rss = conf.rx_adv_conf.rss_conf.rss_hf;
	}
	/* Every sent mbuf is of the one pool and has reference count 1. */
	conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	if (cfg->udp_port != 0)
		conf.txmode.offloads |= info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
	p->tx_offloads = conf.txmode.offloads;
	describe_use(p);
	rc = rte_eth_dev_configure(p->id, p->queues, p->queues, &conf);
	if (rc < 0)
		return fail(p, rc, err, "cannot be configured");
	rc = set_mtu(p, cfg, err);
	if (rc < 0)
		return rc;
	rc = set_queues(p, cfg, &info, &conf);
	if (rc < 0)
		return fail(p, rc, err, "queues");
	rc = rte_eth_dev_start(p->id);
	if (rc < 0)
		return fail(p, rc, err, "cannot be started");
	if (strcmp(p->driver, LM_AF_PACKET) == 0)
		rc = lm_packet_sockets_find(&p->sockets, p->if_index);
	if (rc < 0)
		return fail(p, rc, err, "no statistics of its packet sockets");
	if (queues > 1 && cfg->udp_port != 0)
		p->steers = lm_port_steer(p, cfg->udp_port, cfg->workers);
	return set_filters(p, cfg, err);
}

int lm_port_open(const struct lm_port_config *cfg, struct lm_port **out, struct lm_error *err)
{
	struct lm_port *p = calloc(1, sizeof(*p));
	int rc;

	if (p == NULL)
		return lm_error_set(err, ENOMEM, "out of memory");
	snprintf(p->name, sizeof(p->name), "%s", cfg->name);
	rc = attach(p, cfg, err);
	if (rc == 0)
		rc = configure(p, cfg, err);
	if (rc < 0) {
		lm_port_close(p);
		return rc;
	}
	*out = p;
	return 0;
}

void lm_port_close(struct lm_port *p)
{
	struct rte_eth_dev_info info;

	if (p == NULL)
		return;
	if (p->attached && rte_eth_dev_info_get(p->id, &info) == 0) {
		if (p->steers)
			(void)rte_flow_flush(p->id, NULL);
		(void)rte_eth_dev_stop(p->id);
		(void)rte_eth_dev_close(p->id);
		(void)rte_dev_remove(info.device);
	}
	free(p);
}

/* -------------------------------------------------------------- inquire -- */

unsigned lm_port_queues(const struct lm_port *p)
{
	return p->queues;
}

uint16_t lm_port_id(const struct lm_port *p)
{
	return p->id;
}

const char *lm_port_driver(const struct lm_port *p)
{
	return p->driver;
}

struct lm_mac lm_port_mac(const struct lm_port *p)
{
	return p->mac;
}

uint16_t lm_port_mtu(const struct lm_port *p)
{
	return p->mtu;
}

/* net_af_packet of 22.11 says "up" whatever happens to the interface under it. */
static bool kernel_link_up(unsigned if_index)
{
	struct ifreq ifr = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool up = fd >= 0 && if_indextoname(if_index, ifr.ifr_name) != NULL &&
		  ioctl(fd, SIOCGIFFLAGS, &ifr) == 0 && (ifr.ifr_flags & IFF_RUNNING);

	if (fd >= 0)
		close(fd);
	return up;
}

const char *lm_port_rss(const struct lm_port *p)
{
	return p->rss_text;
}

const char *lm_port_offloads(const struct lm_port *p)
{
	return p->offloads_text;
}

bool lm_port_steers(const struct lm_port *p)
{
	return p->steers;
}

bool lm_port_udp_checksum(const struct lm_port *p)
{
	return (p->tx_offloads & RTE_ETH_TX_OFFLOAD_UDP_CKSUM) != 0;
}

bool lm_port_link_up(const struct lm_port *p)
{
	struct rte_eth_link link;

	if (p->if_index != 0)
		return kernel_link_up(p->if_index);
	return rte_eth_link_get_nowait(p->id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

int lm_port_stats(struct lm_port *p, struct lm_port_stats *out)
{
	struct rte_eth_stats s;
	int rc = rte_eth_stats_get(p->id, &s);

	if (rc < 0) {
		*out = (struct lm_port_stats){0};
		return rc;
	}
	*out = (struct lm_port_stats){
	    .rx_packets = s.ipackets,
	    .rx_bytes = s.ibytes,
	    .tx_packets = s.opackets,
	    .tx_bytes = s.obytes,
	    .rx_missed = s.imissed + lm_packet_sockets_lost(&p->sockets),
	    .rx_errors = s.ierrors,
	    .tx_errors = s.oerrors,
	    .rx_nombuf = s.rx_nombuf,
	};
	return 0;
}
