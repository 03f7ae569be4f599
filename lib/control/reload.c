/* SPDX-License-Identifier: BSD-3-Clause */
/* SIGHUP: the config is read again, and taken whole or not at all. */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct changes {
	struct lm_control *c;
	bool coordinators;
	char restart[256]; /* options that only a restart takes over */
};

static void on_change(void *user, const char *option, bool live)
{
	struct changes *ch = user;
	size_t len = strlen(ch->restart);

	lm_log(&ch->c->log, LM_LOG_INFO, "config: %s changed%s", option,
	       live ? "" : ", which needs a restart");
	if (strncmp(option, "coordinators", 12) == 0)
		ch->coordinators = true;
	if (!live)
		(void)snprintf(ch->restart + len, sizeof(ch->restart) - len, "%s%s",
			       len != 0 ? ", " : "", option);
}

int lm_control_load_revocation(struct lm_control *c, const char *path, struct lm_error *err)
{
	uint8_t *data;
	size_t len;
	int rc;

	if (path[0] == '\0')
		return 0;
	rc = lm_armor_read(path, LM_LABEL_REVOCATION, NULL, &data, &len, err);
	if (rc != 0)
		return rc;
	lm_control_revocation(c, data, len, path);
	free(data);
	return 0;
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

static int apply(struct lm_control *c, const struct lm_config *next, const struct changes *ch,
		 struct lm_error *err)
{
	struct lm_authorities au;
	struct lm_error why;
	int rc;

	authorities_of(next, &au);
	/* First what can be refused; nothing has changed until then. */
	rc = lm_mesh_reconfigure(c->mesh, lm_control_now(c), &au,
				 next->n_prefixes > 0 ? next->prefixes : NULL, next->n_prefixes,
				 &why);
	if (rc != 0)
		return lm_error_set(err, -rc, "%s: %s", c->config_path, why.text);
	c->authorities = au;
	*c->cfg = *next;
	c->log.level = next->log_level;
	lm_directory_keep_issuers(c->directory, &c->authorities);
	c->local_changed = true;
	lm_control_local(c);
	if (ch->coordinators) {
		lm_coords_stop(c);
		rc = lm_coords_start(c, c->cfg, err);
		if (rc != 0)
			lm_log(&c->log, LM_LOG_ERROR, "coordinators: %s", err->text);
	}
	lm_control_watch_revocation(c);
	rc = lm_control_load_revocation(c, c->cfg->revocation_list, err);
	if (rc != 0)
		lm_log(&c->log, LM_LOG_ERROR, "%s; the lists in force stay", err->text);
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
	if (rc != 0)
		lm_log(&c->log, LM_LOG_ERROR, "reload refused: %s", err->text);
	else
		lm_log(&c->log, LM_LOG_INFO, "config reloaded");
	return rc;
}
