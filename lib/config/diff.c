/* SPDX-License-Identifier: BSD-3-Clause */
/* The difference of two configs, by the option table. */
#include "option.h"

#include <stdio.h>

struct diff {
	const struct lm_table *t;
	lm_config_change_fn each;
	void *user;
	unsigned n;
	bool restart;
};

static void changed(struct diff *d, const struct lm_row *row, const char *option)
{
	d->n++;
	d->restart |= !row->pub.live;
	if (d->each != NULL)
		d->each(d->user, option, row->pub.live);
}

static bool list_equal(const struct lm_row *row, const uint8_t *a, const uint8_t *b)
{
	if (a[row->off_n] != b[row->off_n])
		return false;
	for (size_t i = 0; i < a[row->off_n]; i++)
		if (!lm_value_equal(row->value, row->size, a + row->off + i * row->size,
				    b + row->off + i * row->size))
			return false;
	return true;
}

static bool one_equal(const struct lm_row *row, const uint8_t *a, const uint8_t *b)
{
	if (row->off_n != LM_NO_COUNT && a[row->off_n] != b[row->off_n])
		return false;
	return lm_value_equal(row->value, row->size, a + row->off, b + row->off);
}

static void diff_in(struct diff *d, const char *group, const char *prefix, const uint8_t *a,
		    const uint8_t *b);

static void diff_row(struct diff *d, const struct lm_row *row, const char *option, const uint8_t *a,
		     const uint8_t *b)
{
	char element[96];

	switch (row->shape) {
	case LM_S_ONE:
		if (!one_equal(row, a, b))
			changed(d, row, option);
		return;
	case LM_S_LIST:
		if (!list_equal(row, a, b))
			changed(d, row, option);
		return;
	case LM_S_GROUP:
		diff_in(d, row->pub.name, option, a, b);
		return;
	case LM_S_GROUPS:
		if (a[row->off_n] != b[row->off_n]) {
			changed(d, row, option);
			return;
		}
		for (size_t i = 0; i < a[row->off_n]; i++) {
			snprintf(element, sizeof(element), "%.80s[%zu]", option, i);
			diff_in(d, row->pub.name, element, a + row->off + i * row->size,
				b + row->off + i * row->size);
		}
		return;
	}
}

static void diff_in(struct diff *d, const char *group, const char *prefix, const uint8_t *a,
		    const uint8_t *b)
{
	char option[128];

	for (unsigned i = 0; i < d->t->n; i++) {
		const struct lm_row *row = &d->t->rows[i];

		if (!lm_row_in(row, group))
			continue;
		snprintf(option, sizeof(option), "%s%s%s", prefix, prefix[0] != '\0' ? "." : "",
			 lm_row_key(row));
		diff_row(d, row, option, a, b);
	}
}

static unsigned diff(enum lm_config_kind kind, const void *from, const void *to,
		     lm_config_change_fn each, void *user, bool *restart)
{
	struct diff d = {.t = lm_table(kind), .each = each, .user = user};

	diff_in(&d, NULL, "", from, to);
	if (restart != NULL)
		*restart = d.restart;
	return d.n;
}

unsigned lm_config_diff(const struct lm_config *from, const struct lm_config *to,
			lm_config_change_fn each, void *user, bool *restart)
{
	return diff(LM_CONFIG_NODE, from, to, each, user, restart);
}

unsigned lm_coord_config_diff(const struct lm_coord_config *from, const struct lm_coord_config *to,
			      lm_config_change_fn each, void *user, bool *restart)
{
	return diff(LM_CONFIG_COORD, from, to, each, user, restart);
}
