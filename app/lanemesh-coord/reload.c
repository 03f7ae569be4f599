/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that change while the daemon runs: the revocation list, and the config on SIGHUP. */
#include "coord.h"

#include <errno.h>
#include <stdlib.h>

/* The folder is watched; polling catches what that misses (network file systems, a folder that is
 * made later). */
#define POLL_MS	  5000
#define SETTLE_MS 100

static struct lm_coord_server *server_of(struct app *a)
{
	return lm_coord_listener_server(a->listener);
}

/* 0: taken, nothing newer, or not there. */
static int list_read(struct app *a, struct lm_error *err)
{
	const char *path = a->cfg->revocation_list;
	struct lm_now now;
	enum lm_verdict v;
	uint8_t *data;
	size_t len;
	int rc;

	rc = lm_armor_read(path, LM_LABEL_REVOCATION, NULL, &data, &len, err);
	if (rc == -ENOENT) {
		lm_log(&a->log, LM_LOG_WARN, "%s: there is no revocation list yet", path);
		return 0;
	}
	if (rc < 0)
		return rc;
	app_now(a, &now);
	v = lm_coord_server_revocation(server_of(a), now, data, len);
	free(data);
	lm_coord_listener_kick(a->listener);
	if (v == LM_OLDER) {
		lm_log(&a->log, LM_LOG_WARN,
		       "%s: older than the list in force, which stays; put the newest one there",
		       path);
		return 0;
	}
	if (v != LM_TRUSTED)
		return lm_error_set(err, EKEYREJECTED,
				    "%s: %s; it must be signed by an authority "
				    "of the config, for this mesh",
				    path, lm_verdict_text(v));
	return 0;
}

static bool list_changed(struct app *a)
{
	struct stat sb = {0};

	if (stat(a->cfg->revocation_list, &sb) < 0)
		memset(&sb, 0, sizeof(sb));
	if (sb.st_ino == a->list_stat.st_ino && sb.st_size == a->list_stat.st_size &&
	    sb.st_mtim.tv_sec == a->list_stat.st_mtim.tv_sec &&
	    sb.st_mtim.tv_nsec == a->list_stat.st_mtim.tv_nsec)
		return false;
	a->list_stat = sb;
	return true;
}

static void list_check(struct app *a)
{
	struct lm_error err;

	if (list_read(a, &err) < 0)
		lm_log(&a->log, LM_LOG_ERROR, "%s; the list in force stays", err.text);
}

static void on_list_timer(uv_timer_t *t)
{
	struct app *a = t->data;

	if (list_changed(a))
		list_check(a);
}

static void on_list_event(uv_fs_event_t *h, const char *name, int events, int status)
{
	struct app *a = h->data;
	const char *base = strrchr(a->cfg->revocation_list, '/') + 1;

	(void)events;
	if (status < 0 || (name != NULL && strcmp(name, base) != 0))
		return;
	(void)uv_timer_start(&a->list_timer, on_list_timer, SETTLE_MS, POLL_MS);
}

/* The folder, since the file is replaced by renaming. */
static void list_watch(struct app *a)
{
	char dir[LM_CONFIG_PATH_MAX];
	char *slash;
	int rc;

	(void)uv_fs_event_stop(&a->list_event);
	(void)uv_timer_stop(&a->list_timer);
	if (a->cfg->revocation_list[0] == '\0')
		return;
	memcpy(dir, a->cfg->revocation_list, sizeof(dir));
	slash = strrchr(dir, '/'); /* config allows absolute paths only */
	slash[slash == dir] = '\0';
	rc = uv_fs_event_start(&a->list_event, on_list_event, dir, 0);
	if (rc < 0)
		lm_log(&a->log, LM_LOG_INFO, "%s: cannot be watched (%s), looking every %d s", dir,
		       uv_strerror(rc), POLL_MS / 1000);
	(void)uv_timer_start(&a->list_timer, on_list_timer, POLL_MS, POLL_MS);
}

int list_start(struct app *a, struct lm_error *err)
{
	(void)uv_fs_event_init(&a->loop, &a->list_event);
	(void)uv_timer_init(&a->loop, &a->list_timer);
	a->list_event.data = a->list_timer.data = a;
	list_watch(a);
	(void)list_changed(a);
	return a->cfg->revocation_list[0] != '\0' ? list_read(a, err) : 0;
}

/* ---------------------------------------------------------------- config -- */

static void tell_change(void *user, const char *option, bool live)
{
	struct app *a = user;

	if (live)
		lm_log(&a->log, LM_LOG_INFO, "config: %s has changed", option);
	else
		lm_log(&a->log, LM_LOG_WARN,
		       "config: %s has changed and takes effect only after a restart", option);
}

static void take_live(struct app *a, const struct lm_coord_config *cfg)
{
	struct lm_authorities au;
	struct lm_now now;

	a->cfg->log_level = a->log.level = cfg->log_level;
	a->cfg->record_ttl_s = cfg->record_ttl_s;
	a->cfg->n_authorities = cfg->n_authorities;
	memcpy(a->cfg->authorities, cfg->authorities, sizeof(a->cfg->authorities));
	memcpy(a->cfg->revocation_list, cfg->revocation_list, sizeof(a->cfg->revocation_list));
	app_authorities(a->cfg, &au);
	app_now(a, &now);
	lm_coord_server_reconfigure(server_of(a), now, &au, a->cfg->record_ttl_s * LM_SEC);
	lm_coord_listener_kick(a->listener);
	list_watch(a);
}

void reload(struct app *a)
{
	struct lm_coord_config *cfg = malloc(sizeof(*cfg));
	struct lm_error err = {.text = "no memory"};

	if (cfg == NULL || lm_coord_config_load(a->config_path, a->instance, cfg, &err) < 0) {
		lm_log(&a->log, LM_LOG_ERROR, "%s; the config in force stays", err.text);
	} else {
		if (lm_coord_config_diff(a->cfg, cfg, tell_change, a, NULL) == 0)
			lm_log(&a->log, LM_LOG_INFO, "config: nothing has changed");
		take_live(a, cfg);
	}
	free(cfg);
	(void)list_changed(a);
	if (a->cfg->revocation_list[0] != '\0')
		list_check(a);
}
