/* SPDX-License-Identifier: BSD-3-Clause */
#include "client.h"
#include "commands.h"
#include "table.h"

static const struct cli_column columns[] = {
    {"SITE", "name", 12, false, NULL},
    {"STATE", "state", 10, false, NULL},
    {"PATH", "path", 9, false, NULL},
    {"ENDPOINT", "endpoint", 0, false, NULL},
    {"RTT", "rtt_us", 8, true, cli_text_us},
    {"UP", "up_s", 6, true, cli_text_age},
    {"HEARD", "last_heard_s", 5, true, cli_text_age},
    {"RX", "rx_bytes", 7, true, cli_text_count},
    {"TX", "tx_bytes", 7, true, cli_text_count},
    {0},
};

static int run(const struct cli *cli, void *args, int n, char **operands)
{
	struct lm_error err;
	json_t *rows = client_request(cli->instance, "peers", NULL, &err);

	(void)args, (void)n, (void)operands;
	return rows == NULL ? cli_fail(&err)
			    : cli_print_rows(cli, rows, columns,
					     "no other site is known; are the coordinators up "
					     "(lanemesh status)?");
}

const struct cli_command cli_peers = {
    .name = "peers",
    .operands = "",
    .summary = "the other sites: state, path, round-trip time, traffic",
    .description =
	"One line for each site in the directory. STATE is up, connecting, or unreachable (no "
	"address known). PATH is how it is reached: directly, at an address of its own (host), one "
	"that was "
	"configured (public), its NAT's (reflexive) or where its packets come from (seen); or "
	"through a relay. ENDPOINT is its outer address on the path in use, RTT is measured by "
	"authenticated probes, UP is how long there has been a session without a gap, HEARD is "
	"when "
	"the last authentic packet came in, RX and TX are bytes of inner packets of the session in "
	"use.",
    .failure = "the gateway is not running, or you are not root",
    .examples = "lanemesh -i berlin peers\n"
		"lanemesh -i berlin --json peers | jq '.[] | select(.state != \"up\").name'",
    .run = run,
};
