/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside trust: text in memory, for the functions on files. */
#ifndef LIB_TRUST_ARMOR_H
#define LIB_TRUST_ARMOR_H

#include <lanemesh/trust.h>

/* Above the longest revocation list in base64. */
#define ARMOR_TEXT_MAX (128 * 1024)

/* malloc'ed text of *text_len bytes (wipe and free), NULL without memory. */
char *lm_armor_encode(const char *label, const void *data, size_t len, size_t *text_len);

#endif
