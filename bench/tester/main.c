/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Takes trials from standard input, one a line: SIZE PPS SECONDS INTERVAL_US, and answers each with
 * a line of JSON. Ends with its input. What to try is bench/report/pair.py's affair.
 */
#include "tester.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MBUFS	     16384
#define MTU	     1500
#define PPS_MAX	     1e8
#define LINE_MAX_LEN 128

static void die(const char *what, const struct lm_error *err)
{
	fprintf(stderr, "tester: %s%s%s\n", what, err != NULL ? ": " : "",
		err != NULL ? err->text : "");
	exit(1);
}

/* "IP,GATEWAY'S MAC,DEVARGS" */
static void open_port(struct tester *t, unsigned i, const char *arg)
{
	struct tester_port *p = &t->port[i];
	struct lm_port_config cfg = {.mtu = MTU, .workers = 1, .pool = t->pool};
	char name[16], ip[INET_ADDRSTRLEN + 1];
	struct lm_error err = {0};
	unsigned m[6];
	int n = 0;

	if (sscanf(arg, "%16[0-9.],%x:%x:%x:%x:%x:%x,%n", ip, &m[0], &m[1], &m[2], &m[3], &m[4],
		   &m[5], &n) != 7 ||
	    n == 0 || inet_pton(AF_INET, ip, p->ip) != 1)
		die("a port is IP,MAC OF ITS GATEWAY,DEVARGS", NULL);
	for (unsigned k = 0; k < LM_ARRAY_SIZE(m); k++)
		p->gateway.b[k] = (uint8_t)m[k];
	snprintf(name, sizeof(name), "lan%u", i + 1);
	cfg.name = name;
	cfg.device = arg + n;
	if (lm_port_open(&cfg, &p->port, &err) != 0)
		die("port", &err);
	p->id = lm_port_id(p->port);
	p->mac = lm_port_mac(p->port);
}

static void answer(const struct trial *r)
{
	printf("{\"offered\": %llu, \"refused\": %llu, \"received\": %llu, \"misordered\": %llu, "
	       "\"skipped\": %llu, \"bytes\": %llu, \"lasted_s\": %.6f, \"cpu_s\": %.6f",
	       (unsigned long long)r->offered, (unsigned long long)r->refused,
	       (unsigned long long)r->received, (unsigned long long)r->misordered,
	       (unsigned long long)r->skipped, (unsigned long long)r->bytes, r->lasted, r->cpu);
	printf(", \"latency_us\": {\"p50\": %.2f, \"p90\": %.2f, \"p99\": %.2f, \"p99.9\": %.2f, "
	       "\"max\": %.2f}}\n",
	       (double)histogram_at(&r->latency, 0.5) / 1e3,
	       (double)histogram_at(&r->latency, 0.9) / 1e3,
	       (double)histogram_at(&r->latency, 0.99) / 1e3,
	       (double)histogram_at(&r->latency, 0.999) / 1e3, (double)r->latency.max / 1e3);
	fflush(stdout);
}

static void one_trial(struct tester *t, struct trial *r, const char *line)
{
	unsigned size;

	if (sscanf(line, "%u %lf %lf %u", &size, &r->pps, &r->seconds, &r->interval_us) != 4 ||
	    (size != 0 && (size < TESTER_SIZE_MIN || size > TESTER_SIZE_MAX)) || r->pps < 1 ||
	    r->pps > PPS_MAX || r->seconds <= 0 || r->seconds > 3600 || r->interval_us > 100000)
		die("a trial is SIZE PPS SECONDS INTERVAL_US", NULL);
	r->size = (uint16_t)size;
	if (tester_run(t, r) != 0)
		die("packet buffers are out", NULL);
	answer(r);
}

static void serve(struct tester *t, struct trial *r)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	char line[LINE_MAX_LEN];

	for (;;) {
		tester_idle(t);
		if (poll(&in, 1, 1) <= 0)
			continue;
		/* One line a time: the asker waits for the answer. */
		if (fgets(line, sizeof(line), stdin) == NULL)
			return;
		one_trial(t, r, line);
	}
}

int main(int argc, char **argv)
{
	struct lm_log log = {.level = LM_LOG_ERROR, .sink = lm_log_stderr};
	struct lm_eal_config cfg = {.workers = 1, .hugepages = LM_HUGEPAGES_NO, .log = &log};
	struct tester t = {0};
	struct trial *r = calloc(1, sizeof(*r));
	struct lm_error err = {0};
	struct lm_eal eal;
	char instance[32];
	void *pool;

	if (argc != 3) {
		fprintf(stderr, "usage: bench-tester IP,MAC,DEVARGS IP,MAC,DEVARGS\n");
		return 2;
	}
	snprintf(instance, sizeof(instance), "tester%d", (int)getpid());
	cfg.instance = instance;
	if (r == NULL || lm_eal_start(&cfg, &eal, &err) != 0)
		die("start", &err);
	if (lm_pool_create("tester", MBUFS, MTU, &pool, &err) != 0)
		die("buffers", &err);
	t.pool = pool;
	for (unsigned i = 0; i < 2; i++)
		open_port(&t, i, argv[1 + i]);
	printf("{\"ready\": true}\n");
	fflush(stdout);
	serve(&t, r);
	for (unsigned i = 0; i < 2; i++)
		lm_port_close(t.port[i].port);
	lm_pool_free(pool);
	lm_eal_stop(&eal);
	free(r);
	return 0;
}
