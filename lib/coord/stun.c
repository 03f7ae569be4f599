/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tells who asks under which address it is seen, RFC 8489. Sources of datagrams are
 * forged: an answer is never longer than what was asked (FAULTS row 20), so a request
 * without room for it gets none.
 */
#include <stdlib.h>

#include <lanemesh/coord.h>
#include <lanemesh/noise.h>

/* Gateways behind one NAT ask every 15 s or so; nobody needs more. */
#define SOURCE_RATE  50
#define SOURCE_BURST 200

struct lm_coord_stun {
	struct lm_ratelimit *rates;
	struct lm_coord_stun_counters n;
};

struct lm_coord_stun *lm_coord_stun_new(const uint8_t key[16])
{
	struct lm_coord_stun *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->rates = lm_ratelimit_new(key, SOURCE_RATE, SOURCE_BURST);
	if (s->rates == NULL) {
		free(s);
		return NULL;
	}
	return s;
}

void lm_coord_stun_free(struct lm_coord_stun *s)
{
	if (s == NULL)
		return;
	lm_ratelimit_free(s->rates);
	free(s);
}

const struct lm_coord_stun_counters *lm_coord_stun_counters(const struct lm_coord_stun *s)
{
	return &s->n;
}

static int compose(const struct lm_stun_msg *m, const struct lm_endpoint *from, uint8_t *out,
		   size_t cap)
{
	int n;

	if (m->n_unknown > 0)
		return lm_stun_unknown(out, cap, m);
	n = lm_stun_success(out, cap, m->id, from, m->fingerprint);
	if (n < 0 && m->fingerprint) /* its length may just do without */
		n = lm_stun_success(out, cap, m->id, from, false);
	return n;
}

size_t lm_coord_stun_answer(struct lm_coord_stun *s, lm_time now, const struct lm_endpoint *from,
			    const uint8_t *msg, size_t len, uint8_t out[LM_STUN_ANSWER_MAX])
{
	struct lm_stun_msg m;
	int n;

	if (lm_stun_decode(msg, len, &m) != 0 || m.kind != LM_STUN_REQUEST) {
		s->n.malformed++;
		return 0;
	}
	n = compose(&m, from, out, len < LM_STUN_ANSWER_MAX ? len : LM_STUN_ANSWER_MAX);
	if (n < 0) {
		s->n.no_room++;
		return 0;
	}
	if (!lm_ratelimit_take(s->rates, now, &from->ip)) {
		s->n.limited++;
		return 0;
	}
	if (m.n_unknown > 0)
		s->n.refused++;
	else
		s->n.answered++;
	return (size_t)n;
}
