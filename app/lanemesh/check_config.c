/* SPDX-License-Identifier: BSD-3-Clause */
#include "commands.h"

#include <lanemesh/config.h>
#include <stdlib.h>

struct args {
	bool coord;
};

static const struct cli_option options[] = {
    {
	.name = "coord",
	.help = "FILE is a coordinator's config, not a gateway's.",
	.offset = offsetof(struct args, coord),
    },
    {0},
};

static int run(const struct cli *cli, void *args, int n, char **operands)
{
	const struct args *a = args;
	struct lm_error err = {.text = "out of memory"};
	struct lm_coord_config *cc = calloc(1, sizeof(*cc));
	struct lm_config *c = calloc(1, sizeof(*c));
	int rc = -1;

	(void)n;
	if (c != NULL && cc != NULL)
		rc = a->coord ? lm_coord_config_load(operands[0], cli->instance, cc, &err)
			      : lm_config_load(operands[0], cli->instance, c, &err);
	free(c);
	free(cc);
	if (rc != 0)
		return cli_fail(&err);
	if (cli->json)
		return cli_print(cli, json_pack("{s:s, s:b}", "file", operands[0], "good", 1));
	printf("%s: ", operands[0]);
	return cli_print_line("good");
}

const struct cli_command cli_check_config = {
    .name = "check-config",
    .operands = "FILE",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "check a config file without using it",
    .description = "Reads the file as lanemeshd (or lanemesh-coord) would and says what is wrong, "
		   "with file, line and what would be right. Keys and certificates that it names "
		   "are not read.",
    .options = options,
    .failure = "the config is not good; the reason is on standard error",
    .examples = "lanemesh check-config /etc/lanemesh/berlin.conf",
    .args_size = sizeof(struct args),
    .run = run,
};
