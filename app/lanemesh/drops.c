/* SPDX-License-Identifier: BSD-3-Clause */
#include "client.h"
#include "commands.h"
#include "table.h"

#include <lanemesh/telemetry.h>

struct args {
	bool all;
};

static const struct cli_option options[] = {
    {
	.name = "all",
	.letter = 'a',
	.help = "Also reasons that have not occurred.",
	.offset = offsetof(struct args, all),
    },
    {0},
};

static const char *help_of(const char *name)
{
	for (unsigned i = 0; i < LM_CTR_COUNT; i++)
		if (strcmp(lm_ctr_info(i)->name, name) == 0)
			return lm_ctr_info(i)->help;
	return "";
}

static int run(const struct cli *cli, void *args, int n, char **operands)
{
	const struct args *a = args;
	struct lm_error err;
	json_t *o = client_request(cli->instance, "drops", NULL, &err), *v;
	const char *name;
	bool any = false;

	(void)n, (void)operands;
	if (o == NULL)
		return cli_fail(&err);
	if (cli->json)
		return cli_print(cli, o);
	json_object_foreach(o, name, v)
	{
		if (json_integer_value(v) == 0 && !a->all)
			continue;
		any = true;
		printf("%-27s %12lld  %s\n", name, (long long)json_integer_value(v), help_of(name));
	}
	json_decref(o);
	return any ? cli_flush() : cli_print_line("nothing was dropped");
}

const struct cli_command cli_drops = {
    .name = "drops",
    .operands = "",
    .summary = "dropped packets by reason",
    .description = "How many packets were dropped since the gateway started, by reason. Every drop "
		   "is counted once: what came in is what went out plus the sum of these.",
    .options = options,
    .failure = "the gateway is not running, or you are not root",
    .examples = "lanemesh -i berlin drops\nwatch -d lanemesh -i berlin drops --all",
    .args_size = sizeof(struct args),
    .run = run,
};
