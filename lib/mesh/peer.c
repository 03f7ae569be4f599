/* SPDX-License-Identifier: BSD-3-Clause */
/* Peers: who may talk to us, and what the data plane is told of them. */
#include "internal.h"

#include <stdlib.h>

struct peer *lm_m_peer_find(const struct lm_mesh *m, const uint8_t node[32])
{
	struct peer *p;

	HASH_FIND(hh, m->peers, node, LM_KEY_LEN, p);
	return p;
}

void lm_m_peer_check(struct peer *p)
{
	struct lm_mesh *m = p->mesh;

	if (p->checked)
		return;
	p->checked = true;
	p->check_next = m->check;
	m->check = p;
}

/* Lowest free number. */
static uint32_t take_index(struct lm_mesh *m, struct peer *p)
{
	uint32_t i = m->index_hint;

	while (i < m->max_peers && m->by_index[i] != NULL)
		i++;
	if (i == m->max_peers)
		return LM_PEER_NONE;
	m->by_index[i] = p;
	m->index_hint = i + 1;
	return i;
}

static void drop_index(struct lm_mesh *m, struct peer *p)
{
	if (p->index == LM_PEER_NONE)
		return;
	m->by_index[p->index] = NULL;
	if (p->index < m->index_hint)
		m->index_hint = p->index;
	p->index = LM_PEER_NONE;
}

static void peer_discard(struct lm_mesh *m, struct peer *p)
{
	lm_timer_stop(&m->timers, &p->connect.timer);
	lm_timer_stop(&m->timers, &p->liveness.timer);
	drop_index(m, p);
	lm_m_paths_drop(p, true);
	free(p->cert);
	free(p->ann);
	lm_m_ephemerals_free(m, p);
	free(p->candidates);
	explicit_bzero(p, sizeof(*p));
	free(p);
}

const struct lm_cert *lm_m_cert(const struct peer *p)
{
	size_t body_len;

	/* It was decoded before it was kept, so this cannot fail. */
	if (lm_cert_decode(p->cert->raw, p->cert->len, &p->mesh->decoded_cert, &body_len) != 0)
		memset(&p->mesh->decoded_cert, 0, sizeof(p->mesh->decoded_cert));
	return &p->mesh->decoded_cert;
}

const struct lm_announcement *lm_m_ann(const struct peer *p)
{
	size_t body_len;

	if (p->ann == NULL ||
	    lm_announcement_decode(p->ann->raw, p->ann->len, &p->mesh->decoded_ann, &body_len) != 0)
		return NULL;
	return &p->mesh->decoded_ann;
}

struct cert *lm_m_cert_keep(const struct shown_cert *shown)
{
	struct cert *c = malloc(sizeof(*c) + shown->len);

	if (c == NULL)
		return NULL;
	memcpy(c->hash, shown->hash, sizeof(c->hash));
	c->len = (uint16_t)shown->len;
	memcpy(c->raw, shown->raw, shown->len);
	return c;
}

struct peer *lm_m_peer_new(struct lm_mesh *m, const struct shown_cert *shown,
			   enum lm_verdict barred)
{
	const struct lm_cert *c = &shown->c;
	struct peer *p;

	if (m->n_peers >= m->max_peers) {
		m->count.peers_full++;
		lm_m_refusal(m, "no room for peer %s: max_peers is %u", c->name, m->max_peers);
		return NULL;
	}
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	p->mesh = m;
	p->index = LM_PEER_NONE;
	memcpy(p->node, c->node, sizeof(p->node));
	p->cert = lm_m_cert_keep(shown);
	p->barred = barred;
	p->greater = memcmp(m->cert.node, c->node, LM_KEY_LEN) > 0;
	p->ann_tokens = LM_M_ANN_BURST;
	p->ann_refilled = m->now.mono;
	if (p->cert == NULL || lm_identity_x_public(c->node, p->x_public) != 0 ||
	    lm_m_due_init(m, &p->connect, TIMER_HANDSHAKE) != 0 ||
	    lm_m_due_init(m, &p->liveness, TIMER_LIVENESS) != 0) {
		peer_discard(m, p);
		return NULL;
	}
	if (barred == LM_TRUSTED && lm_m_overlay_add(m, c) != 0) {
		peer_discard(m, p);
		return NULL;
	}
	HASH_ADD(hh, m->peers, node, LM_KEY_LEN, p);
	if (p->hh.tbl == NULL) {
		if (barred == LM_TRUSTED)
			lm_m_overlay_del(m, c);
		peer_discard(m, p);
		return NULL;
	}
	m->n_peers++;
	if (barred == LM_TRUSTED)
		p->index = take_index(m, p);
	lm_m_relay_role(m, p, c);
	return p;
}

static void unpublish(struct lm_mesh *m, struct peer *p)
{
	if (p->published)
		m->ops.peer_gone(m->user, p->index);
	p->published = false;
}

static void forget_relays(struct lm_mesh *m, struct peer *p)
{
	static const struct lm_cert none;

	lm_m_ways_drop(m, p);
	lm_m_relay_role(m, p, &none);
}

void lm_m_peer_free(struct lm_mesh *m, struct peer *p)
{
	lm_m_sessions_free(m, p, 0);
	forget_relays(m, p);
	unpublish(m, p);
	if (p->barred == LM_TRUSTED)
		lm_m_overlay_del(m, lm_m_cert(p));
	if (p->checked)
		LL_DELETE2(m->check, p, check_next);
	HASH_DEL(m->peers, p);
	m->n_peers--;
	peer_discard(m, p);
}

bool lm_m_peer_publish(struct lm_mesh *m, struct peer *p)
{
	char label[LM_M_LABEL_LEN];
	int rc = m->ops.peer_set(m->user, p->index, lm_m_cert(p), lm_m_ann(p));

	if (rc != 0) {
		m->count.refused_by_data_plane++;
		lm_m_event(m, LM_LOG_ERROR, "%s: the data plane did not take the peer: %s",
			   lm_m_peer_label(p, label), strerror(-rc));
		return p->published;
	}
	p->published = true;
	return true;
}

/* Ends all that there is with the peer. A listed one is kept in mind: its verdict may change with
 * the clock, a new certificate or other authorities. */
static void bar(struct lm_mesh *m, struct peer *p, enum lm_verdict v)
{
	char label[LM_M_LABEL_LEN];

	lm_m_event(m, LM_LOG_WARN, "%s: %s; its sessions end", lm_m_peer_label(p, label),
		   lm_verdict_text(v));
	lm_m_connect_stop(m, p);
	lm_m_sessions_free(m, p, LM_CLOSE_UNTRUSTED);
	lm_m_ways_drop(m, p);
	lm_m_disarm(m, &p->liveness);
	unpublish(m, p);
	drop_index(m, p);
	lm_m_overlay_del(m, lm_m_cert(p));
	p->barred = v;
	lm_m_paths_drop(p, true);
	p->has_path = false;
	lm_m_peer_check(p);
}

static void unbar(struct lm_mesh *m, struct peer *p)
{
	if (lm_m_overlay_add(m, lm_m_cert(p)) != 0)
		return;
	p->index = take_index(m, p);
	p->barred = LM_TRUSTED;
	p->rounds = 0;
	lm_m_announcement_recheck(p);
	(void)lm_m_peer_publish(m, p);
	lm_m_candidates(m, p);
	lm_m_connect(m, p, 0, true);
}

static void judge(struct lm_mesh *m, struct peer *p)
{
	enum lm_verdict v =
	    lm_cert_recheck(lm_m_cert(p), &m->authorities, &m->revocations, m->now.wall);

	if (v != LM_TRUSTED) {
		if (p->barred == LM_TRUSTED)
			bar(m, p, v);
		p->barred = v;
	} else if (p->barred != LM_TRUSTED) {
		unbar(m, p);
	} else if (p->listed) {
		if (!p->published)
			(void)lm_m_peer_publish(m, p);
		/* The mesh has become small enough. */
		if (p->current == NULL && !p->connecting)
			lm_m_connect(m, p, lm_m_first_delay(m), true);
	}
}

void lm_m_peers_judge(struct lm_mesh *m)
{
	enum lm_verdict own =
	    lm_cert_recheck(&m->cert, &m->authorities, &m->revocations, m->now.wall);
	struct peer *p, *tmp;

	if (own != LM_TRUSTED)
		lm_m_event(m, LM_LOG_ERROR,
			   "own certificate: %s; peers will refuse us: install a new one",
			   lm_verdict_text(own));
	HASH_ITER(hh, m->peers, p, tmp)
	judge(m, p);
}

static bool newer(const struct lm_cert *a, const struct lm_cert *b)
{
	return a->not_before != b->not_before ? a->not_before > b->not_before
					      : a->serial > b->serial;
}

void lm_m_peer_cert(struct lm_mesh *m, struct peer *p, const struct shown_cert *shown)
{
	bool was_barred = p->barred != LM_TRUSTED;
	struct cert *kept;

	if (memcmp(shown->hash, p->cert->hash, sizeof(shown->hash)) == 0 && !was_barred)
		return;
	if (!was_barred && !newer(&shown->c, lm_m_cert(p)))
		return;
	kept = lm_m_cert_keep(shown);
	if (kept == NULL)
		return;
	if (!was_barred) {
		if (lm_m_overlay_add(m, &shown->c) != 0) {
			free(kept);
			return;
		}
		lm_m_overlay_del(m, lm_m_cert(p));
	}
	free(p->cert);
	p->cert = kept;
	lm_m_relay_role(m, p, &shown->c);
	if (was_barred) {
		unbar(m, p);
		return;
	}
	lm_m_announcement_recheck(p);
	lm_m_candidates(m, p);
	if (p->current != NULL)
		lm_m_paths_fill(m, p);
	if (p->published || p->listed)
		(void)lm_m_peer_publish(m, p);
}

enum lm_verdict lm_m_cert_judge(struct lm_mesh *m, const uint8_t *data, size_t len,
				struct shown_cert *out, struct peer **p)
{
	size_t body_len;

	*p = NULL;
	memset(out, 0, sizeof(*out));
	out->raw = data;
	out->len = len;
	if (lm_cert_decode(data, len, &out->c, &body_len) != 0)
		return LM_BAD_ENCODING;
	*p = lm_m_peer_find(m, out->c.node);
	lm_blake2b(out->hash, 32, NULL, 0, data, len, NULL, 0);
	/* The very bytes whose signature we have checked before. */
	if (*p != NULL && memcmp(out->hash, (*p)->cert->hash, sizeof(out->hash)) == 0)
		return lm_cert_recheck(&out->c, &m->authorities, &m->revocations, m->now.wall);
	return lm_cert_check(data, len, &m->authorities, &m->revocations, m->now.wall, &out->c);
}

enum lm_peer_state lm_m_peer_state(const struct peer *p)
{
	if (p->current != NULL)
		return LM_PEER_UP;
	if (!lm_m_wants(p->mesh, p))
		return LM_PEER_IDLE;
	return p->n_candidates > 0 ? LM_PEER_CONNECTING : LM_PEER_UNREACHABLE;
}
