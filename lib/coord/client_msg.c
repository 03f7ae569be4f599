/* SPDX-License-Identifier: BSD-3-Clause */
/* What a node says to a coordinator, and what it takes from it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "client.h"

/* Between two PUBLISH messages: well under what a coordinator allows. */
#define PUBLISH_PACE (250 * LM_MSEC)
/* Bytes that may wait for the coordinator to take them; more than all lists and the rest. */
#define OUT_MAX (1024 * 1024)

void client_put(struct lm_coord_client *c, lm_time now, const struct lm_coord_msg *m)
{
	if (!client_linked(c))
		return;
	if (c->pipe.out_len > OUT_MAX || lm_pipe_put(&c->pipe, m) < 0) {
		client_fail(c, now, "does not take what we send");
		return;
	}
	c->ops->output(c->user);
}

int lm_coord_client_signal(struct lm_coord_client *c, const uint8_t node[LM_KEY_LEN],
			   uint64_t token)
{
	struct lm_coord_msg m = {.type = LM_COORD_SIGNAL, .number = token};
	int rc;

	if (!client_linked(c))
		return -ENOTCONN;
	if (c->pipe.out_len > OUT_MAX)
		return -ENOBUFS;
	memcpy(m.node, node, LM_KEY_LEN);
	rc = lm_pipe_put(&c->pipe, &m);
	if (rc == 0 && !c->busy)
		c->ops->output(c->user);
	return rc;
}

void client_publish_due(struct lm_coord_client *c, lm_time now)
{
	if (c->busy || !client_linked(c) || c->ann_len == 0 || c->stored || now < c->publish_at)
		return;
	c->publish_pace = now + PUBLISH_PACE;
	c->publish_at = now + LM_COORD_PUBLISH_AGAIN;
	client_put(c, now,
		   &(struct lm_coord_msg){
		       .type = LM_COORD_PUBLISH, .data = c->ann, .data_len = c->ann_len});
}

int lm_coord_client_publish(struct lm_coord_client *c, lm_time now, const uint8_t *ann, size_t len)
{
	struct lm_announcement a;
	size_t body;

	if (len > LM_ANNOUNCE_MAX)
		return -EMSGSIZE;
	if (lm_announcement_decode(ann, len, &a, &body) < 0)
		return -EBADMSG;
	memcpy(c->ann, ann, len);
	c->ann_len = len;
	c->ann_sequence = a.sequence;
	c->stored = false;
	c->publish_at = now;
	if (c->publish_at < c->publish_pace)
		c->publish_at = c->publish_pace;
	client_publish_due(c, now);
	return 0;
}

/* ----------------------------------------------------------------- lists -- */

static struct client_list *list_of(struct lm_coord_client *c, const uint8_t issuer[LM_KEY_LEN])
{
	struct client_list *empty = NULL;

	for (size_t i = 0; i < LM_ARRAY_SIZE(c->lists); i++) {
		struct client_list *l = &c->lists[i];

		if (l->data == NULL && l->theirs == 0)
			empty = empty ? empty : l;
		else if (memcmp(l->issuer, issuer, LM_KEY_LEN) == 0)
			return l;
	}
	/* A coordinator's claims about lists that we do not have must not crowd out ours. */
	for (size_t i = 0; empty == NULL && i < LM_ARRAY_SIZE(c->lists); i++)
		if (c->lists[i].data == NULL)
			empty = &c->lists[i];
	if (empty != NULL) {
		memset(empty, 0, sizeof(*empty));
		memcpy(empty->issuer, issuer, LM_KEY_LEN);
	}
	return empty;
}

/* Only when in step: before, the coordinator may still be about to send the same list to us. */
void client_lists_due(struct lm_coord_client *c, lm_time now)
{
	for (size_t i = 0; !c->busy && i < LM_ARRAY_SIZE(c->lists); i++) {
		struct client_list *l = &c->lists[i];

		if (c->state != LM_COORD_UP || l->data == NULL || l->theirs >= l->number)
			continue;
		l->theirs = l->number;
		client_put(c, now,
			   &(struct lm_coord_msg){
			       .type = LM_COORD_REVOCATION, .data = l->data, .data_len = l->len});
	}
}

int lm_coord_client_revocation(struct lm_coord_client *c, lm_time now, const uint8_t *data,
			       size_t len)
{
	struct lm_revocation r;
	struct client_list *l;
	uint8_t *copy;
	size_t body;

	if (lm_revocation_decode(data, len, &r, &body) < 0)
		return -EBADMSG;
	l = list_of(c, r.issuer);
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
	client_lists_due(c, now);
	return 0;
}

static void heard_list(struct lm_coord_client *c, const uint8_t *data, size_t len)
{
	struct lm_revocation r;
	struct client_list *l;
	size_t body;

	if (lm_revocation_decode(data, len, &r, &body) < 0)
		return;
	l = list_of(c, r.issuer);
	if (l != NULL && r.number > l->theirs)
		l->theirs = r.number;
}

/* ------------------------------------------------------------------ sync -- */

void client_start_sync(struct lm_coord_client *c, lm_time now, const uint8_t epoch[LM_EPOCH_LEN],
		       uint64_t revision)
{
	static const uint8_t none[LM_EPOCH_LEN];
	struct lm_coord_msg m = {.type = LM_COORD_SYNC};
	/* A revision before ours: the store was put back to an older state. List all again; so too
	 * when a full listing was cut short, since its owner waits for the end of one. */
	bool delta =
	    !c->listing && memcmp(epoch, c->epoch, LM_EPOCH_LEN) == 0 && revision >= c->revision;
	bool refused = memcmp(epoch, none, LM_EPOCH_LEN) == 0; /* an ERROR follows */

	memcpy(c->server_epoch, epoch, LM_EPOCH_LEN);
	c->up_since = c->last_in = now;
	c->stored = false;
	c->publish_at = c->publish_pace = now;
	c->seen = delta ? c->revision : 0;
	client_set_state(c, LM_COORD_SYNCING, NULL);
	if (delta) {
		memcpy(m.epoch, c->epoch, LM_EPOCH_LEN);
		m.revision = c->revision;
	} else if (!refused) {
		for (size_t i = 0; i < LM_ARRAY_SIZE(c->lists); i++)
			c->lists[i].theirs = 0;
		c->listing = true;
		c->ops->resync(c->user);
	}
	client_put(c, now, &m);
}

static bool malformed(struct lm_coord_client *c, lm_time now, const char *why)
{
	c->n.malformed++;
	client_fail(c, now, why);
	return false;
}

/* Changes come in the order of their revisions, each once. */
static bool in_order(struct lm_coord_client *c, uint64_t revision)
{
	if (revision <= c->seen)
		return false;
	c->seen = revision;
	return true;
}

static bool on_synced(struct lm_coord_client *c, lm_time now, const struct lm_coord_msg *m)
{
	if (m->revision < c->seen)
		return malformed(c, now, "in step with less than it sent");
	/* In the middle of a listing another epoch would mean another listing than we asked for. */
	if (c->state == LM_COORD_SYNCING && memcmp(m->epoch, c->server_epoch, LM_EPOCH_LEN) != 0)
		return malformed(c, now, "its epoch changed during the listing");
	c->seen = c->revision = m->revision;
	memcpy(c->epoch, m->epoch, LM_EPOCH_LEN);
	memcpy(c->server_epoch, m->epoch, LM_EPOCH_LEN);
	c->listing = false;
	c->ops->synced(c->user, c->epoch, c->revision);
	client_set_state(c, LM_COORD_UP, NULL);
	return true;
}

static bool on_error(struct lm_coord_client *c, lm_time now, const struct lm_coord_msg *m)
{
	char why[200];
	int n = m->data_len < 160 ? (int)m->data_len : 160;

	c->n.errors++;
	snprintf(why, sizeof(why), "refuses (%u): %.*s", (unsigned)m->number, n,
		 (const char *)m->data);
	if (m->number == LM_COORD_E_STORE) { /* PUBLISH goes out again when due */
		lm_log(c->log, LM_LOG_WARN, "coordinator %s: %s", c->name, why);
		return true;
	}
	/* Whatever it was, coming back at once will not cure it. */
	c->up_since = now;
	if (c->fails < 3)
		c->fails = 3;
	client_fail(c, now, why);
	return false;
}

static void on_published(struct lm_coord_client *c, uint64_t sequence)
{
	if (c->ann_len == 0 || sequence < c->ann_sequence)
		return; /* about one before */
	if (!c->stored) {
		c->n.published++;
		if (c->ops->published != NULL)
			c->ops->published(c->user, sequence);
	}
	c->stored = true;
}

static bool take_message(struct lm_coord_client *c, lm_time now, const struct lm_coord_msg *m)
{
	switch (m->type) {
	case LM_COORD_RECORD:
		if (!in_order(c, m->revision))
			return malformed(c, now, "a record out of order");
		c->n.records++;
		c->ops->record(c->user, m->cert, m->cert_len, m->data, m->data_len);
		return true;
	case LM_COORD_REMOVED:
		if (!in_order(c, m->revision))
			return malformed(c, now, "a removal out of order");
		c->n.removed++;
		c->ops->removed(c->user, m->node);
		return true;
	case LM_COORD_REVOCATION:
		if (!in_order(c, m->revision))
			return malformed(c, now, "a revocation list out of order");
		c->n.revocations++;
		heard_list(c, m->data, m->data_len);
		c->ops->revocation(c->user, m->data, m->data_len);
		return true;
	case LM_COORD_SYNCED:
		return on_synced(c, now, m);
	case LM_COORD_PUBLISHED:
		on_published(c, m->number);
		return true;
	case LM_COORD_PING:
		client_put(c, now,
			   &(struct lm_coord_msg){.type = LM_COORD_PONG, .number = m->number});
		return client_linked(c);
	case LM_COORD_PONG:
		return true;
	case LM_COORD_SIGNALLED:
		c->n.signalled++;
		if (c->ops->signalled != NULL)
			c->ops->signalled(c->user, m->node, m->number);
		return true;
	case LM_COORD_ERROR:
		return on_error(c, now, m);
	default:
		return malformed(c, now, "a message that only nodes send");
	}
}

bool client_message(struct lm_coord_client *c, lm_time now, const uint8_t *rec, size_t len)
{
	struct lm_coord_msg m;
	int rc = lm_coord_msg_decode(rec, len, &m);

	if (rc == -EOPNOTSUPP)
		return true; /* of a later version; not for us */
	if (rc < 0)
		return malformed(c, now, "a malformed message");
	return take_message(c, now, &m);
}
