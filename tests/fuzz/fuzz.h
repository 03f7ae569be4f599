/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LM_TESTS_FUZZ_H
#define LM_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* One input. Returns 0, or -1 for an input that is not worth keeping in the corpus. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that every input must have. Stays in whatever NDEBUG says. */
#define FUZZ_CHECK(cond)                                                                           \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                 \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#endif
