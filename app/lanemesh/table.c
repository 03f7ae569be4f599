/* SPDX-License-Identifier: BSD-3-Clause */
#include "table.h"

#include <errno.h>

const char *cli_text_us(const json_t *v, char *buf, size_t len)
{
	if (json_is_null(v) || v == NULL)
		return "-";
	(void)snprintf(buf, len, "%.2f ms", json_number_value(v) / 1000);
	return buf;
}

const char *cli_text_age(const json_t *v, char *buf, size_t len)
{
	double s = json_number_value(v);
	unsigned long n = (unsigned long)s;

	if (json_is_null(v) || v == NULL)
		return "-";
	if (s < 10)
		(void)snprintf(buf, len, "%.1fs", s);
	else if (n < 60)
		(void)snprintf(buf, len, "%lus", n);
	else if (n < 3600)
		(void)snprintf(buf, len, "%lum%02lus", n / 60, n % 60);
	else if (n < 86400)
		(void)snprintf(buf, len, "%luh%02lum", n / 3600, n / 60 % 60);
	else
		(void)snprintf(buf, len, "%lud%02luh", n / 86400, n / 3600 % 24);
	return buf;
}

const char *cli_text_count(const json_t *v, char *buf, size_t len)
{
	static const char units[] = " kMGTPE";
	double n = json_number_value(v);
	size_t u = 0;

	for (; n >= 10000 && u + 2 < sizeof(units); u++)
		n /= 1000;
	if (u == 0)
		(void)snprintf(buf, len, "%.0f", n);
	else
		(void)snprintf(buf, len, "%.1f %c", n, units[u]);
	return buf;
}

static const char *join(const json_t *array, char *buf, size_t len)
{
	size_t i, at = 0;
	json_t *item;

	buf[0] = '\0';
	json_array_foreach(array, i, item)
	{
		if (at < len)
			at += (size_t)snprintf(buf + at, len - at, "%s%s", i > 0 ? " " : "",
					       json_string_value(item));
	}
	return array == NULL || json_array_size(array) == 0 ? "-" : buf;
}

static const char *plain(const json_t *v, char *buf, size_t len)
{
	if (json_is_string(v))
		return json_string_value(v);
	if (json_is_array(v))
		return join(v, buf, len);
	if (json_is_boolean(v))
		return json_is_true(v) ? "yes" : "no";
	if (!json_is_number(v))
		return "-";
	(void)snprintf(buf, len, "%.15g", json_number_value(v));
	return buf;
}

static void print_cell(const struct cli_column *c, const char *text, int width)
{
	bool last = (c + 1)->title == NULL;
	int n = (int)strlen(text);

	if (n > width)
		printf("%.*s~", width - 1, text);
	else if (c->right)
		printf("%*s", width, text);
	else if (last)
		printf("%s", text);
	else
		printf("%-*s", width, text);
	if (!last)
		printf("  ");
}

static int width_of(const struct cli_column *columns, const struct cli_column *c)
{
	int left = CLI_WIDTH;

	if (c->width > 0)
		return c->width;
	for (const struct cli_column *i = columns; i->title != NULL; i++)
		left -= i->width + (i != columns ? 2 : 0);
	return left;
}

int cli_print_rows(const struct cli *cli, json_t *rows, const struct cli_column *columns,
		   const char *empty)
{
	char buf[1024];
	json_t *row;
	size_t i;

	if (cli->json)
		return cli_print(cli, rows);
	if (json_array_size(rows) == 0) {
		json_decref(rows);
		return cli_print_line(empty);
	}
	for (const struct cli_column *c = columns; c->title != NULL; c++)
		print_cell(c, c->title, width_of(columns, c));
	putchar('\n');
	json_array_foreach(rows, i, row)
	{
		for (const struct cli_column *c = columns; c->title != NULL; c++) {
			const json_t *v = json_object_get(row, c->key);

			print_cell(c,
				   c->text != NULL ? c->text(v, buf, sizeof(buf))
						   : plain(v, buf, sizeof(buf)),
				   width_of(columns, c));
		}
		putchar('\n');
	}
	json_decref(rows);
	return cli_flush();
}
