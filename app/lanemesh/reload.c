/* SPDX-License-Identifier: BSD-3-Clause */
#include "client.h"
#include "commands.h"

static int run(const struct cli *cli, void *args, int n, char **operands)
{
	struct lm_error err;
	json_t *o = client_request(cli->instance, "reload", NULL, &err);

	(void)args, (void)n, (void)operands;
	if (o == NULL)
		return cli_fail(&err);
	json_decref(o);
	return cli->json ? cli_print(cli, json_object()) : cli_print_line("reloaded");
}

const struct cli_command cli_reload = {
    .name = "reload",
    .operands = "",
    .summary = "make the gateway read its config and revocation list again",
    .description = "The same as SIGHUP, with an answer: the config is taken over whole, or refused "
		   "with the reason and nothing changes.",
    .failure = "the config was refused, or the gateway is not running",
    .examples = "lanemesh -i berlin reload",
    .run = run,
};
