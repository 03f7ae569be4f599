/* SPDX-License-Identifier: BSD-3-Clause */
#include "slab.h"

#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#define LINE	    64u
#define SMALL_CHUNK (64u << 10) /* a class's first: most gateways have few peers */
#define HUGE_PAGE   (2u << 20)

/* At the start of its memory. */
struct lm_slab_chunk {
	struct lm_slab_chunk *next;
	size_t len;
};

static size_t rounded(size_t size)
{
	return (size + LINE - 1) / LINE * LINE;
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

/* Memory of its own, aligned to its size when that is a huge page's. */
static void *map(size_t len)
{
	size_t more = len == HUGE_PAGE ? HUGE_PAGE : 0, skip;
	uint8_t *p =
	    mmap(NULL, len + more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (more > 0) {
		skip = (HUGE_PAGE - (uintptr_t)p % HUGE_PAGE) % HUGE_PAGE;
		if (skip > 0)
			(void)munmap(p, skip);
		if (skip < more)
			(void)munmap(p + skip + len, more - skip);
		p += skip;
		/* Advice: without transparent huge pages it works as well, but slower. */
		(void)madvise(p, len, MADV_HUGEPAGE);
	}
	(void)madvise(p, len, MADV_DONTDUMP);
	return p;
}

static int grow(struct lm_slab_class *c)
{
	size_t len = c->chunks == NULL ? SMALL_CHUNK : HUGE_PAGE, at = rounded(sizeof(*c->chunks));
	struct lm_slab_chunk *chunk;

	if (c->size > len - at)
		len = HUGE_PAGE;
	if (c->size > len - at)
		return -1;
	chunk = map(len);
	if (chunk == NULL)
		return -1;
	*chunk = (struct lm_slab_chunk){.next = c->chunks, .len = len};
	c->chunks = chunk;
	/* Lowest address first. */
	for (size_t n = (len - at) / c->size; n-- > 0;) {
		void *p = (uint8_t *)chunk + at + n * c->size;

		memcpy(p, &c->free, sizeof(c->free));
		c->free = p;
	}
	return 0;
}

void *lm_slab_take(struct lm_slab *s, size_t size)
{
	struct lm_slab_class *c = class_of(s, size);
	void *p;

	if (c == NULL || (c->free == NULL && grow(c) != 0))
		return NULL;
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
	for (unsigned i = 0; i < s->n; i++)
		while (s->class[i].chunks != NULL) {
			struct lm_slab_chunk *chunk = s->class[i].chunks;

			s->class[i].chunks = chunk->next;
			explicit_bzero(chunk, chunk->len);
			(void)munmap(chunk, chunk->len);
		}
	*s = (struct lm_slab){0};
}
