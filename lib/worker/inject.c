/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the control thread sends goes through one bounded ring to worker 0, which has a
 * queue on every port. Worker 0 is not woken for it: it looks at the ring at least
 * every millisecond.
 */
#include "worker_internal.h"

#include <errno.h>

static int drop(struct lm_dp *dp, enum lm_ctr why, int code)
{
	lm_count(&dp->counters, why, 1);
	return -code;
}

/* room: bytes before the data, to be left for a header. */
static int send_to_worker(struct lm_dp *dp, enum lm_hand_kind kind, uint16_t port, size_t room,
			  const void *data, size_t len)
{
	struct lm_hand h = {.kind = (uint16_t)kind, .port = port};
	char *p;

	if (rte_ring_full(dp->worker[0]->inject))
		return drop(dp, LM_C_INJECT_FULL, ENOBUFS);
	h.m = rte_pktmbuf_alloc(dp->pool);
	if (h.m == NULL)
		return drop(dp, LM_C_NO_MBUF, ENOBUFS);
	p = rte_pktmbuf_append(h.m, (uint16_t)(room + len));
	if (p == NULL) {
		rte_pktmbuf_free(h.m);
		return drop(dp, LM_C_INJECT_MALFORMED, EMSGSIZE);
	}
	memset(p, 0, room);
	memcpy(p + room, data, len);
	/* There is room: only this thread fills the ring. */
	return rte_ring_sp_enqueue_elem(dp->worker[0]->inject, &h, sizeof(h));
}

int lm_dp_send(struct lm_dp *dp, uint16_t port, const void *frame, size_t len)
{
	if (port >= dp->n_ports || len < LM_ETH_LEN ||
	    len > (size_t)dp->port[port].mtu + LM_ETH_LEN + LM_VLAN_TAGS_LEN)
		return drop(dp, LM_C_INJECT_MALFORMED, EMSGSIZE);
	return send_to_worker(dp, LM_HAND_TX, port, 0, frame, len);
}

int lm_dp_inject(struct lm_dp *dp, const void *packet, size_t len)
{
	if (len < sizeof(struct lm_ip4_hdr) || len > UINT16_MAX - LM_ETH_LEN)
		return drop(dp, LM_C_INJECT_MALFORMED, EMSGSIZE);
	return send_to_worker(dp, LM_HAND_INJECT, LM_DP_PORT_NONE, LM_ETH_LEN, packet, len);
}
