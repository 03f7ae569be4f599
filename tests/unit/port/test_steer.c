/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The flow rules that put each lane into the queue of its worker. The program defines DPDK's
 * functions itself, as a card that takes any rule, or none, or a few; the rules are then
 * applied to packets as a card would.
 */
#include "port_internal.h"

#include <lanemesh/wire.h>
#include <rte_flow.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define PORT_ID 3
#define UDP	4501
#define MOST	200

struct rte_flow {
	bool used, ip6;
	uint16_t udp, udp_mask, queue;
	uint32_t spi, spi_mask;
};
static struct rte_flow rules[MOST];
static unsigned n_rules, room;

struct rte_flow *rte_flow_create(uint16_t port_id, const struct rte_flow_attr *attr,
				 const struct rte_flow_item pattern[],
				 const struct rte_flow_action actions[],
				 struct rte_flow_error *error)
{
	const struct rte_flow_item_udp *udp = pattern[2].spec, *udp_mask = pattern[2].mask;
	const struct rte_flow_item_esp *esp = pattern[3].spec, *esp_mask = pattern[3].mask;
	const struct rte_flow_action_queue *queue = actions[0].conf;

	assert_int_equal(port_id, PORT_ID);
	assert_true(attr->ingress && !attr->egress && !attr->transfer);
	assert_int_equal(pattern[0].type, RTE_FLOW_ITEM_TYPE_ETH);
	assert_true(pattern[1].type == RTE_FLOW_ITEM_TYPE_IPV4 ||
		    pattern[1].type == RTE_FLOW_ITEM_TYPE_IPV6);
	assert_int_equal(pattern[2].type, RTE_FLOW_ITEM_TYPE_UDP);
	assert_int_equal(pattern[3].type, RTE_FLOW_ITEM_TYPE_ESP);
	assert_int_equal(pattern[4].type, RTE_FLOW_ITEM_TYPE_END);
	assert_int_equal(actions[0].type, RTE_FLOW_ACTION_TYPE_QUEUE);
	assert_int_equal(actions[1].type, RTE_FLOW_ACTION_TYPE_END);
	if (n_rules == room) {
		(void)rte_flow_error_set(error, ENOSPC, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, NULL,
					 "full");
		return NULL;
	}
	assert_true(n_rules < MOST);
	rules[n_rules] = (struct rte_flow){
	    .used = true,
	    .ip6 = pattern[1].type == RTE_FLOW_ITEM_TYPE_IPV6,
	    .udp = be16toh(udp->hdr.dst_port),
	    .udp_mask = be16toh(udp_mask->hdr.dst_port),
	    .queue = queue->index,
	    .spi = be32toh(esp->hdr.spi),
	    .spi_mask = be32toh(esp_mask->hdr.spi),
	};
	return &rules[n_rules++];
}

int rte_flow_destroy(uint16_t port_id, struct rte_flow *flow, struct rte_flow_error *error)
{
	(void)error;
	assert_int_equal(port_id, PORT_ID);
	assert_true(flow->used);
	flow->used = false;
	return 0;
}

/* The queue, -1 when no rule matches. Two that match are a fault. */
static int queue_of(bool ip6, uint16_t udp, uint32_t spi)
{
	int queue = -1;

	for (unsigned i = 0; i < n_rules; i++) {
		const struct rte_flow *r = &rules[i];

		if (!r->used || r->ip6 != ip6 || ((udp ^ r->udp) & r->udp_mask) != 0 ||
		    ((spi ^ r->spi) & r->spi_mask) != 0)
			continue;
		assert_int_equal(queue, -1);
		queue = r->queue;
	}
	return queue;
}

static bool steer(unsigned queues, unsigned workers, unsigned card)
{
	const struct lm_port p = {.id = PORT_ID, .queues = (uint16_t)queues};

	n_rules = 0;
	room = card;
	return lm_port_steer(&p, UDP, workers);
}

static void each_lane_to_its_worker(void **state)
{
	static const uint32_t blocks[] = {0x80000000, 0xdeadbec0, 0xffffffc0};

	(void)state;
	for (unsigned workers = 2; workers <= LM_LANES_MAX; workers++) {
		assert_true(steer(workers, workers, MOST));
		for (unsigned b = 0; b < RTE_DIM(blocks); b++) {
			for (unsigned lane = 0; lane < LM_LANES_MAX; lane++) {
				uint32_t spi = blocks[b] + lane;
				int owner = (int)(lane % workers);

				assert_int_equal(queue_of(false, UDP, spi), owner);
				assert_int_equal(queue_of(true, UDP, spi), owner);
				assert_int_equal(queue_of(false, UDP + 1, spi), -1);
				/* A relayed datagram or another message has a type there, and no
				 * lane: RSS spreads those. */
				assert_int_equal(queue_of(false, UDP, spi & INT32_MAX), -1);
				assert_int_equal(queue_of(true, UDP, lane), -1);
			}
		}
	}
}

/* A card whose table is small is not asked for more rules than it takes. */
static void few_rules_for_powers_of_two(void **state)
{
	(void)state;
	assert_true(steer(8, 8, MOST));
	assert_int_equal(n_rules, 2 * 8);
	assert_true(steer(3, 3, MOST));
	assert_int_equal(n_rules, 2 * LM_LANES_MAX);
}

/* Workers without a queue: their lanes come to the one that also sends for them. */
static void fewer_queues_than_workers(void **state)
{
	(void)state;
	assert_true(steer(2, 4, MOST));
	for (unsigned lane = 0; lane < LM_LANES_MAX; lane++)
		assert_int_equal(queue_of(false, UDP, 0x80000000 + lane),
				 lm_port_owner_of(2, lane % 4));
}

static void all_or_nothing(void **state)
{
	(void)state;
	for (unsigned card = 0; card < 2 * 4; card++) {
		assert_false(steer(4, 4, card));
		for (unsigned i = 0; i < n_rules; i++)
			assert_false(rules[i].used);
	}
	assert_true(steer(4, 4, 2 * 4));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_lane_to_its_worker),
	    cmocka_unit_test(few_rules_for_powers_of_two),
	    cmocka_unit_test(fewer_queues_than_workers),
	    cmocka_unit_test(all_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
