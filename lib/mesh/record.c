/* SPDX-License-Identifier: BSD-3-Clause */
/* Signed records: certificates and announcements of others, our own announcement, revocations. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#define ANN_RATE 4.0 /* announcements of one peer that are checked a second */

static struct peer *next_up(struct peer *p)
{
	while (p != NULL && p->current == NULL)
		p = p->hh.next;
	return p;
}

/* ---------------------------------------------------- own announcement -- */

/* No two of an announcement are equal in kind and address. */
static void add_endpoint(struct lm_announcement *a, uint8_t kind, const struct lm_endpoint *ep)
{
	if (ep->ip.family == 0 || a->n_endpoints == LM_ENDPOINTS_MAX)
		return;
	for (unsigned i = 0; i < a->n_endpoints; i++)
		if (a->endpoints[i].kind == kind && lm_endpoint_equal(&a->endpoints[i].ep, ep))
			return;
	a->endpoints[a->n_endpoints].kind = kind;
	a->endpoints[a->n_endpoints++].ep = *ep;
}

static void fill_own(const struct lm_mesh *m, struct lm_announcement *a)
{
	memset(a, 0, sizeof(*a));
	memcpy(a->node, m->cert.node, LM_KEY_LEN);
	memcpy(a->mesh, m->cert.mesh, sizeof(a->mesh));
	a->lanes = m->lanes;
	/* Receivers may take the first ones only (FAULTS row 14): the most useful come first. */
	for (unsigned i = 0; i < m->n_local; i++)
		if (m->local[i].kind == LM_EP_PUBLIC)
			add_endpoint(a, LM_EP_PUBLIC, &m->local[i].ep);
	for (unsigned i = 0; i < LM_MESH_WAN_MAX; i++)
		for (unsigned six = 0; six < 2; six++)
			add_endpoint(a, LM_EP_REFLEXIVE, &m->stun.reflexive[i][six]);
	for (unsigned i = 0; i < m->n_local; i++)
		if (m->local[i].kind != LM_EP_PUBLIC)
			add_endpoint(a, m->local[i].kind, &m->local[i].ep);
	a->n_prefixes = m->all_prefixes ? m->cert.n_prefixes : m->n_prefixes;
	memcpy(a->prefixes, m->all_prefixes ? m->cert.prefixes : m->prefixes,
	       a->n_prefixes * sizeof(a->prefixes[0]));
}

/* Same content as the one in force, the number aside? Encodings are canonical. */
static bool same_as_own(const struct lm_mesh *m, struct lm_announcement *a)
{
	struct lm_announcement old;
	uint8_t buf[LM_ANNOUNCE_MAX];
	size_t body_len;
	int n;

	if (!m->has_ann || lm_announcement_decode(m->ann, m->ann_len, &old, &body_len) != 0)
		return false;
	a->sequence = old.sequence;
	n = lm_announcement_encode(a, buf, sizeof(buf));
	return n >= 0 && (size_t)n == body_len && memcmp(buf, m->ann, body_len) == 0;
}

void lm_m_own_announcement(struct lm_mesh *m, bool force)
{
	struct lm_announcement a;
	struct lm_error err;
	int n;

	fill_own(m, &a);
	if (!force && same_as_own(m, &a))
		return;
	a.sequence = m->sequence + 1;
	n = lm_announcement_sign(m->id, &a, m->ann, sizeof(m->ann), &err);
	if (n < 0) {
		m->has_ann = false;
		lm_m_event(m, LM_LOG_ERROR, "own announcement: %s", err.text);
		return;
	}
	m->sequence = a.sequence;
	m->has_ann = true;
	m->ann_len = (size_t)n;
	m->ops.announce(m->user, m->sequence, m->ann, m->ann_len);
	for (struct peer *p = next_up(m->peers); p != NULL; p = next_up(p->hh.next))
		lm_m_send_announcement(m, p->current, m->ann, m->ann_len);
}

/* Somebody has one of ours with a greater number, or another one with the same: from a life whose
 * memory we lost. */
static enum lm_verdict own_returned(struct lm_mesh *m, const uint8_t *data, size_t len)
{
	struct lm_announcement a;
	enum lm_verdict v = lm_announcement_check(data, len, &m->cert, &a);

	/* INT64_MAX is the last number there is: nothing can follow it. */
	if (v == LM_TRUSTED && a.sequence < INT64_MAX) {
		m->sequence = a.sequence;
		if (m->has_ann)
			lm_m_own_announcement(m, true);
	}
	return v;
}

/* ------------------------------------------------- others' announcements -- */

void lm_m_announcement_recheck(struct peer *p)
{
	struct lm_announcement a;

	if (p->ann == NULL)
		return;
	if (lm_announcement_check(p->ann->raw, p->ann->len, lm_m_cert(p), &a) == LM_TRUSTED)
		return;
	free(p->ann);
	p->ann = NULL;
}

static enum lm_verdict take(struct lm_mesh *m, struct peer *p, const uint8_t *data, size_t len)
{
	struct ann *fresh = malloc(sizeof(*fresh) + len);
	struct lm_announcement a;
	enum lm_verdict v;

	if (fresh == NULL)
		return LM_TRUSTED; /* as if it had been lost: it comes again */
	v = lm_announcement_check(data, len, lm_m_cert(p), &a);
	if (v != LM_TRUSTED) {
		free(fresh);
		return v;
	}
	fresh->sequence = a.sequence;
	fresh->len = (uint16_t)len;
	memcpy(fresh->raw, data, len);
	free(p->ann);
	p->ann = fresh;
	if (p->barred != LM_TRUSTED)
		return v;
	lm_m_candidates(m, p);
	if (p->current != NULL)
		lm_m_paths_fill(m, p);
	if (p->listed || p->published)
		(void)lm_m_peer_publish(m, p);
	if (p->current == NULL)
		lm_m_connect_again(m, p, 0);
	return v;
}

static bool same_bytes(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	return a_len == b_len && memcmp(a, b, a_len) == 0;
}

/* Does this one of ours, which somebody has, stand in the way of the one in force? */
static bool in_our_way(const struct lm_mesh *m, uint64_t sequence, const uint8_t *data, size_t len)
{
	if (sequence != m->sequence || !m->has_ann)
		return sequence > m->sequence;
	return !same_bytes(data, len, m->ann, m->ann_len);
}

static bool ann_allowed(struct lm_mesh *m, struct peer *p)
{
	p->ann_tokens += (double)lm_m_since(m, p->ann_refilled) / (double)LM_SEC * ANN_RATE;
	if (p->ann_tokens > LM_M_ANN_BURST)
		p->ann_tokens = LM_M_ANN_BURST;
	p->ann_refilled = m->now.mono;
	if (p->ann_tokens < 1)
		return false;
	p->ann_tokens -= 1;
	return true;
}

/* from: the session that it came by, NULL for the directory. */
enum lm_verdict lm_m_announcement(struct lm_mesh *m, const uint8_t *data, size_t len,
				  struct session *from)
{
	char label[LM_M_LABEL_LEN];
	struct lm_announcement a;
	enum lm_verdict v;
	struct peer *p;
	size_t body_len;

	if (lm_announcement_decode(data, len, &a, &body_len) != 0) {
		m->count.records_refused[LM_BAD_ENCODING]++;
		return LM_BAD_ENCODING;
	}
	if (from != NULL && !ann_allowed(m, from->peer)) {
		m->count.rate_limited++;
		return LM_TRUSTED;
	}
	p = lm_m_peer_find(m, a.node);
	if (p == NULL && memcmp(a.node, m->cert.node, LM_KEY_LEN) == 0) {
		v = in_our_way(m, a.sequence, data, len) ? own_returned(m, data, len) : LM_TRUSTED;
	} else if (p == NULL) {
		return LM_TRUSTED; /* a node that we do not know (yet) */
	} else if (p->ann != NULL && a.sequence <= p->ann->sequence) {
		/* The peer forgot its number in a restart: show it what is going round. */
		if (from != NULL && p == from->peer &&
		    !same_bytes(data, len, p->ann->raw, p->ann->len))
			lm_m_send_announcement(m, from, p->ann->raw, p->ann->len);
		return LM_TRUSTED;
	} else {
		v = take(m, p, data, len);
	}
	if (v != LM_TRUSTED) {
		m->count.records_refused[v]++;
		lm_m_refusal(m, "announcement of %s refused: %s",
			     lm_m_label(p != NULL ? lm_m_cert(p) : &m->cert, label),
			     lm_verdict_text(v));
	}
	return v;
}

/* ------------------------------------------------------------ directory -- */

/* A certificate that only the clock speaks against is kept in mind, as clocks get set. */
static struct peer *add_listed(struct lm_mesh *m, const struct shown_cert *cert, enum lm_verdict v)
{
	struct peer *p;

	if (v != LM_TRUSTED && v != LM_EXPIRED && v != LM_NOT_YET_VALID)
		return NULL;
	p = lm_m_peer_new(m, cert, v);
	if (p != NULL)
		p->listed = true;
	return p;
}

/* A mesh that starts does not call everybody in the same moment. */
lm_time lm_m_first_delay(struct lm_mesh *m)
{
	return lm_m_jitter(m, (lm_time)m->n_peers * 2 * LM_MSEC);
}

/* Each half may be good and their union still be nonsense. */
static bool of_another(const uint8_t *ann, size_t len, const uint8_t node[32])
{
	struct lm_announcement a;
	size_t body_len;

	return len > 0 && lm_announcement_decode(ann, len, &a, &body_len) == 0 &&
	       memcmp(a.node, node, LM_KEY_LEN) != 0;
}

enum lm_verdict lm_mesh_record(struct lm_mesh *m, struct lm_now now, const uint8_t *cert,
			       size_t cert_len, const uint8_t *ann, size_t ann_len)
{
	char label[LM_M_LABEL_LEN];
	struct shown_cert c;
	struct peer *p;
	enum lm_verdict v, ann_v = LM_TRUSTED;
	bool fresh;

	lm_m_enter(m, now);
	v = lm_m_cert_judge(m, cert, cert_len, &c, &p);
	if (v == LM_TRUSTED && of_another(ann, ann_len, c.c.node)) {
		m->count.records_refused[LM_WRONG_NODE]++;
		lm_m_refusal(m, "record of %s refused: the announcement is another node's",
			     lm_m_label(&c.c, label));
		return LM_WRONG_NODE;
	}
	if (v != LM_TRUSTED) {
		m->count.records_refused[v]++;
		lm_m_refusal(m, "record of %s refused: %s", lm_m_label(&c.c, label),
			     lm_verdict_text(v));
	}
	/* Also when it has run out: we are no peer of ours. */
	if (memcmp(c.c.node, m->cert.node, LM_KEY_LEN) == 0)
		return v == LM_TRUSTED && ann_len > 0 ? lm_m_announcement(m, ann, ann_len, NULL)
						      : v;
	fresh = p == NULL;
	if (fresh)
		p = add_listed(m, &c, v);
	else if (v == LM_TRUSTED)
		lm_m_peer_cert(m, p, &c);
	if (p == NULL)
		return v;
	if (v == LM_TRUSTED)
		p->listed = true;
	if (ann_len > 0)
		ann_v = lm_m_announcement(m, ann, ann_len, NULL);
	if (p->barred == LM_TRUSTED) {
		if (!p->published)
			(void)lm_m_peer_publish(m, p);
		if (fresh)
			lm_m_connect_again(m, p, lm_m_first_delay(m));
	}
	lm_m_leave(m);
	return v != LM_TRUSTED ? v : ann_v;
}

void lm_mesh_record_removed(struct lm_mesh *m, struct lm_now now, const uint8_t node[32])
{
	struct peer *p;
	struct session *s, *tmp;

	lm_m_enter(m, now);
	p = lm_m_peer_find(m, node);
	if (p == NULL)
		return;
	p->listed = false;
	if (p->current == NULL) {
		lm_m_connect_stop(m, p);
		DL_FOREACH_SAFE(p->sessions, s, tmp)
		if (s->state == SESSION_INIT)
			lm_m_session_free(m, s, 0);
	}
	lm_m_peer_check(p);
	lm_m_leave(m);
}

enum lm_verdict lm_mesh_revocation(struct lm_mesh *m, struct lm_now now, const uint8_t *data,
				   size_t len)
{
	bool changed;
	enum lm_verdict v;

	lm_m_enter(m, now);
	v = lm_revocations_add(&m->revocations, &m->authorities, data, len, &changed);
	if (v != LM_TRUSTED) {
		m->count.records_refused[v]++;
		lm_m_refusal(m, "revocation list refused: %s", lm_verdict_text(v));
		return v;
	}
	if (!changed)
		return v;
	lm_m_peers_judge(m);
	m->ops.revocation(m->user, data, len);
	lm_m_leave(m);
	return v;
}

/* ---------------------------------------------------------- local changes -- */

/* No two endpoints of an announcement are equal in kind and address. */
static bool announced(const struct lm_mesh *m, const struct lm_local_endpoint *e)
{
	for (unsigned i = 0; i < m->n_local; i++)
		if (m->local[i].kind == e->kind && lm_endpoint_equal(&m->local[i].ep, &e->ep))
			return true;
	return false;
}

/* WAN ports, by bit, with an endpoint in a that is not in b. */
static uint32_t missing_in(const struct lm_local_endpoint *a, unsigned n_a,
			   const struct lm_local_endpoint *b, unsigned n_b)
{
	uint32_t ports = 0;

	for (unsigned i = 0; i < n_a; i++) {
		bool found = false;

		for (unsigned k = 0; k < n_b && !found; k++)
			found = a[i].port == b[k].port && a[i].kind == b[k].kind &&
				lm_endpoint_equal(&a[i].ep, &b[k].ep);
		if (!found)
			ports |= 1u << a[i].port;
	}
	return ports;
}

void lm_mesh_local(struct lm_mesh *m, struct lm_now now, const struct lm_local_endpoint *eps,
		   size_t n)
{
	struct lm_local_endpoint old[LM_ENDPOINTS_MAX];
	unsigned n_old;
	uint32_t changed;

	lm_m_enter(m, now);
	memcpy(old, m->local, sizeof(old));
	n_old = m->n_local;
	m->n_local = 0;
	memset(m->wan4, 0, sizeof(m->wan4));
	memset(m->wan6, 0, sizeof(m->wan6));
	for (size_t i = 0; i < n && m->n_local < LM_ENDPOINTS_MAX; i++) {
		struct lm_local_endpoint e = eps[i];
		char at[LM_ENDPOINT_STRLEN];

		e.ep.ip = lm_ip_canonical(e.ep.ip);
		if (e.port >= LM_MESH_WAN_MAX || !lm_m_endpoint_ok(m, &e.ep)) {
			lm_m_event(m, LM_LOG_WARN,
				   "own endpoint %s is not announced: an overlay "
				   "or special address",
				   lm_endpoint_format(&e.ep, at));
			continue;
		}
		if (!announced(m, &e))
			m->local[m->n_local++] = e;
		if (e.ep.ip.family == 6)
			m->wan6[e.port] = true;
		else
			m->wan4[e.port] = true;
	}
	changed = missing_in(old, n_old, m->local, m->n_local) |
		  missing_in(m->local, m->n_local, old, n_old);
	/* Users' traffic comes before the news. */
	for (struct peer *p = next_up(m->peers); p != NULL; p = next_up(p->hh.next)) {
		lm_m_paths_fill(m, p);
		lm_m_paths_recheck(m, p, changed);
	}
	lm_m_stun_local(m, changed);
	lm_m_own_announcement(m, false);
	for (struct peer *p = m->peers; p != NULL; p = p->hh.next)
		if (p->barred == LM_TRUSTED && p->current == NULL)
			lm_m_connect_again(m, p, lm_m_first_delay(m));
	lm_m_leave(m);
}
