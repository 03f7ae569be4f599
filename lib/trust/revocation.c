/* SPDX-License-Identifier: BSD-3-Clause */
#include "record.h"

#include <stdlib.h>

#define SERIAL_LEN 8

int lm_revocation_sign(const struct lm_identity *authority, const struct lm_revocation *r,
		       uint8_t *buf, size_t cap, struct lm_error *err)
{
	struct lm_revocation signed_by = *r;

	memcpy(signed_by.issuer, authority->ed_public, sizeof(signed_by.issuer));
	return lm_record_sign(authority, LM_SIGN_REVOCATION, "revocation list",
			      lm_revocation_encode(&signed_by, buf, cap), buf, cap, err);
}

void lm_revocations_free(struct lm_revocations *rs)
{
	for (unsigned i = 0; i < rs->n; i++)
		free(rs->of[i].data);
	memset(rs, 0, sizeof(*rs));
}

/* Where a list of this issuer is or may go. There are never more authorities than places, so when
 * all are taken one is of an authority that the config no longer names. */
static unsigned place_of(const struct lm_revocations *rs, const struct lm_authorities *au,
			 const uint8_t issuer[LM_KEY_LEN])
{
	for (unsigned i = 0; i < rs->n; i++)
		if (memcmp(rs->of[i].list.issuer, issuer, LM_KEY_LEN) == 0)
			return i;
	if (rs->n < LM_AUTHORITIES_MAX)
		return rs->n;
	for (unsigned i = 0; i < rs->n; i++)
		if (!lm_authorities_have(au, rs->of[i].list.issuer))
			return i;
	return LM_AUTHORITIES_MAX;
}

static enum lm_verdict keep(struct lm_revocations *rs, unsigned place, const uint8_t *data,
			    size_t len)
{
	struct lm_revocation list;
	uint8_t *copy = malloc(len);
	size_t body_len;

	if (copy == NULL)
		return LM_NO_MEMORY;
	memcpy(copy, data, len);
	if (lm_revocation_decode(copy, len, &list, &body_len) != 0) {
		free(copy);
		return LM_BAD_ENCODING;
	}
	if (place == rs->n)
		rs->n++;
	else
		free(rs->of[place].data);
	rs->of[place].data = copy;
	rs->of[place].len = len;
	rs->of[place].list = list;
	return LM_TRUSTED;
}

enum lm_verdict lm_revocations_add(struct lm_revocations *rs, const struct lm_authorities *au,
				   const uint8_t *data, size_t len, bool *changed)
{
	struct lm_revocation list;
	enum lm_verdict v;
	size_t body_len;
	unsigned place;

	*changed = false;
	if (lm_revocation_decode(data, len, &list, &body_len) != 0)
		return LM_BAD_ENCODING;
	if (!lm_authorities_have(au, list.issuer))
		return LM_UNKNOWN_AUTHORITY;
	place = place_of(rs, au, list.issuer);
	if (place >= LM_AUTHORITIES_MAX)
		return LM_UNKNOWN_AUTHORITY;
	/* What needs no signature to be decided is decided without: peers gossip lists. */
	if (place < rs->n && memcmp(rs->of[place].list.issuer, list.issuer, LM_KEY_LEN) == 0) {
		if (rs->of[place].len == len && memcmp(rs->of[place].data, data, len) == 0)
			return LM_TRUSTED;
		if (list.number <= rs->of[place].list.number)
			return LM_OLDER;
	}
	if (!lm_verify(list.issuer, LM_SIGN_REVOCATION, data, body_len, data + body_len))
		return LM_BAD_SIGNATURE;
	if (strcmp(list.mesh, au->mesh) != 0)
		return LM_BAD_MESH;
	v = keep(rs, place, data, len);
	*changed = v == LM_TRUSTED;
	return v;
}

/* Is item in n ascending items of this size? */
static bool bisect(const uint8_t *items, size_t n, size_t size, const uint8_t *item)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int cmp = memcmp(items + mid * size, item, size);

		if (cmp == 0)
			return true;
		if (cmp < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

bool lm_revocations_has(const struct lm_revocations *rs, const struct lm_authorities *au,
			const uint8_t issuer[32], const uint8_t node[32], uint64_t serial)
{
	uint8_t wanted[SERIAL_LEN];

	for (unsigned i = 0; i < SERIAL_LEN; i++)
		wanted[i] = (uint8_t)(serial >> (8 * (SERIAL_LEN - 1 - i)));
	for (unsigned i = 0; i < rs->n; i++) {
		const struct lm_revocation *list = &rs->of[i].list;

		if (!lm_authorities_have(au, list->issuer))
			continue;
		if (bisect(list->nodes, list->n_nodes, LM_KEY_LEN, node))
			return true;
		if (memcmp(list->issuer, issuer, LM_KEY_LEN) == 0 &&
		    bisect(list->serials, list->n_serials, SERIAL_LEN, wanted))
			return true;
	}
	return false;
}

bool lm_revocations_stale(const struct lm_revocations *rs, const struct lm_authorities *au,
			  int64_t wall)
{
	for (unsigned i = 0; i < rs->n; i++)
		if (wall >= rs->of[i].list.next_update &&
		    lm_authorities_have(au, rs->of[i].list.issuer))
			return true;
	return false;
}
