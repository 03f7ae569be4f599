/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of the data plane and of the handshake, each on its own. */
#ifndef BENCH_MICRO_H
#define BENCH_MICRO_H

#include <stdint.h>

/* One kind of work of a case; kinds of a case are measured in turn. */
struct micro_work {
	const char *series;
	void (*run)(void *ctx); /* does `ops` operations */
	void *ctx;
	unsigned ops;
};

/* Prints nanoseconds for each operation: `rounds` values of every kind. */
void micro_measure(const char *which, const struct micro_work *work, unsigned n);

/* Each measures its cases. */
void micro_aead(void);
void micro_esp(void);
void micro_replay(void);
void micro_routes(void);
void micro_sa(void);
void micro_ring(void);
void micro_handshake(void);

/* A cheap deterministic generator (xorshift64*): runs are alike. */
static inline uint64_t micro_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 0x2545f4914f6cdd1d;
}

void *micro_alloc(uint64_t size); /* 64-aligned, zeroed; exits when there is none */

#endif
