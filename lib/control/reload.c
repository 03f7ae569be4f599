/* SPDX-License-Identifier: BSD-3-Clause */
/* SIGHUP: the config is read again, and taken whole or not at all. */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct changes {
	struct lm_control *c;
	bool coordinators, stun;
	char restart[256]; /* options that only a restart takes over */
};

static void on_change(void *user, const char *option, bool live)
{
	struct changes *ch = user;
	size_t len = strlen(ch->restart);

	lm_log(&ch->c->log, LM_LOG_INFO, "config: %s changed%s", option,
	       live ? "" : ", which needs a restart");
	if (strncmp(option, "coordinators", 12) == 0)
		ch->coordinators = ch->stun = true;
	if (strcmp(option, "stun_servers") == 0)
		ch->stun = true;
	if (!live)
		(void)snprintf(ch->restart + len, sizeof(ch->restart) - len, "%s%s",
			       len != 0 ? ", " : "", option);
}

static int read_list(const char *path, uint8_t **data, size_t *len, struct lm_error *err)
{
	*data = NULL;
	return path[0] == '\0' ? 0 : lm_armor_read(path, LM_LABEL_REVOCATION, NULL, data, len, err);
}

int lm_control_load_revocation(struct lm_control *c, const char *path, struct lm_error *err)
{
	uint8_t *data;
	size_t len;
	int rc = read_list(path, &data, &len, err);

	if (rc == 0 && data != NULL)
		lm_control_revocation(c, data, len, path);
	free(data);
	return rc;
}

#define WATCH_MS 2000

/* The file was replaced: no SIGHUP needed to end a membership. */
static void on_list_changed(uv_fs_poll_t *h, int status, const uv_stat_t *before,
			    const uv_stat_t *after)
{
	struct lm_control *c = h->data;
	struct lm_error err;

	(void)before;
	(void)after;
	if (status == 0 && lm_control_load_revocation(c, c->cfg->revocation_list, &err) != 0)
		lm_log(&c->log, LM_LOG_ERROR, "%s; the lists in force stay", err.text);
}

void lm_control_watch_revocation(struct lm_control *c)
{
	(void)uv_fs_poll_stop(&c->list_watch);
	if (c->cfg->revocation_list[0] != '\0')
		(void)uv_fs_poll_start(&c->list_watch, on_list_changed, c->cfg->revocation_list,
				       WATCH_MS);
}

static void authorities_of(const struct lm_config *cfg, struct lm_authorities *au)
{
	*au = (struct lm_authorities){.n = cfg->n_authorities};
	memcpy(au->mesh, cfg->mesh, sizeof(au->mesh));
	memcpy(au->keys, cfg->authorities, (size_t)cfg->n_authorities * LM_KEY_LEN);
}

/* Would the list be taken, if it is newer than what we have? */
static int check_list(const char *path, const struct lm_authorities *au, const uint8_t *data,
		      size_t len, struct lm_error *err)
{
	struct lm_revocations none = {0};
	bool changed;
	enum lm_verdict v = lm_revocations_add(&none, au, data, len, &changed);

	lm_revocations_free(&none);
	return v == LM_TRUSTED ? 0
			       : lm_error_set(err, EINVAL, "%s: revocation list refused: %s", path,
					      lm_verdict_text(v));
}

/* What a reload takes from files beside the config. */
struct files {
	uint8_t *list, *cert;
	size_t list_len, cert_len;
};

static void files_free(struct files *f)
{
	free(f->list);
	free(f->cert);
}

static int files_read(struct lm_control *c, const struct lm_config *next, struct files *f,
		      struct lm_error *err)
{
	int rc = read_list(next->revocation_list, &f->list, &f->list_len, err);

	if (rc == -ENOENT) /* it may come later: the file is watched */
		lm_log(&c->log, LM_LOG_WARN, "%s", err->text);
	else if (rc != 0)
		return rc;
	return lm_armor_read(next->certificate, LM_LABEL_CERT, NULL, &f->cert, &f->cert_len, err);
}

/* First all that can be refused; nothing has changed until then. */
static int prepare(struct lm_control *c, const struct lm_config *next,
		   const struct lm_authorities *au, const struct files *f, struct lm_error *err)
{
	struct lm_prefix announced[LM_PREFIXES_MAX];
	struct lm_mesh_change change = {
	    .authorities = au,
	    .cert = f->cert,
	    .cert_len = f->cert_len,
	    .prefixes = next->n_prefixes > 0 ? next->prefixes : NULL,
	    .n_prefixes = next->n_prefixes,
	};
	uint8_t x[LM_KEY_LEN];
	struct lm_cert own;
	struct lm_error why;
	size_t body;
	int rc = 0;

	for (unsigned i = 0; i < next->n_coordinators; i++)
		if (lm_identity_x_public(next->coordinators[i].key, x) != 0)
			return lm_error_set(err, EINVAL,
					    "%s: coordinators[%u].key is not a valid public key",
					    c->config_path, i);
	if (f->list != NULL)
		rc = check_list(next->revocation_list, au, f->list, f->list_len, err);
	if (rc != 0)
		return rc;
	/* One that is not even readable is refused by the mesh, as is one that is not good. */
	if (lm_cert_decode(f->cert, f->cert_len, &own, &body) == 0) {
		change.announced = announced;
		change.n_announced = (uint8_t)lm_link_prefixes(c, next, &own, announced);
	}
	rc = lm_mesh_reconfigure(c->mesh, lm_control_now(c), &change, &why);
	return rc == 0 ? 0 : lm_error_set(err, -rc, "%s: %s", c->config_path, why.text);
}

/* Takes the certificate out of f. */
static bool apply_cert(struct lm_control *c, struct files *f)
{
	struct lm_error err;
	bool renewed = lm_own_cert_renewed(c, f->cert, f->cert_len);

	f->cert = NULL;
	if (!renewed)
		return false;
	lm_log(&c->log, LM_LOG_INFO, "the renewed certificate is in use");
	if (lm_own_publish(c, &err) != 0)
		lm_log(&c->log, LM_LOG_ERROR, "the source check of the LANs stays: %s", err.text);
	return true;
}

static int apply(struct lm_control *c, const struct lm_config *next, const struct changes *ch,
		 struct lm_error *err)
{
	struct lm_authorities au;
	struct files f = {0};
	int rc = files_read(c, next, &f, err);

	authorities_of(next, &au);
	if (rc == 0)
		rc = prepare(c, next, &au, &f, err);
	if (rc != 0) {
		files_free(&f);
		return rc;
	}
	c->authorities = au;
	lm_directory_keep_issuers(c->directory, &c->authorities);
	/* Links that show the certificate in force. Only a lack of memory is left as a reason to
	 * fail. */
	if ((apply_cert(c, &f) || ch->coordinators) && lm_coords_start(c, next, err) != 0)
		lm_log(&c->log, LM_LOG_ERROR, "coordinators stay as they were: %s", err->text);
	*c->cfg = *next;
	c->log.level = next->log_level;
	if (ch->stun)
		lm_stun_start(c);
	c->local_changed = true;
	lm_control_relaying(c);
	lm_control_local(c);
	lm_link_announce(c);
	lm_control_watch_revocation(c);
	if (f.list != NULL)
		lm_control_revocation(c, f.list, f.list_len, next->revocation_list);
	files_free(&f);
	lm_control_rearm(c);
	return 0;
}

int lm_control_reload(struct lm_control *c, struct lm_error *err)
{
	struct lm_config *next = malloc(sizeof(*next));
	struct changes ch = {.c = c};
	bool restart = false;
	int rc;

	if (next == NULL)
		return lm_error_set(err, ENOMEM, "no memory to read the config");
	rc = lm_config_load(c->config_path, c->cfg->instance, next, err);
	if (rc == 0) {
		(void)lm_config_diff(c->cfg, next, on_change, &ch, &restart);
		if (restart)
			rc = lm_error_set(err, EINVAL,
					  "%s: nothing was changed, since these options need a "
					  "restart: %s",
					  c->config_path, ch.restart);
		else
			rc = apply(c, next, &ch, err);
	}
	free(next);
	if (rc != 0) {
		lm_log(&c->log, LM_LOG_ERROR, "reload refused: %s", err->text);
		return rc;
	}
	lm_log(&c->log, LM_LOG_INFO, "config reloaded");
	return 0;
}
