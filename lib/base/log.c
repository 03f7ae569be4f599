/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/base.h>

#include <errno.h>
#include <stdio.h>

#define LINE_MAX_LEN 1024

static const struct {
	const char *name;
	char sd; /* priority digit of sd-daemon(3) */
} levels[] = {
    [LM_LOG_ERROR] = {"error", '3'},
    [LM_LOG_WARN] = {"warn", '4'},
    [LM_LOG_INFO] = {"info", '6'},
    [LM_LOG_DEBUG] = {"debug", '7'},
};

void lm_log(const struct lm_log *log, enum lm_log_level level, const char *fmt, ...)
{
	char line[LINE_MAX_LEN];
	va_list ap;

	if (log == NULL || log->sink == NULL || level > log->level)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	for (char *p = line; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	log->sink(log->user, level, line);
}

const char *lm_log_level_name(enum lm_log_level level)
{
	return (unsigned)level < LM_ARRAY_SIZE(levels) ? levels[level].name : "?";
}

int lm_log_level_parse(const char *name, enum lm_log_level *out)
{
	for (unsigned i = 0; i < LM_ARRAY_SIZE(levels); i++) {
		if (strcmp(name, levels[i].name) == 0) {
			*out = (enum lm_log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

void lm_log_stderr(void *user, enum lm_log_level level, const char *line)
{
	/* One call each: stderr is unbuffered, and lines of two threads must not mix. */
	if (user != NULL)
		fprintf(stderr, "<%c>%s\n",
			(unsigned)level < LM_ARRAY_SIZE(levels) ? levels[level].sd : '6', line);
	else
		fprintf(stderr, "%s: %s\n", lm_log_level_name(level), line);
}
