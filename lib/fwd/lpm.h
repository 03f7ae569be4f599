/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Longest-prefix match for one family: a root indexed by the first 24 bits, then
 * groups of 256 entries for 8 bits each (DIR-24-8 for IPv4; up to 13 levels more
 * for IPv6). An entry holds the target and the length of the prefix that it came
 * from, so that a shorter prefix never overwrites a longer one and a removal finds
 * exactly its own entries.
 *
 * All-zero memory is the empty table: root and groups are reserved address space,
 * and pages that no route touches cost nothing. 0/0 is kept beside the table, for
 * it would touch every page.
 */
#ifndef LM_FWD_LPM_H
#define LM_FWD_LPM_H

#include <lanemesh/base.h>

#define LM_LPM_ROOT_BITS  24
#define LM_LPM_GROUP	  256u
#define LM_LPM_EXT	  0x80000000u /* low 31 bits: number of the group to go on in */
#define LM_LPM_DEPTH(e)	  ((unsigned)((e) >> 23) & 0xffu)
#define LM_LPM_TARGET(e)  ((e)&0x7fffffu)
#define LM_LPM_TARGET_MAX 0x7fffffu
#define LM_LPM_GROUPS_MAX (1u << 24)

struct lm_lpm_slot;
struct lm_lpm_rule;

struct lm_lpm {
	/* Readers; constant but for what they point to and `zero`. */
	const uint32_t *root, *groups;
	uint32_t zero; /* target of 0/0, atomic */
	/* The writer's, on another cache line. */
	uint32_t *wroot __attribute__((aligned(64)));
	uint32_t *wgroups;
	struct lm_lpm_slot *slots; /* one for each group */
	struct lm_lpm_rule *rules; /* uthash by prefix */
	uint32_t by_len[129];	   /* rules of each length */
	uint32_t n_rules, max_rules;
	uint32_t n_groups, max_groups; /* in use or set aside */
	uint32_t fresh;		       /* groups from here on were never used */
	uint32_t free_head, retired_head;
	uint32_t n_retired;
	unsigned bits; /* 32 or 128 */
};

int lm_lpm_init(struct lm_lpm *t, unsigned bits, uint32_t max_rules,
		uint32_t max_groups) LM_MUST_CHECK;
void lm_lpm_fini(struct lm_lpm *t);

/* The target of exactly this prefix, 0 when there is no such rule. Writer. */
uint32_t lm_lpm_get(const struct lm_lpm *t, const struct lm_prefix *p);
/* How many groups more than now would the prefix need? */
uint32_t lm_lpm_groups_needed(const struct lm_lpm *t, const struct lm_prefix *p);
uint32_t lm_lpm_groups_free(const struct lm_lpm *t);
/* Adds or replaces; target 1..LM_LPM_TARGET_MAX. -ENOSPC (too many rules or too few free groups)
 * and -ENOMEM change nothing. */
int lm_lpm_set(struct lm_lpm *t, const struct lm_prefix *p, uint32_t target) LM_MUST_CHECK;
/* Returns the target that the rule had, 0 when there was no rule. Groups are set aside. */
uint32_t lm_lpm_del(struct lm_lpm *t, const struct lm_prefix *p);
/* Readers have been quiescent: groups set aside may be used again. */
void lm_lpm_recycle(struct lm_lpm *t);

/* ------------------------------------------------------------- readers -- */

static inline uint32_t lm_lpm_load(const uint32_t *e)
{
	return __atomic_load_n(e, __ATOMIC_RELAXED);
}

/* The entry that decides about addr (4 or 16 bytes); 0 when only 0/0 or nothing does. */
static inline uint32_t lm_lpm_find(const struct lm_lpm *t, const uint8_t *addr)
{
	uint32_t e = lm_lpm_load(&t->root[addr[0] << 16 | addr[1] << 8 | addr[2]]);

	for (unsigned i = 3; (e & LM_LPM_EXT) && i < 16; i++)
		e = lm_lpm_load(&t->groups[(size_t)(e & ~LM_LPM_EXT) * LM_LPM_GROUP + addr[i]]);
	return e;
}

#endif
