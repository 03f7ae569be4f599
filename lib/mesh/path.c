/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a peer may be: candidates, what may be sent to them, and the path in use. */
#include "internal.h"

#include <stdlib.h>

bool lm_m_path_equal(const struct lm_path *a, const struct lm_path *b)
{
	return a->port == b->port && a->relay == b->relay &&
	       lm_endpoint_equal(&a->remote, &b->remote);
}

bool lm_m_endpoint_ok(const struct lm_mesh *m, const struct lm_endpoint *ep)
{
	return ep->ip.family != 0 && ep->port != 0 && !lm_ip_is_special(&ep->ip) &&
	       !lm_m_overlay_has(m, &ep->ip);
}

bool lm_m_wan_ok(const struct lm_mesh *m, uint16_t port, const struct lm_endpoint *remote)
{
	if (port >= LM_MESH_WAN_MAX)
		return false;
	return remote->ip.family == 6 ? m->wan6[port] : m->wan4[port];
}

bool lm_m_own_endpoint(const struct lm_mesh *m, const struct lm_endpoint *ep)
{
	for (unsigned i = 0; i < m->n_local; i++)
		if (lm_endpoint_equal(&m->local[i].ep, ep))
			return true;
	return false;
}

struct candidate *lm_m_candidate(const struct peer *p, const struct lm_endpoint *ep)
{
	for (unsigned i = 0; i < p->n_candidates; i++)
		if (lm_endpoint_equal(&p->candidates[i].ep, ep))
			return (struct candidate *)&p->candidates[i];
	return NULL;
}

/* What is known of an address stays when a record names it again: a new record is no new budget. */
static void add(struct lm_mesh *m, struct peer *p, const struct lm_endpoint *ep,
		enum lm_path_kind kind, const struct candidate *old, unsigned n_old)
{
	struct candidate *there = lm_m_candidate(p, ep);
	struct candidate c = {.ep = *ep, .answered = kind == LM_PATH_SEEN};

	if (there != NULL)
		there->kind = kind;
	if (there != NULL || p->n_candidates == LM_M_CANDIDATES)
		return;
	if (!lm_m_endpoint_ok(m, ep)) {
		char label[LM_M_LABEL_LEN], text[LM_ENDPOINT_STRLEN];

		m->count.bad_endpoint++;
		lm_m_refusal(m, "%s: %s is no endpoint: an overlay or special address",
			     lm_m_peer_label(p, label), lm_endpoint_format(ep, text));
		return;
	}
	for (unsigned i = 0; i < n_old; i++) {
		if (lm_endpoint_equal(&old[i].ep, ep)) {
			c = old[i];
			break;
		}
	}
	c.kind = kind;
	p->candidates[p->n_candidates++] = c;
}

void lm_m_candidates(struct lm_mesh *m, struct peer *p)
{
	static const enum lm_path_kind kinds[] = {[LM_EP_HOST] = LM_PATH_HOST,
						  [LM_EP_PUBLIC] = LM_PATH_PUBLIC,
						  [LM_EP_REFLEXIVE] = LM_PATH_REFLEXIVE};
	struct candidate fresh[LM_M_CANDIDATES], *old = p->candidates, *kept;
	unsigned n_old = p->n_candidates;
	const struct lm_announcement *ann = lm_m_ann(p);

	p->candidates = fresh;
	p->n_candidates = 0;
	if (p->has_path && p->path.relay == 0)
		add(m, p, &p->path.remote, LM_PATH_SEEN, old, n_old);
	for (unsigned i = 0; ann != NULL && i < ann->n_endpoints; i++) {
		uint8_t kind = ann->endpoints[i].kind;

		if (kind == LM_EP_HOST || kind == LM_EP_PUBLIC || kind == LM_EP_REFLEXIVE)
			add(m, p, &ann->endpoints[i].ep, kinds[kind], old, n_old);
	}
	/* Most peers have one or two. Without memory those there are stay. */
	kept = malloc((p->n_candidates > 0 ? p->n_candidates : 1u) * sizeof(*kept));
	if (kept == NULL) {
		p->candidates = old;
		p->n_candidates = (uint8_t)n_old;
		return;
	}
	memcpy(kept, fresh, p->n_candidates * sizeof(*kept));
	p->candidates = kept;
	free(old);
}

static bool all_ok(const struct lm_mesh *m, const struct peer *p)
{
	const struct path *r;

	for (unsigned i = 0; i < p->n_candidates; i++)
		if (!lm_m_endpoint_ok(m, &p->candidates[i].ep))
			return false;
	DL_FOREACH2(p->paths, r, next_path)
	if (!lm_m_endpoint_ok(m, &r->path.remote))
		return false;
	return true;
}

void lm_m_candidates_judge(struct lm_mesh *m)
{
	struct peer *p, *tmp;

	m->overlay_grew = false;
	HASH_ITER(hh, m->peers, p, tmp)
	{
		if (all_ok(m, p))
			continue;
		lm_m_candidates(m, p);
		if (p->current != NULL)
			lm_m_paths_fill(m, p);
	}
}

bool lm_m_candidate_spend(struct lm_mesh *m, struct peer *p, struct candidate *c, size_t len)
{
	if (c->sent != 0 && lm_m_since(m, c->sent) < LM_M_CANDIDATE_GAP)
		return false;
	if (!c->answered && !lm_m_host_spend(m, p, &c->ep.ip, len))
		return false;
	c->sent = m->now.mono;
	return true;
}
