/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void __attribute__((noreturn))
usage(const char *program, const struct bench_option *o, unsigned n)
{
	const char *name = strrchr(program, '/');

	fprintf(stderr, "usage: %s", name != NULL ? name + 1 : program);
	for (unsigned i = 0; i < n; i++)
		fprintf(stderr, o[i].flag != NULL ? " [-%c]" : " [-%c %s]", o[i].letter, o[i].what);
	fputc('\n', stderr);
	exit(2);
}

static unsigned number(const char *text, unsigned least, unsigned most)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || v < least || v > most) {
		fprintf(stderr, "bench: %s is not %u..%u\n", text, least, most);
		exit(2);
	}
	return (unsigned)v;
}

void bench_options(int argc, char **argv, const struct bench_option *o, unsigned n)
{
	char letters[64] = "";
	int c;

	for (unsigned i = 0; i < n; i++) {
		const char one[] = {o[i].letter, o[i].flag != NULL ? '\0' : ':', '\0'};

		strcat(letters, one);
	}
	while ((c = getopt(argc, argv, letters)) != -1) {
		unsigned i = 0;

		while (i < n && o[i].letter != c)
			i++;
		if (i == n)
			usage(argv[0], o, n);
		if (o[i].flag != NULL)
			*o[i].flag = true;
		else if (o[i].text != NULL)
			*o[i].text = optarg;
		else
			*o[i].number = number(optarg, o[i].least, o[i].most);
	}
	if (optind != argc)
		usage(argv[0], o, n);
}
