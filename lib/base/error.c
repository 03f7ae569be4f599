/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/base.h>

#include <stdio.h>

int lm_error_set(struct lm_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (err != NULL) {
		va_start(ap, fmt);
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
	}
	return -code;
}
