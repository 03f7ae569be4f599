/* SPDX-License-Identifier: BSD-3-Clause */
/* The libuv glue on real loopback TCP, IPv4 and IPv6: links and listener in one loop. */
#include "ends.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

struct net {
	struct world *w;
	uv_loop_t loop;
	struct lm_endpoint at;
	struct lm_coord_listener *listener;
	struct end ends[4];
};

static void clock_now(void *user, struct lm_now *out)
{
	(void)user;
	*out = (struct lm_now){.mono = uv_hrtime(), .wall = WORLD_EPOCH};
}

static void serve(struct net *n)
{
	struct lm_coord_server_config cfg = {.id = n->w->server_id,
					     .authorities = n->w->au,
					     .limits = n->w->limits,
					     .store = mem_store_ops(n->w->store),
					     .log = &n->w->sink};
	struct lm_error err = {.text = ""};

	n->listener = lm_coord_listener_new(&n->loop, &n->at, 1, &cfg, clock_now, n, &err);
	if (n->listener == NULL)
		print_error("%s\n", err.text);
	assert_non_null(n->listener);
}

static bool net_open(struct net *n, const char *host)
{
	memset(n, 0, sizeof(*n));
	assert_int_equal(lm_ip_parse(host, &n->at.ip), 0);
	n->at.port = end_free_port(host);
	if (n->at.port == 0)
		return false;
	n->w = world_new();
	assert_int_equal(uv_loop_init(&n->loop), 0);
	serve(n);
	return true;
}

static void join(struct net *n, struct end *e)
{
	e->site = e->site ? e->site : site_new(n->w, false);
	end_join(e, &n->loop, &n->at);
}

#define WAIT(n, cond) END_WAIT(&(n)->loop, cond)

static void net_close(struct net *n)
{
	for (unsigned i = 0; i < LM_ARRAY_SIZE(n->ends); i++)
		lm_coord_link_close(n->ends[i].link);
	lm_coord_listener_close(n->listener);
	/* Nothing is left open that would keep the loop alive. */
	for (unsigned i = 0; i < 5000 && uv_run(&n->loop, UV_RUN_NOWAIT) != 0; i++)
		usleep(1000);
	assert_int_equal(uv_loop_close(&n->loop), 0);
	world_free(n->w);
}

static uint32_t connections(struct net *n)
{
	struct lm_coord_server_info info;

	lm_coord_server_info(lm_coord_listener_server(n->listener), &info);
	return info.connections;
}

static void link_test(const char *host)
{
	struct net n;
	struct end *a = &n.ends[0], *b = &n.ends[1], *c = &n.ends[2];
	uint8_t list[4096];
	size_t len;

	if (!net_open(&n, host)) {
		print_message("no %s here: skipped\n", host);
		skip();
	}
	join(&n, a);
	join(&n, b);
	end_publish(a, 1);
	end_publish(b, 2);
	WAIT(&n, a->published == 1 && b->published == 2 && site_knows(a->site, b->site, 2) &&
		     site_knows(b->site, a->site, 1));
	end_publish(a, 3);
	WAIT(&n, site_knows(b->site, a->site, 3));
	/* The coordinator stops, says so, and is found again. */
	lm_coord_listener_close(n.listener);
	n.listener = NULL;
	WAIT(&n, a->downs >= 1 && b->downs >= 1);
	assert_non_null(strstr(a->why, "stops"));
	WAIT(&n, a->downs >= 2); /* refused connections */
	serve(&n);
	WAIT(&n, a->ups >= 2 && b->ups >= 2);
	assert_int_equal(a->site->resyncs, 1);
	/* A node is revoked: it is told why. */
	len = world_list(n.w, 1, &b->site, 1, list, sizeof(list));
	assert_int_equal(
	    lm_coord_client_revocation(lm_coord_link_client(a->link), uv_hrtime(), list, len), 0);
	lm_coord_link_kick(a->link);
	WAIT(&n, strstr(b->why, "revoked") != NULL && !site_knows(a->site, b->site, 2));
	/* A link that its owner closes is gone from the coordinator too. */
	join(&n, c);
	WAIT(&n, c->ups >= 1);
	lm_coord_link_close(c->link);
	c->link = NULL;
	WAIT(&n, connections(&n) == 1);
	net_close(&n);
}

static void test_ip4(void **state)
{
	(void)state;
	link_test("127.0.0.1");
}

static void test_ip6(void **state)
{
	(void)state;
	link_test("::1");
}

/* More than socket buffers hold: partial writes on both sides. */
static void test_large(void **state)
{
	struct net n;
	struct end *a = &n.ends[0];
	struct lm_revocation r = {.mesh = "test", .number = 9, .n_nodes = LM_REVOKED_NODES_MAX};
	uint8_t *nodes = malloc(LM_REVOKED_NODES_MAX * LM_KEY_LEN);
	uint8_t *list = malloc(LM_REVOCATION_MAX);
	struct lm_error err;
	int len;

	(void)state;
	assert_true(net_open(&n, "127.0.0.1"));
	for (unsigned i = 0; i < LM_REVOKED_NODES_MAX; i++) {
		memset(nodes + i * LM_KEY_LEN, 0, LM_KEY_LEN);
		nodes[i * LM_KEY_LEN] = (uint8_t)(i >> 8);
		nodes[i * LM_KEY_LEN + 1] = (uint8_t)i;
	}
	memcpy(r.issuer, n.w->authority->ed_public, LM_KEY_LEN);
	r.issued = WORLD_EPOCH;
	r.next_update = WORLD_EPOCH + 86400;
	r.nodes = nodes;
	len = lm_revocation_sign(n.w->authority, &r, list, LM_REVOCATION_MAX, &err);
	assert_true(len > 30000);
	for (unsigned i = 0; i < 4; i++)
		join(&n, &n.ends[i]);
	WAIT(&n, a->ups >= 1);
	assert_int_equal(lm_coord_client_revocation(lm_coord_link_client(a->link), uv_hrtime(),
						    list, (size_t)len),
			 0);
	lm_coord_link_kick(a->link);
	for (unsigned i = 0; i < 4; i++)
		WAIT(&n, n.ends[i].site->lists == 1);
	net_close(&n);
	free(nodes);
	free(list);
}

static void test_port_taken(void **state)
{
	struct net n;
	struct lm_coord_server_config cfg;
	struct lm_error err;

	(void)state;
	assert_true(net_open(&n, "127.0.0.1"));
	cfg = (struct lm_coord_server_config){
	    .id = n.w->server_id, .authorities = n.w->au, .limits = n.w->limits};
	assert_null(lm_coord_listener_new(&n.loop, &n.at, 1, &cfg, clock_now, &n, &err));
	assert_non_null(strstr(err.text, "127.0.0.1"));
	assert_non_null(strstr(err.text, "in use"));
	net_close(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ip4),
	    cmocka_unit_test(test_ip6),
	    cmocka_unit_test(test_large),
	    cmocka_unit_test(test_port_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
