/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 7468 text to bytes and back, by its strict grammar (section 3, figure 3). */
#include "armor.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define LINE_CHARS 64
#define LINE_BYTES 48
#define VARIANT	   sodium_base64_VARIANT_ORIGINAL

static const char begin_mark[] = "-----BEGIN ", end_mark[] = "-----END ", dashes[] = "-----";

struct line {
	const char *p;
	size_t len;
};

struct text {
	const char *name, *p, *end;
	unsigned number; /* of the line read last */
};

/* The next line without its LF or CRLF; false at the end. */
static bool next_line(struct text *t, struct line *out)
{
	size_t left = (size_t)(t->end - t->p);
	const char *lf;

	if (left == 0)
		return false;
	lf = memchr(t->p, '\n', left);
	out->p = t->p;
	out->len = lf != NULL ? (size_t)(lf - t->p) : left;
	t->p += lf != NULL ? out->len + 1 : out->len;
	if (out->len > 0 && out->p[out->len - 1] == '\r')
		out->len--;
	t->number++;
	return true;
}

static bool next_filled_line(struct text *t, struct line *out)
{
	while (next_line(t, out))
		for (size_t i = 0; i < out->len; i++)
			if (out->p[i] != ' ' && out->p[i] != '\t')
				return true;
	return false;
}

static bool label_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ' ';
}

/* Is the line mark, label, dashes? The label is checked so far that it can be shown to people. */
static bool boundary(const struct line *l, const char *mark, char label[LM_LABEL_MAX + 1])
{
	size_t m = strlen(mark), d = sizeof(dashes) - 1, n;

	if (l->len <= m + d || l->len - m - d > LM_LABEL_MAX || memcmp(l->p, mark, m) != 0 ||
	    memcmp(l->p + l->len - d, dashes, d) != 0)
		return false;
	n = l->len - m - d;
	for (size_t i = 0; i < n; i++)
		if (!label_char(l->p[m + i]))
			return false;
	memcpy(label, l->p + m, n);
	label[n] = '\0';
	return true;
}

static int read_begin(struct text *t, const char *want, char label[LM_LABEL_MAX + 1],
		      struct lm_error *err)
{
	struct line l;

	if (!next_filled_line(t, &l))
		return lm_error_set(err, EBADMSG,
				    "%s: the file is empty; expected \"-----BEGIN %s-----\"",
				    t->name, want != NULL ? want : "LANEMESH ...");
	if (!boundary(&l, begin_mark, label))
		return lm_error_set(err, EBADMSG,
				    "%s:%u: expected \"-----BEGIN %s-----\", and nothing before it",
				    t->name, t->number, want != NULL ? want : "LANEMESH ...");
	if (want != NULL && strcmp(label, want) != 0)
		return lm_error_set(err, EBADMSG, "%s:%u: this is a %s, but a %s is needed here",
				    t->name, t->number, label, want);
	return 0;
}

/* The base64 lines and the END line. out has room for all that the text can hold. */
static int read_body(struct text *t, const char *label, uint8_t *out, size_t cap, size_t *len,
		     struct lm_error *err)
{
	char end_label[LM_LABEL_MAX + 1];
	bool last = false;
	struct line l;

	*len = 0;
	while (next_line(t, &l)) {
		size_t n;

		if (boundary(&l, end_mark, end_label)) {
			if (strcmp(end_label, label) != 0)
				return lm_error_set(err, EBADMSG,
						    "%s:%u: expected \"-----END %s-----\"", t->name,
						    t->number, label);
			if (*len == 0)
				return lm_error_set(err, EBADMSG, "%s:%u: the block is empty",
						    t->name, t->number);
			return 0;
		}
		if (last)
			return lm_error_set(
			    err, EBADMSG,
			    "%s:%u: expected \"-----END %s-----\" after a short base64 line; every "
			    "line before the last has 64 characters",
			    t->name, t->number, label);
		if (l.len == 0 || l.len > LINE_CHARS ||
		    sodium_base642bin(out + *len, cap - *len, l.p, l.len, NULL, &n, NULL,
				      VARIANT) != 0)
			return lm_error_set(err, EBADMSG,
					    "%s:%u: not a line of base64; the file is damaged, "
					    "restore it from a copy",
					    t->name, t->number);
		last = n != LINE_BYTES;
		*len += n;
	}
	return lm_error_set(err, EBADMSG,
			    "%s:%u: the file ends before \"-----END %s-----\"; restore it from a "
			    "copy",
			    t->name, t->number, label);
}

int lm_armor_decode(const char *name, const char *text, size_t text_len, const char *label,
		    char *label_out, uint8_t **data, size_t *len, struct lm_error *err)
{
	struct text t = {.name = name, .p = text, .end = text + text_len};
	char found[LM_LABEL_MAX + 1];
	size_t cap = text_len / 4 * 3 + 3;
	struct line l;
	uint8_t *out;
	int rc;

	*data = NULL;
	*len = 0;
	if (text_len > ARMOR_TEXT_MAX)
		return lm_error_set(err, EBADMSG, "%s: longer than any file of lanemesh", name);
	rc = read_begin(&t, label, found, err);
	if (rc != 0)
		return rc;
	out = malloc(cap);
	if (out == NULL)
		return lm_error_set(err, ENOMEM, "%s: out of memory", name);
	rc = read_body(&t, found, out, cap, len, err);
	if (rc == 0 && next_filled_line(&t, &l))
		rc = lm_error_set(err, EBADMSG,
				  "%s:%u: text after \"-----END %s-----\"; there is one block to a "
				  "file",
				  name, t.number, found);
	if (rc != 0) {
		sodium_memzero(out, cap);
		free(out);
		*len = 0;
		return rc;
	}
	if (label_out != NULL)
		memcpy(label_out, found, strlen(found) + 1);
	*data = out;
	return 0;
}

char *lm_armor_encode(const char *label, const void *data, size_t len, size_t *text_len)
{
	size_t lines = (len + LINE_BYTES - 1) / LINE_BYTES;
	size_t cap = lines * (LINE_CHARS + 1) + 2 * (strlen(label) + sizeof("-----BEGIN -----\n"));
	char *text = malloc(cap), *p = text;
	const uint8_t *in = data;

	if (text == NULL)
		return NULL;
	p += sprintf(p, "%s%s%s\n", begin_mark, label, dashes);
	for (size_t i = 0; i < len; i += LINE_BYTES) {
		size_t n = len - i < LINE_BYTES ? len - i : LINE_BYTES;

		sodium_bin2base64(p, sodium_base64_ENCODED_LEN(n, VARIANT), in + i, n, VARIANT);
		p += strlen(p);
		*p++ = '\n';
	}
	p += sprintf(p, "%s%s%s\n", end_mark, label, dashes);
	*text_len = (size_t)(p - text);
	return text;
}
