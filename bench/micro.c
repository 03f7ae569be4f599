/* SPDX-License-Identifier: BSD-3-Clause */
#include "micro.h"

#include "slice.h"

#include <lanemesh/crypto.h>
#include <stdlib.h>

static const struct {
	const char *name;
	void (*run)(void);
} groups[] = {
    {"aead", micro_aead},     {"esp", micro_esp},   {"replay", micro_replay},
    {"sa", micro_sa},	      {"ring", micro_ring}, {"handshake", micro_handshake},
    {"routes", micro_routes},
};

static unsigned rounds = 30, ms = 5;

void *micro_alloc(uint64_t size)
{
	void *p = aligned_alloc(64, (size + 63) / 64 * 64);

	if (p == NULL) {
		fprintf(stderr, "bench: out of memory\n");
		exit(1);
	}
	return memset(p, 0, size);
}

void micro_measure(const char *which, const struct micro_work *work, unsigned n)
{
	char name[96];

	snprintf(name, sizeof(name), "micro/%s", which);
	for (unsigned i = 0; i < n; i++) /* warm up */
		work[i].run(work[i].ctx);
	for (unsigned r = 0; r < rounds; r++) {
		for (unsigned i = 0; i < n; i++) {
			struct bench_slice s = bench_begin(ms);

			do {
				work[i].run(work[i].ctx);
				s.done += work[i].ops;
			} while (!bench_over(&s));
			bench_print(name, work[i].series, r, bench_end(&s));
		}
	}
}

/* For the head of the table. */
static int print_cipher(void)
{
	struct lm_error err = {0};
	struct lm_aead *a = lm_aead_new(NULL, &err);

	if (a == NULL) {
		fprintf(stderr, "bench: %s\n", err.text);
		return 1;
	}
	printf("%s\n", lm_aead_description(a));
	lm_aead_free(a);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--cipher") == 0)
		return print_cipher();
	if (argc != 4 || atoi(argv[2]) < 1 || atoi(argv[3]) < 1) {
		fprintf(stderr, "usage: bench-micro GROUP ROUNDS MILLISECONDS | --cipher\n");
		return 2;
	}
	rounds = (unsigned)atoi(argv[2]);
	ms = (unsigned)atoi(argv[3]);
	if (lm_crypto_init() != 0)
		return 1;
	for (unsigned i = 0; i < LM_ARRAY_SIZE(groups); i++) {
		if (strcmp(groups[i].name, argv[1]) == 0) {
			groups[i].run();
			return 0;
		}
	}
	fprintf(stderr, "bench: no group %s\n", argv[1]);
	return 2;
}
