/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flow rules that do the hand-over in hardware. The lane is the lower 6 bits of an SPI, and
 * lane j belongs to worker j mod W: a few rules on those bits cover every session there will
 * ever be, and none of them changes while the gateway runs. What is no ESP (control messages,
 * relayed datagrams, STUN) has no SPI's top bit, and is left to RSS.
 */
#include "port_internal.h"

#include <errno.h>
#include <lanemesh/wire.h>
#include <rte_flow.h>

#define RULES_MAX (2 * LM_LANES_MAX)

struct rules {
	unsigned n;
	struct rte_flow *flow[RULES_MAX];
};

/* Of how many values of the SPI's lower bits there must be a rule each. */
static unsigned values(unsigned workers)
{
	return (workers & (workers - 1)) == 0 ? workers : LM_LANES_MAX;
}

static int add(const struct lm_port *p, uint16_t udp_port, unsigned workers, bool ip6,
	       unsigned value, struct rules *rules)
{
	const struct rte_flow_attr attr = {.ingress = 1};
	const struct rte_flow_item_udp udp = {.hdr.dst_port = htobe16(udp_port)},
				       udp_mask = {.hdr.dst_port = UINT16_MAX};
	const struct rte_flow_item_esp esp = {.hdr.spi = htobe32(LM_SPI_MIN | value)},
				       esp_mask = {.hdr.spi =
						       htobe32(LM_SPI_MIN | (values(workers) - 1))};
	const struct rte_flow_item pattern[] = {
	    {.type = RTE_FLOW_ITEM_TYPE_ETH},
	    {.type = ip6 ? RTE_FLOW_ITEM_TYPE_IPV6 : RTE_FLOW_ITEM_TYPE_IPV4},
	    {.type = RTE_FLOW_ITEM_TYPE_UDP, .spec = &udp, .mask = &udp_mask},
	    {.type = RTE_FLOW_ITEM_TYPE_ESP, .spec = &esp, .mask = &esp_mask},
	    {.type = RTE_FLOW_ITEM_TYPE_END},
	};
	const struct rte_flow_action_queue queue = {
	    .index = (uint16_t)lm_port_owner_of(p->queues, value % workers)};
	const struct rte_flow_action actions[] = {
	    {.type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &queue},
	    {.type = RTE_FLOW_ACTION_TYPE_END},
	};
	struct rte_flow_error err;
	struct rte_flow *flow = rte_flow_create(p->id, &attr, pattern, actions, &err);

	if (flow == NULL)
		return -ENOTSUP;
	rules->flow[rules->n++] = flow;
	return 0;
}

bool lm_port_steer(const struct lm_port *p, uint16_t udp_port, unsigned workers)
{
	struct rules rules = {0};

	_Static_assert((LM_LANES_MAX & (LM_LANES_MAX - 1)) == 0, "a lane is some bits of the SPI");
	for (unsigned ip6 = 0; ip6 < 2; ip6++) {
		for (unsigned v = 0; v < values(workers); v++) {
			if (add(p, udp_port, workers, ip6 == 1, v, &rules) == 0)
				continue;
			while (rules.n > 0)
				(void)rte_flow_destroy(p->id, rules.flow[--rules.n], NULL);
			return false;
		}
	}
	return true;
}
