/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of relay ids, and the prints that copies are known by. */
#include "steps.h"

#include "relay.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define A    "198.51.100.2"
#define ID_A 0x0102030405060708
#define ID_B 0xf1f2f3f4f5f6f7f8

static struct lm_outer outer_to_b(void)
{
	struct lm_mac ours = rig_mac(RIG_WAN), router = rig_host_mac(RIG_WAN);
	struct lm_endpoint us = {rig_addr("192.0.2.1"), 4500},
			   them = {rig_addr("198.51.100.3"), 4600};
	struct lm_outer o;

	assert_int_equal(lm_outer_build(&o, &ours, &router, &us, &them, true), 0);
	o.port = RIG_WAN;
	lm_outer_relay(&o, ID_B);
	return o;
}

static void table(void **state)
{
	struct rig *r = rig_of(state);
	struct lm_outer o = outer_to_b(), none;
	struct lm_dp_relay good = {.port = RIG_WAN, .from = {rig_addr(A), 4501}, .outer = &o}, d;
	struct lm_dp_relay_usage u;

	assert_int_equal(lm_dp_relay_set(r->dp, 0, &good), -EINVAL);
	d = good;
	d.port = RIG_LAN;
	assert_int_equal(lm_dp_relay_set(r->dp, 1, &d), -EINVAL);
	d = good;
	d.port = RIG_PORTS_MAX;
	assert_int_equal(lm_dp_relay_set(r->dp, 1, &d), -EINVAL);
	d = good;
	d.from.port = 0;
	assert_int_equal(lm_dp_relay_set(r->dp, 1, &d), -EINVAL);
	d = good;
	d.member = RIG_PEERS;
	assert_int_equal(lm_dp_relay_set(r->dp, 1, &d), -EINVAL);
	none = o;
	none.relay_len = 0;
	d = good;
	d.outer = &none;
	assert_int_equal(lm_dp_relay_set(r->dp, 1, &d), -EINVAL);
	lm_dp_relay_end(r->dp, 1); /* no such id: nothing */
	assert_int_equal(lm_dp_relay_usage(r->dp, 1, &u), -ENOENT);
	for (uint64_t id = 1; id <= LM_DP_RELAYS_MAX; id++) {
		d = good;
		d.outer = NULL;
		assert_int_equal(lm_dp_relay_set(r->dp, id * UINT64_C(0x9e3779b97f4a7c15), &d), 0);
	}
	assert_int_equal(lm_dp_relay_set(r->dp, ID_A, &good), -ENOSPC);
	assert_int_equal(lm_dp_relay_set(r->dp, UINT64_C(0x9e3779b97f4a7c15), &good), -EEXIST);
	for (uint64_t id = 1; id <= LM_DP_RELAYS_MAX; id++)
		lm_dp_relay_end(r->dp, id * UINT64_C(0x9e3779b97f4a7c15));
	assert_int_equal(lm_dp_relay_set(r->dp, ID_A, &good), 0);
	lm_dp_relay_end(r->dp, ID_A);
}

/* Both codes make the same prints, of every length; and each byte counts. */
static void prints(void **state)
{
	enum { MOST = 2000 };
	struct lm_relay_secret *key = aligned_alloc(64, RTE_ALIGN(sizeof(*key), 64));
	uint8_t p[MOST];

	(void)state;
	assert_non_null(key);
	for (size_t i = 0; i < sizeof(*key); i++)
		((uint8_t *)key)[i] = (uint8_t)rand();
	for (unsigned i = 0; i < MOST; i++)
		p[i] = (uint8_t)rand();
	for (unsigned len = 8; len <= MOST; len += len < 200 ? 1 : 61) {
		struct lm_relay_print a[3] = {{p, len, 0}, {p, len, 0}, {p, len - 1, 0}}, b[3];

		lm_relay_prints_sse2(key, a, 3);
		assert_int_equal(a[0].print, a[1].print);
		assert_int_not_equal(lm_relay_tag(a[0].print), lm_relay_tag(a[2].print));
		memcpy(b, a, sizeof(b));
		b[0].print = b[1].print = b[2].print = 0;
		lm_relay_prints_choose()(key, b, 3);
		assert_memory_equal(a, b, sizeof(a));
		for (unsigned i = 0; i < len; i++) {
			p[i] ^= (uint8_t)(1 << i % 8);
			lm_relay_prints_choose()(key, b, 1);
			p[i] ^= (uint8_t)(1 << i % 8);
			assert_int_not_equal(lm_relay_tag(a[0].print), lm_relay_tag(b[0].print));
		}
	}
	free(key);
}

static int start(void **state)
{
	static struct rig r;

	rig_start(&r, &(struct rig_config){.workers = 2, .wan2 = true});
	*state = &r;
	return 0;
}

static int stop(void **state)
{
	rig_stop(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(table),
	    cmocka_unit_test(prints),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
