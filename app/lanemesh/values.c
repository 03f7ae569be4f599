/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"

#include <errno.h>
#include <lanemesh/crypto.h>
#include <stdlib.h>
#include <time.h>

int cli_number(const char *text, uint64_t min, uint64_t max, uint64_t *out, struct lm_error *err)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || *out < min ||
	    *out > max)
		return lm_error_set(err, EINVAL, "write a number from %llu to %llu",
				    (unsigned long long)min, (unsigned long long)max);
	return 0;
}

int cli_key(const char *text, uint8_t out[32], struct lm_error *err)
{
	uint8_t x_public[32];

	if (lm_unhex(text, out, 32) != 0)
		return lm_error_set(err, EINVAL,
				    "write the 64 hex digits that \"lanemesh keygen\" or "
				    "\"lanemesh authority create\" printed");
	if (lm_identity_x_public(out, x_public) != 0)
		return lm_error_set(err, EINVAL,
				    "no key can have this value; a digit may be wrong");
	return 0;
}

/* Exactly n digits; -1 when there are others. */
static int digits(const char **p, int n)
{
	int v = 0;

	for (; n > 0; n--, (*p)++) {
		if (**p < '0' || **p > '9')
			return -1;
		v = v * 10 + (**p - '0');
	}
	return v;
}

static bool literal(const char **p, const char *any)
{
	return **p != '\0' && strchr(any, *(*p)++) != NULL;
}

/* RFC 3339 section 5.6; a leap second is read as the one after it. */
static bool parse_time(const char *p, int64_t *out)
{
	int year, month, day, hour, min, sec, off_hour = 0, off_min = 0, sign = 0;
	struct tm tm;
	time_t t;

	if ((year = digits(&p, 4)) < 1970 || !literal(&p, "-") || (month = digits(&p, 2)) < 1 ||
	    !literal(&p, "-") || (day = digits(&p, 2)) < 1 || !literal(&p, "Tt ") ||
	    (hour = digits(&p, 2)) < 0 || !literal(&p, ":") || (min = digits(&p, 2)) < 0 ||
	    !literal(&p, ":") || (sec = digits(&p, 2)) < 0)
		return false;
	if (*p == '+' || *p == '-') {
		sign = *p++ == '+' ? 1 : -1;
		if ((off_hour = digits(&p, 2)) < 0 || !literal(&p, ":") ||
		    (off_min = digits(&p, 2)) < 0)
			return false;
	} else if (!literal(&p, "Zz")) {
		return false;
	}
	if (*p != '\0' || hour > 23 || min > 59 || sec > 60 || off_hour > 23 || off_min > 59)
		return false;
	tm = (struct tm){.tm_year = year - 1900,
			 .tm_mon = month - 1,
			 .tm_mday = day,
			 .tm_hour = hour,
			 .tm_min = min,
			 .tm_sec = sec == 60 ? 59 : sec};
	t = timegm(&tm);
	/* timegm puts the 31st of February into March: such a date does not exist. */
	if (tm.tm_mon != month - 1 || tm.tm_mday != day)
		return false;
	*out = (int64_t)t + (sec == 60) - sign * (off_hour * 3600 + off_min * 60);
	return *out >= 0;
}

int cli_time(const char *text, int64_t *out, struct lm_error *err)
{
	if (!parse_time(text, out))
		return lm_error_set(err, EINVAL,
				    "write a time of RFC 3339, like 2026-01-31T12:00:00Z or "
				    "2026-01-31T13:00:00+01:00");
	return 0;
}

const char *cli_time_text(int64_t t, char buf[CLI_TIME_STRLEN])
{
	time_t sec = (time_t)t;
	struct tm tm;

	if (gmtime_r(&sec, &tm) == NULL ||
	    strftime(buf, CLI_TIME_STRLEN, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(buf, CLI_TIME_STRLEN, "%lld s", (long long)t);
	return buf;
}
