/* SPDX-License-Identifier: BSD-3-Clause */
/* Log lines that nobody outside can make us write without limit. */
#include "internal.h"

#include <stdio.h>

const char *lm_m_label(const struct lm_cert *c, char buf[LM_M_LABEL_LEN])
{
	char key[9];

	(void)snprintf(buf, LM_M_LABEL_LEN, "%s (%s)", c->name[0] != '\0' ? c->name : "?",
		       lm_hex(c->node, 4, key));
	return buf;
}

const char *lm_m_peer_label(const struct peer *p, char buf[LM_M_LABEL_LEN])
{
	return lm_m_label(lm_m_cert(p), buf);
}

static bool take(struct lm_mesh *m, struct log_limit *l)
{
	lm_time gone = lm_m_since(m, l->refilled);
	uint64_t fresh = gone / l->gap;

	if (fresh > 0) {
		l->tokens = fresh > l->burst - l->tokens ? l->burst : l->tokens + (uint32_t)fresh;
		l->refilled = m->now.mono;
	}
	if (l->tokens == 0) {
		l->held++;
		return false;
	}
	l->tokens--;
	if (l->held > 0)
		lm_log(m->log, LM_LOG_WARN, "mesh: %llu lines like the next were left out",
		       (unsigned long long)l->held);
	l->held = 0;
	return true;
}

static void write_line(struct lm_mesh *m, struct log_limit *l, enum lm_log_level level,
		       const char *fmt, va_list ap) LM_PRINTF(4, 0);

static void write_line(struct lm_mesh *m, struct log_limit *l, enum lm_log_level level,
		       const char *fmt, va_list ap)
{
	char text[512];

	if (m->log == NULL || level > m->log->level || !take(m, l))
		return;
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	lm_log(m->log, level, "mesh: %s", text);
}

void lm_m_refusal(struct lm_mesh *m, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(m, &m->refusals, LM_LOG_WARN, fmt, ap);
	va_end(ap);
}

void lm_m_event(struct lm_mesh *m, enum lm_log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(m, &m->events, level, fmt, ap);
	va_end(ap);
}
