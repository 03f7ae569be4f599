/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory for what thousands of peers have one of each: objects of one size side by side, in huge
 * pages where they fill some. So a packet of any peer finds its SA and key without a page walk, and
 * an object costs its size and no more. Left out of core files, for keys are in it.
 */
#ifndef LM_WORKER_SLAB_H
#define LM_WORKER_SLAB_H

#include <lanemesh/fwd.h>
#include <lanemesh/wire.h>

#include <stddef.h>

struct lm_slab_chunk;

/* Objects of up to `size` bytes. */
struct lm_slab_class {
	size_t size;
	void *free;
	struct lm_slab_chunk *chunks; /* newest first; only its end was never used */
	size_t used;		      /* bytes of the newest */
};

/* Sizes are rounded up to this. */
#define LM_SLAB_LINE 64u
/* Of source checks: up to that of LM_SRCCHECK_MAX prefixes of IPv6, three words each. */
#define LM_SLAB_SOURCES                                                                            \
	((sizeof(struct lm_srccheck) + LM_SRCCHECK_MAX * 3 * sizeof(uint64_t) + LM_SLAB_LINE -     \
	  1) /                                                                                     \
	 LM_SLAB_LINE)
/* Of all: inbound sessions of 1 to LM_LANES_MAX lanes, outbound SAs (a lane for each worker),
 * source checks, paths. */
#define LM_SLAB_CLASSES (LM_LANES_MAX + 1 + LM_SLAB_SOURCES + 1)

/* Zeroed: empty. One thread (control) uses it. */
struct lm_slab {
	struct lm_slab_class class[LM_SLAB_CLASSES];
	unsigned n;
};

/* Zeroed memory aligned to 64; NULL: none, or more than LM_SLAB_CLASSES sizes. */
void *lm_slab_take(struct lm_slab *s, size_t size);
/* size as it was taken with; wipes. NULL is allowed. */
void lm_slab_give(struct lm_slab *s, void *p, size_t size);
/* All of it at once. */
void lm_slab_free(struct lm_slab *s);

#endif
