/* SPDX-License-Identifier: BSD-3-Clause */
/* The raw cipher: direct calls of the fastest AES-256-GCM that intel-ipsec-mb has for this
 * machine, which is what the data plane uses, and nothing else. */
#ifndef BENCH_RAW_H
#define BENCH_RAW_H

#include <stdbool.h>
#include <stdint.h>

struct raw_cipher;

/* What of a packet is encrypted, by RFC 4303's names (section 2). */
enum raw_reading {
	RAW_PAYLOAD, /* the Payload Data alone: the inner packet */
	RAW_ESP,     /* Payload Data, Padding to whole words, Pad Length and Next Header */
};

/* len: bytes of Payload Data of the packets, in turn. NULL when out of memory. */
struct raw_cipher *raw_new(const uint16_t *len, unsigned n);
void raw_free(struct raw_cipher *r);
#define RAW_BURST 64
/* Seals or opens one burst of packets in place. */
void raw_burst(struct raw_cipher *r, bool seal, enum raw_reading what);

#endif
