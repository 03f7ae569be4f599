/* SPDX-License-Identifier: BSD-3-Clause */
#include "client.h"
#include "commands.h"
#include "table.h"

static const struct cli_column columns[] = {
    {"PREFIX", "prefix", 43, false, NULL},
    {"SOURCE", "source", 9, false, NULL},
    {"ACTIVE", "active", 6, false, NULL},
    {"SITE", "peer", 12, false, NULL},
    {"DEV", "dev", 6, false, NULL},
    {"VIA", "via", 0, false, NULL},
    {0},
};

static int run(const struct cli *cli, void *args, int n, char **operands)
{
	struct lm_error err;
	json_t *rows = client_request(cli->instance, "routes", NULL, &err);

	(void)args, (void)n, (void)operands;
	return rows == NULL ? cli_fail(&err) : cli_print_rows(cli, rows, columns, "no routes");
}

const struct cli_command cli_routes = {
    .name = "routes",
    .operands = "",
    .summary = "what the data path does with each destination",
    .description =
	"Every route that is offered for a prefix; ACTIVE ones are in the workers' table. SOURCE "
	"is "
	"local (an address of this gateway), neighbour (a host on a LAN), kernel (from the "
	"kernel's "
	"table, on a LAN port) or mesh (announced by another site). When several offer the same "
	"prefix, the first of these wins.",
    .failure = "the gateway is not running, or you are not root",
    .examples = "lanemesh -i berlin routes",
    .run = run,
};
