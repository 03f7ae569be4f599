/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Golden configs: what stands in ok/ and the shipped examples is accepted, and
 * each file in bad/ is refused with the error of its first line,
 * "# error: LINE: OPTION: MESSAGE". Files named coord-* are lanemesh-coord's.
 */
#include <lanemesh/config.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#define OPTIONS_MAX 64

static bool is_coord(const char *path)
{
	const char *name = strrchr(path, '/') + 1;

	return strncmp(name, "coord-", 6) == 0 || strcmp(name, "lanemesh-coord.conf") == 0;
}

static int load(const char *path, struct lm_error *err)
{
	struct lm_config *node;
	struct lm_coord_config coord;
	int rc;

	if (is_coord(path))
		return lm_coord_config_load(path, "main", &coord, err);
	node = malloc(sizeof(*node));
	assert_non_null(node);
	rc = lm_config_load(path, "gw1", node, err);
	free(node);
	return rc;
}

/* Every file of pattern in the folder that the environment names. */
static void find(const char *env, const char *pattern, glob_t *out)
{
	char full[512];

	assert_non_null(getenv(env));
	snprintf(full, sizeof(full), "%s/%s", getenv(env), pattern);
	assert_int_equal(glob(full, 0, NULL, out), 0);
	assert_true(out->gl_pathc > 0);
}

static void accept_all(const char *env, const char *pattern, size_t at_least)
{
	glob_t files;

	find(env, pattern, &files);
	assert_true(files.gl_pathc >= at_least);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		struct lm_error err = {""};

		if (load(files.gl_pathv[i], &err) != 0)
			fail_msg("%s", err.text);
	}
	globfree(&files);
}

static void good_files_are_accepted(void **state)
{
	(void)state;
	accept_all("LM_CONFIG_FILES", "ok/*.conf", 4);
}

static void shipped_examples_are_accepted(void **state)
{
	(void)state;
	accept_all("LM_CONFIG_EXAMPLES", "*.conf", 2);
}

/* The error that the first line of the file expects. */
static void expected_error(const char *path, char *buf, size_t size)
{
	static const char mark[] = "# error: ";
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	assert_non_null(fgets(buf, (int)size, f));
	fclose(f);
	buf[strcspn(buf, "\n")] = '\0';
	if (strncmp(buf, mark, sizeof(mark) - 1) != 0)
		fail_msg("%s: first line has no '%s'", path, mark);
	memmove(buf, buf + sizeof(mark) - 1, strlen(buf) - sizeof(mark) + 2);
}

/* "12: ports[0].mtu: text" names option "ports.mtu"? */
static bool names_option(const char *error, const char *option)
{
	const char *p = strchr(error, ' ');

	for (p = p != NULL ? p + 1 : ""; *p != '\0' && *p != ':'; p++) {
		if (*p == '[') {
			p = strchr(p, ']');
			assert_non_null(p);
			continue;
		}
		if (*p != *option++)
			return false;
	}
	return *p == ':' && *option == '\0';
}

static void bad_files_are_refused(void **state)
{
	glob_t files;
	char want[512];

	(void)state;
	find("LM_CONFIG_FILES", "bad/*.conf", &files);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		const char *path = files.gl_pathv[i];
		struct lm_error err = {""};
		int rc = load(path, &err);

		expected_error(path, want, sizeof(want));
		if (rc != -EINVAL)
			fail_msg("%s gives %d instead of: %s", path, rc, want);
		if (strncmp(err.text, path, strlen(path)) != 0 ||
		    strcmp(err.text + strlen(path), "") == 0 ||
		    strcmp(err.text + strlen(path) + 1, want) != 0)
			fail_msg("got  %s\n       want %s:%s", err.text, path, want);
	}
	globfree(&files);
}

static void every_option_has_a_bad_value(void **state)
{
	glob_t files;
	char want[512];
	unsigned missing = 0;

	(void)state;
	find("LM_CONFIG_FILES", "bad/*.conf", &files);
	for (unsigned kind = 0; kind <= LM_CONFIG_COORD; kind++) {
		const struct lm_option *o;

		for (unsigned i = 0; (o = lm_config_option(kind, i)) != NULL; i++) {
			bool found = false;

			for (size_t k = 0; k < files.gl_pathc && !found; k++) {
				if (is_coord(files.gl_pathv[k]) != (kind == LM_CONFIG_COORD))
					continue;
				expected_error(files.gl_pathv[k], want, sizeof(want));
				found = names_option(want, o->name);
			}
			if (!found)
				print_error("no bad value of %s is tested\n", o->name);
			missing += !found;
		}
	}
	globfree(&files);
	assert_int_equal(missing, 0);
}

/* Does text hold "key =", not as the end of a longer name? */
static bool mentions(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *p = text; (p = strstr(p, key)) != NULL; p += len)
		if ((p == text || strchr(" \n{(", p[-1]) != NULL) &&
		    strncmp(p + len, " = ", 3) == 0)
			return true;
	return false;
}

static void examples_show_every_option(void **state)
{
	static const char *const examples[] = {
	    [LM_CONFIG_NODE] = "lanemeshd.conf", [LM_CONFIG_COORD] = "lanemesh-coord.conf"};
	const struct lm_option *o;
	char path[512];
	uint8_t *text;
	size_t len;

	(void)state;
	for (unsigned kind = 0; kind <= LM_CONFIG_COORD; kind++) {
		snprintf(path, sizeof(path), "%s/%s", getenv("LM_CONFIG_EXAMPLES"), examples[kind]);
		assert_int_equal(lm_file_read(path, LM_CONFIG_FILE_MAX, &text, &len, NULL), 0);
		for (unsigned i = 0; (o = lm_config_option(kind, i)) != NULL; i++) {
			const char *dot = strchr(o->name, '.');

			if (!mentions((char *)text, dot != NULL ? dot + 1 : o->name))
				fail_msg("%s does not show %s", path, o->name);
		}
		free(text);
	}
}

static void readme_has_the_reference(void **state)
{
	const struct lm_option *o;
	char row[512];
	uint8_t *text;
	size_t len;
	unsigned missing = 0;

	(void)state;
	assert_int_equal(lm_file_read(getenv("LM_README"), 1 << 20, &text, &len, NULL), 0);
	for (unsigned kind = 0; kind <= LM_CONFIG_COORD; kind++) {
		for (unsigned i = 0; (o = lm_config_option(kind, i)) != NULL; i++) {
			assert_true(i < OPTIONS_MAX);
			snprintf(row, sizeof(row), "| `%s` | %s | %s | %s | %s | %s |\n", o->name,
				 o->type, o->range, o->def, o->live ? "yes" : "no", o->help);
			if (strstr((char *)text, row) != NULL)
				continue;
			print_error("README.md lacks: %s", row);
			missing++;
		}
	}
	free(text);
	assert_int_equal(missing, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(good_files_are_accepted),
	    cmocka_unit_test(shipped_examples_are_accepted),
	    cmocka_unit_test(bad_files_are_refused),
	    cmocka_unit_test(every_option_has_a_bad_value),
	    cmocka_unit_test(examples_show_every_option),
	    cmocka_unit_test(readme_has_the_reference),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
