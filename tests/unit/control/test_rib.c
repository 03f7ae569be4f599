/* SPDX-License-Identifier: BSD-3-Clause */
/* The RIB: who wins, what is exported, what happens when the FIB is full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway.h"

#include <errno.h>
#include <stdlib.h>

struct rib_test {
	struct lm_dp *dp;
	struct lm_rib *rib;
	unsigned exports, withdrawals;
	char last[LM_PREFIX_STRLEN];
};

static void on_export(void *user, const struct lm_prefix *p, bool present)
{
	struct rib_test *t = user;

	(void)lm_prefix_format(p, t->last);
	if (present)
		t->exports++;
	else
		t->withdrawals++;
}

static int setup(void **state)
{
	struct rib_test *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->dp = fake_new();
	t->rib = lm_rib_new(t->dp, NULL, on_export, t);
	assert_non_null(t->rib);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct rib_test *t = *state;

	lm_rib_free(t->rib);
	lm_dp_free(t->dp);
	free(t);
	return 0;
}

static int put(struct rib_test *t, const char *p, enum lm_rib_source source, uint32_t id)
{
	struct lm_route r = {.kind = LM_ROUTE_PEER, .peer = id};
	struct lm_prefix at = prefix(p);

	if (source != LM_RIB_PEER)
		r = (struct lm_route){.kind = source == LM_RIB_LOCAL ? LM_ROUTE_TO_ME
								     : LM_ROUTE_NEIGHBOUR,
				      .port = (uint16_t)id,
				      .mac = {{2, 0, 0, 0, 0, (uint8_t)id}}};
	return lm_rib_put(t->rib, &at, source, id, &r);
}

static void drop(struct rib_test *t, const char *p, enum lm_rib_source source, uint32_t id)
{
	struct lm_prefix at = prefix(p);

	lm_rib_drop(t->rib, &at, source, id);
}

static void test_order_of_sources(void **state)
{
	struct rib_test *t = *state;
	const char *p = "10.1.0.7/32";

	assert_int_equal(put(t, p, LM_RIB_PEER, 3), 0);
	assert_int_equal(fake_route(t->dp, p)->peer, 3);
	assert_int_equal(put(t, p, LM_RIB_KERNEL, 1), 0);
	assert_int_equal(fake_route(t->dp, p)->kind, LM_ROUTE_NEIGHBOUR);
	assert_int_equal(put(t, p, LM_RIB_NEIGHBOUR, 2), 0);
	assert_int_equal(fake_route(t->dp, p)->port, 2);
	assert_int_equal(put(t, p, LM_RIB_LOCAL, 9), 0);
	assert_int_equal(fake_route(t->dp, p)->kind, LM_ROUTE_TO_ME);
	/* And back, each leaving the next best. */
	drop(t, p, LM_RIB_LOCAL, 9);
	assert_int_equal(fake_route(t->dp, p)->port, 2);
	drop(t, p, LM_RIB_KERNEL, 1);
	assert_int_equal(fake_route(t->dp, p)->port, 2);
	drop(t, p, LM_RIB_NEIGHBOUR, 2);
	assert_int_equal(fake_route(t->dp, p)->peer, 3);
	drop(t, p, LM_RIB_PEER, 3);
	assert_null(fake_route(t->dp, p));
	drop(t, p, LM_RIB_PEER, 3); /* not there: nothing happens */
	assert_int_equal(lm_dp_route_count(t->dp), 0);
}

/* Several peers offer one prefix: the lowest number has it, whatever the order. */
static void test_peers_with_one_prefix(void **state)
{
	struct rib_test *t = *state;
	const char *p = "10.2.0.0/16";
	unsigned changes;

	assert_int_equal(put(t, p, LM_RIB_PEER, 5), 0);
	assert_int_equal(put(t, p, LM_RIB_PEER, 2), 0);
	assert_int_equal(put(t, p, LM_RIB_PEER, 7), 0);
	assert_int_equal(fake_route(t->dp, p)->peer, 2);
	assert_int_equal(t->exports, 1);
	changes = fake_route_changes(t->dp);
	drop(t, p, LM_RIB_PEER, 7);
	assert_int_equal(put(t, p, LM_RIB_PEER, 2), 0);	      /* again the same */
	assert_int_equal(fake_route_changes(t->dp), changes); /* workers are not bothered */
	drop(t, p, LM_RIB_PEER, 2);
	assert_int_equal(fake_route(t->dp, p)->peer, 5);
	assert_int_equal(t->withdrawals, 0);
	drop(t, p, LM_RIB_PEER, 5);
	assert_int_equal(t->withdrawals, 1);
	assert_string_equal(t->last, p);
}

/* Exported is what peers offer, also while something of our own is better. */
static void test_export(void **state)
{
	struct rib_test *t = *state;

	assert_int_equal(put(t, "10.1.0.0/24", LM_RIB_KERNEL, 1), 0);
	assert_int_equal(t->exports, 0);
	assert_int_equal(put(t, "10.1.0.0/24", LM_RIB_PEER, 1), 0);
	assert_int_equal(t->exports, 1);
	assert_int_equal(fake_route(t->dp, "10.1.0.0/24")->kind, LM_ROUTE_NEIGHBOUR);
	drop(t, "10.1.0.0/24", LM_RIB_KERNEL, 1);
	assert_int_equal(t->withdrawals, 0);
	assert_int_equal(put(t, "0.0.0.0/0", LM_RIB_PEER, 1), 0);
	assert_int_equal(put(t, "::/0", LM_RIB_PEER, 1), 0);
	assert_int_equal(t->exports, 3);
	assert_int_equal(fake_route(t->dp, "::/0")->peer, 1);
	assert_int_equal(fake_route(t->dp, "0.0.0.0/0")->peer, 1);
}

/* Another peer may get the number of one that is gone: what cannot be replaced must not stay. */
static void test_full_fib(void **state)
{
	struct rib_test *t = *state;
	const char *p = "10.2.0.0/16";

	assert_int_equal(put(t, p, LM_RIB_PEER, 1), 0);
	assert_int_equal(put(t, p, LM_RIB_PEER, 2), 0);
	fake_fail(FAKE_ROUTE_SET, 1, -ENOSPC);
	drop(t, p, LM_RIB_PEER, 1);
	assert_null(fake_route(t->dp, p));
	assert_int_equal(t->withdrawals, 0);
	lm_rib_retry(t->rib);
	assert_int_equal(fake_route(t->dp, p)->peer, 2);
	fake_fail(FAKE_ROUTE_SET, 2, -ENOSPC);
	assert_int_equal(put(t, "10.3.0.0/16", LM_RIB_PEER, 2), -ENOSPC);
	lm_rib_retry(t->rib);
	assert_null(fake_route(t->dp, "10.3.0.0/16"));
	lm_rib_retry(t->rib);
	assert_int_equal(fake_route(t->dp, "10.3.0.0/16")->peer, 2);
	/* A refused one that is taken back was never there. */
	fake_fail(FAKE_ROUTE_SET, 1, -ENOSPC);
	assert_int_equal(put(t, "10.4.0.0/16", LM_RIB_PEER, 2), -ENOSPC);
	drop(t, "10.4.0.0/16", LM_RIB_PEER, 2);
	lm_rib_retry(t->rib);
	assert_null(fake_route(t->dp, "10.4.0.0/16"));
}

struct listing {
	unsigned all, best;
};

static void on_each(void *user, const struct lm_prefix *p, enum lm_rib_source source,
		    const struct lm_route *route, bool best)
{
	struct listing *l = user;

	(void)p, (void)route;
	l->all++;
	l->best += best;
	assert_non_null(lm_rib_source_name(source));
}

static void test_listing(void **state)
{
	struct rib_test *t = *state;
	struct listing l = {0};

	assert_int_equal(put(t, "10.2.0.0/16", LM_RIB_PEER, 1), 0);
	assert_int_equal(put(t, "10.2.0.0/16", LM_RIB_PEER, 2), 0);
	assert_int_equal(put(t, "10.2.0.0/17", LM_RIB_PEER, 2), 0);
	fake_fail(FAKE_ROUTE_SET, 1, -ENOSPC);
	assert_int_equal(put(t, "10.3.0.0/16", LM_RIB_PEER, 1), -ENOSPC);
	lm_rib_each(t->rib, on_each, &l);
	assert_int_equal(l.all, 4);
	assert_int_equal(l.best, 2);
}

/* Anything in any order: the FIB has exactly what a plain list says it should have. */
static void test_random_changes(void **state)
{
	static const char *const prefixes[] = {"10.0.0.0/8", "10.1.0.0/16", "fd00::/8", "::/0"};
	struct rib_test *t = *state;
	bool there[4][4][4] = {0};
	unsigned seed = 1;

	for (unsigned n = 0; n < 20000; n++) {
		unsigned r = (unsigned)rand_r(&seed), p = r & 3, s = r >> 2 & 3, id = r >> 4 & 3;
		const struct lm_route *got;
		int best = -1;

		if ((r >> 6 & 1) != 0)
			assert_int_equal(put(t, prefixes[p], s, id), 0);
		else
			drop(t, prefixes[p], s, id);
		there[p][s][id] = (r >> 6 & 1) != 0;
		for (unsigned i = 0; i < 16 && best < 0; i++)
			if (there[p][i / 4][i % 4])
				best = (int)i;
		got = fake_route(t->dp, prefixes[p]);
		assert_int_equal(got != NULL, best >= 0);
		if (best < 0)
			continue;
		assert_int_equal(got->kind, best / 4 == LM_RIB_PEER    ? LM_ROUTE_PEER
					    : best / 4 == LM_RIB_LOCAL ? LM_ROUTE_TO_ME
								       : LM_ROUTE_NEIGHBOUR);
		assert_int_equal(got->kind == LM_ROUTE_PEER ? got->peer : got->port, best % 4);
	}
}

static void reach(struct rib_test *t, uint32_t peer, bool reachable, const char *p)
{
	struct lm_prefix at = prefix(p);

	lm_rib_reachable(t->rib, peer, reachable, &at, 1);
}

/* Of several peers with one prefix those that can be reached come first. */
static void test_unreachable_peer(void **state)
{
	struct rib_test *t = *state;
	const char *p = "10.2.0.0/16";

	assert_int_equal(put(t, p, LM_RIB_PEER, 2), 0);
	assert_int_equal(put(t, p, LM_RIB_PEER, 70), 0);
	reach(t, 2, false, p);
	assert_int_equal(fake_route(t->dp, p)->peer, 70);
	reach(t, 70, false, p); /* none can: as if all could, and workers drop */
	assert_int_equal(fake_route(t->dp, p)->peer, 2);
	reach(t, 70, true, p);
	assert_int_equal(fake_route(t->dp, p)->peer, 70);
	assert_int_equal(put(t, p, LM_RIB_PEER, 2), 0); /* announced again */
	assert_int_equal(fake_route(t->dp, p)->peer, 70);
	reach(t, 2, true, p);
	assert_int_equal(fake_route(t->dp, p)->peer, 2);
	assert_int_equal(t->withdrawals, 0); /* the kernel's route on lm0 stayed */
	assert_int_equal(lm_dp_route_count(t->dp), 1);
}

/* A prefix of a site that cannot be reached goes to a reachable site with a wider one. */
static void test_covering_prefix(void **state)
{
	struct rib_test *t = *state;
	const char *p = "10.2.3.0/24";
	const struct lm_prefix at = prefix(p), own = prefix("10.2.0.0/15");

	assert_int_equal(put(t, p, LM_RIB_PEER, 2), 0);
	assert_int_equal(put(t, "10.2.0.0/16", LM_RIB_PEER, 3), 0);
	assert_int_equal(put(t, "10.0.0.0/8", LM_RIB_PEER, 4), 0);
	assert_int_equal(put(t, "0.0.0.0/0", LM_RIB_KERNEL, 0), 0);
	assert_int_equal(fake_route(t->dp, p)->peer, 2);
	reach(t, 2, false, p);
	assert_int_equal(fake_route(t->dp, p)->peer, 3);
	reach(t, 3, false, "10.2.0.0/16");
	assert_true(lm_rib_changed(t->rib));
	lm_rib_cover(t->rib, &at, 1);
	assert_int_equal(fake_route(t->dp, p)->peer, 4);
	assert_int_equal(fake_route(t->dp, "10.2.0.0/16")->peer, 4);
	assert_true(lm_rib_changed(t->rib));
	lm_rib_cover(t->rib, &at, 1);
	assert_false(lm_rib_changed(t->rib)); /* it comes to rest */
	/* Never in the clear: the kernel's default route is no way round... */
	drop(t, "10.0.0.0/8", LM_RIB_PEER, 4);
	lm_rib_cover(t->rib, &at, 1);
	assert_int_equal(fake_route(t->dp, p)->peer, 2);
	/* ...but for what this site may carry itself. */
	lm_rib_own(t->rib, &own, 1);
	assert_true(lm_rib_changed(t->rib));
	lm_rib_cover(t->rib, &at, 1);
	assert_int_equal(fake_route(t->dp, p)->kind, LM_ROUTE_NEIGHBOUR);
	reach(t, 2, true, p);
	assert_int_equal(fake_route(t->dp, p)->peer, 2);
}

static void count_best(void *user, const struct lm_prefix *p, enum lm_rib_source source,
		       const struct lm_route *route, bool best)
{
	unsigned *n = user;

	(void)p;
	n[0] += best;
	n[1] += best && source == LM_RIB_PEER && route->peer == 3;
}

/* The listing shows where packets really go. */
static void test_listing_of_fallback(void **state)
{
	struct rib_test *t = *state;
	unsigned n[2] = {0, 0};

	assert_int_equal(put(t, "10.2.3.0/24", LM_RIB_PEER, 2), 0);
	assert_int_equal(put(t, "10.2.0.0/16", LM_RIB_PEER, 3), 0);
	reach(t, 2, false, "10.2.3.0/24");
	lm_rib_each(t->rib, count_best, n);
	assert_int_equal(n[0], 2);
	assert_int_equal(n[1], 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_order_of_sources, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_peers_with_one_prefix, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_export, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_full_fib, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_listing, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_random_changes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_unreachable_peer, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_covering_prefix, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_listing_of_fallback, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
