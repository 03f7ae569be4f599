/* SPDX-License-Identifier: BSD-3-Clause */
/* Help in the shape of a man page, made from the tables. */
#include "cli.h"

#define WIDTH  80
#define INDENT 4

/* A paragraph between indent and WIDTH, going on at column `at`. */
static void fill(FILE *out, const char *text, size_t indent, size_t at)
{
	while (*text != '\0') {
		size_t n = strcspn(text, " \n");

		if (at > indent && at + 1 + n > WIDTH) {
			fprintf(out, "\n%*s", (int)indent, "");
			at = indent;
		} else if (at > indent) {
			fputc(' ', out);
			at++;
		}
		fwrite(text, 1, n, out);
		at += n;
		text += n;
		while (*text == ' ')
			text++;
		/* An empty line starts a new paragraph. */
		if (text[0] == '\n' && text[1] == '\n') {
			fprintf(out, "\n\n%*s", (int)indent, "");
			at = indent;
			text += 2;
		} else if (text[0] == '\n') {
			text++;
		}
	}
	fputc('\n', out);
}

static void section(FILE *out, const char *title, const char *text)
{
	fprintf(out, "%s\n%*s", title, INDENT, "");
	fill(out, text, INDENT, INDENT);
	fputc('\n', out);
}

static void options(FILE *out, const char *title, const struct cli_option *o)
{
	if (o == NULL || o->name == NULL)
		return;
	fprintf(out, "%s\n", title);
	for (; o->name != NULL; o++) {
		fprintf(out, "%*s", INDENT, "");
		if (o->letter != 0)
			fprintf(out, "-%c, ", o->letter);
		fprintf(out, "--%s%s%s", o->name, o->metavar != NULL ? " " : "",
			o->metavar != NULL ? o->metavar : "");
		if ((o->flags & CLI_REQUIRED) != 0)
			fprintf(out, "  (required)");
		fprintf(out, "\n%*s", 2 * INDENT, "");
		fill(out, o->help, 2 * INDENT, 2 * INDENT);
	}
	fputc('\n', out);
}

static size_t synopsis_option(char *buf, size_t cap, const struct cli_option *o)
{
	bool required = (o->flags & CLI_REQUIRED) != 0;
	char name[64];

	if (o->letter != 0)
		snprintf(name, sizeof(name), "-%c", o->letter);
	else
		snprintf(name, sizeof(name), "--%s", o->name);
	return (size_t)snprintf(buf, cap, " %s%s%s%s%s%s", required ? "" : "[", name,
				o->metavar != NULL ? " " : "", o->metavar != NULL ? o->metavar : "",
				required ? "" : "]", (o->flags & CLI_REPEAT) != 0 ? "..." : "");
}

/* Breaks between options only, so "fill" cannot do it. */
static void synopsis(FILE *out, const struct cli_command *cmd)
{
	size_t at = (size_t)fprintf(out, "%*slanemesh %s", INDENT, "", cmd->name);
	char part[128];

	for (int required = 1; required >= 0; required--)
		for (const struct cli_option *o = cmd->options; o != NULL && o->name != NULL; o++) {
			size_t n;

			if (((o->flags & CLI_REQUIRED) != 0) != required)
				continue;
			n = synopsis_option(part, sizeof(part), o);
			if (at + n > WIDTH) {
				fprintf(out, "\n%*s", 2 * INDENT - 1, "");
				at = 2 * INDENT - 1;
			}
			at += n;
			fputs(part, out);
		}
	fprintf(out, "%s%s\n\n", cmd->operands[0] != '\0' ? " " : "", cmd->operands);
}

static const char *failure_or_none(const struct cli_command *cmd)
{
	return cmd->failure != NULL ? cmd->failure : "It could not be done; the message says why.";
}

static void exit_status(FILE *out, const char *failure)
{
	fprintf(out, "EXIT STATUS\n%*s0  Success.\n%*s1  ", INDENT, "", INDENT, "");
	fill(out, failure, INDENT + 3, INDENT + 3);
	fprintf(out, "%*s2  Wrong usage; nothing was done.\n\n", INDENT, "");
}

void cli_command_help(FILE *out, const struct cli_command *cmd)
{
	fprintf(out, "NAME\n%*slanemesh %s - %s\n\nSYNOPSIS\n", INDENT, "", cmd->name,
		cmd->summary);
	synopsis(out, cmd);
	section(out, "DESCRIPTION", cmd->description);
	options(out, "OPTIONS", cmd->options);
	options(out, "GLOBAL OPTIONS", cli_global_options);
	exit_status(out, failure_or_none(cmd));
	fprintf(out, "EXAMPLES\n");
	for (const char *p = cmd->examples; *p != '\0';) {
		size_t n = strcspn(p, "\n");

		fprintf(out, "%*s%.*s\n", INDENT, "", (int)n, p);
		p += p[n] == '\n' ? n + 1 : n;
	}
}

void cli_help(FILE *out)
{
	fprintf(out,
		"NAME\n%*slanemesh - administer a lanemesh gateway and its mesh\n\n"
		"SYNOPSIS\n%*slanemesh [-i NAME] [--json] COMMAND [OPTION...]\n\nCOMMANDS\n",
		INDENT, "", INDENT, "");
	for (size_t i = 0; cli_commands[i] != NULL; i++)
		fprintf(out, "%*s%-18s %s\n", INDENT, "", cli_commands[i]->name,
			cli_commands[i]->summary);
	fprintf(out, "\n%*s\"lanemesh COMMAND --help\" explains a command.\n\n", INDENT, "");
	options(out, "OPTIONS", cli_global_options);
	exit_status(out, "It could not be done; the message on stderr says why.");
}
