/* SPDX-License-Identifier: BSD-3-Clause */
#include "coord_store_mem.h"

#include <errno.h>
#include <stdlib.h>

struct entry {
	struct lm_coord_item item; /* points into bytes */
	uint8_t *bytes;
};

struct mem_store {
	struct lm_coord_store ops;
	uint8_t epoch[LM_EPOCH_LEN];
	uint64_t revision;
	struct entry *of;
	size_t n;
	bool fail;
};

static void *need(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

static int load(void *self, int (*each)(void *user, const struct lm_coord_item *it), void *user,
		uint8_t epoch[LM_EPOCH_LEN], uint64_t *revision, struct lm_error *err)
{
	struct mem_store *ms = self;

	(void)err;
	for (size_t i = 0; i < ms->n; i++) {
		int rc = each(user, &ms->of[i].item);

		if (rc < 0)
			return rc;
	}
	memcpy(epoch, ms->epoch, LM_EPOCH_LEN);
	*revision = ms->revision;
	return 0;
}

static struct entry *place(struct mem_store *ms, const struct lm_coord_item *it)
{
	bool list = it->kind == LM_COORD_ITEM_REVOCATION;

	for (size_t i = 0; i < ms->n; i++)
		if ((ms->of[i].item.kind == LM_COORD_ITEM_REVOCATION) == list &&
		    memcmp(ms->of[i].item.key, it->key, LM_KEY_LEN) == 0) {
			free(ms->of[i].bytes);
			return &ms->of[i];
		}
	ms->of = need(realloc(ms->of, (ms->n + 1) * sizeof(ms->of[0])));
	return &ms->of[ms->n++];
}

static int commit(void *self, const struct lm_coord_item *items, size_t n, struct lm_error *err)
{
	struct mem_store *ms = self;

	if (ms->fail)
		return lm_error_set(err, ENOSPC, "no space");
	for (size_t i = 0; i < n; i++) {
		struct entry *e = place(ms, &items[i]);

		e->item = items[i];
		e->bytes = need(malloc(items[i].cert_len + items[i].ann_len + 1));
		if (items[i].cert_len > 0)
			memcpy(e->bytes, items[i].cert, items[i].cert_len);
		if (items[i].ann_len > 0)
			memcpy(e->bytes + items[i].cert_len, items[i].ann, items[i].ann_len);
		e->item.cert = e->bytes;
		e->item.ann = e->bytes + items[i].cert_len;
		if (items[i].revision > ms->revision)
			ms->revision = items[i].revision;
	}
	return 0;
}

static int new_epoch(void *self, const uint8_t epoch[LM_EPOCH_LEN], struct lm_error *err)
{
	struct mem_store *ms = self;
	size_t kept = 0;

	if (ms->fail)
		return lm_error_set(err, ENOSPC, "no space");
	for (size_t i = 0; i < ms->n; i++) {
		if (ms->of[i].item.kind == LM_COORD_ITEM_GONE)
			free(ms->of[i].bytes);
		else
			ms->of[kept++] = ms->of[i];
	}
	ms->n = kept;
	memcpy(ms->epoch, epoch, LM_EPOCH_LEN);
	return 0;
}

struct mem_store *mem_store_new(const uint8_t epoch[LM_EPOCH_LEN])
{
	struct mem_store *ms = need(calloc(1, sizeof(*ms)));

	memcpy(ms->epoch, epoch, LM_EPOCH_LEN);
	ms->ops = (struct lm_coord_store){
	    .self = ms, .load = load, .commit = commit, .new_epoch = new_epoch};
	return ms;
}

void mem_store_free(struct mem_store *ms)
{
	if (ms == NULL)
		return;
	for (size_t i = 0; i < ms->n; i++)
		free(ms->of[i].bytes);
	free(ms->of);
	free(ms);
}

struct lm_coord_store *mem_store_ops(struct mem_store *ms)
{
	return &ms->ops;
}

void mem_store_fail(struct mem_store *ms, bool fail)
{
	ms->fail = fail;
}
