/* SPDX-License-Identifier: BSD-3-Clause */
/* The coordinator's directory in memory: items by key, and the log of changes by revision. */
#include <errno.h>
#include <stdlib.h>

#include "server.h"

struct item *item_find(struct item *in, bool list, const uint8_t key[LM_KEY_LEN])
{
	uint8_t id[1 + LM_KEY_LEN];
	struct item *it;

	id[0] = list;
	memcpy(id + 1, key, LM_KEY_LEN);
	HASH_FIND(hh, in, id, sizeof(id), it);
	return it;
}

_Static_assert(sizeof(((struct item *)0)->id) == 1 + LM_KEY_LEN, "hashed as bytes");

static bool decode(struct item *it, const struct lm_coord_item *from)
{
	struct lm_announcement ann;
	struct lm_revocation rev;
	struct lm_cert cert;
	size_t body;

	switch (from->kind) {
	case LM_COORD_ITEM_NODE:
		if (lm_cert_decode(from->cert, from->cert_len, &cert, &body) < 0 ||
		    lm_announcement_decode(from->ann, from->ann_len, &ann, &body) < 0 ||
		    memcmp(cert.node, from->key, LM_KEY_LEN) != 0 ||
		    memcmp(ann.node, from->key, LM_KEY_LEN) != 0)
			return false;
		it->number = ann.sequence;
		it->not_before = cert.not_before;
		it->serial = cert.serial;
		return true;
	case LM_COORD_ITEM_GONE:
		return from->cert_len == 0 && from->ann_len == 0;
	case LM_COORD_ITEM_REVOCATION:
		if (from->cert_len > 0 ||
		    lm_revocation_decode(from->ann, from->ann_len, &rev, &body) < 0 ||
		    memcmp(rev.issuer, from->key, LM_KEY_LEN) != 0)
			return false;
		it->number = rev.number;
		return true;
	default:
		return false;
	}
}

struct item *item_new(const struct lm_coord_item *from)
{
	struct item *it = calloc(1, sizeof(*it));

	if (it == NULL)
		return NULL;
	it->bytes = malloc(from->cert_len + from->ann_len + 1);
	if (it->bytes == NULL || !decode(it, from)) {
		item_free(it);
		return NULL;
	}
	it->id.list = from->kind == LM_COORD_ITEM_REVOCATION;
	memcpy(it->id.key, from->key, LM_KEY_LEN);
	it->kind = from->kind;
	it->revision = from->revision;
	it->cert_len = from->cert_len;
	it->ann_len = from->ann_len;
	if (from->cert_len > 0)
		memcpy(it->bytes, from->cert, from->cert_len);
	if (from->ann_len > 0)
		memcpy(it->bytes + from->cert_len, from->ann, from->ann_len);
	return it;
}

void item_free(struct item *it)
{
	if (it == NULL)
		return;
	free(it->bytes);
	free(it);
}

/* ------------------------------------------------------------------- log -- */

static void log_squeeze(struct lm_coord_server *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->log_len; i++) {
		if (s->log[i].item == NULL)
			continue;
		s->log[n] = s->log[i];
		s->log[n].item->log_at = n;
		n++;
	}
	s->log_len = n;
}

static int log_room(struct lm_coord_server *s)
{
	size_t cap = s->log_cap ? s->log_cap * 2 : 64;
	struct log_entry *log;

	if (s->log_len < s->log_cap)
		return 0;
	if (s->log_live < s->log_len / 2) {
		log_squeeze(s);
		return 0;
	}
	log = realloc(s->log, cap * sizeof(*log));
	if (log == NULL)
		return -ENOMEM;
	s->log = log;
	s->log_cap = cap;
	return 0;
}

static void log_append(struct lm_coord_server *s, struct item *it)
{
	it->log_at = s->log_len;
	s->log[s->log_len++] = (struct log_entry){.revision = it->revision, .item = it};
	s->log_live++;
}

static void log_drop(struct lm_coord_server *s, const struct item *it)
{
	s->log[it->log_at].item = NULL;
	s->log_live--;
}

struct item *dir_after(const struct lm_coord_server *s, uint64_t revision)
{
	size_t lo = 0, hi = s->log_len;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->log[mid].revision > revision)
			hi = mid;
		else
			lo = mid + 1;
	}
	while (lo < s->log_len && s->log[lo].item == NULL)
		lo++;
	return lo < s->log_len ? s->log[lo].item : NULL;
}

/* ----------------------------------------------------------------- items -- */

static void count(struct lm_coord_server *s, const struct item *it, int by)
{
	if (it->kind == LM_COORD_ITEM_NODE)
		s->n_nodes += (uint32_t)by;
	else if (it->kind == LM_COORD_ITEM_GONE)
		s->n_gone += (uint32_t)by;
}

static void item_remove(struct lm_coord_server *s, struct item *it)
{
	HASH_DELETE(hh, s->items, it);
	count(s, it, -1);
	log_drop(s, it);
	item_free(it);
}

int dir_apply(struct lm_coord_server *s, struct item *it)
{
	struct item *old = item_find(s->items, it->id.list, it->id.key);

	if (log_room(s) < 0)
		return -ENOMEM;
	if (old != NULL) {
		if (old->seen > it->seen)
			it->seen = old->seen;
		item_remove(s, old);
	}
	HASH_ADD(hh, s->items, id, sizeof(it->id), it);
	if (it->hh.tbl == NULL)
		return -ENOMEM;
	log_append(s, it);
	count(s, it, 1);
	s->revision = it->revision;
	return 0;
}

void dir_forget_gone(struct lm_coord_server *s)
{
	struct item *it, *tmp;

	HASH_ITER(hh, s->items, it, tmp)
	{
		if (it->kind == LM_COORD_ITEM_GONE)
			item_remove(s, it);
	}
}

void dir_free(struct lm_coord_server *s)
{
	struct item *it, *tmp;

	HASH_ITER(hh, s->items, it, tmp)
	{
		HASH_DELETE(hh, s->items, it);
		item_free(it);
	}
	HASH_ITER(hh, s->pending, it, tmp)
	{
		HASH_DELETE(hh, s->pending, it);
		item_free(it);
	}
	free(s->log);
	lm_revocations_free(&s->lists);
}

/* ------------------------------------------------------------------ load -- */

struct load {
	struct lm_coord_server *s;
	lm_time now;
	struct item **found;
	size_t n, cap;
	uint32_t skipped;
};

static int load_one(void *user, const struct lm_coord_item *from)
{
	struct load *l = user;
	struct item *it;

	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		struct item **f = realloc(l->found, cap * sizeof(struct item *));

		if (f == NULL)
			return -ENOMEM;
		l->found = f;
		l->cap = cap;
	}
	it = item_new(from);
	if (it == NULL) {
		l->skipped++; /* its node will publish again */
		return 0;
	}
	it->seen = l->now;
	l->found[l->n++] = it;
	return 0;
}

static int by_revision(const void *a, const void *b)
{
	const struct item *x = *(struct item *const *)a, *y = *(struct item *const *)b;

	return x->revision < y->revision ? -1 : x->revision > y->revision;
}

/* Lists of an authority that is no longer configured stay in the store and are not served. */
static int load_apply(struct lm_coord_server *s, struct load *l, struct lm_error *err)
{
	for (size_t i = 0; i < l->n; i++) {
		struct item *it = l->found[i];
		bool changed;

		l->found[i] = NULL;
		if (it->revision <= s->revision ||
		    (it->id.list && lm_revocations_add(&s->lists, &s->cfg.authorities, it->bytes,
						       it->ann_len, &changed) != LM_TRUSTED)) {
			l->skipped++;
			item_free(it);
			continue;
		}
		if (dir_apply(s, it) < 0) {
			item_free(it);
			return lm_error_set(err, ENOMEM, "no memory for the directory");
		}
	}
	return 0;
}

int dir_load(struct lm_coord_server *s, struct lm_now now, struct lm_error *err)
{
	struct load l = {.s = s, .now = now.mono};
	uint64_t revision = 0;
	int rc;

	if (s->cfg.store == NULL) {
		s->ops->random(s->user, s->epoch, LM_EPOCH_LEN);
		return 0;
	}
	rc = s->cfg.store->load(s->cfg.store->self, load_one, &l, s->epoch, &revision, err);
	if (rc == 0) {
		if (l.n > 0)
			qsort(l.found, l.n, sizeof(l.found[0]), by_revision);
		rc = load_apply(s, &l, err);
	}
	for (size_t i = 0; i < l.n; i++)
		item_free(l.found[i]);
	free(l.found);
	if (rc < 0)
		return rc;
	if (revision > s->revision)
		s->revision = revision;
	if (l.skipped > 0)
		lm_log(s->cfg.log, LM_LOG_WARN,
		       "store: %u entries are not usable and were left out", l.skipped);
	return 0;
}
