/* SPDX-License-Identifier: BSD-3-Clause */
#include "client.h"
#include "commands.h"
#include "table.h"

static const struct cli_column columns[] = {
    {"PORT", "name", 10, false, NULL},
    {"ROLE", "role", 4, false, NULL},
    {"DRIVER", "driver", 14, false, NULL},
    {"LINK", "link", 4, false, NULL},
    {"QUEUES", "queues", 6, true, NULL},
    {"STEERING", "steering", 8, false, NULL},
    {"RSS", "rss", 14, false, NULL},
    {"OFFLOADS", "offloads", 0, false, NULL},
    {0},
};

static int run(const struct cli *cli, void *args, int n, char **operands)
{
	struct lm_error err;
	json_t *rows = client_request(cli->instance, "ports", NULL, &err);

	(void)args, (void)n, (void)operands;
	return rows == NULL ? cli_fail(&err) : cli_print_rows(cli, rows, columns, "no ports");
}

const struct cli_command cli_ports = {
    .name = "ports",
    .operands = "",
    .summary = "the ports, and what their hardware does for the workers",
    .description =
	"QUEUES is how many workers receive from the port; the others get packets by hand-over. "
	"STEERING is how a packet from another site reaches the worker that owns its SA: nic, the "
	"card puts it into that worker's queue (by flow rules on the lane in the SPI), or ring, "
	"the "
	"worker that received it passes it on. RSS is what the card spreads packets over the "
	"queues "
	"by: addresses, or ports too; '-' when there is one queue or the driver spreads by rules "
	"of "
	"its own. OFFLOADS are those in use. With --json also addresses and counters.",
    .failure = "the gateway is not running, or you are not root",
    .examples = "lanemesh -i berlin ports",
    .run = run,
};
