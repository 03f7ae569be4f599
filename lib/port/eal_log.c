/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DPDK writes its log to a stdio stream. Ours cuts it into lines for the program's
 * log, one level quieter than DPDK thinks, for most of its warnings are remarks,
 * and keeps the last error to explain a failed start.
 */
#include "port_internal.h"

#include <pthread.h>
#include <rte_log.h>
#include <stdio.h>
#include <stdlib.h>

struct eal_log {
	const struct lm_log *log;
	FILE *stream;
	pthread_mutex_t lock; /* DPDK's own threads log too */
	size_t len;
	char line[512];
	char last_error[256];
};

static enum lm_log_level level_of(int dpdk)
{
	if (dpdk <= (int)RTE_LOG_ERR)
		return LM_LOG_WARN;
	return dpdk == (int)RTE_LOG_WARNING ? LM_LOG_INFO : LM_LOG_DEBUG;
}

static void end_line(struct eal_log *el, int dpdk_level)
{
	el->line[el->len] = '\0';
	if (el->len > 0)
		lm_log(el->log, level_of(dpdk_level), "dpdk: %s", el->line);
	if (el->len > 0 && dpdk_level <= (int)RTE_LOG_ERR)
		snprintf(el->last_error, sizeof(el->last_error), "%.255s", el->line);
	el->len = 0;
}

static ssize_t on_write(void *cookie, const char *buf, size_t size)
{
	struct eal_log *el = cookie;
	int level = rte_log_cur_msg_loglevel();

	pthread_mutex_lock(&el->lock);
	for (size_t i = 0; i < size; i++) {
		if (buf[i] == '\n')
			end_line(el, level);
		else if (el->len < sizeof(el->line) - 1)
			el->line[el->len++] = buf[i];
	}
	pthread_mutex_unlock(&el->lock);
	return (ssize_t)size;
}

void *lm_eal_log_start(const struct lm_log *log)
{
	struct eal_log *el = calloc(1, sizeof(*el));

	if (el == NULL)
		return NULL;
	el->log = log;
	pthread_mutex_init(&el->lock, NULL);
	el->stream = fopencookie(el, "w", (cookie_io_functions_t){.write = on_write});
	if (el->stream == NULL) {
		pthread_mutex_destroy(&el->lock);
		free(el);
		return NULL;
	}
	/* Unbuffered would hand over single characters; DPDK flushes after every message. */
	setvbuf(el->stream, NULL, _IOLBF, 1024);
	rte_openlog_stream(el->stream);
	return el;
}

const char *lm_eal_log_last_error(const void *eal_log)
{
	const struct eal_log *el = eal_log;

	return el->last_error;
}

void lm_eal_log_stop(void *eal_log)
{
	struct eal_log *el = eal_log;

	if (el == NULL)
		return;
	rte_openlog_stream(NULL);
	fclose(el->stream);
	pthread_mutex_destroy(&el->lock);
	free(el);
}
