/* SPDX-License-Identifier: BSD-3-Clause */
#include "lpm.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* A failed insertion leaves hh.tbl NULL instead of ending the process. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define ROOT_ENTRIES (1u << LM_LPM_ROOT_BITS)
#define NO_GROUP     UINT32_MAX
/* Tables meant for many routes gain from 2 MB pages; small ones would only pay for them. */
#define HUGE_FROM 262144u

struct lm_lpm_rule {
	struct lm_prefix prefix;
	uint32_t target;
	UT_hash_handle hh;
};
_Static_assert(sizeof(struct lm_prefix) == 18, "hashed as bytes: no padding");

struct lm_lpm_slot {
	uint32_t rules; /* prefixes that end inside the group or below it */
	uint32_t next;	/* in the free or the set-aside list */
};

static void *reserve(size_t bytes, bool huge)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* Advice only: kernels without THP refuse it, which is as good. */
	(void)madvise(p, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	return p;
}

int lm_lpm_init(struct lm_lpm *t, unsigned bits, uint32_t max_rules, uint32_t max_groups)
{
	bool huge = max_rules >= HUGE_FROM;

	*t = (struct lm_lpm){.bits = bits,
			     .max_rules = max_rules,
			     .max_groups = max_groups,
			     .free_head = NO_GROUP,
			     .retired_head = NO_GROUP};
	t->wroot = reserve(ROOT_ENTRIES * sizeof(uint32_t), huge);
	t->wgroups = reserve((size_t)max_groups * LM_LPM_GROUP * sizeof(uint32_t), huge);
	t->slots = reserve((size_t)max_groups * sizeof(*t->slots), huge);
	t->root = t->wroot;
	t->groups = t->wgroups;
	if (t->wroot == NULL || t->wgroups == NULL || t->slots == NULL) {
		lm_lpm_fini(t);
		return -ENOMEM;
	}
	return 0;
}

void lm_lpm_fini(struct lm_lpm *t)
{
	struct lm_lpm_rule *r, *tmp;

	HASH_ITER(hh, t->rules, r, tmp)
	{
		HASH_DEL(t->rules, r);
		free(r);
	}
	if (t->wroot != NULL)
		munmap(t->wroot, ROOT_ENTRIES * sizeof(uint32_t));
	if (t->wgroups != NULL)
		munmap(t->wgroups, (size_t)t->max_groups * LM_LPM_GROUP * sizeof(uint32_t));
	if (t->slots != NULL)
		munmap(t->slots, (size_t)t->max_groups * sizeof(*t->slots));
	*t = (struct lm_lpm){0};
}

/* --------------------------------------------------------------- groups -- */

uint32_t lm_lpm_groups_free(const struct lm_lpm *t)
{
	return t->max_groups - t->n_groups;
}

static uint32_t group_take(struct lm_lpm *t)
{
	uint32_t g = t->free_head;

	if (g != NO_GROUP)
		t->free_head = t->slots[g].next;
	else
		g = t->fresh++;
	t->n_groups++;
	t->slots[g].rules = 0;
	return g;
}

static void group_retire(struct lm_lpm *t, uint32_t g)
{
	t->slots[g].next = t->retired_head;
	t->retired_head = g;
	t->n_retired++;
}

void lm_lpm_recycle(struct lm_lpm *t)
{
	while (t->retired_head != NO_GROUP) {
		uint32_t g = t->retired_head;

		t->retired_head = t->slots[g].next;
		t->slots[g].next = t->free_head;
		t->free_head = g;
		t->n_groups--;
	}
	t->n_retired = 0;
}

/* -------------------------------------------------------------- entries -- */

static uint32_t *group_entries(const struct lm_lpm *t, uint32_t g)
{
	return &t->wgroups[(size_t)g * LM_LPM_GROUP];
}

/* Release: whoever sees the entry sees the group or next hop that it leads to. */
static void entry_store(uint32_t *e, uint32_t v)
{
	__atomic_store_n(e, v, __ATOMIC_RELEASE);
}

static uint32_t root_index(const uint8_t *a)
{
	return (uint32_t)a[0] << 16 | (uint32_t)a[1] << 8 | a[2];
}

/* Gives n entries the value v where a prefix of at least `from` and at most `to` bits decides. */
static void paint(struct lm_lpm *t, uint32_t *e, uint32_t n, unsigned from, unsigned to, uint32_t v)
{
	for (uint32_t i = 0; i < n; i++) {
		if (e[i] & LM_LPM_EXT)
			paint(t, group_entries(t, e[i] & ~LM_LPM_EXT), LM_LPM_GROUP, from, to, v);
		else if (LM_LPM_DEPTH(e[i]) >= from && LM_LPM_DEPTH(e[i]) <= to)
			entry_store(&e[i], v);
	}
}

/* The first entry of the prefix in the table where it ends, and how many are its own. The groups
 * on the way must exist. */
static uint32_t *entries_of(const struct lm_lpm *t, const struct lm_prefix *p, uint32_t *n)
{
	uint32_t *e = &t->wroot[root_index(p->ip.b)];
	unsigned covered = LM_LPM_ROOT_BITS;

	for (; p->len > covered; covered += 8)
		e = &group_entries(t, *e & ~LM_LPM_EXT)[p->ip.b[covered / 8]];
	*n = 1u << (covered - p->len);
	return e;
}

uint32_t lm_lpm_groups_needed(const struct lm_lpm *t, const struct lm_prefix *p)
{
	unsigned levels = p->len <= LM_LPM_ROOT_BITS ? 0 : (p->len - LM_LPM_ROOT_BITS + 7u) / 8;
	uint32_t e = t->wroot[root_index(p->ip.b)];
	unsigned have = 0;

	while (have < levels && (e & LM_LPM_EXT)) {
		e = group_entries(t, e & ~LM_LPM_EXT)[p->ip.b[3 + have]];
		have++;
	}
	return levels - have;
}

/* Makes the groups on the way to p, each first a copy of what the entry above it said, and counts
 * the new rule in all of them. Enough are free. */
static void groups_enter(struct lm_lpm *t, const struct lm_prefix *p)
{
	uint32_t *e = &t->wroot[root_index(p->ip.b)];

	for (unsigned covered = LM_LPM_ROOT_BITS; p->len > covered; covered += 8) {
		if (!(*e & LM_LPM_EXT)) {
			uint32_t g = group_take(t), *entries = group_entries(t, g);

			for (unsigned i = 0; i < LM_LPM_GROUP; i++)
				entries[i] = *e;
			entry_store(e, LM_LPM_EXT | g);
		}
		t->slots[*e & ~LM_LPM_EXT].rules++;
		e = &group_entries(t, *e & ~LM_LPM_EXT)[p->ip.b[covered / 8]];
	}
}

/* Counts a removed rule out of the groups on its way, and folds those without rules, deepest
 * first: nothing longer ends in them, so all their entries are the same. */
static void groups_leave(struct lm_lpm *t, const struct lm_prefix *p)
{
	uint32_t *way[13], *e = &t->wroot[root_index(p->ip.b)];
	unsigned n = 0;

	for (unsigned covered = LM_LPM_ROOT_BITS; p->len > covered; covered += 8) {
		way[n++] = e;
		e = &group_entries(t, *e & ~LM_LPM_EXT)[p->ip.b[covered / 8]];
	}
	while (n-- > 0) {
		uint32_t g = *way[n] & ~LM_LPM_EXT;

		if (--t->slots[g].rules > 0)
			continue;
		entry_store(way[n], group_entries(t, g)[0]);
		group_retire(t, g);
	}
}

/* ---------------------------------------------------------------- rules -- */

static struct lm_lpm_rule *rule_find(const struct lm_lpm *t, const struct lm_prefix *p)
{
	struct lm_lpm_rule *r;

	HASH_FIND(hh, t->rules, p, sizeof(*p), r);
	return r;
}

uint32_t lm_lpm_get(const struct lm_lpm *t, const struct lm_prefix *p)
{
	const struct lm_lpm_rule *r = rule_find(t, p);

	return r != NULL ? r->target : 0;
}

/* The entry that shows when p is gone: of the longest shorter rule that covers it, or 0. */
static uint32_t covering_entry(const struct lm_lpm *t, const struct lm_prefix *p)
{
	for (unsigned len = p->len; len-- > 1;) {
		struct lm_prefix q;
		const struct lm_lpm_rule *r;

		if (t->by_len[len] == 0)
			continue;
		q = lm_prefix_of(&p->ip, len);
		r = rule_find(t, &q);
		if (r != NULL)
			return len << 23 | r->target;
	}
	return 0;
}

static int rule_add(struct lm_lpm *t, const struct lm_prefix *p, uint32_t target)
{
	struct lm_lpm_rule *r;

	if (t->n_rules >= t->max_rules || lm_lpm_groups_needed(t, p) > lm_lpm_groups_free(t))
		return -ENOSPC;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	r->prefix = *p;
	r->target = target;
	HASH_ADD(hh, t->rules, prefix, sizeof(r->prefix), r);
	if (r->hh.tbl == NULL) {
		free(r);
		return -ENOMEM;
	}
	t->n_rules++;
	t->by_len[p->len]++;
	groups_enter(t, p);
	return 0;
}

int lm_lpm_set(struct lm_lpm *t, const struct lm_prefix *p, uint32_t target)
{
	struct lm_lpm_rule *r = rule_find(t, p);
	uint32_t n, *e;

	if (r != NULL) {
		r->target = target;
	} else {
		int rc = rule_add(t, p, target);

		if (rc < 0)
			return rc;
	}
	if (p->len == 0) {
		__atomic_store_n(&t->zero, target, __ATOMIC_RELEASE);
		return 0;
	}
	e = entries_of(t, p, &n);
	paint(t, e, n, 0, p->len, (uint32_t)p->len << 23 | target);
	return 0;
}

uint32_t lm_lpm_del(struct lm_lpm *t, const struct lm_prefix *p)
{
	struct lm_lpm_rule *r = rule_find(t, p);
	uint32_t n, *e, target;

	if (r == NULL)
		return 0;
	target = r->target;
	HASH_DEL(t->rules, r);
	free(r);
	t->n_rules--;
	t->by_len[p->len]--;
	if (p->len == 0) {
		__atomic_store_n(&t->zero, 0, __ATOMIC_RELEASE);
		return target;
	}
	e = entries_of(t, p, &n);
	paint(t, e, n, p->len, p->len, covering_entry(t, p));
	groups_leave(t, p);
	return target;
}
