/* SPDX-License-Identifier: BSD-3-Clause */
/* Command lines, by getopt_long(3) from the tables. */
#include "cli.h"

#include <errno.h>
#include <getopt.h>
#include <lanemesh/config.h>
#include <stdlib.h>

#define OPTIONS_MAX 32
/* getopt's value of option i of the combined table. */
#define CODE(i) (256 + (int)(i))

struct globals {
	struct cli *cli;
	bool help, version, json;
};

static int set_instance(void *args, const char *value, struct lm_error *err)
{
	if (!lm_instance_valid(value))
		return lm_error_set(err, EINVAL, "write 1 to %d of the characters A-Z a-z 0-9 _ -",
				    LM_INSTANCE_MAX);
	((struct globals *)args)->cli->instance = value;
	return 0;
}

const struct cli_option cli_global_options[] = {
    {.name = "instance",
     .letter = 'i',
     .flags = CLI_REPEAT,
     .metavar = "NAME",
     .help = "The running gateway to talk to, by its folder in /run/lanemesh "
	     "(default: " CLI_INSTANCE_DEFAULT "). Commands that only work on files ignore it.",
     .set = set_instance},
    {.name = "json",
     .flags = CLI_REPEAT,
     .help = "Print JSON instead of a table.",
     .offset = offsetof(struct globals, json)},
    {.name = "help",
     .letter = 'h',
     .flags = CLI_REPEAT,
     .help = "Print help on the command, or the list of commands, and exit.",
     .offset = offsetof(struct globals, help)},
    {.name = "version",
     .flags = CLI_REPEAT,
     .help = "Print the version and exit.",
     .offset = offsetof(struct globals, version)},
    {.name = NULL},
};

/* The options of a command and the global ones, in getopt's terms. */
struct parser {
	const struct cli_command *cmd;
	void *args;
	struct globals globals;
	unsigned n, n_own;
	const struct cli_option *table[OPTIONS_MAX];
	bool seen[OPTIONS_MAX];
	struct option longs[OPTIONS_MAX + 1];
	char shorts[2 * OPTIONS_MAX + 3];
};

static void add_options(struct parser *p, const struct cli_option *o)
{
	char *s = p->shorts + strlen(p->shorts);

	for (; o != NULL && o->name != NULL && p->n < OPTIONS_MAX; o++, p->n++) {
		p->table[p->n] = o;
		p->longs[p->n] = (struct option){
		    .name = o->name, .has_arg = o->metavar != NULL, .val = CODE(p->n)};
		if (o->letter != 0)
			*s++ = o->letter;
		if (o->letter != 0 && o->metavar != NULL)
			*s++ = ':';
	}
	*s = '\0';
}

/* mode: "+:" stops at the first operand, ":" lets options follow operands. */
static void prepare(struct parser *p, const struct cli_command *cmd, void *args, struct cli *cli,
		    const char *mode)
{
	*p = (struct parser){.cmd = cmd, .args = args, .globals = {.cli = cli}};
	strcpy(p->shorts, mode);
	if (cmd != NULL)
		add_options(p, cmd->options);
	p->n_own = p->n;
	add_options(p, cli_global_options);
}

static int by_code(const struct parser *p, int code)
{
	for (unsigned i = 0; i < p->n; i++)
		if (code == CODE(i) || (code < 256 && code == p->table[i]->letter))
			return (int)i;
	return -1;
}

static int store(struct parser *p, unsigned i, const char *value)
{
	const struct cli_option *o = p->table[i];
	void *args = i < p->n_own ? p->args : &p->globals;
	struct lm_error err;

	if (p->seen[i] && (o->flags & CLI_REPEAT) == 0)
		return cli_usage(p->cmd, "--%s: given twice", o->name);
	p->seen[i] = true;
	if (o->set != NULL) {
		if (o->set(args, value, &err) != 0)
			return cli_usage(p->cmd, "--%s \"%.100s\": %s", o->name, value, err.text);
	} else if (o->metavar != NULL) {
		if (value[0] == '\0')
			return cli_usage(p->cmd, "--%s: its %s is empty", o->name, o->metavar);
		memcpy((char *)args + o->offset, &value, sizeof(value));
	} else {
		*(bool *)((char *)args + o->offset) = true;
	}
	return CLI_OK;
}

static int parse(struct parser *p, int argc, char **argv)
{
	int code, rc = CLI_OK;

	opterr = 0;
	optind = 0; /* glibc: start anew */
	while (rc == CLI_OK && (code = getopt_long(argc, argv, p->shorts, p->longs, NULL)) != -1) {
		int i = by_code(p, code == ':' ? optopt : code);

		if (code == ':')
			rc = cli_usage(p->cmd, "--%s: its %s is missing", p->table[i]->name,
				       p->table[i]->metavar);
		else if (code == '?' && optopt >= 256)
			rc = cli_usage(p->cmd, "--%s: takes no value",
				       p->table[by_code(p, optopt)]->name);
		else if (code == '?' && optopt != 0)
			rc = cli_usage(p->cmd, "there is no option -%c", optopt);
		else if (code == '?')
			rc = cli_usage(p->cmd, "there is no option %.100s", argv[optind - 1]);
		else
			rc = store(p, (unsigned)i, optarg);
		if (p->globals.help || p->globals.version)
			return CLI_OK;
	}
	if (p->globals.json)
		p->globals.cli->json = true;
	return rc;
}

int cli_globals(struct cli *cli, int argc, char **argv, int *next)
{
	struct parser p;
	int rc;

	prepare(&p, NULL, NULL, cli, "+:");
	rc = parse(&p, argc, argv);
	*next = optind;
	if (rc == CLI_OK && p.globals.help)
		cli_help(stdout);
	else if (rc == CLI_OK && p.globals.version)
		printf("lanemesh %s\n", LM_VERSION);
	else if (rc == CLI_OK)
		return -1;
	return rc;
}

static int check(const struct parser *p, int operands, char **operand)
{
	for (unsigned i = 0; i < p->n_own; i++)
		if ((p->table[i]->flags & CLI_REQUIRED) != 0 && !p->seen[i])
			return cli_usage(p->cmd, "--%s %s is missing", p->table[i]->name,
					 p->table[i]->metavar);
	if (operands < p->cmd->operands_min)
		return cli_usage(p->cmd, "%s is missing", p->cmd->operands);
	if (operands > p->cmd->operands_max)
		return cli_usage(p->cmd, "\"%.100s\" is one word too many",
				 operand[p->cmd->operands_max]);
	return CLI_OK;
}

int cli_run(const struct cli_command *cmd, struct cli *cli, int argc, char **argv)
{
	void *args = calloc(1, cmd->args_size > 0 ? cmd->args_size : 1);
	struct parser p;
	int rc;

	if (args == NULL) {
		fprintf(stderr, "lanemesh: out of memory\n");
		return CLI_FAILED;
	}
	prepare(&p, cmd, args, cli, ":");
	rc = parse(&p, argc, argv);
	if (rc == CLI_OK && p.globals.help)
		cli_command_help(stdout, cmd);
	else if (rc == CLI_OK && p.globals.version)
		printf("lanemesh %s\n", LM_VERSION);
	else if (rc == CLI_OK && (rc = check(&p, argc - optind, argv + optind)) == CLI_OK)
		rc = cmd->run(cli, args, argc - optind, argv + optind);
	free(args);
	return rc;
}

int cli_usage(const struct cli_command *cmd, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "lanemesh%s%s: ", cmd != NULL ? " " : "", cmd != NULL ? cmd->name : "");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nTry \"lanemesh %s%s--help\".\n", cmd != NULL ? cmd->name : "",
		cmd != NULL ? " " : "");
	return CLI_USAGE;
}
