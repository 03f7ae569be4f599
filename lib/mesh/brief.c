/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory of handshakes under way, apart from what stays. There are as many at once as peers when a
 * gateway starts, 2 KB each, and on the heap each would leave a hole between things that live as
 * long as the peer. Here they fill blocks of pages of their own, which go back to the system.
 */
#include "internal.h"

#include <sys/mman.h>
#include <utlist.h>

#define BLOCK ((size_t)64 << 10) /* and its alignment */
#define LINE  64u

struct brief_item {
	struct brief_item *next;
};

/* At the start of its block. */
struct brief_block {
	struct brief_block *prev, *next;
	struct brief_item *free;
	size_t fresh; /* from here on nothing was ever used */
	unsigned used;
};

#define SIZE                                                                                       \
	(((sizeof(struct initiation) > sizeof(struct reply) ? sizeof(struct initiation)            \
							    : sizeof(struct reply)) +              \
	  LINE - 1) /                                                                              \
	 LINE * LINE)
#define HEAD ((sizeof(struct brief_block) + LINE - 1) / LINE * LINE)

static struct brief_block *map(void)
{
	uint8_t *p =
	    mmap(NULL, 2 * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t skip;

	if (p == MAP_FAILED)
		return NULL;
	skip = (BLOCK - (uintptr_t)p % BLOCK) % BLOCK;
	if (skip > 0)
		(void)munmap(p, skip);
	(void)munmap(p + skip + BLOCK, BLOCK - skip);
	p += skip;
	(void)madvise(p, BLOCK, MADV_DONTDUMP); /* ephemeral keys */
	return (struct brief_block *)p;
}

static bool full(const struct brief_block *b)
{
	return b->free == NULL && b->fresh + SIZE > BLOCK;
}

void *lm_m_brief_new(struct lm_mesh *m)
{
	struct brief_block *b = m->brief;
	struct brief_item *item;

	/* Full ones are at the end. */
	if (b == NULL || full(b)) {
		b = map();
		if (b == NULL)
			return NULL;
		b->fresh = HEAD;
		DL_PREPEND(m->brief, b);
	}
	item = b->free;
	if (item != NULL) {
		b->free = item->next;
		item->next = NULL;
	} else {
		item = (struct brief_item *)((uint8_t *)b + b->fresh);
		b->fresh += SIZE;
	}
	b->used++;
	if (full(b)) {
		DL_DELETE(m->brief, b);
		DL_APPEND(m->brief, b);
	}
	return item;
}

void lm_m_brief_free(struct lm_mesh *m, void *p)
{
	struct brief_block *b = (struct brief_block *)((uintptr_t)p & ~(uintptr_t)(BLOCK - 1));
	struct brief_item *item = p;

	if (p == NULL)
		return;
	explicit_bzero(p, SIZE);
	item->next = b->free;
	b->free = item;
	DL_DELETE(m->brief, b);
	if (--b->used == 0)
		(void)munmap(b, BLOCK);
	else
		DL_PREPEND(m->brief, b);
}
