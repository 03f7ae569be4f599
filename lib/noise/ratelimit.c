/* SPDX-License-Identifier: BSD-3-Clause */
/* Token buckets per source in a fixed, 4-way set-associative table, and a rate meter. */
#include <lanemesh/noise.h>
#include <sodium.h>
#include <stdlib.h>

#define WAYS 4
#define SETS (LM_RATELIMIT_SLOTS / WAYS)

struct bucket {
	uint8_t family;	   /* 0 = free */
	uint8_t prefix[8]; /* IPv4 address, or the /64 of an IPv6 one */
	lm_time last;	   /* when credit was right */
	lm_time credit;	   /* in time: a token costs 1 s / rate */
};

struct lm_ratelimit {
	uint8_t key[crypto_shorthash_KEYBYTES];
	lm_time cost, cap;
	struct bucket sets[SETS][WAYS];
};

struct lm_ratelimit *lm_ratelimit_new(const uint8_t key[16], unsigned rate, unsigned burst)
{
	struct lm_ratelimit *rl;

	if (rate == 0 || rate > LM_SEC || burst == 0)
		return NULL;
	rl = calloc(1, sizeof(*rl));
	if (rl == NULL)
		return NULL;
	memcpy(rl->key, key, sizeof(rl->key));
	rl->cost = LM_SEC / rate;
	rl->cap = rl->cost * burst;
	return rl;
}

void lm_ratelimit_free(struct lm_ratelimit *rl)
{
	free(rl);
}

/* The source's bucket; a newcomer gets a full one in place of the stalest of its set. */
static struct bucket *bucket_of(struct lm_ratelimit *rl, lm_time now, const struct lm_ip *from)
{
	struct lm_ip ip = lm_ip_canonical(*from);
	uint8_t text[1 + 8] = {ip.family}, hash[crypto_shorthash_BYTES];
	struct bucket *set, *stalest;

	memcpy(text + 1, ip.b, ip.family == 4 ? 4 : 8);
	crypto_shorthash(hash, text, sizeof(text), rl->key);
	set = rl->sets[(hash[0] | (unsigned)hash[1] << 8) % SETS];
	stalest = &set[0];
	for (unsigned i = 0; i < WAYS; i++) {
		struct bucket *b = &set[i];

		if (b->family == ip.family && memcmp(b->prefix, text + 1, 8) == 0)
			return b;
		if (b->family == 0 || (stalest->family != 0 && b->last < stalest->last))
			stalest = b;
	}
	*stalest = (struct bucket){.family = ip.family, .last = now, .credit = rl->cap};
	memcpy(stalest->prefix, text + 1, 8);
	return stalest;
}

bool lm_ratelimit_take(struct lm_ratelimit *rl, lm_time now, const struct lm_ip *from)
{
	struct bucket *b;

	if (from->family == 0)
		return false;
	b = bucket_of(rl, now, from);
	if (now > b->last) {
		lm_time gone = now - b->last;

		b->credit = gone >= rl->cap - b->credit ? rl->cap : b->credit + gone;
		b->last = now;
	}
	if (b->credit < rl->cost)
		return false;
	b->credit -= rl->cost;
	return true;
}

uint32_t lm_rate_count(struct lm_rate *r, lm_time now)
{
	lm_time in = now > r->window ? now - r->window : 0;

	if (in >= LM_SEC) {
		r->last_count = in < 2 * LM_SEC ? r->now_count : 0;
		r->now_count = 0;
		r->window += in / LM_SEC * LM_SEC;
		in %= LM_SEC;
	}
	if (r->now_count < UINT32_MAX / 2)
		r->now_count++;
	/* The part of the last window that a second ending now still covers. */
	return r->now_count + (uint32_t)(r->last_count * (LM_SEC - in) / LM_SEC);
}
