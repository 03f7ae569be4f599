/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of many rows, at most 100 columns wide, from JSON arrays of objects. */
#ifndef APP_LANEMESH_TABLE_H
#define APP_LANEMESH_TABLE_H

#include "cli.h"

#define CLI_WIDTH 100 /* columns of all that is for people */

struct cli_column {
	const char *title; /* NULL ends a list of columns */
	const char *key;
	int width;  /* longer texts are cut, with '~' at the end; 0 = what is left of the line */
	bool right; /* numbers */
	/* Text of a value, in buf or of its own; NULL: strings and integers as they are, '-' for
	 * null, arrays of strings joined. */
	const char *(*text)(const json_t *value, char *buf, size_t len);
};

/* Prints rows as JSON or as a table. Takes the reference. As cli_print. */
int cli_print_rows(const struct cli *cli, json_t *rows, const struct cli_column *columns,
		   const char *empty) LM_MUST_CHECK;

/* Formats: microseconds as "1.23 ms", seconds as "3h12m", counts as "12.3 M". */
const char *cli_text_us(const json_t *v, char *buf, size_t len);
const char *cli_text_age(const json_t *v, char *buf, size_t len);
const char *cli_text_count(const json_t *v, char *buf, size_t len);

#endif
