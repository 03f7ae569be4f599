/* SPDX-License-Identifier: BSD-3-Clause */
/* The Prometheus text exposition format, version 0.0.4. */
#include "print.h"

#include <inttypes.h>
#include <lanemesh/telemetry.h>
#include <math.h>

static void head(struct lm_writer *w, const char *name, const char *suffix, const char *type,
		 const char *help)
{
	lm_w_printf(w, "# HELP lanemesh_%s%s %s\n# TYPE lanemesh_%s%s %s\n", name, suffix, help,
		    name, suffix, type);
}

/* Label values may hold anything; backslash, quote and newline are escaped. */
static void label_value(struct lm_writer *w, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\' || *text == '"')
			lm_w_u8(w, '\\');
		if (*text == '\n')
			lm_w_copy(w, "\\n", 2);
		else
			lm_w_u8(w, (uint8_t)*text);
	}
}

static void gauge(struct lm_writer *w, const struct lm_gauge *g, bool first)
{
	if (first)
		head(w, g->name, "", g->rises ? "counter" : "gauge", g->help);
	lm_w_printf(w, "lanemesh_%s", g->name);
	if (g->label_name != NULL) {
		lm_w_printf(w, "{%s=\"", g->label_name);
		label_value(w, g->label_value);
		lm_w_copy(w, "\"}", 2);
	}
	if (isfinite(g->value))
		lm_w_printf(w, " %.17g\n", g->value);
	else
		lm_w_printf(w, " NaN\n");
}

void lm_metrics_prometheus(struct lm_writer *w, const struct lm_counters *c,
			   const struct lm_gauge *gauges, size_t n_gauges)
{
	for (unsigned i = 0; i < LM_CTR_COUNT; i++) {
		const struct lm_ctr_info *info = lm_ctr_info(i);

		if (info->kind == LM_CTR_DROP)
			continue;
		head(w, info->name, "_total", "counter", info->help);
		lm_w_printf(w, "lanemesh_%s_total %" PRIu64 "\n", info->name, c->v[i]);
	}
	head(w, "drops", "_total", "counter", "packets dropped, by reason");
	for (unsigned i = 0; i < LM_CTR_COUNT; i++)
		if (lm_ctr_info(i)->kind == LM_CTR_DROP)
			lm_w_printf(w, "lanemesh_drops_total{reason=\"%s\"} %" PRIu64 "\n",
				    lm_ctr_info(i)->name, c->v[i]);
	for (size_t i = 0; i < n_gauges; i++)
		gauge(w, &gauges[i], i == 0 || strcmp(gauges[i].name, gauges[i - 1].name) != 0);
}
