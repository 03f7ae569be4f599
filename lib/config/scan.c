/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A look over the text before libconfig sees it. libconfig 1.5 wraps integers
 * that do not fit, drops "\x00", takes an unterminated comment for the end,
 * follows @include to any file, leaks a text that stands in a wrong place, and
 * gives no line for a bracket left open. Each of these is refused here, with its
 * line; nesting is bounded.
 */
#include "option.h"

#include <ctype.h>
#include <errno.h>

struct scan {
	struct lm_cfg *c;
	const char *p, *end;
	unsigned line;
	unsigned depth;
	char before; /* last character of the token before, '\0' at the start */
	struct {
		char close;
		unsigned line;
	} open[LM_CONFIG_DEPTH_MAX];
};

static int fail(const struct scan *s, unsigned line, const char *what)
{
	return lm_error_set(s->c->err, EINVAL, "%s:%u: %s", s->c->file, line, what);
}

/* May a text stand here? Where it may not, libconfig's parser leaks it. */
static bool text_expected(const struct scan *s)
{
	if (s->before == ',')
		return s->depth > 0 && s->open[s->depth - 1].close != '}';
	return s->before != '\0' && strchr("=:([\"", s->before) != NULL;
}

static int scan_string(struct scan *s)
{
	if (!text_expected(s))
		return fail(s, s->line,
			    "text where a name should be; settings are written as name = value;");
	for (s->p++; s->p < s->end && *s->p != '"'; s->p++) {
		if (*s->p == '\n')
			break;
		if ((unsigned char)*s->p < ' ' && *s->p != '\t')
			return fail(s, s->line, "control character in a string; remove it");
		if (*s->p != '\\')
			continue;
		s->p++;
		if (s->p == s->end || (*s->p != '"' && *s->p != '\\'))
			return fail(s, s->line, "escape in a string; only \\\" and \\\\ are known");
	}
	if (s->p == s->end || *s->p != '"')
		return fail(s, s->line, "string without end; close it with \" on the same line");
	s->p++;
	return 0;
}

static int scan_block_comment(struct scan *s)
{
	unsigned from = s->line;

	for (s->p += 2; s->end - s->p >= 2; s->p++) {
		if (s->p[0] == '*' && s->p[1] == '/') {
			s->p += 2;
			return 0;
		}
		s->line += *s->p == '\n';
	}
	return fail(s, from, "comment without end; close it with */");
}

static int scan_number(struct scan *s)
{
	const char *from = s->p;
	bool decimal = true;

	for (; s->p < s->end && (isalnum((unsigned char)*s->p) || *s->p == '.'); s->p++)
		decimal &= isdigit((unsigned char)*s->p) || *s->p == '.';
	if (!decimal)
		return fail(s, s->line, "number is not decimal; write digits only");
	if (s->p - from > 9)
		return fail(s, s->line, "number is too large; no option takes more than 9 digits");
	return 0;
}

static int scan_bracket(struct scan *s)
{
	char ch = *s->p++;
	const char *at;

	at = strchr("{}()[]", ch);
	if (((at - "{}()[]") & 1) == 0) {
		if (s->depth == LM_CONFIG_DEPTH_MAX)
			return fail(s, s->line, "brackets nest too deeply; no option needs that");
		s->open[s->depth].close = ch == '{' ? '}' : ch == '(' ? ')' : ']';
		s->open[s->depth++].line = s->line;
		return 0;
	}
	if (s->depth == 0)
		return fail(s, s->line, "closing bracket without an opening one; remove it");
	if (s->open[--s->depth].close != ch)
		return lm_error_set(s->c->err, EINVAL,
				    "%s:%u: '%c' does not close the bracket of line %u; write '%c'",
				    s->c->file, s->line, ch, s->open[s->depth].line,
				    s->open[s->depth].close);
	return 0;
}

/* Skips blanks and comments; false at the end or with *rc set. */
static bool skip_blanks(struct scan *s, int *rc)
{
	while (*rc == 0 && s->p < s->end) {
		bool two = s->end - s->p >= 2;

		if (*s->p == '#' || (two && s->p[0] == '/' && s->p[1] == '/')) {
			while (s->p < s->end && *s->p != '\n')
				s->p++;
		} else if (two && s->p[0] == '/' && s->p[1] == '*') {
			*rc = scan_block_comment(s);
		} else if (*s->p != '\0' && strchr(" \t\r\n", *s->p) != NULL) {
			s->line += *s->p++ == '\n';
		} else {
			return true;
		}
	}
	return false;
}

static int scan_token(struct scan *s)
{
	unsigned char ch = (unsigned char)*s->p;

	if (ch == '"')
		return scan_string(s);
	if (isdigit(ch))
		return scan_number(s);
	if (isalpha(ch) || ch == '*') {
		while (s->p < s->end && *s->p != '\0' &&
		       (isalnum((unsigned char)*s->p) || strchr("-_*", *s->p) != NULL))
			s->p++;
		return 0;
	}
	if (ch == '@')
		return fail(s, s->line, "@include is not supported; put everything into one file");
	if (ch != '\0' && strchr("{}()[]", ch) != NULL)
		return scan_bracket(s);
	if (ch == '\0' || strchr("=:;,+-.", ch) == NULL)
		return fail(s, s->line,
			    "character that no setting can have here; texts stand in \"\"");
	s->p++;
	return 0;
}

int lm_scan(struct lm_cfg *c, const char *text, size_t len)
{
	struct scan s = {.c = c, .p = text, .end = text + len, .line = 1};
	int rc = 0;

	while (skip_blanks(&s, &rc)) {
		rc = scan_token(&s);
		if (rc == 0)
			s.before = s.p[-1];
	}
	if (rc != 0)
		return rc;
	if (s.depth > 0)
		return lm_error_set(c->err, EINVAL,
				    "%s:%u: bracket is never closed; add the missing '%c'", c->file,
				    s.open[s.depth - 1].line, s.open[s.depth - 1].close);
	return 0;
}
