/* SPDX-License-Identifier: BSD-3-Clause */
/* Who we are: certificate, pre-shared key, and what this site may send. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

/* The authority's word that this moment has passed (FAULTS row 16: 1970 at boot). */
static void raise_floor(struct lm_control *c, int64_t moment)
{
	if (moment > c->wall_floor)
		c->wall_floor = moment;
}

int lm_own_cert_load(struct lm_control *c, struct lm_error *err)
{
	struct lm_cert cert;
	size_t body;
	const char *path = c->cfg->certificate;
	enum lm_verdict v;
	int rc = lm_armor_read(path, LM_LABEL_CERT, NULL, &c->cert, &c->cert_len, err);

	if (rc != 0)
		return rc;
	if (lm_cert_decode(c->cert, c->cert_len, &cert, &body) == 0)
		raise_floor(c, cert.not_before);
	v = lm_cert_check(c->cert, c->cert_len, &c->authorities, NULL, lm_control_now(c).wall,
			  &cert);
	if (v != LM_TRUSTED)
		return lm_error_set(err, EKEYREJECTED,
				    "%s: %s; have the authority sign a new one (lanemesh sign), or "
				    "mend mesh and authorities in the config",
				    path, lm_verdict_text(v));
	if (memcmp(cert.node, c->id->ed_public, LM_KEY_LEN) != 0)
		return lm_error_set(err, EKEYREJECTED,
				    "%s: is the certificate of another key than %s; `lanemesh "
				    "inspect` shows both",
				    path, c->cfg->identity);
	return 0;
}

void lm_control_raise_floor(void *user, const uint8_t *data, size_t len)
{
	struct lm_control *c = user;
	struct lm_revocation list;
	size_t body;

	if (lm_revocation_decode(data, len, &list, &body) == 0)
		raise_floor(c, list.issued);
}

bool lm_own_cert_renewed(struct lm_control *c, uint8_t *data, size_t len)
{
	bool renewed = len != c->cert_len || memcmp(data, c->cert, len) != 0;

	free(c->cert);
	c->cert = data;
	c->cert_len = len;
	raise_floor(c, lm_mesh_own_cert(c->mesh)->not_before);
	return renewed;
}

int lm_own_psk(const char *path, uint8_t out[32], struct lm_error *err)
{
	struct stat st;
	uint8_t *data;
	size_t len;
	int rc;

	if (path[0] == '\0')
		return 0;
	if (stat(path, &st) == 0 && (st.st_mode & 077) != 0)
		return lm_error_set(err, EPERM, "%s: others may read this secret; chmod 600 it",
				    path);
	rc = lm_file_read(path, 128, &data, &len, err);
	if (rc != 0)
		return rc;
	if (len == 65 && data[64] == '\n')
		data[64] = '\0';
	rc = lm_unhex((char *)data, out, 32);
	explicit_bzero(data, len);
	free(data);
	return rc == 0 ? 0
		       : lm_error_set(err, EINVAL,
				      "%s:1: not a pre-shared key; write 64 hex "
				      "digits, e.g. from `openssl rand -hex 32`",
				      path);
}

int lm_own_publish(struct lm_control *c, struct lm_error *err)
{
	const struct lm_cert *own = lm_mesh_own_cert(c->mesh);
	struct lm_prefix p[LM_DP_PREFIXES_MAX];
	unsigned n = 0;
	int rc;

	for (unsigned i = 0; i < own->n_prefixes; i++)
		p[n++] = own->prefixes[i];
	for (unsigned i = 0; i < own->n_overlays; i++)
		p[n++] = lm_prefix_of(&own->overlays[i], lm_ip_bits(&own->overlays[i]));
	lm_rib_own(c->rib, own->prefixes, own->n_prefixes);
	rc = lm_dp_own_set(c->dp, p, n);
	return rc == 0 ? 0 : lm_error_set(err, -rc, "no memory for own prefixes");
}
