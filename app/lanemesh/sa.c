/* SPDX-License-Identifier: BSD-3-Clause */
#include "client.h"
#include "commands.h"
#include "table.h"

struct args {
	bool wireshark;
};

static const struct cli_option options[] = {
    {
	.name = "wireshark",
	.help = "Print a line for each SA as Wireshark's esp_sa table takes it (Preferences, "
		"Protocols, ESP; or a file esp_sa in the profile's folder). With keys: needs "
		"allow_key_export = true in the gateway's config.",
	.offset = offsetof(struct args, wireshark),
    },
    {0},
};

static const struct cli_column columns[] = {
    {"SITE", "peer", 16, false, NULL},
    {"DIRECTION", "direction", 9, false, NULL},
    {"SPI", "spi", 10, false, NULL},
    {"LANE", "lane", 4, true, NULL},
    {"TRANSFORM", "transform", 0, false, NULL},
    {0},
};

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

/* Wireshark's table: protocol, source, destination, SPI, encryption, key with salt, and no
 * authentication of its own, since GCM authenticates. Any address: gateways move. */
static int print_wireshark(json_t *rows)
{
	static const char *const families[] = {"IPv4", "IPv6"};
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		for (size_t f = 0; f < LM_ARRAY_SIZE(families); f++)
			printf("\"%s\",\"*\",\"*\",\"%s\",\"AES-GCM with 16 octet ICV "
			       "[RFC4106]\",\"0x%s%s\",\"NULL\",\"\"\n",
			       families[f], text(row, "spi"), text(row, "key"), text(row, "salt"));
	}
	json_decref(rows);
	return cli_flush();
}

static int run(const struct cli *cli, void *args, int n, char **operands)
{
	const struct args *a = args;
	struct lm_error err;
	json_t *rows = client_request(cli->instance, a->wireshark ? "sa-keys" : "sa", NULL, &err);

	(void)n, (void)operands;
	if (rows == NULL)
		return cli_fail(&err);
	if (a->wireshark && !cli->json)
		return print_wireshark(rows);
	return cli_print_rows(cli, rows, columns, "no security associations: no site is up");
}

const struct cli_command cli_sa = {
    .name = "sa",
    .operands = "",
    .summary = "security associations: SPIs, lanes, and keys for Wireshark",
    .description =
	"One line for each SA: there is one for each peer, direction and sending worker (lane). A "
	"session that a rekey has replaced still receives for some seconds and is listed until "
	"then.",
    .options = options,
    .failure = "the gateway is not running, you are not root, or key export is off",
    .examples = "lanemesh -i berlin sa\n"
		"lanemesh -i berlin sa --wireshark > ~/.config/wireshark/esp_sa",
    .args_size = sizeof(struct args),
    .run = run,
};
