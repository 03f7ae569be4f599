/* SPDX-License-Identifier: BSD-3-Clause */
/* What tables cost: nothing while empty, a few hundred MB with a million routes. */
#include "fwd_test.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define MILLION 1000000u

static double rss_mb(void)
{
	unsigned long total = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu %lu", &total, &resident), 2);
	fclose(f);
	return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void default_tables(void **state)
{
	struct lm_fwd_config cfg = {0};
	double before = rss_mb(), empty, some;
	struct lm_route r = to_peer(1);
	uint64_t s = 3;
	struct lm_fwd *f;

	(void)state;
	assert_int_equal(lm_fwd_create(&cfg, &f, NULL), 0);
	empty = rss_mb();
	for (unsigned i = 0; i < 500; i++) {
		struct lm_ip v4 = {.family = 4}, v6 = {.family = 6};
		struct lm_prefix p;

		memcpy(v4.b, &(uint32_t){(uint32_t)rnd(&s)}, 4);
		v4.b[0] = 10;
		memcpy(v6.b, &(uint64_t){rnd(&s)}, 8);
		v6.b[0] = 0xfd;
		r.peer = i;
		p = lm_prefix_of(&v4, 24);
		assert_int_equal(lm_fwd_route_set(f, &p, &r), 0);
		p = lm_prefix_of(&v6, 64);
		assert_int_equal(lm_fwd_route_set(f, &p, &r), 0);
	}
	some = rss_mb();
	print_message("tables: empty %.2f MB, 500 IPv4 /24 and 500 scattered IPv6 /64 %.2f MB\n",
		      empty - before, some - before);
	assert_true(empty - before < 2);
	assert_true(some - before < 32);
	lm_fwd_free(f);
}

/* Lengths about as in the Internet's tables, and a tenth longer than /24. */
static unsigned random_length(uint64_t *s)
{
	unsigned r = (unsigned)(rnd(s) % 100);

	return r < 50 ? 24 : r < 62 ? 22 : r < 72 ? 23 : r < 90 ? 16 + r % 6 : 25 + r % 8;
}

static void million_routes(void **state)
{
	struct lm_fwd_config cfg = {.max_routes4 = MILLION};
	double before = rss_mb(), start;
	uint32_t dst[64], slot[64], sum = 0;
	uint64_t s = 11;
	struct lm_fwd *f;

	(void)state;
	assert_int_equal(lm_fwd_create(&cfg, &f, NULL), 0);
	start = now_s();
	while (lm_fwd_route_count(f) < MILLION) {
		uint32_t a = (uint32_t)rnd(&s);
		struct lm_ip ip = {.family = 4};
		struct lm_prefix p;
		struct lm_route r = to_peer(a % 4096);

		memcpy(ip.b, &a, 4);
		p = lm_prefix_of(&ip, random_length(&s));
		assert_int_equal(lm_fwd_route_set(f, &p, &r), 0);
	}
	print_message("%u routes in %.1f s: %.0f MB, %u groups of 1 kB, %u next hops\n",
		      f->lpm4.n_rules, now_s() - start, rss_mb() - before, f->lpm4.n_groups,
		      f->adj.used);
	assert_int_equal(f->adj.used, 4096);
	assert_true(rss_mb() - before < 400);
	start = now_s();
	for (unsigned i = 0; i < MILLION; i += 64) {
		for (unsigned k = 0; k < 64; k++)
			dst[k] = (uint32_t)rnd(&s);
		lm_fwd_lookup4(f, dst, slot, 64);
		for (unsigned k = 0; k < 64; k++)
			sum += slot[k];
	}
	print_message("random lookups in bursts of 64: %.1f ns each (%u)\n",
		      (now_s() - start) * 1e9 / MILLION, sum);
	lm_fwd_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(default_tables),
	    cmocka_unit_test(million_routes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
