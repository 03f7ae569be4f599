/* SPDX-License-Identifier: BSD-3-Clause */
/* What `lanemesh why` says in each state of a peer is true, and says what to look at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway.h"
#include "report.h"

#include <jansson.h>

static struct lm_peer_info info(const struct gateway *g, uint32_t peer)
{
	struct lm_peer_info p;

	assert_true(lm_mesh_peer(g->c->mesh, peer, &p));
	assert_int_equal(p.index, peer);
	return p;
}

/* Does one of the sentences have this in it? */
static bool says(struct gateway *g, uint32_t peer, const char *what)
{
	struct lm_peer_info p = info(g, peer);
	json_t *o = lm_report_why(g->c, &p), *line;
	bool found = false;
	size_t i;

	json_array_foreach(json_object_get(o, "why"), i, line) found |=
	    strstr(json_string_value(line), what) != NULL;
	json_decref(o);
	return found;
}

static bool has_tried(struct gateway *g, const void *peer)
{
	return info(g, *(const uint32_t *)peer).handshake_tries > 0;
}

static void test_connecting(void **state)
{
	struct gateway g;
	uint32_t peer;

	(void)state;
	gateway_up(&g, "");
	peer = gateway_peer(&g, 2, "10.2.0.0/16");
	UNTIL(&g, has_tried, &peer);
	assert_true(says(&g, peer, "1 of 1 addresses of gw2 were tried"));
	assert_false(says(&g, peer, "no traffic wants one"));
	gateway_down(&g);
}

/* Nobody is asked while there is no traffic: that is no failure. */
static void test_idle(void **state)
{
	struct gateway g;
	uint32_t peer;

	(void)state;
	gateway_up(&g, "full_mesh_up_to = 1;");
	(void)gateway_peer(&g, 2, "10.2.0.0/16");
	(void)gateway_peer(&g, 3, "10.3.0.0/16");
	peer = gateway_peer(&g, 4, "10.4.0.0/16");
	assert_int_equal(info(&g, peer).state, LM_PEER_IDLE);
	assert_true(says(&g, peer, "no traffic wants one"));
	assert_false(says(&g, peer, "none answered"));
	assert_false(says(&g, peer, "nothing was sent"));
	gateway_down(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_connecting),
	    cmocka_unit_test(test_idle),
	};

	if (!ns_enter())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
