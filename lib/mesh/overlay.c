/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses inside the mesh. A datagram of ours to one of them would go into a
 * tunnel and wrap itself (Nebula #741), so they are never endpoints. Prefixes
 * are counted, as two certificates may hold the same; a lookup tries only the
 * lengths that occur, and only in the /8s that are in use: most addresses of the
 * underlay are in another one.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

static uint32_t *length_count(struct lm_mesh *m, const struct lm_prefix *p)
{
	return &m->overlay_lengths[p->ip.family == 6][p->len];
}

/* Counts a prefix in (by: 1) or out (-1) of each /8 that it touches. */
static void count_tops(struct lm_mesh *m, const struct lm_prefix *p, int by)
{
	uint32_t *tops = m->overlay_tops[p->ip.family == 6];
	unsigned n = p->len >= 8 ? 1 : 1u << (8 - p->len);

	for (unsigned i = 0; i < n; i++)
		tops[p->ip.b[0] + i] += (uint32_t)by;
}

static struct overlay *find(const struct lm_mesh *m, const struct lm_prefix *p)
{
	struct overlay *o;

	HASH_FIND(hh, m->overlays, p, sizeof(*p), o);
	return o;
}

static int add(struct lm_mesh *m, const struct lm_prefix *p)
{
	struct overlay *o = find(m, p);

	if (o == NULL) {
		o = calloc(1, sizeof(*o));
		if (o == NULL)
			return -ENOMEM;
		o->prefix = *p;
		HASH_ADD(hh, m->overlays, prefix, sizeof(o->prefix), o);
		if (o->hh.tbl == NULL) {
			free(o);
			return -ENOMEM;
		}
		++*length_count(m, p);
		count_tops(m, p, 1);
		m->overlay_grew = true;
	}
	o->refs++;
	return 0;
}

static void del(struct lm_mesh *m, const struct lm_prefix *p)
{
	struct overlay *o = find(m, p);

	if (o == NULL || --o->refs > 0)
		return;
	HASH_DEL(m->overlays, o);
	--*length_count(m, p);
	count_tops(m, p, -1);
	free(o);
}

/* The i-th prefix of a certificate that counts. A default route says that a site is a way out, not
 * that every address is inside the mesh. */
static bool nth(const struct lm_cert *c, unsigned i, struct lm_prefix *out)
{
	if (i < c->n_overlays)
		*out = lm_prefix_of(&c->overlays[i], lm_ip_bits(&c->overlays[i]));
	else
		*out = c->prefixes[i - c->n_overlays];
	return out->len > 0;
}

int lm_m_overlay_add(struct lm_mesh *m, const struct lm_cert *c)
{
	unsigned n = (unsigned)c->n_overlays + c->n_prefixes;
	struct lm_prefix p;

	for (unsigned i = 0; i < n; i++) {
		if (!nth(c, i, &p) || add(m, &p) == 0)
			continue;
		while (i-- > 0)
			if (nth(c, i, &p))
				del(m, &p);
		return -ENOMEM;
	}
	return 0;
}

void lm_m_overlay_del(struct lm_mesh *m, const struct lm_cert *c)
{
	unsigned n = (unsigned)c->n_overlays + c->n_prefixes;
	struct lm_prefix p;

	for (unsigned i = 0; i < n; i++)
		if (nth(c, i, &p))
			del(m, &p);
}

bool lm_m_overlay_has(const struct lm_mesh *m, const struct lm_ip *ip)
{
	const uint32_t *count = m->overlay_lengths[ip->family == 6];

	if (m->overlay_tops[ip->family == 6][ip->b[0]] == 0)
		return false;
	for (unsigned len = 1; len <= lm_ip_bits(ip); len++) {
		struct lm_prefix p;

		if (count[len] == 0)
			continue;
		p = lm_prefix_of(ip, len);
		if (find(m, &p) != NULL)
			return true;
	}
	return false;
}
