/* SPDX-License-Identifier: BSD-3-Clause */
/* lanemesh: the administrator's command. */
#include "commands.h"

#include <lanemesh/crypto.h>
#include <stdlib.h>

/* In the order of the help. */
const struct cli_command *const cli_commands[] = {
    &cli_authority_create, &cli_keygen,	      &cli_sign,   &cli_revoke,
    &cli_inspect,	   &cli_check_config, &cli_status, &cli_peers,
    &cli_routes,	   &cli_relays,	      &cli_sa,	   &cli_ports,
    &cli_workers,	   &cli_drops,	      &cli_ping,   &cli_why,
    &cli_netcheck,	   &cli_reload,	      NULL,
};

/* How many words of argv are the command's name; 0 when they are another's. */
static int match(const struct cli_command *cmd, int argc, char **argv)
{
	const char *name = cmd->name;
	int words = 0;

	for (;;) {
		size_t n = strcspn(name, " ");

		if (words >= argc || strlen(argv[words]) != n || memcmp(argv[words], name, n) != 0)
			return 0;
		words++;
		if (name[n] == '\0')
			return words;
		name += n + 1;
	}
}

/* "authority" alone: say what can follow. */
static int unknown(const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; cli_commands[i] != NULL; i++)
		if (strncmp(cli_commands[i]->name, word, n) == 0 && cli_commands[i]->name[n] == ' ')
			return cli_usage(NULL,
					 "\"%s\" is not a whole command; did you mean \"%s\"?",
					 word, cli_commands[i]->name);
	return cli_usage(NULL, "there is no command \"%s\"", word);
}

int main(int argc, char **argv)
{
	struct cli cli = {.instance = CLI_INSTANCE_DEFAULT};
	int next, rc = cli_globals(&cli, argc, argv, &next);

	if (rc >= 0)
		return rc;
	if (next >= argc)
		return cli_usage(NULL, "a command is missing");
	if (lm_crypto_init() != 0) {
		fprintf(stderr,
			"lanemesh: libsodium cannot start: no randomness from the system\n");
		return CLI_FAILED;
	}
	for (size_t i = 0; cli_commands[i] != NULL; i++) {
		int words = match(cli_commands[i], argc - next, argv + next);

		if (words > 0)
			return cli_run(cli_commands[i], &cli, argc - next - words + 1,
				       argv + next + words - 1);
	}
	return unknown(argv[next]);
}
