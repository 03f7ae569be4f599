/* SPDX-License-Identifier: BSD-3-Clause */
/* Route lookups, SA lookups, and the ring between workers. */
#include "micro.h"

#include "worker_internal.h"

#include <stdlib.h>

#define BURST 64

/* -------------------------------------------------------------- routes -- */

#define ADDRESSES 65536 /* looked up in turn: no cache holds what all of them touch */

struct routes {
	struct lm_fwd *fwd;
	unsigned at;
	uint32_t address[ADDRESSES];
};

static void lookup(void *ctx)
{
	struct routes *r = ctx;
	uint32_t adj[BURST];

	lm_fwd_lookup4(r->fwd, &r->address[r->at], adj, BURST);
	if (adj[0] == LM_ADJ_NONE) /* each address has a route */
		exit(1);
	r->at = (r->at + BURST) % ADDRESSES;
}

/* Of every 8 prefixes one is a /28, the others are /24: some lookups take the second step. */
static void add_routes(struct routes *r, uint32_t n, uint64_t *seed)
{
	uint32_t *net = micro_alloc(n * sizeof(*net));

	for (uint32_t i = 0; i < n; i++) {
		struct lm_route to = {.kind = LM_ROUTE_PEER, .peer = i % 4096};
		struct lm_prefix p = {.len = i % 8 == 7 ? 28 : 24};
		uint32_t a = (0x01000000u + (uint32_t)(micro_random(seed) % 0xd0000000u)) & ~255u;

		net[i] = a;
		p.ip = lm_ip4((const uint8_t[]){(uint8_t)(a >> 24), (uint8_t)(a >> 16),
						(uint8_t)(a >> 8), 0});
		if (lm_fwd_route_set(r->fwd, &p, &to) != 0) {
			fprintf(stderr, "bench: route %u of %u does not fit\n", i, n);
			exit(1);
		}
	}
	for (unsigned i = 0; i < ADDRESSES; i++)
		r->address[i] = net[micro_random(seed) % n] | (uint32_t)(micro_random(seed) & 15);
	free(net);
}

void micro_routes(void)
{
	static const uint32_t counts[] = {10, 1000, 100000, 1000000};

	for (unsigned i = 0; i < LM_ARRAY_SIZE(counts); i++) {
		const struct lm_fwd_config cfg = {.max_routes4 = 1200000};
		struct routes *r = micro_alloc(sizeof(*r));
		const struct micro_work work[] = {{"lookup", lookup, r, BURST}};
		struct lm_error err = {0};
		uint64_t seed = 1;
		char name[32];

		if (lm_fwd_create(&cfg, &r->fwd, &err) != 0) {
			fprintf(stderr, "bench: %s\n", err.text);
			exit(1);
		}
		add_routes(r, counts[i], &seed);
		snprintf(name, sizeof(name), "routes/%u", counts[i]);
		micro_measure(name, work, 1);
		lm_fwd_free(r->fwd);
		free(r);
	}
}

/* ------------------------------------------------------------------ SA -- */

#define SPIS 16384

struct sas {
	struct lm_sa_table *table;
	unsigned at;
	uint32_t spi[SPIS];
};

static void find_sa(void *ctx)
{
	struct sas *s = ctx;

	for (unsigned i = 0; i < BURST; i++)
		if (lm_sa_table_get(s->table, s->spi[s->at + i]) == NULL)
			exit(1);
	s->at = (s->at + BURST) % SPIS;
}

void micro_sa(void)
{
	static const uint32_t counts[] = {1, 1000, 10000};

	for (unsigned c = 0; c < LM_ARRAY_SIZE(counts); c++) {
		struct sas *s = micro_alloc(sizeof(*s));
		struct lm_session_in *sessions = micro_alloc(counts[c] * sizeof(*sessions));
		const struct micro_work work[] = {{"lookup", find_sa, s, BURST}};
		uint64_t seed = 1;
		char name[32];

		s->table = lm_sa_table_new(1024);
		for (uint32_t i = 0; i < counts[c]; i++) {
			uint32_t block = (uint32_t)micro_random(&seed) & ~LM_SPI_LANE_MASK;

			if (lm_sa_table_full(s->table)) {
				struct lm_sa_table *grown = lm_sa_table_grown(s->table);

				free(s->table);
				s->table = grown;
			}
			sessions[i].spi_base = LM_SPI_MIN | block;
			lm_sa_table_put(s->table, &sessions[i]);
		}
		for (unsigned i = 0; i < SPIS; i++)
			s->spi[i] = sessions[micro_random(&seed) % counts[c]].spi_base;
		snprintf(name, sizeof(name), "sa/%u", counts[c]);
		micro_measure(name, work, 1);
		free(s->table);
		free(sessions);
		free(s);
	}
}

/* ---------------------------------------------------------------- ring -- */

/* Both ends in one thread: the instructions. Cores that share it add a cache line's way. */
static void hand(void *ring)
{
	struct lm_hand item[LM_HAND_BURST] = {0};

	if (rte_ring_enqueue_burst_elem(ring, item, sizeof(item[0]), LM_HAND_BURST, NULL) !=
		LM_HAND_BURST ||
	    rte_ring_dequeue_burst_elem(ring, item, sizeof(item[0]), LM_HAND_BURST, NULL) !=
		LM_HAND_BURST)
		exit(1);
}

void micro_ring(void)
{
	struct rte_ring *ring =
	    micro_alloc((uint64_t)rte_ring_get_memsize_elem(sizeof(struct lm_hand), 1024));
	const struct micro_work work[] = {{"hand_over", hand, ring, LM_HAND_BURST}};

	if (rte_ring_init(ring, "bench", 1024, RING_F_MP_RTS_ENQ | RING_F_SC_DEQ) != 0)
		exit(1);
	micro_measure("ring", work, 1);
	free(ring);
}
