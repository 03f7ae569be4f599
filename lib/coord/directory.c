/* SPDX-License-Identifier: BSD-3-Clause */
/* A node's cache of the directory. */
#include "directory.h"

#include <errno.h>
#include <stdlib.h>

_Static_assert(LM_DIRECTORY_SOURCES <= 16, "one bit each");

struct lm_directory *lm_directory_new(uint32_t max_nodes)
{
	struct lm_directory *d = calloc(1, sizeof(*d));

	if (d != NULL)
		d->max_nodes = max_nodes;
	return d;
}

static void record_drop(struct lm_directory *d, struct dir_record *r)
{
	HASH_DELETE(hh, d->records, r);
	free(r->bytes);
	free(r);
	d->version++;
}

void directory_clear(struct lm_directory *d)
{
	struct dir_record *r, *tmp;

	HASH_ITER(hh, d->records, r, tmp)
	{
		record_drop(d, r);
	}
	for (size_t i = 0; i < LM_ARRAY_SIZE(d->lists); i++)
		free(d->lists[i].data);
	memset(d->lists, 0, sizeof(d->lists));
	memset(d->sources, 0, sizeof(d->sources));
}

void lm_directory_free(struct lm_directory *d)
{
	if (d == NULL)
		return;
	directory_clear(d);
	free(d);
}

/* --------------------------------------------------------------- sources -- */

int lm_directory_source(struct lm_directory *d, const uint8_t key[LM_KEY_LEN])
{
	int empty = -ENOSPC;

	for (int i = 0; i < LM_DIRECTORY_SOURCES; i++) {
		struct dir_source *s = &d->sources[i];

		if (s->used && memcmp(s->key, key, LM_KEY_LEN) == 0)
			return i;
		if (!s->used && empty < 0)
			empty = i;
	}
	if (empty >= 0) {
		d->sources[empty].used = true;
		memcpy(d->sources[empty].key, key, LM_KEY_LEN);
		d->version++;
	}
	return empty;
}

static void source_forget(struct lm_directory *d, unsigned i)
{
	struct dir_record *r;

	memset(&d->sources[i], 0, sizeof(d->sources[i]));
	for (r = d->records; r != NULL; r = r->hh.next) {
		r->listed &= (uint16_t) ~(1u << i);
		r->seen &= (uint16_t) ~(1u << i);
	}
	d->version++;
}

void lm_directory_keep_sources(struct lm_directory *d, const uint8_t (*keys)[LM_KEY_LEN], size_t n)
{
	for (unsigned i = 0; i < LM_DIRECTORY_SOURCES; i++) {
		bool keep = !d->sources[i].used;

		for (size_t k = 0; k < n; k++)
			keep |= memcmp(d->sources[i].key, keys[k], LM_KEY_LEN) == 0;
		if (!keep)
			source_forget(d, i);
	}
}

static bool source_valid(const struct lm_directory *d, int source)
{
	return source >= 0 && source < LM_DIRECTORY_SOURCES && d->sources[source].used;
}

void lm_directory_position(const struct lm_directory *d, int source, uint8_t epoch[LM_EPOCH_LEN],
			   uint64_t *revision)
{
	memset(epoch, 0, LM_EPOCH_LEN);
	*revision = 0;
	/* In the middle of a full listing only another one, from its start, can end it. */
	if (!source_valid(d, source) || d->sources[source].resync)
		return;
	memcpy(epoch, d->sources[source].epoch, LM_EPOCH_LEN);
	*revision = d->sources[source].revision;
}

/* --------------------------------------------------------------- records -- */

static struct dir_record *find(const struct lm_directory *d, const uint8_t node[LM_KEY_LEN])
{
	struct dir_record *r;

	HASH_FIND(hh, d->records, node, LM_KEY_LEN, r);
	return r;
}

static bool newer(const struct dir_record *have, const struct lm_announcement *a,
		  const struct lm_cert *c)
{
	if (a->sequence != have->sequence)
		return a->sequence > have->sequence;
	if (c->not_before != have->not_before)
		return c->not_before > have->not_before;
	return c->serial > have->serial;
}

static struct dir_record *record_new(struct lm_directory *d, const uint8_t node[LM_KEY_LEN])
{
	struct dir_record *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	memcpy(r->node, node, LM_KEY_LEN);
	HASH_ADD(hh, d->records, node, LM_KEY_LEN, r);
	if (r->hh.tbl == NULL) {
		free(r);
		return NULL;
	}
	return r;
}

int directory_add(struct lm_directory *d, uint16_t listed, const uint8_t *cert, size_t cert_len,
		  const uint8_t *ann, size_t ann_len)
{
	struct lm_announcement a;
	struct dir_record *r;
	struct lm_cert c;
	uint8_t *bytes;
	size_t body;

	if (lm_cert_decode(cert, cert_len, &c, &body) < 0 ||
	    lm_announcement_decode(ann, ann_len, &a, &body) < 0 ||
	    memcmp(c.node, a.node, LM_KEY_LEN) != 0)
		return -EBADMSG;
	r = find(d, c.node);
	if (r != NULL && ((r->listed | listed) != r->listed)) {
		r->listed |= listed;
		d->version++;
	}
	if (r != NULL)
		r->seen |= listed;
	if (r != NULL && !newer(r, &a, &c))
		return 0;
	if (r == NULL && HASH_COUNT(d->records) >= d->max_nodes)
		return -ENOSPC;
	bytes = malloc(cert_len + ann_len);
	if (bytes != NULL && r == NULL)
		r = record_new(d, c.node);
	if (bytes == NULL || r == NULL) {
		free(bytes);
		return -ENOMEM;
	}
	memcpy(bytes, cert, cert_len);
	memcpy(bytes + cert_len, ann, ann_len);
	free(r->bytes);
	r->bytes = bytes;
	r->cert_len = cert_len;
	r->ann_len = ann_len;
	r->sequence = a.sequence;
	r->not_before = c.not_before;
	r->not_after = c.not_after;
	r->serial = c.serial;
	r->listed |= listed;
	r->seen |= listed;
	d->version++;
	return 0;
}

int lm_directory_put(struct lm_directory *d, int source, const uint8_t *cert, size_t cert_len,
		     const uint8_t *ann, size_t ann_len)
{
	uint16_t listed = source_valid(d, source) ? (uint16_t)(1u << source) : 0;

	return directory_add(d, listed, cert, cert_len, ann, ann_len);
}

bool lm_directory_unlist(struct lm_directory *d, int source, const uint8_t node[LM_KEY_LEN])
{
	struct dir_record *r = find(d, node);

	if (r == NULL || !source_valid(d, source) || !(r->listed & 1u << source))
		return false;
	r->listed &= (uint16_t) ~(1u << source);
	d->version++;
	if (r->listed != 0)
		return false;
	record_drop(d, r);
	return true;
}

void lm_directory_resync(struct lm_directory *d, int source)
{
	struct dir_record *r;

	if (!source_valid(d, source))
		return;
	d->sources[source].resync = true;
	for (r = d->records; r != NULL; r = r->hh.next)
		r->seen &= (uint16_t) ~(1u << source);
}

/* What the full listing did not name. */
static void unlist_unseen(struct lm_directory *d, int source,
			  void (*removed)(void *user, const uint8_t node[LM_KEY_LEN]), void *user)
{
	struct dir_record *r, *tmp;

	HASH_ITER(hh, d->records, r, tmp)
	{
		uint8_t node[LM_KEY_LEN];

		if (r->seen & 1u << source)
			continue;
		memcpy(node, r->node, LM_KEY_LEN);
		if (lm_directory_unlist(d, source, node) && removed != NULL)
			removed(user, node);
	}
}

void lm_directory_synced(struct lm_directory *d, int source, const uint8_t epoch[LM_EPOCH_LEN],
			 uint64_t revision,
			 void (*removed)(void *user, const uint8_t node[LM_KEY_LEN]), void *user)
{
	struct dir_source *s;

	if (!source_valid(d, source))
		return;
	s = &d->sources[source];
	if (s->resync)
		unlist_unseen(d, source, removed, user);
	s->resync = false;
	if (s->revision == revision && memcmp(s->epoch, epoch, LM_EPOCH_LEN) == 0)
		return;
	memcpy(s->epoch, epoch, LM_EPOCH_LEN);
	s->revision = revision;
	d->version++;
}

uint32_t lm_directory_expire(struct lm_directory *d, int64_t wall)
{
	struct dir_record *r, *tmp;
	uint32_t n = 0;

	HASH_ITER(hh, d->records, r, tmp)
	{
		/* not_after is any 64-bit value: no sum that could overflow. What a coordinator
		 * lists is its to take out: it would not name it again, as we are in step, when
		 * only our clock was wrong. */
		if (r->listed != 0 || wall < LM_TRUST_GRACE || r->not_after > wall - LM_TRUST_GRACE)
			continue;
		record_drop(d, r);
		n++;
	}
	return n;
}

/* ----------------------------------------------------------------- lists -- */

static struct dir_list *list_of(struct lm_directory *d, const uint8_t issuer[LM_KEY_LEN])
{
	struct dir_list *empty = NULL;

	for (size_t i = 0; i < LM_ARRAY_SIZE(d->lists); i++) {
		if (d->lists[i].data == NULL)
			empty = empty ? empty : &d->lists[i];
		else if (memcmp(d->lists[i].issuer, issuer, LM_KEY_LEN) == 0)
			return &d->lists[i];
	}
	return empty;
}

int lm_directory_put_revocation(struct lm_directory *d, const uint8_t *data, size_t len)
{
	struct lm_revocation r;
	struct dir_list *l;
	uint8_t *copy;
	size_t body;

	if (lm_revocation_decode(data, len, &r, &body) < 0)
		return -EBADMSG;
	l = list_of(d, r.issuer);
	if (l == NULL)
		return -ENOSPC;
	if (l->data != NULL && l->number >= r.number)
		return 0;
	copy = malloc(len);
	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, data, len);
	free(l->data);
	l->data = copy;
	l->len = len;
	l->number = r.number;
	memcpy(l->issuer, r.issuer, LM_KEY_LEN);
	d->version++;
	return 0;
}

void lm_directory_keep_issuers(struct lm_directory *d, const struct lm_authorities *au)
{
	for (size_t i = 0; i < LM_ARRAY_SIZE(d->lists); i++) {
		bool keep = d->lists[i].data == NULL;

		for (size_t k = 0; k < au->n; k++)
			keep |= memcmp(d->lists[i].issuer, au->keys[k], LM_KEY_LEN) == 0;
		if (keep)
			continue;
		free(d->lists[i].data);
		memset(&d->lists[i], 0, sizeof(d->lists[i]));
		d->version++;
	}
}

/* --------------------------------------------------------------- reading -- */

uint32_t lm_directory_count(const struct lm_directory *d)
{
	return HASH_COUNT(d->records);
}

static void show(const struct dir_record *r, struct lm_directory_record *out)
{
	*out = (struct lm_directory_record){.sequence = r->sequence,
					    .cert = r->bytes,
					    .cert_len = r->cert_len,
					    .ann = r->bytes + r->cert_len,
					    .ann_len = r->ann_len};
	memcpy(out->node, r->node, LM_KEY_LEN);
}

bool lm_directory_get(const struct lm_directory *d, const uint8_t node[LM_KEY_LEN],
		      struct lm_directory_record *out)
{
	struct dir_record *r = find(d, node);

	if (r != NULL)
		show(r, out);
	return r != NULL;
}

void lm_directory_each(const struct lm_directory *d,
		       void (*each)(void *user, const struct lm_directory_record *r), void *user)
{
	struct lm_directory_record out;
	struct dir_record *r;

	for (r = d->records; r != NULL; r = r->hh.next) {
		show(r, &out);
		each(user, &out);
	}
}

void lm_directory_each_revocation(const struct lm_directory *d,
				  void (*each)(void *user, const uint8_t *data, size_t len),
				  void *user)
{
	for (size_t i = 0; i < LM_ARRAY_SIZE(d->lists); i++)
		if (d->lists[i].data != NULL)
			each(user, d->lists[i].data, d->lists[i].len);
}

uint64_t lm_directory_version(const struct lm_directory *d)
{
	return d->version;
}
