/* SPDX-License-Identifier: BSD-3-Clause */
/* Two nodes find each other, agree on keys, and change them without losing a packet. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct pair {
	struct world w;
	struct node *a, *b;
};

static void begin(struct pair *p, uint64_t seed)
{
	world_init(&p->w, seed);
	p->w.what = "test_pair";
	p->a = world_node(&p->w);
	p->b = world_node(&p->w);
}

static void connect_pair(struct pair *p)
{
	node_start(p->a);
	node_start(p->b);
	world_tell_all(&p->w);
	world_pass(&p->w, LM_SEC);
	assert_true(node_up(p->a, p->b, NULL));
	assert_true(node_up(p->b, p->a, NULL));
}

static void test_up(void **state)
{
	struct pair p;

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct lm_peer_info ia, ib;

		begin(&p, seed);
		connect_pair(&p);
		assert_true(node_up(p.a, p.b, &ia));
		assert_true(node_up(p.b, p.a, &ib));
		assert_int_equal(ia.session, ib.remote_spi);
		assert_int_equal(ib.session, ia.remote_spi);
		assert_true(node_send_esp(p.a, p.b));
		assert_true(node_send_esp(p.b, p.a));
		world_pass(&p.w, LM_SEC);
		assert_int_equal(p.a->esp_got, 1);
		assert_int_equal(p.b->esp_got, 1);
		assert_true(ia.rtt >= 10 * LM_MSEC && ia.rtt < 30 * LM_MSEC);
		world_free(&p.w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
