/* SPDX-License-Identifier: BSD-3-Clause */
/* Start, stop, signals, questions of other threads; start failing at each step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <net/if.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

static unsigned open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n;
}

static void test_start_and_stop(void **state)
{
	struct gateway g;
	const struct lm_ip *ips;

	(void)state;
	gateway_up(&g, "");
	assert_true(if_nametoindex("wan0") != 0 && if_nametoindex("lan0") != 0 &&
		    if_nametoindex("lm0") != 0);
	assert_int_equal(fake_own(g.c->dp), 4);
	UNTIL(&g, has_route, "10.1.0.1/32");
	assert_int_equal(fake_route(g.c->dp, "10.1.0.1/32")->kind, LM_ROUTE_TO_ME);
	assert_int_equal(fake_route(g.c->dp, "fd00:1::1/128")->kind, LM_ROUTE_TO_ME);
	assert_int_equal(fake_route(g.c->dp, "100.64.0.1/32")->kind, LM_ROUTE_TO_ME);
	assert_int_equal(fake_route(g.c->dp, "10.1.0.0/24")->kind, LM_ROUTE_CONNECTED);
	assert_int_equal(fake_route(g.c->dp, "fd00:1::/64")->kind, LM_ROUTE_CONNECTED);
	assert_null(fake_route(g.c->dp, "192.0.2.0/24")); /* WAN networks are not for packets */
	assert_true(fake_addresses(g.c->dp, WAN, &ips) >= 2);
	assert_int_equal(fake_addresses(g.c->dp, LAN, &ips), 0);
	gateway_stop(&g);
	assert_int_equal(if_nametoindex("wan0"), 0);
	assert_null(fake_dp());
	gateway_down(&g);
}

static void *raise_term(void *arg)
{
	(void)arg;
	(void)kill(getpid(), SIGTERM);
	return NULL;
}

static void test_sigterm_ends_the_run(void **state)
{
	struct gateway g;
	pthread_t t;

	(void)state;
	gateway_up(&g, "");
	assert_int_equal(pthread_create(&t, NULL, raise_term, NULL), 0);
	lm_control_run(g.c);
	assert_int_equal(pthread_join(t, NULL), 0);
	gateway_down(&g);
}

static void test_second_one_of_a_name_is_refused(void **state)
{
	struct gateway g;
	struct lm_control *other;
	struct lm_error err;

	(void)state;
	gateway_up(&g, "");
	assert_int_equal(lm_control_new(g.config, g.instance, &other, &err), -EBUSY);
	assert_non_null(strstr(err.text, "running already"));
	/* The first one is unharmed. */
	assert_true(if_nametoindex("lan0") != 0);
	gateway_down(&g);
}

/* ------------------------------------------------- failing at each step -- */

static void must_fail(struct gateway *g, int rc, const char *says)
{
	unsigned before = open_fds();
	struct lm_error err;

	assert_int_equal(gateway_start(g, &err), rc);
	if (strstr(err.text, says) == NULL)
		fail_msg("'%s' does not say '%s'", err.text, says);
	assert_null(fake_dp());
	assert_int_equal(open_fds(), before);
	assert_int_equal(if_nametoindex("wan0"), 0);
	assert_int_equal(if_nametoindex("lan0"), 0);
	assert_int_equal(if_nametoindex("lm0"), 0);
}

static void test_data_plane_fails(void **state)
{
	struct gateway g;
	struct lm_error err;

	(void)state;
	gateway_files(&g, "");
	fake_fail(FAKE_CREATE, 1, -ENODEV);
	must_fail(&g, -ENODEV, "fake data plane");
	fake_fail(FAKE_OWN_SET, 1, -ENOMEM);
	must_fail(&g, -ENOMEM, "own prefixes");
	fake_fail(FAKE_PORT_INFO, 1, -ENOENT);
	must_fail(&g, -ENOENT, "wan0");
	/* And after all that it starts. */
	assert_int_equal(gateway_start(&g, &err), 0);
	gateway_down(&g);
}

static void test_files_are_bad(void **state)
{
	struct gateway g;

	(void)state;
	gateway_files(&g, "nonsense = 1;");
	must_fail(&g, -EINVAL, "nonsense");
	gateway_config(&g, "");
	sh("chmod 644 %s/key", g.dir);
	must_fail(&g, -EACCES, "chmod");
	sh("chmod 600 %s/key; mv %s/cert %s/cert.away", g.dir, g.dir, g.dir);
	must_fail(&g, -ENOENT, "cert");
	sh("echo rubbish > %s/cert", g.dir);
	must_fail(&g, -EBADMSG, "cert");
	sh("mv %s/cert.away %s/cert; echo 1 > %s/state", g.dir, g.dir, g.dir);
	must_fail(&g, -ENOTDIR, "not a directory");
	sh("rm %s/state", g.dir);
	gateway_config(&g, "authorities_are_missing = true;");
	must_fail(&g, -EINVAL, "authorities_are_missing");
	gateway_down(&g);
}

static void test_names_and_sockets_are_taken(void **state)
{
	struct gateway g;
	char psk[200];

	(void)state;
	gateway_files(&g, "");
	sh("ip tuntap add lm0 mode tun");
	assert_int_not_equal(if_nametoindex("lm0"), 0);
	{
		struct lm_error err;
		unsigned before = open_fds();

		assert_int_not_equal(gateway_start(&g, &err), 0);
		assert_non_null(strstr(err.text, "lm0"));
		assert_int_equal(open_fds(), before);
		assert_int_equal(if_nametoindex("lan0"), 0);
	}
	sh("ip link del lm0");
	/* A folder in the control socket's place: a step after the links to coordinators. */
	sh("mkdir -p " LM_RUN_DIR "/%s/control.sock", g.instance);
	must_fail(&g, -EADDRINUSE, "control.sock");
	/* The instance's folder is a file: the first step. */
	sh("rm -r " LM_RUN_DIR "/%s; echo > " LM_RUN_DIR "/%s", g.instance, g.instance);
	must_fail(&g, -ENOTDIR, "lock");
	sh("rm " LM_RUN_DIR "/%s", g.instance);
	gateway_config(&g, "metrics = \"203.0.113.99:9469\";");
	must_fail(&g, -EADDRNOTAVAIL, "203.0.113.99");
	(void)snprintf(psk, sizeof(psk), "psk_file = \"%s/psk\";", g.dir);
	gateway_config(&g, psk);
	must_fail(&g, -ENOENT, "psk");
	sh("echo 12 > %s/psk; chmod 600 %s/psk", g.dir, g.dir);
	must_fail(&g, -EINVAL, "pre-shared key");
	gateway_down(&g);
}

/* Each file descriptor more lets one more step succeed: every step of the start fails once. */
static void test_out_of_descriptors(void **state)
{
	struct rlimit old, low;
	struct lm_error err;
	struct gateway g;
	unsigned fails = 0, base;
	int rc = -1;

	(void)state;
	gateway_files(&g, "metrics = \"127.0.0.1:9469\";");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	base = open_fds() - 3; /* the folder's own, "." and ".." */
	for (unsigned more = 0; more < 64 && rc != 0; more++) {
		low.rlim_cur = base + more;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
		rc = gateway_start(&g, &err);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		if (rc != 0) {
			assert_int_not_equal(err.text[0], '\0');
			assert_null(fake_dp());
			/* libuv 1.44 forgets its epoll descriptor when uv_loop_init fails. */
			if (strstr(err.text, "no event loop") != NULL)
				base = open_fds() - 3;
			assert_int_equal(open_fds() - 3, base);
			fails++;
		}
	}
	assert_int_equal(rc, 0);
	assert_true(fails > 8);
	gateway_down(&g);
}

/* ---------------------------------------------------- other threads ask -- */

struct asker {
	struct lm_control *c;
	unsigned good, refused;
	bool stop;
};

static void *ask(void *arg)
{
	static const char *const what[] = {"status",  "peers", "routes",  "sa",	   "ports",
					   "workers", "drops", "traffic", "events"};
	struct asker *a = arg;

	for (unsigned i = 0; !__atomic_load_n(&a->stop, __ATOMIC_RELAXED); i++) {
		struct lm_error err = {.text = ""};
		char *text = lm_control_query(a->c, what[i % LM_ARRAY_SIZE(what)], &err);

		if (text != NULL)
			__atomic_add_fetch(&a->good, 1, __ATOMIC_RELAXED);
		else if (err.text[0] != '\0')
			a->refused++;
		free(text);
	}
	return NULL;
}

static bool asked_enough(struct gateway *g, const void *arg)
{
	const struct asker *a = arg;

	(void)g;
	return __atomic_load_n(&a->good, __ATOMIC_RELAXED) >= 200;
}

static void test_questions_until_the_end(void **state)
{
	struct gateway g;
	struct asker a[3] = {0};
	pthread_t t[3];

	(void)state;
	gateway_up(&g, "");
	for (unsigned i = 0; i < 3; i++) {
		a[i].c = g.c;
		assert_int_equal(pthread_create(&t[i], NULL, ask, &a[i]), 0);
	}
	UNTIL(&g, asked_enough, &a[0]);
	/* The run ends while they ask: none waits for an answer that does not come. */
	assert_int_equal(kill(getpid(), SIGTERM), 0);
	lm_control_run(g.c);
	for (unsigned i = 0; i < 3; i++) {
		__atomic_store_n(&a[i].stop, true, __ATOMIC_RELAXED);
		assert_int_equal(pthread_join(t[i], NULL), 0);
	}
	gateway_down(&g);
}

static void *ask_once(void *arg)
{
	struct asker *a = arg;
	char *text = lm_control_query(a->c, "no such thing", NULL);

	a->refused += text == NULL;
	free(text);
	__atomic_store_n(&a->stop, true, __ATOMIC_RELAXED);
	return NULL;
}

static bool has_stopped(struct gateway *g, const void *arg)
{
	(void)g;
	return __atomic_load_n(&((const struct asker *)arg)->stop, __ATOMIC_RELAXED);
}

static void test_unknown_question(void **state)
{
	struct gateway g;
	struct asker a = {0};
	pthread_t t;

	(void)state;
	gateway_up(&g, "");
	a.c = g.c;
	assert_int_equal(pthread_create(&t, NULL, ask_once, &a), 0);
	UNTIL(&g, has_stopped, &a);
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_int_equal(a.refused, 1);
	gateway_down(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_start_and_stop),
	    cmocka_unit_test(test_sigterm_ends_the_run),
	    cmocka_unit_test(test_second_one_of_a_name_is_refused),
	    cmocka_unit_test(test_data_plane_fails),
	    cmocka_unit_test(test_files_are_bad),
	    cmocka_unit_test(test_names_and_sockets_are_taken),
	    cmocka_unit_test(test_out_of_descriptors),
	    cmocka_unit_test(test_questions_until_the_end),
	    cmocka_unit_test(test_unknown_question),
	};

	if (!ns_enter())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
