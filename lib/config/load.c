/* SPDX-License-Identifier: BSD-3-Clause */
/* From text to struct: libconfig parses, the option table says what each setting must be. */
#include "option.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

bool lm_instance_valid(const char *instance)
{
	size_t len = strlen(instance);

	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)instance[i]) && instance[i] != '_' &&
		    instance[i] != '-')
			return false;
	return len > 0 && len <= LM_INSTANCE_MAX;
}

/* ---------------------------------------------------------------- errors -- */

#define OPTION_PATH_MAX 160

/* "ports[1].mtu" for a setting. */
static void option_path(const config_setting_t *s, char *buf, size_t size)
{
	const config_setting_t *up = config_setting_parent(s);
	const char *name = config_setting_name(s);
	char head[OPTION_PATH_MAX] = "";

	if (up == NULL) {
		buf[0] = '\0';
		return;
	}
	option_path(up, head, sizeof(head));
	if (name != NULL)
		snprintf(buf, size, "%s%s%s", head, head[0] != '\0' ? "." : "", name);
	else
		snprintf(buf, size, "%s[%d]", head, config_setting_index(s));
}

int lm_cfg_error(struct lm_cfg *c, const config_setting_t *s, const char *fmt, ...)
{
	unsigned line = config_setting_source_line(s);
	char path[OPTION_PATH_MAX], text[sizeof(c->err->text)];
	va_list ap;

	option_path(s, path, sizeof(path));
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return lm_error_set(c->err, EINVAL, "%s:%u: %s%s%s", c->file, line > 0 ? line : 1, path,
			    path[0] != '\0' ? ": " : "", text);
}

/* --------------------------------------------------------- unknown names -- */

#define NAME_MAX_SEEN 40

/* Levenshtein distance, of names up to NAME_MAX_SEEN bytes. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[NAME_MAX_SEEN + 1], la = (unsigned)strlen(a), lb = (unsigned)strlen(b);

	if (la > NAME_MAX_SEEN || lb > NAME_MAX_SEEN)
		return UINT32_MAX;
	for (unsigned j = 0; j <= lb; j++)
		row[j] = j;
	for (unsigned i = 1; i <= la; i++) {
		unsigned diag = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= lb; j++) {
			unsigned best = diag + (a[i - 1] != b[j - 1]);

			diag = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[lb];
}

static int unknown_option(struct lm_cfg *c, const struct lm_table *t, const char *group,
			  const config_setting_t *s)
{
	const char *name = config_setting_name(s);
	const struct lm_row *near = NULL;
	unsigned best = UINT32_MAX, d;

	for (unsigned i = 0; i < t->n; i++) {
		d = distance(name, lm_row_key(&t->rows[i]));
		/* A name that is right elsewhere beats a similar one; here beats elsewhere. */
		if (d < best || (d == best && lm_row_in(&t->rows[i], group))) {
			best = d;
			near = &t->rows[i];
		}
	}
	if (near != NULL && best == 0)
		return lm_cfg_error(c, s, "does not belong here; write it as %s", near->pub.name);
	if (near != NULL && best <= 1 + strlen(name) / 4)
		return lm_cfg_error(c, s, "unknown option; did you mean %s?", near->pub.name);
	return lm_cfg_error(c, s, "unknown option; remove it, or see the reference in README.md");
}

/* --------------------------------------------------------------- walking -- */

static bool is_list(const config_setting_t *s)
{
	int type = config_setting_type(s);

	return type == CONFIG_TYPE_LIST || type == CONFIG_TYPE_ARRAY;
}

static int read_group(struct lm_cfg *c, const struct lm_table *t, const char *group,
		      const config_setting_t *s, uint8_t *base);

static int read_list(struct lm_cfg *c, const struct lm_table *t, const struct lm_row *row,
		     const config_setting_t *s, uint8_t *base)
{
	const char *entry = row->shape == LM_S_GROUPS ? "( { ... }, { ... } )" : "[ ..., ... ]";
	int n, rc;

	if (!is_list(s))
		return lm_cfg_error(c, s, "is not a list; write %s = %s", lm_row_key(row), entry);
	n = config_setting_length(s);
	if (n < (int)row->least || n > (int)row->most)
		return lm_cfg_error(c, s, "has %d entries; write %u to %u", n, row->least,
				    row->most);
	for (int i = 0; i < n; i++) {
		const config_setting_t *e = config_setting_get_elem(s, (unsigned)i);
		uint8_t *dst = base + row->off + (size_t)i * row->size;

		if (row->shape == LM_S_LIST)
			rc = lm_value_read(c, e, row, dst);
		else if (config_setting_type(e) != CONFIG_TYPE_GROUP)
			rc = lm_cfg_error(c, e, "is not a group; write %s = %s", lm_row_key(row),
					  entry);
		else
			rc = read_group(c, t, row->pub.name, e, dst);
		if (rc != 0)
			return rc;
	}
	base[row->off_n] = (uint8_t)n;
	return 0;
}

static int read_row(struct lm_cfg *c, const struct lm_table *t, const struct lm_row *row,
		    const config_setting_t *s, uint8_t *base)
{
	int rc;

	switch (row->shape) {
	case LM_S_GROUP:
		if (config_setting_type(s) != CONFIG_TYPE_GROUP)
			return lm_cfg_error(c, s, "is not a group; write %s = { ... }",
					    lm_row_key(row));
		return read_group(c, t, row->pub.name, s, base);
	case LM_S_LIST:
	case LM_S_GROUPS:
		return read_list(c, t, row, s, base);
	default:
		rc = lm_value_read(c, s, row, base + row->off);
		if (rc == 0 && row->off_n != LM_NO_COUNT)
			*(bool *)(base + row->off_n) = true;
		return rc;
	}
}

/* Reads the default as if the file said it, so that the table holds it once, as text. */
static int read_default(struct lm_cfg *c, const struct lm_table *t, const struct lm_row *row,
			uint8_t *base)
{
	struct lm_cfg d = {.file = "default", .instance = c->instance, .err = c->err};
	char text[160];
	int rc;

	if (strcmp(row->pub.def, "none") == 0)
		return 0;
	snprintf(text, sizeof(text), "%s = %s", lm_row_key(row), row->pub.def);
	config_init(&d.tree);
	if (config_read_string(&d.tree, text) != CONFIG_TRUE)
		rc = lm_error_set(c->err, ENOMEM, "%s: no memory", row->pub.name);
	else
		rc = read_row(&d, t, row, config_setting_get_elem(config_root_setting(&d.tree), 0),
			      base);
	config_destroy(&d.tree);
	return rc;
}

static int missing(struct lm_cfg *c, const struct lm_row *row, const config_setting_t *parent)
{
	unsigned line = config_setting_source_line(parent);
	char path[OPTION_PATH_MAX];

	option_path(parent, path, sizeof(path));
	return lm_error_set(c->err, EINVAL, "%s:%u: %s%s%s: is missing; add it (%s: %s)", c->file,
			    line > 0 ? line : 1, path, path[0] != '\0' ? "." : "", lm_row_key(row),
			    row->pub.type, row->pub.help);
}

/* Members of an absent group get their defaults too. */
static int read_absent(struct lm_cfg *c, const struct lm_table *t, const struct lm_row *row,
		       const config_setting_t *parent, uint8_t *base)
{
	int rc = 0;

	if (row->required)
		return missing(c, row, parent);
	if (row->shape != LM_S_GROUP)
		return read_default(c, t, row, base);
	for (unsigned i = 0; i < t->n && rc == 0; i++)
		if (lm_row_in(&t->rows[i], row->pub.name))
			rc = read_default(c, t, &t->rows[i], base);
	return rc;
}

static int read_group(struct lm_cfg *c, const struct lm_table *t, const char *group,
		      const config_setting_t *s, uint8_t *base)
{
	int rc, n = config_setting_length(s);

	for (int i = 0; i < n; i++) {
		const config_setting_t *e = config_setting_get_elem(s, (unsigned)i);
		unsigned k = 0;

		while (k < t->n && !(lm_row_in(&t->rows[k], group) &&
				     strcmp(lm_row_key(&t->rows[k]), config_setting_name(e)) == 0))
			k++;
		if (k == t->n)
			return unknown_option(c, t, group, e);
		rc = read_row(c, t, &t->rows[k], e, base);
		if (rc != 0)
			return rc;
	}
	for (unsigned k = 0; k < t->n; k++) {
		const struct lm_row *row = &t->rows[k];

		if (!lm_row_in(row, group) || config_setting_get_member(s, lm_row_key(row)) != NULL)
			continue;
		rc = read_absent(c, t, row, s, base);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* ---------------------------------------------------------------- parse -- */

/* libconfig's own refusals: syntax, and two settings of one name. */
static int syntax_error(struct lm_cfg *c, const char *text)
{
	int line = config_error_line(&c->tree);
	const char *what = config_error_text(&c->tree), *p = text;
	size_t len;

	if (what == NULL || line < 1)
		return lm_error_set(c->err, ENOMEM, "%s: no memory", c->file);
	if (strstr(what, "duplicate") == NULL)
		return lm_error_set(
		    c->err, EINVAL,
		    "%s:%d: %s; settings are written as name = value; and texts stand in \"\"",
		    c->file, line, what);
	for (int i = 1; i < line && p != NULL; i++) {
		p = strchr(p, '\n');
		p = p != NULL ? p + 1 : NULL;
	}
	p = p != NULL ? p + strspn(p, " \t") : "";
	len = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
	if (len == 0 || len > NAME_MAX_SEEN)
		return lm_error_set(c->err, EINVAL,
				    "%s:%d: a setting is written twice; keep one of them", c->file,
				    line);
	return lm_error_set(c->err, EINVAL, "%s:%d: %.*s: is written twice; keep one of them",
			    c->file, line, (int)len, p);
}

static int parse(enum lm_config_kind kind, const char *name, const char *text, size_t len,
		 const char *instance, void *out, struct lm_error *err)
{
	struct lm_cfg c = {.file = name, .instance = instance, .err = err};
	char *copy;
	int rc;

	if (!lm_instance_valid(instance))
		return lm_error_set(
		    err, EINVAL,
		    "\"%.40s\" is no instance name; write 1 to %d of the characters "
		    "A-Z a-z 0-9 _ -",
		    instance, LM_INSTANCE_MAX);
	if (len > LM_CONFIG_FILE_MAX)
		return lm_error_set(err, EFBIG, "%s: has %zu bytes; a config has at most %d", name,
				    len, LM_CONFIG_FILE_MAX);
	rc = lm_scan(&c, text, len);
	if (rc != 0)
		return rc;
	copy = strndup(text, len);
	if (copy == NULL)
		return lm_error_set(err, ENOMEM, "%s: no memory", name);
	config_init(&c.tree);
	if (config_read_string(&c.tree, copy) != CONFIG_TRUE)
		rc = syntax_error(&c, copy);
	else
		rc = read_group(&c, lm_table(kind), NULL, config_root_setting(&c.tree), out);
	if (rc == 0)
		rc = kind == LM_CONFIG_NODE ? lm_check_node(&c, out) : lm_check_coord(&c, out);
	config_destroy(&c.tree);
	free(copy);
	return rc;
}

static int load(enum lm_config_kind kind, const char *path, const char *instance, void *out,
		struct lm_error *err)
{
	uint8_t *text;
	size_t len;
	int rc = lm_file_read(path, LM_CONFIG_FILE_MAX, &text, &len, err);

	if (rc != 0)
		return rc;
	rc = kind == LM_CONFIG_NODE
		 ? lm_config_parse(path, (char *)text, len, instance, out, err)
		 : lm_coord_config_parse(path, (char *)text, len, instance, out, err);
	free(text);
	return rc;
}

int lm_config_parse(const char *name, const char *text, size_t len, const char *instance,
		    struct lm_config *out, struct lm_error *err)
{
	memset(out, 0, sizeof(*out));
	snprintf(out->instance, sizeof(out->instance), "%s", instance);
	return parse(LM_CONFIG_NODE, name, text, len, instance, out, err);
}

int lm_coord_config_parse(const char *name, const char *text, size_t len, const char *instance,
			  struct lm_coord_config *out, struct lm_error *err)
{
	memset(out, 0, sizeof(*out));
	snprintf(out->instance, sizeof(out->instance), "%s", instance);
	return parse(LM_CONFIG_COORD, name, text, len, instance, out, err);
}

int lm_config_load(const char *path, const char *instance, struct lm_config *out,
		   struct lm_error *err)
{
	return load(LM_CONFIG_NODE, path, instance, out, err);
}

int lm_coord_config_load(const char *path, const char *instance, struct lm_coord_config *out,
			 struct lm_error *err)
{
	return load(LM_CONFIG_COORD, path, instance, out, err);
}
