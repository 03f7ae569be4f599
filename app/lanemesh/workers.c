/* SPDX-License-Identifier: BSD-3-Clause */
#include "client.h"
#include "commands.h"
#include "table.h"

#include <time.h>

struct args {
	uint64_t seconds;
};

static int set_interval(void *args, const char *value, struct lm_error *err)
{
	struct args *a = args;

	return cli_number(value, 1, 3600, &a->seconds, err);
}

static const struct cli_option options[] = {
    {
	.name = "interval",
	.letter = 'n',
	.metavar = "SECONDS",
	.help = "How long to watch; 1 when not given.",
	.set = set_interval,
    },
    {0},
};

static const char *text_percent(const json_t *v, char *buf, size_t len)
{
	if (!json_is_number(v))
		return "-";
	(void)snprintf(buf, len, "%.1f %%", json_number_value(v) * 100);
	return buf;
}

static const char *text_mean(const json_t *v, char *buf, size_t len)
{
	if (!json_is_number(v))
		return "-";
	(void)snprintf(buf, len, "%.1f", json_number_value(v));
	return buf;
}

static const char *text_cpu(const json_t *v, char *buf, size_t len)
{
	if (json_integer_value(v) < 0)
		return "any";
	(void)snprintf(buf, len, "%lld", (long long)json_integer_value(v));
	return buf;
}

static const struct cli_column columns[] = {
    {"WORKER", "worker", 6, true, NULL},
    {"CPU", "cpu", 4, true, text_cpu},
    {"BUSY", "busy_share", 7, true, text_percent},
    {"IDLE", "idle_share", 7, true, text_percent},
    {"PACKETS/S", "packets_per_second", 9, true, cli_text_count},
    {"BURST", "mean_burst", 6, true, text_mean},
    {"FULL", "full_burst_share", 7, true, text_percent},
    {"OUT", "handed_out_share", 7, true, text_percent},
    {"IN", "handed_in_share", 7, true, text_percent},
    {0},
};

static double grown(const json_t *row, const json_t *before, const char *key)
{
	return (double)(json_integer_value(json_object_get(row, key)) -
			json_integer_value(json_object_get(before, key)));
}

/* part of whole, or null when there was nothing. */
static void set_share(json_t *row, const char *key, double part, double whole)
{
	json_object_set_new(row, key, whole > 0 ? json_real(part / whole) : json_null());
}

/* Adds to each row what happened since the row of before. */
static void rates(json_t *rows, const json_t *before)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		const json_t *b = json_array_get(before, i);
		double ns = grown(row, b, "running_ns"), busy = grown(row, b, "busy_ns");
		double rx = grown(row, b, "rx_packets"), bursts = grown(row, b, "rx_bursts");
		double in = grown(row, b, "handed_in");

		set_share(row, "busy_share", busy, ns);
		set_share(row, "idle_share", ns - busy, ns);
		set_share(row, "packets_per_second", (rx + in) * 1e9, ns);
		set_share(row, "mean_burst", rx, bursts);
		set_share(row, "full_burst_share", grown(row, b, "full_bursts"), bursts);
		set_share(row, "handed_out_share", grown(row, b, "handed_out"), rx);
		set_share(row, "handed_in_share", in, rx + in);
	}
}

static int run(const struct cli *cli, void *args, int n, char **operands)
{
	const struct args *a = args;
	struct timespec wait = {.tv_sec = a->seconds > 0 ? (time_t)a->seconds : 1};
	struct lm_error err;
	json_t *before = client_request(cli->instance, "workers", NULL, &err), *rows;

	(void)n, (void)operands;
	if (before == NULL)
		return cli_fail(&err);
	(void)nanosleep(&wait, NULL);
	rows = client_request(cli->instance, "workers", NULL, &err);
	if (rows != NULL)
		rates(rows, before);
	json_decref(before);
	return rows == NULL ? cli_fail(&err) : cli_print_rows(cli, rows, columns, "no workers");
}

const struct cli_command cli_workers = {
    .name = "workers",
    .operands = "",
    .summary = "the threads that move packets: load, bursts, hand-over",
    .description =
	"Watches the workers for a second. BUSY is the share of time in loops that had a packet, "
	"IDLE the rest: polling and sleep. BURST is how many packets come from a queue at once, "
	"FULL "
	"the share of bursts as large as they get: a worker whose bursts are all full cannot keep "
	"up. OUT is the share of received packets whose lane is another worker's, which they are "
	"passed to; IN is the share of a worker's packets that others passed to it. With --json "
	"also all counts since the gateway started.",
    .options = options,
    .failure = "the gateway is not running, or you are not root",
    .examples = "lanemesh -i berlin workers\nlanemesh -i berlin --json workers -n 10 | jq "
		"'.[].busy_share'",
    .args_size = sizeof(struct args),
    .run = run,
};
