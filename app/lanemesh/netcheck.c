/* SPDX-License-Identifier: BSD-3-Clause */
#include "client.h"
#include "commands.h"
#include "table.h"

#include <time.h>

#define LOOKS	  20 /* for the answers, */
#define LOOK_NSEC 150000000

static const struct cli_column port_columns[] = {
    {"PORT", "port", 10, false, NULL},		{"IP", "family", 2, true, NULL},
    {"ADDRESS", "address", 25, false, NULL},	{"OUTSIDE", "outside", 27, false, NULL},
    {"NAT MAPPING", "mapping", 0, false, NULL}, {0},
};

static const struct cli_column server_columns[] = {
    {"STUN SERVER", "server", 30, false, NULL}, {"PORT", "port", 10, false, NULL},
    {"STATE", "state", 9, false, NULL},		{"RTT", "rtt_us", 9, true, cli_text_us},
    {"SEES US AS", "sees", 0, false, NULL},	{0},
};

static const struct cli_column relay_columns[] = {
    {"RELAY", "name", 20, false, NULL},
    {"STATE", "state", 11, false, NULL},
    {"RTT", "rtt_us", 0, true, cli_text_us},
    {0},
};

/* Has all servers asked anew, and waits for those that answer within 3 s. */
static json_t *fresh(const char *instance, struct lm_error *err)
{
	const struct timespec nap = {.tv_nsec = LOOK_NSEC};
	json_t *o = client_request(instance, "stun", NULL, err);

	for (unsigned i = 0; o != NULL && i < LOOKS; i++) {
		json_decref(o);
		(void)nanosleep(&nap, NULL);
		o = client_request(instance, "netcheck", NULL, err);
		if (o != NULL && json_is_false(json_object_get(o, "asking")))
			break;
	}
	return o;
}

static int print(const struct cli *cli, json_t *o)
{
	int rc;

	printf("UDP          %s\n\n", json_is_true(json_object_get(o, "udp"))
					  ? "works"
					  : "nothing comes back: blocked, or no server is up");
	rc = cli_print_rows(cli, json_incref(json_object_get(o, "ports")), port_columns,
			    "no WAN port has an address");
	putchar('\n');
	if (rc == CLI_OK)
		rc = cli_print_rows(cli, json_incref(json_object_get(o, "servers")), server_columns,
				    "no STUN server to ask: no coordinators, no stun_servers");
	putchar('\n');
	if (rc == CLI_OK)
		rc = cli_print_rows(cli, json_incref(json_object_get(o, "relays")), relay_columns,
				    "no member has the relay role");
	json_decref(o);
	return rc;
}

static int run(const struct cli *cli, void *args, int n, char **operands)
{
	struct lm_error err;
	json_t *o = fresh(cli->instance, &err);

	(void)args, (void)n, (void)operands;
	if (o == NULL)
		return cli_fail(&err);
	return cli->json ? cli_print(cli, o) : print(cli, o);
}

const struct cli_command cli_netcheck = {
    .name = "netcheck",
    .operands = "",
    .summary = "what the network around this gateway lets through",
    .description =
	"Asks every STUN server (the coordinators, and the config's stun_servers) from every WAN "
	"port, and shows whether UDP works, under which address others see the port, and how the "
	"NAT before it maps (RFC 5780): with endpoint-independent mapping other sites reach it "
	"directly; with address- or port-dependent (symmetric) mapping only those that need no "
	"luck with their own NAT do, and the others go through a relay. Telling the kinds apart "
	"takes two servers at different addresses. RELAY lists the members that may relay.",
    .failure = "the gateway is not running, or you are not root",
    .examples = "lanemesh -i berlin netcheck\n"
		"lanemesh -i berlin --json netcheck | jq '.ports[].mapping'",
    .run = run,
};
