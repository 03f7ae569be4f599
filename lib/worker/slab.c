/* SPDX-License-Identifier: BSD-3-Clause */
#include "slab.h"

#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#define CHUNK (2u << 20) /* a huge page */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

/* At the start of its memory. */
struct lm_slab_chunk {
	struct lm_slab_chunk *next;
};
#define HEAD LM_SLAB_LINE

static size_t rounded(size_t size)
{
	return (size + LM_SLAB_LINE - 1) / LM_SLAB_LINE * LM_SLAB_LINE;
}

static struct lm_slab_class *class_of(struct lm_slab *s, size_t size)
{
	size = rounded(size);
	for (unsigned i = 0; i < s->n; i++)
		if (s->class[i].size == size)
			return &s->class[i];
	if (s->n == LM_SLAB_CLASSES)
		return NULL;
	s->class[s->n] = (struct lm_slab_class){.size = size};
	return &s->class[s->n++];
}

/* A chunk, aligned to its size. Its pages come when they are first used. */
static void *map(void)
{
	uint8_t *p = mmap(NULL, 2 * CHUNK, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t skip;

	if (p == MAP_FAILED)
		return NULL;
	skip = (CHUNK - (uintptr_t)p % CHUNK) % CHUNK;
	if (skip > 0)
		(void)munmap(p, skip);
	if (skip < CHUNK)
		(void)munmap(p + skip + CHUNK, CHUNK - skip);
	p += skip;
	(void)madvise(p, CHUNK, MADV_DONTDUMP);
	return p;
}

/* Nothing is left of it: from now on one page. Advice: older kernels, or those without transparent
 * huge pages, refuse, and it works as well, but slower. */
static void make_huge(struct lm_slab_chunk *chunk)
{
	(void)madvise(chunk, CHUNK, MADV_HUGEPAGE);
	(void)madvise(chunk, CHUNK, MADV_COLLAPSE);
}

/* A place that was never used. */
static void *fresh(struct lm_slab_class *c)
{
	struct lm_slab_chunk *chunk = c->chunks;

	if (c->size > CHUNK - HEAD)
		return NULL;
	if (chunk == NULL || c->used + c->size > CHUNK) {
		chunk = map();
		if (chunk == NULL)
			return NULL;
		if (c->chunks != NULL)
			make_huge(c->chunks);
		chunk->next = c->chunks;
		c->chunks = chunk;
		c->used = HEAD;
	}
	c->used += c->size;
	return (uint8_t *)chunk + c->used - c->size;
}

void *lm_slab_take(struct lm_slab *s, size_t size)
{
	struct lm_slab_class *c = class_of(s, size);
	void *p;

	if (c == NULL)
		return NULL;
	if (c->free == NULL)
		return fresh(c);
	p = c->free;
	memcpy(&c->free, p, sizeof(c->free));
	memset(p, 0, sizeof(c->free)); /* the rest is zero */
	return p;
}

void lm_slab_give(struct lm_slab *s, void *p, size_t size)
{
	struct lm_slab_class *c;

	if (p == NULL)
		return;
	c = class_of(s, size);
	explicit_bzero(p, c->size);
	memcpy(p, &c->free, sizeof(c->free));
	c->free = p;
}

void lm_slab_free(struct lm_slab *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		struct lm_slab_class *c = &s->class[i];

		for (size_t used = c->used; c->chunks != NULL; used = CHUNK) {
			struct lm_slab_chunk *chunk = c->chunks;

			c->chunks = chunk->next;
			explicit_bzero(chunk, used); /* objects that are still out may hold keys */
			(void)munmap(chunk, CHUNK);
		}
	}
	*s = (struct lm_slab){0};
}
