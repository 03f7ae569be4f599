/* SPDX-License-Identifier: BSD-3-Clause */
#include "client.h"
#include "commands.h"
#include "table.h"

static const struct cli_column port_columns[] = {
    {"PORT", "name", 10, false, NULL},
    {"ROLE", "role", 4, false, NULL},
    {"LINK", "link", 4, false, NULL},
    {"MTU", "mtu", 4, true, NULL},
    {"DRIVER", "driver", 14, false, NULL},
    {"RX", "rx_packets", 8, true, cli_text_count},
    {"TX", "tx_packets", 8, true, cli_text_count},
    {"ADDRESSES", "addresses", 0, false, NULL},
    {0},
};

static const struct cli_column coord_columns[] = {
    {"COORDINATOR", "address", 28, false, NULL},
    {"STATE", "state", 10, false, NULL},
    {"WHY", "why", 0, false, NULL},
    {0},
};

static void line(const char *key, const char *value)
{
	printf("%-12s %s\n", key, value);
}

static const char *string(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "-";
}

static void list(const char *key, const json_t *array)
{
	int at = printf("%-12s", key);
	json_t *item;
	size_t i;

	json_array_foreach(array, i, item)
	{
		const char *value = json_string_value(item);

		if (at + 1 + (int)strlen(value) > CLI_WIDTH)
			at = printf("\n%-12s", "") - 1;
		at += printf(" %s", value);
	}
	putchar('\n');
}

static long long number(const json_t *o, const char *key)
{
	return (long long)json_integer_value(json_object_get(o, key));
}

static int print(const struct cli *cli, json_t *o)
{
	char buf[64];
	int rc;

	printf("%-12s %s, mesh %s, lanemesh %s\n", "site", string(o, "name"), string(o, "mesh"),
	       string(o, "version"));
	line("node", string(o, "node"));
	list("overlay", json_object_get(o, "overlay"));
	list("announces", json_object_get(o, "prefixes"));
	line("certificate", cli_time_text(number(o, "expires"), buf));
	line("running", cli_text_age(json_object_get(o, "uptime_s"), buf, sizeof(buf)));
	line("cipher", string(o, "aead"));
	printf("%-12s %lld of %lld up; %lld routes; %zu workers; %lld packets dropped (lanemesh "
	       "drops)\n\n",
	       "peers", number(o, "peers_up"), number(o, "peers_known"), number(o, "routes"),
	       json_array_size(json_object_get(o, "workers")), number(o, "drops"));
	rc = cli_print_rows(cli, json_incref(json_object_get(o, "coordinators")), coord_columns,
			    "no coordinators configured");
	putchar('\n');
	if (rc == CLI_OK)
		rc = cli_print_rows(cli, json_incref(json_object_get(o, "ports")), port_columns,
				    "no ports");
	json_decref(o);
	return rc;
}

static int run(const struct cli *cli, void *args, int n, char **operands)
{
	struct lm_error err;
	json_t *o = client_request(cli->instance, "status", NULL, &err);

	(void)args, (void)n, (void)operands;
	if (o == NULL)
		return cli_fail(&err);
	return cli->json ? cli_print(cli, o) : print(cli, o);
}

const struct cli_command cli_status = {
    .name = "status",
    .operands = "",
    .summary = "this gateway in short",
    .description =
	"Who this gateway is, until when its certificate is good, how many sites are up, "
	"which cipher code is in use, and the state of coordinators and ports.",
    .failure = "the gateway is not running, or you are not root",
    .examples = "lanemesh -i berlin status\nlanemesh -i berlin --json status | jq .peers_up",
    .run = run,
};
