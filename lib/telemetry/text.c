/* SPDX-License-Identifier: BSD-3-Clause */
/* Counters as a table for people. */
#include "print.h"

#include <inttypes.h>
#include <lanemesh/telemetry.h>
#include <stdio.h>

void lm_w_printf(struct lm_writer *w, const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(line)) {
		w->bad = true;
		return;
	}
	lm_w_copy(w, line, (size_t)n);
}

void lm_counters_text(struct lm_writer *w, const struct lm_counters *c, enum lm_ctr_kind kind,
		      bool zeros)
{
	bool any = false;

	for (unsigned i = 0; i < LM_CTR_COUNT; i++) {
		const struct lm_ctr_info *info = lm_ctr_info(i);

		if (info->kind != kind || (c->v[i] == 0 && !zeros))
			continue;
		if (!any)
			lm_w_printf(w, "%-27s %20s  %s\n", "COUNTER", "COUNT", "MEANING");
		any = true;
		lm_w_printf(w, "%-27s %20" PRIu64 "  %s\n", info->name, c->v[i], info->help);
	}
}
