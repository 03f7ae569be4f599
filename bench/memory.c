/* SPDX-License-Identifier: BSD-3-Clause */
/* What a route costs in memory: in the workers' table, and in the control thread's RIB on top. */
#include "rib.h"

#include <lanemesh/fwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PEERS 4096

static struct lm_fwd *table; /* NULL: the RIB alone is measured */

/* The RIB's way to the workers, without workers. */
int lm_dp_route_set(struct lm_dp *dp, const struct lm_prefix *prefix, const struct lm_route *r)
{
	(void)dp;
	return table != NULL ? lm_fwd_route_set(table, prefix, r) : 0;
}

int lm_dp_route_del(struct lm_dp *dp, const struct lm_prefix *prefix)
{
	(void)dp;
	return table != NULL ? lm_fwd_route_del(table, prefix) : 0;
}

static void ignore_export(void *user, const struct lm_prefix *prefix, bool present)
{
	(void)user, (void)prefix, (void)present;
}

/* Bytes of this process in memory. */
static double resident(void)
{
	unsigned long size, pages;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL || fscanf(f, "%lu %lu", &size, &pages) != 2)
		exit(1);
	fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* The n-th of many /24s. */
static struct lm_prefix nth(uint32_t n)
{
	uint32_t net = 0x20000000u + (n << 8);

	return (struct lm_prefix){
	    .ip = lm_ip4((const uint8_t[]){(uint8_t)(net >> 24), (uint8_t)(net >> 16),
					   (uint8_t)(net >> 8), 0}),
	    .len = 24};
}

static void fill(struct lm_rib *rib, uint32_t routes)
{
	for (uint32_t i = 0; i < routes; i++) {
		struct lm_route r = {.kind = LM_ROUTE_PEER, .peer = i % PEERS};
		struct lm_prefix p = nth(i);

		if (lm_rib_put(rib, &p, LM_RIB_PEER, r.peer, &r) != 0) {
			fprintf(stderr, "bench: route %u refused\n", i);
			exit(1);
		}
	}
}

static double measure(uint32_t routes, bool with_table)
{
	struct lm_fwd_config cfg = {.max_routes4 = routes < 65536 ? 65536 : routes};
	struct lm_error err = {0};
	struct lm_rib *rib;
	double before, each;

	if (with_table && lm_fwd_create(&cfg, &table, &err) != 0) {
		fprintf(stderr, "bench: %s\n", err.text);
		exit(1);
	}
	before = resident();
	rib = lm_rib_new(NULL, NULL, ignore_export, NULL);
	if (rib == NULL)
		exit(1);
	fill(rib, routes);
	each = (resident() - before) / routes;
	lm_rib_free(rib);
	lm_fwd_free(table);
	table = NULL;
	return each;
}

int main(int argc, char **argv)
{
	uint32_t routes = argc == 2 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
	double rib;

	if (routes < 1 || routes > LM_FWD_ROUTES_MAX) {
		fprintf(stderr, "usage: bench-memory ROUTES\n");
		return 2;
	}
	rib = measure(routes, false);
	printf("scale/memory/routes/%u\trib_bytes\t0\t%.1f\n", routes, rib);
	printf("scale/memory/routes/%u\ttable_bytes\t0\t%.1f\n", routes,
	       measure(routes, true) - rib);
	return 0;
}
