/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon's parts: main.c starts and stops, reload.c follows its files, metrics.c shows. */
#ifndef LANEMESH_COORD_APP_H
#define LANEMESH_COORD_APP_H

#include <lanemesh/config.h>
#include <lanemesh/coord.h>
#include <lanemesh/telemetry.h>

#include <sys/stat.h>
#include <uv.h>

struct app {
	const char *config_path, *instance;
	struct lm_coord_config *cfg;
	struct lm_log log;
	struct lm_identity *id;
	struct lm_coord_store store;
	struct lm_coord_listener *listener;
	struct lm_coord_stun_listener *stun;
	uv_loop_t loop;
	uv_signal_t term, intr, hup;
	/* the revocation list's file */
	uv_fs_event_t list_event;
	uv_timer_t list_timer;
	struct stat list_stat;
	/* metrics */
	struct lm_metrics_http *http;
	uv_poll_t http_poll;
	uv_timer_t http_timer;
};

void app_now(void *user, struct lm_now *out);
/* The authorities of a config. */
void app_authorities(const struct lm_coord_config *cfg, struct lm_authorities *out);

/* Reads the list and follows its file from here on. 0, or -errno with err: it is there and not
 * usable. */
int list_start(struct app *a, struct lm_error *err);
/* SIGHUP: the config's live options, and the list again. */
void reload(struct app *a);

int metrics_start(struct app *a, struct lm_error *err);
void metrics_stop(struct app *a);

#endif
