/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"

#include <errno.h>

#define WIDTH 100

int cli_fail(const struct lm_error *err)
{
	fprintf(stderr, "lanemesh: %s\n", err->text);
	return CLI_FAILED;
}

static void print_key(const char *key, int width)
{
	int n = 0;

	for (; key[n] != '\0'; n++)
		putchar(key[n] == '_' ? ' ' : key[n]);
	printf("%*s", width - n + 2, "");
}

/* Strings of an array, as many to a line as fit; the first line stands behind the key. */
static void print_array(const json_t *array, int width)
{
	size_t indent = (size_t)width + 2, at = indent, i;
	const json_t *item;

	if (json_array_size(array) == 0)
		printf("none");
	json_array_foreach(array, i, item)
	{
		bool last = i + 1 == json_array_size(array);
		size_t n = json_string_length(item) + (last ? 0 : 1);

		if (i > 0 && at + 1 + n > WIDTH) {
			printf("\n%*s", (int)indent, "");
			at = indent;
		} else if (i > 0) {
			putchar(' ');
			at++;
		}
		printf("%s%s", json_string_value(item), last ? "" : ",");
		at += n;
	}
	putchar('\n');
}

static void print_table(json_t *object)
{
	const char *key;
	json_t *value;
	int width = 0;

	json_object_foreach(object, key, value)
	{
		int n = (int)strlen(key);

		width = n > width ? n : width;
	}
	json_object_foreach(object, key, value)
	{
		print_key(key, width);
		if (json_is_array(value))
			print_array(value, width);
		else if (json_is_integer(value))
			printf("%lld\n", (long long)json_integer_value(value));
		else if (json_is_boolean(value))
			printf("%s\n", json_is_true(value) ? "yes" : "no");
		else
			printf("%s\n", json_string_value(value));
	}
}

int cli_flush(void)
{
	struct lm_error err;

	if (fflush(stdout) == 0 && !ferror(stdout))
		return CLI_OK;
	(void)lm_error_set(&err, EIO, "cannot write to standard output: %s", strerror(errno));
	return cli_fail(&err);
}

int cli_print_line(const char *text)
{
	puts(text);
	return cli_flush();
}

int cli_print(const struct cli *cli, json_t *object)
{
	struct lm_error err;

	if (object == NULL) {
		(void)lm_error_set(&err, ENOMEM, "out of memory");
		return cli_fail(&err);
	}
	if (cli->json) {
		json_dumpf(object, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
		putchar('\n');
	} else {
		print_table(object);
	}
	json_decref(object);
	return cli_flush();
}
