/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of STUN servers: asked without waiting, again after a while, and forgotten with the config.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#define NAMES "stun_servers = [ \"localhost:3479\", \"198.51.100.7\", \"no-such-name.invalid\" ];"

static bool is_resolved(struct gateway *g, const void *arg)
{
	(void)arg;
	return g->c->stun[0].asking == NULL && g->c->stun[0].n > 0;
}

static bool has_failed(struct gateway *g, const void *times)
{
	return g->c->stun[2].asking == NULL && g->c->stun[2].fails >= *(const unsigned *)times;
}

static bool is_due_later(struct gateway *g, const void *arg)
{
	(void)arg;
	return g->c->stun[0].asking == NULL && g->c->stun[0].due > lm_control_now(g->c).mono;
}

static void test_names(void **state)
{
	static const unsigned once = 1, twice = 2;
	const struct lm_stun_name *s;
	struct gateway g;
	lm_time now;

	(void)state;
	gateway_up(&g, NAMES);
	s = g.c->stun;
	/* It has started, and answers are still to come. An address is no question. */
	assert_true(s[0].asking != NULL && s[2].asking != NULL);
	assert_true(s[1].asking == NULL && s[1].n == 1 && s[1].eps[0].port == 3478);
	UNTIL(&g, is_resolved, NULL);
	assert_true(s[0].n <= 2 * LM_STUN_NAME_FAMILY);
	for (unsigned i = 0; i < s[0].n; i++)
		assert_int_equal(s[0].eps[i].port, 3479);
	/* One that does not resolve is tried again, later and later, not in a loop. */
	UNTIL(&g, has_failed, &once);
	UNTIL(&g, has_failed, &twice);
	now = lm_control_now(g.c).mono;
	assert_true(s[2].n == 0 && s[2].due > now && s[2].due <= now + 60 * LM_SEC);
	/* One that does is asked again too: servers move. */
	assert_true(s[0].due > now && s[0].due <= now + 300 * LM_SEC);
	g.c->stun[0].due = now;
	g.c->stun[0].n = 0;
	UNTIL(&g, is_due_later, NULL);
	assert_true(s[0].n > 0);
	gateway_down(&g);
}

/* The config changes while a question is under way: its answer is nobody's any more. */
static void test_reload_meanwhile(void **state)
{
	struct lm_error err;
	struct gateway g;

	(void)state;
	gateway_up(&g, NAMES);
	assert_non_null(g.c->stun[0].asking);
	gateway_config(&g, "stun_servers = [ \"198.51.100.8:5000\" ];");
	assert_int_equal(lm_control_reload(g.c, &err), 0);
	for (unsigned i = 0; i < 3; i++)
		(void)uv_run(&g.c->loop, UV_RUN_ONCE);
	gateway_idle(&g);
	assert_int_equal(g.c->stun[0].n, 1);
	assert_int_equal(g.c->stun[0].eps[0].port, 5000);
	assert_null(g.c->stun[2].asking);
	/* And the end does not wait for answers. */
	gateway_config(&g, NAMES);
	assert_int_equal(lm_control_reload(g.c, &err), 0);
	assert_non_null(g.c->stun[0].asking);
	gateway_down(&g);
}

/* For this process: a name server that refuses at once, so that no test waits for a network. Before
 * libuv has threads, which stay in the namespace where they were made. */
static bool private_resolver(void)
{
	char path[] = "/tmp/lmt-ctl-resolv-XXXXXX";
	static const char text[] = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";
	int fd = mkstemp(path);
	bool ok = fd >= 0 && write(fd, text, sizeof(text) - 1) == (ssize_t)sizeof(text) - 1 &&
		  unshare(CLONE_NEWNS) == 0 &&
		  mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		  mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL) == 0;

	if (!ok)
		(void)printf("skipped: no /etc/resolv.conf of its own: %s\n", strerror(errno));
	if (fd >= 0) {
		(void)close(fd);
		(void)unlink(path);
	}
	return ok;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_reload_meanwhile),
	};

	if (!ns_enter() || !private_resolver())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
