/* SPDX-License-Identifier: BSD-3-Clause */
#include "tester.h"

static unsigned bucket_of(uint64_t v)
{
	unsigned power, b;

	if (v < HISTOGRAM_STEPS)
		return (unsigned)v;
	power = 63u - (unsigned)__builtin_clzll(v / HISTOGRAM_STEPS);
	b = HISTOGRAM_STEPS * power + (unsigned)(v >> power);
	return b < HISTOGRAM_BUCKETS ? b : HISTOGRAM_BUCKETS - 1;
}

/* The largest value in a bucket. */
static uint64_t top_of(unsigned b)
{
	unsigned power = b < 2 * HISTOGRAM_STEPS ? 0 : b / HISTOGRAM_STEPS - 1;

	return ((uint64_t)(b - HISTOGRAM_STEPS * power + 1) << power) - 1;
}

void histogram_add(struct histogram *h, uint64_t v)
{
	h->bucket[bucket_of(v)]++;
	h->n++;
	if (v > h->max)
		h->max = v;
}

uint64_t histogram_at(const struct histogram *h, double share)
{
	uint64_t seen = 0;

	for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++) {
		seen += h->bucket[b];
		if (h->bucket[b] > 0 && (double)seen >= share * (double)h->n)
			return top_of(b) < h->max ? top_of(b) : h->max;
	}
	return h->max;
}
