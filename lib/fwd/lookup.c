/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bulk lookups. Each level is one pass over the burst, so that the cache misses of
 * its packets overlap instead of adding up.
 */
#include "fwd_internal.h"

#define CHUNK 64u

static inline const uint32_t *group_entry(const struct lm_lpm *t, uint32_t e, uint8_t byte)
{
	return &t->groups[(size_t)(e & ~LM_LPM_EXT) * LM_LPM_GROUP + byte];
}

/* Entry 0: no prefix but perhaps 0/0 covers the address. */
static inline uint32_t target_of(uint32_t e, uint32_t zero)
{
	return e != 0 ? LM_LPM_TARGET(e) : zero;
}

/*
 * No branch on what is found, so the CPU itself loads the entries of many packets at a time: who
 * needs no second level reads anything in its place. A burst has some of both kinds, and no order
 * in them: hosts of our LANs go down to 32 bits, other sites' prefixes seldom beyond 24.
 */
void lm_fwd_lookup4(const struct lm_fwd *f, const uint32_t *dst, uint32_t *adj, unsigned n)
{
	const uint32_t *root = f->lpm4.root, *groups = f->lpm4.groups;
	uint32_t zero = lm_lpm_load(&f->lpm4.zero);

	for (unsigned i = 0; i < n; i++) {
		const uint32_t *first = &root[dst[i] >> 8];
		uint32_t e = lm_lpm_load(first);
		const uint32_t *second =
		    groups + (size_t)(e & ~LM_LPM_EXT) * LM_LPM_GROUP + (uint8_t)dst[i];
		/* By masks: of a condition the compiler would make a branch again. */
		uint32_t deeper = (uint32_t)((int32_t)e >> 31);
		uintptr_t there = (uintptr_t)(intptr_t)(int32_t)deeper;

		second = (const uint32_t *)((uintptr_t)first ^
					    (((uintptr_t)first ^ (uintptr_t)second) & there));
		e ^= (e ^ lm_lpm_load(second)) & deeper;
		adj[i] = target_of(e, zero);
	}
}

static inline const uint32_t *root_entry(const struct lm_lpm *t, const uint8_t *a)
{
	return &t->root[(uint32_t)a[0] << 16 | (uint32_t)a[1] << 8 | a[2]];
}

static void chunk6(const struct lm_lpm *t, uint32_t zero, const uint8_t *const *dst, uint32_t *adj,
		   unsigned n)
{
	uint8_t deeper[CHUNK];
	unsigned left = 0;

	for (unsigned i = 0; i < n; i++)
		__builtin_prefetch(root_entry(t, dst[i]));
	for (unsigned i = 0; i < n; i++) {
		uint32_t e = lm_lpm_load(root_entry(t, dst[i]));

		if (e & LM_LPM_EXT) {
			__builtin_prefetch(group_entry(t, e, dst[i][3]));
			adj[i] = e;
			deeper[left++] = (uint8_t)i;
		} else {
			adj[i] = target_of(e, zero);
		}
	}
	for (unsigned byte = 3; left > 0 && byte < 16; byte++) {
		unsigned still = 0;

		for (unsigned k = 0; k < left; k++) {
			unsigned i = deeper[k];
			uint32_t e = lm_lpm_load(group_entry(t, adj[i], dst[i][byte]));

			if ((e & LM_LPM_EXT) && byte < 15) {
				__builtin_prefetch(group_entry(t, e, dst[i][byte + 1]));
				adj[i] = e;
				deeper[still++] = (uint8_t)i;
			} else {
				adj[i] = target_of(e, zero);
			}
		}
		left = still;
	}
}

void lm_fwd_lookup6(const struct lm_fwd *f, const uint8_t *const *dst, uint32_t *adj, unsigned n)
{
	uint32_t zero = lm_lpm_load(&f->lpm6.zero);

	for (; n > CHUNK; n -= CHUNK, dst += CHUNK, adj += CHUNK)
		chunk6(&f->lpm6, zero, dst, adj, CHUNK);
	chunk6(&f->lpm6, zero, dst, adj, n);
}

const struct lm_adj *lm_fwd_adjs(const struct lm_fwd *f)
{
	return f->adj.adjs;
}
