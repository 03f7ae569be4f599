/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/base.h>

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
	unsigned n;
	enum lm_log_level level;
	char line[2048];
};

static void sink(void *user, enum lm_log_level level, const char *line)
{
	struct seen *s = user;

	s->n++;
	s->level = level;
	strncpy(s->line, line, sizeof(s->line) - 1);
}

static void levels(void **state)
{
	struct seen s = {0};
	struct lm_log log = {.level = LM_LOG_INFO, .sink = sink, .user = &s};

	(void)state;
	lm_log(&log, LM_LOG_DEBUG, "no");
	assert_int_equal(s.n, 0);
	lm_log(&log, LM_LOG_INFO, "yes %d", 1);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.level, LM_LOG_INFO);
	assert_string_equal(s.line, "yes 1");
	lm_log(NULL, LM_LOG_ERROR, "nowhere");
	assert_int_equal(s.n, 1);
}

static void foreign_text(void **state)
{
	struct seen s = {0};
	struct lm_log log = {.level = LM_LOG_DEBUG, .sink = sink, .user = &s};
	char longer[3000];

	(void)state;
	lm_log(&log, LM_LOG_WARN, "%s", "peer \"a\nERROR fake\x1b[31m\x7f\t\"");
	assert_string_equal(s.line, "peer \"a?ERROR fake?[31m??\"");
	memset(longer, 'y', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	lm_log(&log, LM_LOG_WARN, "%s", longer);
	assert_int_equal(strlen(s.line), 1023);
}

static void names(void **state)
{
	enum lm_log_level l;

	(void)state;
	for (int i = LM_LOG_ERROR; i <= LM_LOG_DEBUG; i++) {
		assert_int_equal(lm_log_level_parse(lm_log_level_name((enum lm_log_level)i), &l),
				 0);
		assert_int_equal(l, i);
	}
	assert_int_equal(lm_log_level_parse("warning", &l), -EINVAL);
	assert_int_equal(lm_log_level_parse("", &l), -EINVAL);
}

/* What the sink writes when the process's stderr is a file. */
static void to_stderr(void **state)
{
	FILE *f = tmpfile();
	int saved = dup(STDERR_FILENO);
	char text[200] = {0};
	struct lm_log log = {.level = LM_LOG_DEBUG, .sink = lm_log_stderr};

	(void)state;
	assert_true(f != NULL && saved >= 0);
	assert_true(dup2(fileno(f), STDERR_FILENO) >= 0);
	lm_log(&log, LM_LOG_WARN, "for people");
	log.user = &log;
	lm_log(&log, LM_LOG_ERROR, "for %s", "journald");
	lm_log(&log, LM_LOG_DEBUG, "detail");
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	rewind(f);
	assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
	fclose(f);
	assert_string_equal(text, "warn: for people\n<3>for journald\n<7>detail\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(levels),
	    cmocka_unit_test(foreign_text),
	    cmocka_unit_test(names),
	    cmocka_unit_test(to_stderr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
