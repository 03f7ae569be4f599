/* SPDX-License-Identifier: BSD-3-Clause */
/* Formatted text into a bounded writer. */
#ifndef LM_TELEMETRY_PRINT_H
#define LM_TELEMETRY_PRINT_H

#include <lanemesh/base.h>

/* Appends all of it, or nothing and w->bad. */
void lm_w_printf(struct lm_writer *w, const char *fmt, ...) LM_PRINTF(2, 3);

#endif
