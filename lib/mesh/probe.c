/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the probes of a path say. The one in use must be proven every 100 ms while
 * there is traffic, by packets that come in on it or else by a probe; one probe
 * without an answer is followed by a burst, and when that stays unanswered too the
 * path is dead, a third of a second after the cut on a short way. With 5 % loss
 * each way all eight are lost once in 10^8 times. Others are asked less often, so
 * that it is known beforehand where to turn, and again with the burst: where one of
 * them answers it is the path that fails, where none does the peer may just be slow.
 */
#include "internal.h"

#define PROVEN_BUSY  (100 * LM_MSEC) /* path in use: at most so long without a sign */
#define ANSWER_BUSY  (300 * LM_MSEC) /* ... without a round trip: packets prove one way only */
#define STANDBY_BUSY (1500 * LM_MSEC)
#define RTO_BUSY     (30 * LM_MSEC)
#define RTO_IDLE     (250 * LM_MSEC)
#define BURST	     8 /* probes in all before the path is dead */
#define LAST_FEW     3
#define BURST_GAP    (20 * LM_MSEC)
#define IDLE_GAP     (250 * LM_MSEC)
#define STANDBY_TRY  5
#define SUSPECT	     2 /* probes without an answer on the path in use: the others are asked */
#define SUSPECT_MORE 5 /* and once more */
/* While no other path answers either the peer may just be slow, most of all when its users'
 * packets come in. */
#define PATIENCE     LM_SEC
#define PATIENCE_ESP (3 * LM_SEC)
#define LOSS_WINDOW  128
#define LOSS_WAIT    LM_SEC
#define KNOCKS	     4 /* at an address that never answered */

static lm_time later(lm_time a, lm_time b)
{
	return a > b ? a : b;
}

static lm_time sooner(lm_time a, lm_time b)
{
	return a < b ? a : b;
}

/* RFC 6298 section 2.3, with floors of our own. */
static lm_time rto(const struct path *r, bool hurry)
{
	return later(hurry ? RTO_BUSY : RTO_IDLE, r->rtt + 4 * r->rtt_var);
}

/* When an alive path has to be asked again. Peers differ a little, and of two ends one is first,
 * whose probe is a sign of life for the other. */
static lm_time proof_due(const struct lm_mesh *m, const struct peer *p, const struct path *r)
{
	lm_time proof = later(r->last_rx, r->last_answer);
	lm_time spread =
	    p->index % 16 * (m->t.keepalive / 512) + (p->greater ? 0 : m->t.keepalive / 32);

	if (r == p->active) {
		if (lm_m_busy(m, p))
			return sooner(proof + PROVEN_BUSY, r->last_answer + ANSWER_BUSY);
		return proof + m->t.keepalive + spread;
	}
	return r->last_answer + (lm_m_busy(m, p) ? STANDBY_BUSY : r->keep) + spread;
}

/* ------------------------------------------------------------ measuring -- */

static void loss_sample(struct path *r, float lost)
{
	if (r->loss_samples < LOSS_WINDOW)
		r->loss_samples++;
	r->loss += (lost - r->loss) / (float)r->loss_samples;
}

/* Probes that will not be answered any more. */
static void give_up(const struct lm_mesh *m, struct path *r)
{
	lm_time wait = later(LOSS_WAIT, 3 * rto(r, true));

	for (unsigned i = 0; i < LM_M_PROBES; i++) {
		struct probe *q = &r->probes[i];

		if (q->sent == 0 || lm_m_since(m, q->sent) < wait)
			continue;
		q->sent = 0;
		if (r->state == LM_PATH_ALIVE)
			loss_sample(r, 1);
	}
}

/* RFC 6298 section 2 and RFC 3550 section 6.4.1 (of round trips, not of one way). */
static void rtt_sample(struct path *r, lm_time sample)
{
	lm_time change = r->rtt > sample ? r->rtt - sample : sample - r->rtt;

	if (r->rtt == 0) {
		r->rtt = sample > 0 ? sample : 1;
		r->rtt_var = sample / 2;
		return;
	}
	r->jitter += change / 16;
	r->jitter -= r->jitter / 16;
	r->rtt_var = (3 * r->rtt_var + change) / 4;
	r->rtt = (7 * r->rtt + sample) / 8;
}

/* The mapping that we had in NATs before is the one that we have: it may be used less often. */
static void keep_sample(struct lm_mesh *m, struct path *r, const struct lm_endpoint *observed)
{
	if (!lm_endpoint_equal(&r->observed, observed)) {
		r->keep = LM_M_KEEP_MIN;
		r->observed = *observed;
		lm_m_stun_observed(m);
	} else if (r->keep < LM_M_KEEP_MAX && r->tries == 1) {
		r->keep += LM_M_KEEP_STEP;
	}
}

/* -------------------------------------------------------------- asking -- */

static void ask(struct lm_mesh *m, struct peer *p, struct path *r, lm_time wait)
{
	lm_m_probe(m, p->current, r);
	if (r->tries < UINT8_MAX)
		r->tries++;
	if ((r == p->active || p->active == NULL) && p->probing == 0)
		p->probing = m->now.mono;
	r->next = m->now.mono + wait;
}

void lm_m_path_ask(struct lm_mesh *m, struct peer *p, struct path *r)
{
	r->asked = m->now.mono;
	r->tries = 0;
	ask(m, p, r, rto(r, r == p->active && lm_m_busy(m, p)));
}

/* The path in use does not answer: would another one? */
static void ask_others(struct lm_mesh *m, struct peer *p)
{
	struct path *r;

	DL_FOREACH2(p->paths, r, next_path)
	{
		if (r == p->active || r->state != LM_PATH_ALIVE)
			continue;
		if (r->asked == 0) {
			lm_m_path_ask(m, p, r);
		} else {
			lm_m_probe(m, p->current, r);
			r->tries++;
		}
	}
}

/* May it be that the peer is slow, and not that the path in use is dead? */
static bool maybe_slow(const struct lm_mesh *m, const struct peer *p)
{
	const struct path *active = p->active, *r;
	lm_time waited = lm_m_since(m, active->asked);
	bool others = false;

	DL_FOREACH2(p->paths, r, next_path)
	{
		if (r == active || r->state != LM_PATH_ALIVE)
			continue;
		if (r->last_answer > active->asked)
			return false;
		others = true;
	}
	if (p->esp_rx > active->asked)
		return waited < PATIENCE_ESP;
	return others && waited < PATIENCE;
}

static void check_alive(struct lm_mesh *m, struct peer *p, struct path *r)
{
	bool active = r == p->active, hurry = active && lm_m_busy(m, p);
	bool heard = r->last_rx > r->asked;
	lm_time gap = hurry ? BURST_GAP : IDLE_GAP;
	uint8_t limit = active ? BURST : STANDBY_TRY;

	if (r->asked == 0) {
		lm_time due = proof_due(m, p, r);

		if (m->now.mono < due) {
			r->next = due;
			return;
		}
		lm_m_path_ask(m, p, r);
		return;
	}
	/* The peer speaks from elsewhere; what still comes here is no more than probes. */
	if (active && (!heard || p->rx_path == p->moved_to) && lm_m_follow(m, p))
		return;
	if (hurry && (r->tries == SUSPECT || r->tries == SUSPECT_MORE))
		ask_others(m, p);
	if (r->tries < limit)
		ask(m, p, r, r->tries + 1 == limit ? rto(r, hurry) : gap);
	else if (active && maybe_slow(m, p))
		ask(m, p, r, IDLE_GAP);
	else
		lm_m_path_died(m, p, r);
}

/* FAULTS row 14. Who has answered before, or lives at an address that has, may be asked. */
static bool may_ask(struct lm_mesh *m, struct peer *p, const struct path *r)
{
	struct candidate *c;

	if (r->last_answer != 0 || r->kind == LM_PATH_RELAY)
		return true;
	c = lm_m_candidate(p, &r->path.remote);
	if (c == NULL) /* only packets speak for it */
		return lm_m_host_spend(m, p, &r->path.remote.ip, LM_M_PROBE_LEN);
	return c->answered || lm_m_candidate_spend(m, p, c, LM_M_PROBE_LEN);
}

static lm_time knock_again(const struct lm_mesh *m, const struct peer *p, const struct path *r)
{
	bool lost = p->active == NULL || p->active->state != LM_PATH_ALIVE;

	if (r->state == LM_PATH_PROBING)
		return IDLE_GAP << (r->tries - 1);
	if (r->last_answer == 0)
		return lost ? 5 * LM_SEC : LM_M_HOST_LIFE;
	if (lost)
		return LM_SEC / 2;
	return lm_m_busy(m, p) ? 2 * LM_SEC : LM_M_KEEP_MIN;
}

/* A path that is not alive. */
static void knock(struct lm_mesh *m, struct peer *p, struct path *r)
{
	if (r->state == LM_PATH_PROBING && r->tries >= KNOCKS) {
		if (r->kind == LM_PATH_SEEN && r != p->active) {
			lm_m_path_remove(m, p, r);
			return;
		}
		r->state = LM_PATH_DEAD;
	}
	if (!may_ask(m, p, r)) {
		r->next = m->now.mono + LM_M_CANDIDATE_GAP;
		return;
	}
	if (r->state == LM_PATH_UNTRIED)
		r->state = LM_PATH_PROBING;
	ask(m, p, r, 0);
	r->next += knock_again(m, p, r);
}

void lm_m_path_timer(struct lm_mesh *m, struct peer *p, struct path *r)
{
	give_up(m, r);
	if (r->state == LM_PATH_ALIVE)
		check_alive(m, p, r);
	else
		knock(m, p, r);
}

void lm_m_paths_recheck(struct lm_mesh *m, struct peer *p, uint32_t ports)
{
	lm_time next = m->now.mono;
	struct path *r;

	DL_FOREACH2(p->paths, r, next_path)
	{
		if ((ports >> r->path.port & 1) == 0)
			continue;
		r->asked = 0;
		r->tries = 0;
		if (r->state == LM_PATH_DEAD)
			r->state = LM_PATH_PROBING;
		if (r->state == LM_PATH_ALIVE)
			lm_m_path_ask(m, p, r);
		else
			r->next = next += LM_M_PROBE_PACE;
	}
	lm_m_liveness_rearm(m, p);
}

/* -------------------------------------------------------------- answers -- */

/* Another path answers while the one in use is waited for: was the peer slow, or is the path dead?
 * A few more probes tell. */
static void tell_apart(const struct lm_mesh *m, struct peer *p)
{
	if (p->active == NULL || p->active->asked == 0 || p->active->tries < BURST ||
	    !maybe_slow(m, p))
		return;
	p->active->tries = BURST - LAST_FEW;
	p->active->next = m->now.mono;
}

void lm_m_path_proven(struct lm_mesh *m, struct peer *p, struct path *r)
{
	struct candidate *c = lm_m_candidate(p, &r->path.remote);

	if (r != p->active)
		tell_apart(m, p);
	if (r->state != LM_PATH_ALIVE) {
		r->state = LM_PATH_ALIVE;
		r->alive_since = m->now.mono;
		r->loss = 0;
		r->loss_samples = 0;
	}
	if (c != NULL && r->kind != LM_PATH_RELAY)
		c->answered = true;
	if (r->kind != LM_PATH_RELAY)
		lm_m_host_answered(m, &r->path.remote.ip);
	r->last_answer = m->now.mono;
	r->asked = 0;
	r->tries = 0;
	r->next = proof_due(m, p, r);
	if (p->current == NULL)
		return;
	lm_m_select(m, p);
	lm_m_reach(m, p);
	lm_m_liveness_rearm(m, p);
}

void lm_m_probe_answered(struct lm_mesh *m, struct peer *p, uint64_t token,
			 const struct lm_path *from, const struct lm_endpoint *observed)
{
	struct path *r = lm_m_path_find(p, from);

	for (unsigned i = 0; r != NULL && i < LM_M_PROBES; i++) {
		struct probe *q = &r->probes[i];

		if (q->sent == 0 || q->token != token)
			continue;
		rtt_sample(r, lm_m_since(m, q->sent));
		q->sent = 0;
		r->answered++;
		loss_sample(r, 0);
		keep_sample(m, r, observed);
		lm_m_path_proven(m, p, r);
		return;
	}
}
