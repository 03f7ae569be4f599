/* SPDX-License-Identifier: BSD-3-Clause */
#include "client.h"
#include "commands.h"
#include "table.h"

static const struct cli_column columns[] = {
    {"FROM", "from", 16, false, NULL},	       {"TO", "to", 16, false, NULL},
    {"ENDPOINT", "endpoint", 30, false, NULL}, {"PACKETS", "packets", 12, true, NULL},
    {"BYTES", "bytes", 0, true, NULL},	       {0},
};

static int run(const struct cli *cli, void *args, int n, char **operands)
{
	struct lm_error err;
	json_t *rows = client_request(cli->instance, "relays", NULL, &err);

	(void)args, (void)n, (void)operands;
	return rows == NULL ? cli_fail(&err)
			    : cli_print_rows(cli, rows, columns, "nothing is relayed");
}

const struct cli_command cli_relays = {
    .name = "relays",
    .operands = "",
    .summary = "what this gateway passes on between other members",
    .description =
	"One line for each way of each pair of members: what came from FROM, at ENDPOINT, and was "
	"passed on to TO. Bytes are of UDP payload. Drops are in lanemesh drops: relay_quota, "
	"relay_duplicate and others.",
    .failure = "the gateway is not running, or you are not root",
    .examples = "lanemesh -i berlin relays",
    .run = run,
};
