/* SPDX-License-Identifier: BSD-3-Clause */
/* Command lines of the programs that bench/run starts. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>

/* Exactly one of flag, number and text is set; it is what the option sets. */
struct bench_option {
	char letter;
	const char *what; /* in the usage; of a number or a text */
	bool *flag;
	unsigned *number, least, most;
	const char **text;
};

/* Exits with 2 and the usage on stderr when the arguments are not these. */
void bench_options(int argc, char **argv, const struct bench_option *o, unsigned n);

#endif
