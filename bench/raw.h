/* SPDX-License-Identifier: BSD-3-Clause */
/* The raw cipher: direct calls of the fastest AES-256-GCM that intel-ipsec-mb has for this
 * machine, which is what the data plane uses, and nothing else. */
#ifndef BENCH_RAW_H
#define BENCH_RAW_H

#include <stdbool.h>
#include <stdint.h>

struct raw_cipher;

/* len: bytes that each packet of a burst encrypts, in turn. NULL when out of memory. */
struct raw_cipher *raw_new(const uint16_t *len, unsigned n);
void raw_free(struct raw_cipher *r);
#define RAW_BURST 64
/* Seals or opens one burst of packets in place. */
void raw_burst(struct raw_cipher *r, bool seal);

#endif
