/* SPDX-License-Identifier: BSD-3-Clause */
#include "share.h"

#include <errno.h>
#include <stdlib.h>

int lm_share_init(struct lm_share *s, uint32_t max_peers)
{
	*s = (struct lm_share){0};
	s->peer = calloc(max_peers, sizeof(s->peer[0]));
	return s->peer == NULL ? -ENOMEM : 0;
}

void lm_share_free(struct lm_share *s)
{
	free(s->peer);
}

/* A little above the mean, so that chance does not cut one of equals. */
static uint64_t above_mean(uint64_t sum, uint32_t n)
{
	return sum / n * 9 / 8;
}

/* The first packet of a peer in an epoch: what it may have depends on the epoch before. */
void lm_share_turn(struct lm_share *s, struct lm_share_peer *p)
{
	bool recent = p->epoch + 1 == s->epoch;
	uint64_t got = recent ? p->got : 0, kept = recent ? p->kept : 0, limit, mean;

	s->active++;
	*p = (struct lm_share_peer){.epoch = s->epoch, .acc = p->acc};
	if (s->state != LM_SHARE_CUT || s->peers < 2 || got * LM_SHARE_DOMINANT < s->last_got)
		return;
	mean = above_mean(s->last_kept - kept, s->peers - 1);
	limit = s->level > mean ? s->level : mean;
	if (got > limit)
		p->drop = (uint16_t)((got - limit) * (LM_SHARE_KEEP_ALL - 1) / got);
}

static bool uneven(const struct lm_share *s)
{
	return s->active > 1 && s->max > above_mean(s->got - s->max, s->active - 1);
}

/* Who sends little is not there in every epoch. */
static void remember_active(struct lm_share *s)
{
	if (s->epoch % LM_SHARE_MEMORY == 0) {
		s->peers_before = s->peers_now;
		s->peers_now = 0;
	}
	if (s->active > s->peers_now)
		s->peers_now = s->active;
	s->peers = s->peers_now > s->peers_before ? s->peers_now : s->peers_before;
}

static void next_epoch(struct lm_share *s, enum lm_share_state state)
{
	s->state = state;
	remember_active(s);
	s->last_got = s->got;
	s->last_kept = s->kept;
	s->epoch++;
	s->loops = s->packets = s->full = s->active = s->max = 0;
	s->got = s->kept = 0;
}

static void stop(struct lm_share *s)
{
	next_epoch(s, LM_SHARE_OFF);
	/* No peer may take what it counted last for the epoch before the next. */
	s->epoch++;
}

/* Below the mean it would change nothing, and take long to come back. Nor may it fall without end
 * where dropping alone fills the worker: who is cut to nothing still costs his packets' way here.
 */
static uint32_t lower(const struct lm_share *s)
{
	uint32_t level = (s->level < s->max ? s->level : s->max) / 4 * 3;
	uint32_t mean = s->active > 0 ? (uint32_t)(s->kept / s->active) : 0;

	if (mean < s->max / LM_SHARE_LEAST)
		mean = s->max / LM_SHARE_LEAST;
	return level > mean ? level : mean;
}

static void after_cut(struct lm_share *s, bool overload)
{
	s->calm = s->got == s->kept ? s->calm + 1 : 0;
	if (s->calm == LM_SHARE_CALM) {
		if (overload)
			next_epoch(s, LM_SHARE_WAIT);
		else
			stop(s);
		return;
	}
	if (overload)
		s->level = lower(s);
	else if (s->full < s->packets / 4 && s->level < s->max)
		s->level += s->level / 16 + LM_SHARE_PACKET;
	next_epoch(s, LM_SHARE_CUT);
}

/* An epoch in which packets were counted. */
static void end_epoch(struct lm_share *s)
{
	bool overload = s->full >= s->packets / 4 * 3 && s->full > 0;

	if (s->state == LM_SHARE_CUT) {
		after_cut(s, overload);
	} else if (!overload) {
		stop(s);
	} else if (uneven(s)) {
		s->calm = 0;
		s->level = s->max / 4 * 3;
		next_epoch(s, LM_SHARE_CUT);
	} else {
		next_epoch(s, LM_SHARE_WAIT);
	}
}

bool lm_share_loop(struct lm_share *s, unsigned full)
{
	if (s->state == LM_SHARE_OFF || s->state == LM_SHARE_WAIT) {
		if (full == 0) {
			s->state = LM_SHARE_OFF;
			s->loops = 0;
		} else if (++s->loops >=
			   (s->state == LM_SHARE_OFF ? LM_SHARE_FIRST : LM_SHARE_REST)) {
			next_epoch(s, LM_SHARE_COUNT);
		}
	} else {
		s->full += full;
		s->loops++;
		if (s->packets >= LM_SHARE_PACKETS || s->loops >= LM_SHARE_LOOPS)
			end_epoch(s);
	}
	return s->state == LM_SHARE_COUNT || s->state == LM_SHARE_CUT;
}
