/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The frame of the lanemesh command. A command is one file with one struct
 * cli_command: its name, options and help are tables, from which parsing, usage
 * errors and --help are made. To add one: write app/lanemesh/<name>.c, declare
 * its struct in commands.h, add it to the table in main.c and to app/meson.build.
 */
#ifndef APP_LANEMESH_CLI_H
#define APP_LANEMESH_CLI_H

#include <jansson.h>
#include <lanemesh/base.h>
#include <stdio.h>

enum cli_exit { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

/* What the global options say. */
struct cli {
	const char *instance; /* -i NAME, or CLI_INSTANCE_DEFAULT */
	bool json;
};

#define CLI_INSTANCE_DEFAULT "lanemesh"

#define CLI_REQUIRED 0x1u /* must be given */
#define CLI_REPEAT   0x2u /* may be given more than once */

struct cli_option {
	const char *name; /* without dashes; NULL ends a table */
	char letter;	  /* short form, 0 = none */
	unsigned flags;
	const char *metavar; /* name of its value; NULL = it has none */
	const char *help;
	/* Where in the command's args: a const char * for the value, or a bool for an option
	 * without; used when set is NULL. */
	size_t offset;
	/* Or: checks and stores the value. 0, or negative with err saying what would be right. */
	int (*set)(void *args, const char *value, struct lm_error *err);
};

struct cli_command {
	const char *name;     /* one or two words */
	const char *operands; /* as shown in the synopsis, "" = none */
	int operands_min, operands_max;
	const char *summary;	 /* one line, no full stop */
	const char *description; /* paragraphs, an empty line between them */
	const struct cli_option *options;
	const char *failure;  /* when it exits with 1 */
	const char *examples; /* lines, printed as they are */
	size_t args_size;     /* zeroed memory of this size is passed as args */
	int (*run)(const struct cli *cli, void *args, int n, char **operands);
};

/* main.c */
extern const struct cli_command *const cli_commands[]; /* NULL-terminated */
extern const struct cli_option cli_global_options[];

/* options.c: parses argv (argv[0] = last word of the command's name), then runs it. */
int cli_run(const struct cli_command *cmd, struct cli *cli, int argc, char **argv) LM_MUST_CHECK;
/* Parses global options up to the first word that is none. -1: go on at *next; else exit code. */
int cli_globals(struct cli *cli, int argc, char **argv, int *next) LM_MUST_CHECK;
/* A usage error on stderr with a pointer to the help; cmd may be NULL. Returns CLI_USAGE. */
int cli_usage(const struct cli_command *cmd, const char *fmt, ...) LM_PRINTF(2, 3);

/* help.c */
void cli_help(FILE *out);
void cli_command_help(FILE *out, const struct cli_command *cmd);

/* print.c */
/* Prints an error on stderr. Returns CLI_FAILED. */
int cli_fail(const struct lm_error *err);
/*
 * Prints an object as JSON or as a table of one line for each member (keys with
 * spaces for underscores; arrays of strings are filled into lines). Takes the
 * reference. CLI_OK, or CLI_FAILED when stdout cannot be written.
 */
int cli_print(const struct cli *cli, json_t *object) LM_MUST_CHECK;
/* Prints one line. Returns as cli_print. */
int cli_print_line(const char *text) LM_MUST_CHECK;
/* What a command returns after printing by itself: CLI_OK, or CLI_FAILED when stdout is broken. */
int cli_flush(void) LM_MUST_CHECK;

/* values.c: option values. 0 or -EINVAL with err. */
int cli_number(const char *text, uint64_t min, uint64_t max, uint64_t *out,
	       struct lm_error *err) LM_MUST_CHECK;
/* 64 hex digits of an Ed25519 public key that can be one. */
int cli_key(const char *text, uint8_t out[32], struct lm_error *err) LM_MUST_CHECK;
/* RFC 3339, "2026-01-31T12:00:00Z" or with an offset; years 1970 to 9999. */
int cli_time(const char *text, int64_t *out, struct lm_error *err) LM_MUST_CHECK;
#define CLI_TIME_STRLEN 32
/* Back to text, in UTC. */
const char *cli_time_text(int64_t t, char buf[CLI_TIME_STRLEN]);

#endif
