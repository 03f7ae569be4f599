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

/* Does one of the sentences about the site have this in it? */
static bool site_says(struct gateway *g, const char *site, const char *what)
{
	struct lm_error err;
	json_t *o = lm_report_why(g->c, site, &err), *line;
	bool found = false;
	size_t i;

	assert_non_null(o);
	json_array_foreach(json_object_get(o, "why"), i, line) found |=
	    strstr(json_string_value(line), what) != NULL;
	json_decref(o);
	return found;
}

static bool says(struct gateway *g, uint32_t peer, const char *what)
{
	char name[LM_NAME_MAX + 1];

	(void)snprintf(name, sizeof(name), "%s", info(g, peer).cert->name);
	return site_says(g, name, what);
}

/* Has the answer this state, and all keys that an answer about a peer has? */
static void assert_state(struct gateway *g, const char *site, const char *state)
{
	static const char *const lists[] = {"why", "paths", "candidates_there", "candidates_here"};
	struct lm_error err;
	json_t *o = lm_report_why(g->c, site, &err);

	assert_non_null(o);
	assert_string_equal(json_string_value(json_object_get(o, "state")), state);
	assert_true(json_is_string(json_object_get(o, "name")));
	assert_true(json_is_null(json_object_get(o, "path")));
	for (size_t i = 0; i < LM_ARRAY_SIZE(lists); i++)
		assert_true(json_is_array(json_object_get(o, lists[i])));
	json_decref(o);
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

static void test_unknown(void **state)
{
	struct gateway g;
	struct lm_error err;

	(void)state;
	gateway_up(&g, "");
	assert_null(lm_report_why(g.c, "nowhere", &err));
	assert_non_null(strstr(err.text, "no site 'nowhere'"));
	assert_null(lm_report_why(g.c, "", &err));
	gateway_down(&g);
}

static void test_ourselves(void **state)
{
	struct gateway g;
	char hex[2 * LM_KEY_LEN + 1];

	(void)state;
	gateway_up(&g, "");
	assert_state(&g, "gw1", "local");
	assert_true(site_says(&g, "gw1", "the gateway that you ask"));
	assert_state(&g, lm_hex(lm_mesh_own_cert(g.c->mesh)->node, LM_KEY_LEN, hex), "local");
	gateway_down(&g);
}

static void revoke_node(struct gateway *g, const uint8_t node[LM_KEY_LEN])
{
	static uint8_t data[4096];
	struct lm_revocation r = {.number = 1,
				  .issued = (int64_t)time(NULL),
				  .next_update = (int64_t)time(NULL) + 86400,
				  .mesh = "test",
				  .n_nodes = 1,
				  .nodes = node};
	struct lm_error err;
	int len = lm_revocation_sign(g->authority, &r, data, sizeof(data), &err);

	assert_true(len > 0);
	assert_int_equal(lm_mesh_revocation(g->c->mesh, lm_control_now(g->c), data, (size_t)len),
			 LM_TRUSTED);
}

/* As long as a directory lists it by name, and by key when none does. */
static void test_revoked(void **state)
{
	struct gateway g;
	uint8_t node[LM_KEY_LEN];
	char hex[2 * LM_KEY_LEN + 1];
	struct lm_error err;
	uint32_t peer;

	(void)state;
	gateway_up(&g, "");
	peer = gateway_peer(&g, 2, "10.2.0.0/16");
	memcpy(node, info(&g, peer).cert->node, sizeof(node));
	lm_hex(node, sizeof(node), hex);
	revoke_node(&g, node);
	assert_state(&g, "gw2", "refused");
	assert_state(&g, hex, "refused");
	assert_true(site_says(&g, "gw2", "revoked"));
	lm_mesh_record_removed(g.c->mesh, lm_control_now(g.c), node);
	assert_null(lm_report_why(g.c, "gw2", &err));
	assert_non_null(strstr(err.text, "node key"));
	assert_state(&g, hex, "refused");
	assert_true(site_says(&g, hex, "revoked"));
	gateway_down(&g);
}

/* The clock goes past the end of every certificate, ours among them. */
static void test_expired(void **state)
{
	struct gateway g;
	struct lm_now later;

	(void)state;
	gateway_up(&g, "");
	(void)gateway_peer(&g, 2, "10.2.0.0/16");
	assert_false(site_says(&g, "gw2", "our own certificate"));
	later = lm_control_now(g.c);
	later.wall += 3 * 86400;
	later.mono += 3600 * LM_SEC; /* judged again by and by */
	lm_mesh_tick(g.c->mesh, later);
	assert_state(&g, "gw2", "refused");
	assert_true(site_says(&g, "gw2", "certificate expired"));
	assert_true(site_says(&g, "gw1", "our own certificate does not hold"));
	gateway_down(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_connecting), cmocka_unit_test(test_idle),
	    cmocka_unit_test(test_unknown),    cmocka_unit_test(test_ourselves),
	    cmocka_unit_test(test_revoked),    cmocka_unit_test(test_expired),
	};

	if (!ns_enter())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
