/* SPDX-License-Identifier: BSD-3-Clause */
#include "adj.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct lm_adj_node {
	struct lm_adj value;
	uint32_t slot, refs;
	UT_hash_handle hh;
};

static void *reserve(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int lm_adj_init(struct lm_adj_table *t, uint32_t max)
{
	*t = (struct lm_adj_table){.max = max, .fresh = 1};
	t->wadjs = reserve((size_t)max * sizeof(*t->wadjs));
	t->nodes = reserve((size_t)max * sizeof(*t->nodes));
	t->next = reserve((size_t)max * sizeof(*t->next));
	t->adjs = t->wadjs;
	if (t->wadjs == NULL || t->nodes == NULL || t->next == NULL) {
		lm_adj_fini(t);
		return -ENOMEM;
	}
	t->wadjs[LM_ADJ_NONE] = (struct lm_adj){.kind = LM_ROUTE_NONE, .peer = UINT32_MAX};
	return 0;
}

void lm_adj_fini(struct lm_adj_table *t)
{
	struct lm_adj_node *n, *tmp;

	HASH_ITER(hh, t->by_value, n, tmp)
	{
		HASH_DEL(t->by_value, n);
		free(n);
	}
	if (t->wadjs != NULL)
		munmap(t->wadjs, (size_t)t->max * sizeof(*t->wadjs));
	if (t->nodes != NULL)
		munmap(t->nodes, (size_t)t->max * sizeof(*t->nodes));
	if (t->next != NULL)
		munmap(t->next, (size_t)t->max * sizeof(*t->next));
	*t = (struct lm_adj_table){0};
}

int lm_adj_get(struct lm_adj_table *t, const struct lm_adj *value, uint32_t *out)
{
	struct lm_adj_node *n;

	HASH_FIND(hh, t->by_value, value, sizeof(*value), n);
	if (n != NULL) {
		n->refs++;
		*out = n->slot;
		return 0;
	}
	if (t->free_head == 0 && t->fresh >= t->max)
		return -ENOSPC;
	n = calloc(1, sizeof(*n));
	if (n == NULL)
		return -ENOMEM;
	n->value = *value;
	n->refs = 1;
	HASH_ADD(hh, t->by_value, value, sizeof(n->value), n);
	if (n->hh.tbl == NULL) {
		free(n);
		return -ENOMEM;
	}
	if (t->free_head != 0) {
		n->slot = t->free_head;
		t->free_head = t->next[n->slot];
	} else {
		n->slot = t->fresh++;
	}
	t->used++;
	t->nodes[n->slot] = n;
	t->wadjs[n->slot] = *value;
	*out = n->slot;
	return 0;
}

void lm_adj_put(struct lm_adj_table *t, uint32_t slot)
{
	struct lm_adj_node *n = t->nodes[slot];

	if (--n->refs > 0)
		return;
	HASH_DEL(t->by_value, n);
	free(n);
	t->nodes[slot] = NULL;
	t->next[slot] = t->retired_head;
	t->retired_head = slot;
	t->n_retired++;
	t->used--;
}

void lm_adj_recycle(struct lm_adj_table *t)
{
	while (t->retired_head != 0) {
		uint32_t slot = t->retired_head;

		t->retired_head = t->next[slot];
		t->next[slot] = t->free_head;
		t->free_head = slot;
	}
	t->n_retired = 0;
}
