/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_internal.h"

#include <lanemesh/esp.h>

#include <errno.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

/* A packet that came in starts RTE_PKTMBUF_HEADROOM into its buffer with an Ethernet header, which
 * gives way to the outer headers; one from the kernel is placed by the worker the same way. */
_Static_assert(RTE_PKTMBUF_HEADROOM >= LM_ESP_HEADROOM, "outer headers fit before the packet");

#define FRAME_OVERHEAD 18u /* Ethernet header and one VLAN tag */
#define ROOM_MIN       2048u
#define SLACK	       128u  /* net_af_packet wants room for a whole ring slot, */
#define PAGE	       4096u /* which is some pages when it is not ROOM_MIN */
#define ROOM_MAX       (UINT16_MAX - RTE_PKTMBUF_HEADROOM)

int lm_pool_create(const char *name, unsigned mbufs, uint16_t mtu, void **out, struct lm_error *err)
{
	unsigned room = mtu + FRAME_OVERHEAD + LM_ESP_TAILROOM + SLACK;
	struct rte_mempool *mp;

	room = room <= ROOM_MIN ? ROOM_MIN : (room + PAGE - 1) / PAGE * PAGE;
	if (room > ROOM_MAX)
		return lm_error_set(err, EINVAL, "MTU %u is larger than a buffer can be", mtu);
	if (mbufs < 2 * LM_POOL_CACHE)
		return lm_error_set(err, EINVAL, "%u packet buffers: at least %u are needed", mbufs,
				    2 * LM_POOL_CACHE);
	mp = rte_pktmbuf_pool_create(name, mbufs, LM_POOL_CACHE, 0,
				     (uint16_t)(RTE_PKTMBUF_HEADROOM + room), (int)rte_socket_id());
	if (mp == NULL)
		return lm_error_set(err, rte_errno != 0 ? rte_errno : ENOMEM,
				    "%u packet buffers of %u bytes do not fit DPDK's memory (%s): "
				    "raise memory.size_mb or lower memory.mbufs",
				    mbufs, room, rte_strerror(rte_errno));
	*out = mp;
	return 0;
}

void lm_pool_free(void *pool)
{
	rte_mempool_free(pool);
}

unsigned lm_pool_need(unsigned ports, unsigned workers, unsigned rings_total)
{
	/* A cache holds up to one and a half times its size before it gives back. */
	unsigned per_worker = LM_POOL_CACHE * 3 / 2 + LM_PORT_BURST;

	return ports * workers * (LM_RX_DESC + LM_TX_DESC) + (workers + 1) * per_worker +
	       rings_total;
}
