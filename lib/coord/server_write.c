/* SPDX-License-Identifier: BSD-3-Clause */
/* How changes get into the coordinator's directory: queued, committed together, then told. */
#include <errno.h>
#include <stdlib.h>

#include "server.h"

struct item *write_pending(struct lm_coord_server *s, bool list, const uint8_t key[LM_KEY_LEN])
{
	return item_find(s->pending, list, key);
}

static void pending_drop(struct lm_coord_server *s, struct item *it)
{
	HASH_DELETE(hh, s->pending, it);
	item_free(it);
}

int write_queue(struct lm_coord_server *s, struct item *it, bool keep, lm_time now)
{
	struct item *before = write_pending(s, it->id.list, it->id.key);

	if (before != NULL)
		pending_drop(s, before);
	it->keep = keep;
	HASH_ADD(hh, s->pending, id, sizeof(it->id), it);
	if (it->hh.tbl == NULL) {
		item_free(it);
		return -ENOMEM;
	}
	if (s->write_at > now)
		s->write_at = now;
	return 0;
}

/* ---------------------------------------------------------------- commit -- */

static int store_commit(struct lm_coord_server *s, struct lm_error *err)
{
	struct lm_coord_item *items;
	uint64_t revision = s->revision;
	struct item *it;
	size_t n = 0;
	int rc;

	for (it = s->pending; it != NULL; it = it->hh.next)
		it->revision = ++revision;
	if (s->cfg.store == NULL)
		return 0;
	items = calloc(HASH_COUNT(s->pending), sizeof(*items));
	if (items == NULL)
		return lm_error_set(err, ENOMEM, "no memory");
	for (it = s->pending; it != NULL; it = it->hh.next) {
		items[n] = (struct lm_coord_item){.kind = it->kind,
						  .revision = it->revision,
						  .cert = it->bytes,
						  .cert_len = it->cert_len,
						  .ann = it->bytes + it->cert_len,
						  .ann_len = it->ann_len};
		memcpy(items[n++].key, it->id.key, LM_KEY_LEN);
	}
	rc = s->cfg.store->commit(s->cfg.store->self, items, n, err);
	free(items);
	return rc;
}

static struct lm_coord_conn *conn_of(struct lm_coord_server *s, const uint8_t node[LM_KEY_LEN])
{
	struct lm_coord_conn *c;

	HASH_FIND(hh, s->nodes, node, LM_KEY_LEN, c);
	return c;
}

static void commit_failed(struct lm_coord_server *s, lm_time now, const struct lm_error *err)
{
	static const char text[] = "the coordinator cannot store records now";
	struct lm_coord_conn *c;
	struct item *it, *tmp;

	s->n.store_errors++;
	if (!s->store_failing)
		lm_log(s->cfg.log, LM_LOG_ERROR,
		       "store: %s; records are still served, new ones refused until it works again",
		       err->text);
	s->store_failing = true;
	HASH_ITER(hh, s->pending, it, tmp)
	{
		if (it->keep)
			continue;
		c = conn_of(s, it->id.key);
		if (c != NULL && c->awaits > 0) {
			c->awaits = 0;
			conn_put(c, now,
				 &(struct lm_coord_msg){.type = LM_COORD_ERROR,
							.number = LM_COORD_E_STORE,
							.data = (const uint8_t *)text,
							.data_len = sizeof(text) - 1});
			conn_flush(c, now);
		}
		pending_drop(s, it);
	}
	s->write_at = s->pending != NULL ? now + SERVER_WRITE_AGAIN : LM_TIME_NEVER;
}

/* The durable changes come into force, in the order of their revisions. */
static void commit_apply(struct lm_coord_server *s, lm_time now)
{
	struct item *it, *tmp;

	HASH_ITER(hh, s->pending, it, tmp)
	{
		HASH_DELETE(hh, s->pending, it);
		if (it->kind == LM_COORD_ITEM_NODE)
			s->n.published++;
		else if (it->kind == LM_COORD_ITEM_GONE)
			s->n.removed++;
		else
			s->n.revocations++;
		it->seen = now;
		if (dir_apply(s, it) < 0) {
			lm_log(s->cfg.log, LM_LOG_ERROR,
			       "no memory: a change is stored but not served before a restart");
			item_free(it);
		}
	}
	s->write_at = LM_TIME_NEVER;
	if (s->store_failing)
		lm_log(s->cfg.log, LM_LOG_INFO, "store: works again");
	s->store_failing = false;
}

/* Departed nodes are remembered within bounds. Nodes that have heard of all of them go on in the
 * new epoch, the others list afresh. */
static void bound_gone(struct lm_coord_server *s, lm_time now)
{
	uint8_t epoch[LM_EPOCH_LEN];
	struct lm_coord_conn *c, *tmp;
	struct lm_error err;

	if (s->n_gone <= s->cfg.limits.gone)
		return;
	s->ops->random(s->user, epoch, sizeof(epoch));
	if (s->cfg.store != NULL && s->cfg.store->new_epoch(s->cfg.store->self, epoch, &err) < 0) {
		lm_log(s->cfg.log, LM_LOG_WARN, "store: %s", err.text);
		return;
	}
	DL_FOREACH_SAFE(s->live, c, tmp)
	{
		if (!c->subscribed)
			continue;
		if (!c->synced || dir_after(s, c->cursor) != NULL) {
			conn_end(c, LM_COORD_E_SHUTDOWN, "a new listing has begun");
			continue;
		}
		c->synced = false;
	}
	memcpy(s->epoch, epoch, sizeof(epoch));
	dir_forget_gone(s);
	DL_FOREACH_SAFE(s->live, c, tmp)
	conn_flush(c, now);
}

void write_commit(struct lm_coord_server *s, struct lm_now now)
{
	struct lm_coord_conn *c, *tmp;
	struct lm_error err = {.text = ""};

	if (s->pending == NULL) {
		s->write_at = LM_TIME_NEVER;
		return;
	}
	if (store_commit(s, &err) < 0) {
		commit_failed(s, now.mono, &err);
		return;
	}
	commit_apply(s, now.mono);
	DL_FOREACH_SAFE(s->live, c, tmp)
	{
		uint64_t sequence = c->awaits;

		c->awaits = 0;
		if (sequence > 0)
			conn_put(
			    c, now.mono,
			    &(struct lm_coord_msg){.type = LM_COORD_PUBLISHED, .number = sequence});
		conn_flush(c, now.mono);
	}
	bound_gone(s, now.mono);
}

/* ----------------------------------------------------------------- sweep -- */

/* A clock that runs behind must not empty the directory: "not yet" is for newcomers only. */
static enum lm_verdict still_good(struct lm_coord_server *s, const struct lm_cert *cert,
				  int64_t wall)
{
	enum lm_verdict v = lm_cert_recheck(cert, &s->cfg.authorities, &s->lists, wall);

	return v == LM_NOT_YET_VALID ? LM_TRUSTED : v;
}

static enum lm_verdict item_good(struct lm_coord_server *s, const struct item *it, int64_t wall,
				 struct lm_cert *cert)
{
	size_t body;

	if (lm_cert_decode(it->bytes, it->cert_len, cert, &body) < 0)
		return LM_BAD_ENCODING;
	return still_good(s, cert, wall);
}

static void sweep_conns(struct lm_coord_server *s, struct lm_now now)
{
	struct lm_coord_conn *c, *tmp;

	DL_FOREACH_SAFE(s->live, c, tmp)
	{
		enum lm_verdict v;
		struct item *it;

		v = still_good(s, c->cert, now.wall);
		if (v != LM_TRUSTED) {
			s->n.cert_refused[v]++;
			server_note(s, now.mono, &c->from, c->cert, lm_verdict_text(v));
			conn_end(c, LM_COORD_E_CERT, lm_verdict_text(v));
			continue;
		}
		it = item_find(s->items, false, c->node);
		if (it != NULL)
			it->seen = now.mono;
	}
}

static void sweep_item(struct lm_coord_server *s, struct item *it, struct lm_now now)
{
	struct lm_coord_item gone = {.kind = LM_COORD_ITEM_GONE};
	struct lm_cert cert;
	enum lm_verdict v = item_good(s, it, now.wall, &cert);
	struct item *queued;

	if (v == LM_TRUSTED && (s->cfg.record_ttl == 0 || now.mono - it->seen < s->cfg.record_ttl))
		return;
	queued = write_pending(s, false, it->id.key);
	if (queued != NULL) /* a removal already, or the node with a new record */
		return;
	lm_log(s->cfg.log, LM_LOG_INFO, "node %s leaves the directory: %s", cert.name,
	       v == LM_TRUSTED ? "not seen for too long" : lm_verdict_text(v));
	memcpy(gone.key, it->id.key, LM_KEY_LEN);
	queued = item_new(&gone);
	if (queued == NULL || write_queue(s, queued, true, now.mono) < 0)
		lm_log(s->cfg.log, LM_LOG_ERROR, "no memory to remove a record, trying again");
}

void write_sweep(struct lm_coord_server *s, struct lm_now now)
{
	struct item *it, *tmp;
	struct lm_cert cert;

	bool stale = lm_revocations_stale(&s->lists, &s->cfg.authorities, now.wall);

	s->sweep_at = now.mono + SERVER_SWEEP;
	if (stale && !s->list_stale)
		lm_log(
		    s->cfg.log, LM_LOG_WARN,
		    "a revocation list is past its next update; sign a new one (lanemesh revoke)");
	s->list_stale = stale;
	sweep_conns(s, now);
	HASH_ITER(hh, s->pending, it, tmp)
	{
		if (it->kind == LM_COORD_ITEM_NODE &&
		    item_good(s, it, now.wall, &cert) != LM_TRUSTED)
			pending_drop(s, it);
	}
	HASH_ITER(hh, s->items, it, tmp)
	{
		if (it->kind == LM_COORD_ITEM_NODE)
			sweep_item(s, it, now);
	}
}

enum lm_verdict write_revocation(struct lm_coord_server *s, struct lm_now now, const uint8_t *data,
				 size_t len)
{
	struct lm_coord_item from = {.kind = LM_COORD_ITEM_REVOCATION, .ann = data, .ann_len = len};
	struct lm_revocation r;
	enum lm_verdict v;
	struct item *it;
	bool changed = false;
	size_t body;

	v = lm_revocations_add(&s->lists, &s->cfg.authorities, data, len, &changed);
	if (v != LM_TRUSTED || !changed)
		return v;
	if (lm_revocation_decode(data, len, &r, &body) < 0)
		return LM_BAD_ENCODING;
	lm_log(s->cfg.log, LM_LOG_INFO, "revocation list %llu: %u nodes and %u serials are revoked",
	       (unsigned long long)r.number, r.n_nodes, r.n_serials);
	memcpy(from.key, r.issuer, LM_KEY_LEN);
	it = item_new(&from);
	if (it == NULL || write_queue(s, it, true, now.mono) < 0)
		lm_log(s->cfg.log, LM_LOG_ERROR, "no memory to store a revocation list");
	write_sweep(s, now);
	return v;
}

void lm_coord_server_reconfigure(struct lm_coord_server *s, struct lm_now now,
				 const struct lm_authorities *au, lm_time record_ttl)
{
	const struct item *it;
	bool changed;

	s->cfg.authorities = *au;
	s->cfg.record_ttl = record_ttl;
	lm_revocations_free(&s->lists);
	for (it = s->items; it != NULL; it = it->hh.next)
		if (it->kind == LM_COORD_ITEM_REVOCATION &&
		    lm_revocations_add(&s->lists, au, it->bytes, it->ann_len, &changed) !=
			LM_TRUSTED)
			lm_log(s->cfg.log, LM_LOG_INFO,
			       "a revocation list is no longer in force: its authority is not "
			       "configured");
	for (it = s->pending; it != NULL; it = it->hh.next)
		if (it->kind == LM_COORD_ITEM_REVOCATION &&
		    lm_revocations_add(&s->lists, au, it->bytes, it->ann_len, &changed) !=
			LM_TRUSTED)
			lm_log(s->cfg.log, LM_LOG_INFO, "a revocation list is not taken");
	write_sweep(s, now);
	server_reap(s);
}
