/* SPDX-License-Identifier: BSD-3-Clause */
#include "client.h"
#include "commands.h"
#include "table.h"

#include <time.h>

struct args {
	uint64_t count;
};

static int set_count(void *args, const char *value, struct lm_error *err)
{
	struct args *a = args;

	return cli_number(value, 1, 1000000, &a->count, err);
}

static const struct cli_option options[] = {
    {
	.name = "count",
	.letter = 'c',
	.metavar = "N",
	.help = "How many to send, one a second; 3 when not given.",
	.set = set_count,
    },
    {0},
};

/* "direct, wan0 to 198.51.100.2:4500", from the list of peers. */
static json_t *path_of(const struct cli *cli, const char *site)
{
	json_t *peers = client_request(cli->instance, "peers", NULL, NULL), *p, *path = NULL;
	size_t i;

	json_array_foreach(peers, i, p)
	{
		const char *name = json_string_value(json_object_get(p, "name"));
		const char *node = json_string_value(json_object_get(p, "node"));
		const char *ep = json_string_value(json_object_get(p, "endpoint"));

		if ((strcmp(name, site) == 0 || strcmp(node, site) == 0) && ep != NULL)
			path = json_sprintf("%s, %s to %s",
					    json_string_value(json_object_get(p, "path")),
					    json_string_value(json_object_get(p, "port")), ep);
	}
	json_decref(peers);
	return path != NULL ? path : json_null();
}

static int run(const struct cli *cli, void *args, int n, char **operands)
{
	const struct args *a = args;
	uint64_t count = a->count > 0 ? a->count : 3, answered = 0;
	json_t *rows = json_array(), *path;
	const char *site = operands[0];
	struct timespec second = {.tv_sec = 1};
	struct lm_error err;
	char buf[32];

	(void)n;
	for (uint64_t i = 0; i < count; i++) {
		json_t *o, *rtt;

		if (i > 0)
			(void)nanosleep(&second, NULL);
		o = client_request(cli->instance, "ping", site, &err);
		if (o == NULL) {
			json_decref(rows);
			return cli_fail(&err);
		}
		rtt = json_object_get(o, "rtt_us");
		answered += json_is_number(rtt);
		path = path_of(cli, site);
		if (!cli->json)
			printf("%s (%s): %s%s, path %s\n", site,
			       json_string_value(json_object_get(o, "address")),
			       json_is_number(rtt) ? "rtt " : "no answer",
			       json_is_number(rtt) ? cli_text_us(rtt, buf, sizeof(buf)) : "",
			       json_is_string(path) ? json_string_value(path) : "none");
		(void)fflush(stdout);
		json_object_set_new(o, "path", path);
		json_array_append_new(rows, o);
	}
	if (cli->json) {
		if (cli_print(cli, rows) != CLI_OK)
			return CLI_FAILED;
	} else {
		json_decref(rows);
		printf("%llu sent, %llu answered\n", (unsigned long long)count,
		       (unsigned long long)answered);
	}
	return answered > 0 ? cli_flush() : CLI_FAILED;
}

const struct cli_command cli_ping = {
    .name = "ping",
    .operands = "SITE",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "ICMP echo through the tunnel to another site's gateway",
    .description =
	"Sends echo requests to the site's overlay address the way traffic goes: sealed, over the "
	"path in use, opened there and answered by its kernel. SITE is its name in \"lanemesh "
	"peers\" or its node key.",
    .options = options,
    .failure = "nothing was answered, there is no such site, or the gateway is not running",
    .examples = "lanemesh -i berlin ping vienna\nlanemesh -i berlin ping vienna -c 1",
    .args_size = sizeof(struct args),
    .run = run,
};
