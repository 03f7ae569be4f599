/* SPDX-License-Identifier: BSD-3-Clause */
#include "client.h"
#include "commands.h"
#include "table.h"

static const char *text_loss(const json_t *v, char *buf, size_t len)
{
	(void)snprintf(buf, len, "%.0f%%", json_number_value(v) * 100);
	return buf;
}

static const struct cli_column path_columns[] = {
    {"PATH", "kind", 9, false, NULL},
    {"PORT", "port", 6, false, NULL},
    {"ENDPOINT", "endpoint", 27, false, NULL},
    {"RELAY", "relay", 8, false, NULL},
    {"RTT", "rtt_us", 9, true, cli_text_us},
    {"LOSS", "loss", 4, true, text_loss},
    {"WHAT ITS PROBES SAY", "result", 0, false, NULL},
    {0},
};

static const struct cli_column candidate_columns[] = {
    {"ADDRESS", "kind", 9, false, NULL},
    {"ENDPOINT", "endpoint", 40, false, NULL},
    {"TRIED", "tried_s", 6, true, cli_text_age},
    {"ANSWERED", "answered", 0, false, NULL},
    {0},
};

static const struct cli_column own_columns[] = {
    {"OURS", "kind", 9, false, NULL},
    {"ENDPOINT", "endpoint", 0, false, NULL},
    {0},
};

/* A sentence, in lines of CLI_WIDTH. */
static void sentence(const char *text)
{
	int at = printf("-");

	while (*text != '\0') {
		int n = (int)strcspn(text, " ");

		if (at + 1 + n > CLI_WIDTH)
			at = printf("\n ") - 1;
		at += printf(" %.*s", n, text);
		text += n;
		text += *text == ' ';
	}
	putchar('\n');
}

static int print(const struct cli *cli, json_t *o)
{
	const char *path = json_string_value(json_object_get(o, "path"));
	const char *state = json_string_value(json_object_get(o, "state"));
	bool peer = strcmp(state, "local") != 0 && strcmp(state, "refused") != 0;
	json_t *line;
	size_t i;
	int rc;

	printf("%s is %s", json_string_value(json_object_get(o, "name")), state);
	printf(path != NULL ? ", path: %s\n" : "\n", path);
	json_array_foreach(json_object_get(o, "why"), i, line) sentence(json_string_value(line));
	if (!peer) { /* and there is nothing to list */
		json_decref(o);
		return cli_flush();
	}
	putchar('\n');
	rc = cli_print_rows(cli, json_incref(json_object_get(o, "paths")), path_columns,
			    "no path: there is no session");
	putchar('\n');
	if (rc == CLI_OK)
		rc = cli_print_rows(cli, json_incref(json_object_get(o, "candidates_there")),
				    candidate_columns, "it has announced no address");
	putchar('\n');
	if (rc == CLI_OK)
		rc = cli_print_rows(cli, json_incref(json_object_get(o, "candidates_here")),
				    own_columns, "we have announced no address");
	json_decref(o);
	return rc;
}

static int run(const struct cli *cli, void *args, int n, char **operands)
{
	struct lm_error err;
	json_t *o = client_request(cli->instance, "why", operands[0], &err);

	(void)args, (void)n;
	if (o == NULL)
		return cli_fail(&err);
	return cli->json ? cli_print(cli, o) : print(cli, o);
}

const struct cli_command cli_why = {
    .name = "why",
    .operands = "SITE",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "why traffic to a site takes the path that it takes",
    .description =
	"In words: the path in use, why it is not another one, and what is known of the NATs on "
	"both sides. Then every path with what its probes say (a session must be there), the "
	"site's addresses with what happened to handshakes sent there, and ours, which the site "
	"tries. SITE is its name in \"lanemesh peers\" or its node key. A site that is refused, as "
	"its certificate "
	"has expired or was revoked, is told as such.",
    .failure = "there is no such site, the gateway is not running, or you are not root",
    .examples = "lanemesh -i berlin why vienna\n"
		"lanemesh -i berlin --json why vienna | jq -r '.why[]'",
    .run = run,
};
