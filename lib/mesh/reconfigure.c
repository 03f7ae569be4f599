/* SPDX-License-Identifier: BSD-3-Clause */
/* What an operator may change while the node runs: authorities, own certificate, own prefixes. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

int lm_m_own_cert_check(const struct lm_mesh *m, const uint8_t *data, size_t len,
			const struct lm_authorities *au, struct lm_cert *out, struct lm_error *err)
{
	enum lm_verdict v = lm_cert_check(data, len, au, NULL, m->now.wall, out);

	if (v != LM_TRUSTED)
		return lm_error_set(err, EKEYREJECTED, "own certificate: %s", lm_verdict_text(v));
	if (memcmp(out->node, m->id->ed_public, LM_KEY_LEN) != 0)
		return lm_error_set(err, EKEYREJECTED,
				    "own certificate is for another key than this node's");
	return 0;
}

int lm_m_prefixes_check(const struct lm_cert *own, const struct lm_prefix *prefixes, uint8_t n,
			struct lm_prefix out[LM_PREFIXES_MAX], struct lm_error *err)
{
	memset(out, 0, LM_PREFIXES_MAX * sizeof(out[0]));
	if (n > LM_PREFIXES_MAX)
		return lm_error_set(err, EINVAL, "%u prefixes; at most %d can be announced", n,
				    LM_PREFIXES_MAX);
	for (unsigned i = 0; prefixes != NULL && i < n; i++) {
		char text[LM_PREFIX_STRLEN];
		bool inside = false, twice = false;

		for (unsigned j = 0; j < own->n_prefixes; j++)
			inside |= lm_prefix_covers(&own->prefixes[j], &prefixes[i]);
		for (unsigned j = 0; j < i; j++)
			twice |= lm_prefix_equal(&prefixes[j], &prefixes[i]);
		if (twice)
			return lm_error_set(err, EINVAL, "prefix %s is there twice; remove one",
					    lm_prefix_format(&prefixes[i], text));
		if (!inside) {
			return lm_error_set(err, EINVAL,
					    "prefix %s is not in this node's certificate; have it "
					    "signed again with it, or do not announce it",
					    lm_prefix_format(&prefixes[i], text));
		}
		out[i] = prefixes[i];
	}
	return 0;
}

/* They are set up on lm0 and in other nodes' routes when the node starts. */
static bool same_overlays(const struct lm_cert *a, const struct lm_cert *b)
{
	if (a->n_overlays != b->n_overlays)
		return false;
	for (unsigned i = 0; i < a->n_overlays; i++)
		if (!lm_ip_equal(&a->overlays[i], &b->overlays[i]))
			return false;
	return true;
}

static int take_cert(struct lm_mesh *m, const struct lm_cert *fresh, const uint8_t *data,
		     size_t len, struct lm_error *err)
{
	uint8_t *raw = malloc(len);

	if (raw == NULL || lm_m_overlay_add(m, fresh) != 0) {
		free(raw);
		return lm_error_set(err, ENOMEM, "out of memory");
	}
	memcpy(raw, data, len);
	lm_m_overlay_del(m, &m->cert);
	free(m->cert_raw);
	m->cert_raw = raw;
	m->cert_len = len;
	m->cert = *fresh;
	lm_m_relaying_check(m);
	return 0;
}

static void announce(struct lm_mesh *m, const struct lm_prefix checked[LM_PREFIXES_MAX], bool all,
		     uint8_t n)
{
	m->all_prefixes = all;
	m->n_prefixes = all ? 0 : n;
	memcpy(m->prefixes, checked, sizeof(m->prefixes));
	if (m->has_ann)
		lm_m_own_announcement(m, false);
}

int lm_mesh_prefixes(struct lm_mesh *m, struct lm_now now, const struct lm_prefix *prefixes,
		     uint8_t n, struct lm_error *err)
{
	struct lm_prefix checked[LM_PREFIXES_MAX];
	int rc;

	lm_m_enter(m, now);
	rc = lm_m_prefixes_check(&m->cert, prefixes, n, checked, err);
	if (rc != 0)
		return rc;
	announce(m, checked, false, n);
	lm_m_leave(m);
	return 0;
}

int lm_mesh_reconfigure(struct lm_mesh *m, struct lm_now now, const struct lm_mesh_change *change,
			struct lm_error *err)
{
	bool all = change->announced == NULL && change->prefixes == NULL;
	struct lm_prefix checked[LM_PREFIXES_MAX];
	uint8_t n = change->n_prefixes;
	struct lm_cert fresh;
	int rc;

	lm_m_enter(m, now);
	if (strcmp(change->authorities->mesh, m->authorities.mesh) != 0)
		return lm_error_set(err, EINVAL, "the mesh's name cannot change in a running node");
	if (lm_m_own_cert_check(m, change->cert, change->cert_len, change->authorities, &fresh,
				err) != 0)
		return -EINVAL;
	if (!same_overlays(&m->cert, &fresh))
		return lm_error_set(err, EINVAL,
				    "own certificate: other overlay addresses need a restart");
	rc = lm_m_prefixes_check(&fresh, change->prefixes, change->n_prefixes, checked, err);
	if (rc == 0 && change->announced != NULL) {
		n = change->n_announced;
		rc = lm_m_prefixes_check(&fresh, change->announced, n, checked, err);
	}
	if (rc == 0)
		rc = take_cert(m, &fresh, change->cert, change->cert_len, err);
	if (rc != 0)
		return rc;
	m->authorities = *change->authorities;
	announce(m, checked, all, n);
	lm_m_peers_judge(m);
	lm_m_leave(m);
	return 0;
}
