/* SPDX-License-Identifier: BSD-3-Clause */
/* What outlives the process, on disks that are damaged, full or read-only; reload of the config. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

static int setup(void **state)
{
	struct gateway *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	gateway_files(g, "");
	*state = g;
	return 0;
}

static int teardown(void **state)
{
	gateway_down(*state);
	free(*state);
	return 0;
}

static void start(struct gateway *g)
{
	struct lm_error err;

	if (gateway_start(g, &err) != 0)
		fail_msg("does not start: %s", err.text);
}

static uint64_t own_sequence(const struct gateway *g)
{
	struct lm_announcement a;
	size_t len, body;
	const uint8_t *data = lm_mesh_own_announcement(g->c->mesh, &len);

	assert_non_null(data);
	assert_int_equal(lm_announcement_decode(data, len, &a, &body), 0);
	return a.sequence;
}

static bool has_announced(struct gateway *g, const void *arg)
{
	size_t len;

	(void)arg;
	return lm_mesh_own_announcement(g->c->mesh, &len) != NULL && g->c->announce_due == 0;
}

static bool has_changed_addresses(struct gateway *g, const void *above)
{
	return own_sequence(g) > *(const uint64_t *)above;
}

/* ----------------------------------------------------------------- state -- */

static void test_sequence_goes_on(void **state)
{
	struct gateway *g = *state;
	uint64_t before = 0;

	for (unsigned i = 0; i < 3; i++) {
		start(g);
		UNTIL(g, has_announced, NULL);
		assert_true(own_sequence(g) > before);
		before = own_sequence(g);
		gateway_stop(g);
	}
	sh("grep -qx %llu %s/state/announcement-sequence", (unsigned long long)before, g->dir);
}

static void test_damaged_files(void **state)
{
	static const char *const sequences[] = {
	    "",
	    "x\\n",
	    "-5\\n",
	    " 7\\n",
	    "+7\\n",
	    "7",
	    "7\\n8\\n",
	    "7 \\n",
	    "99999999999999999999999\\n",
	    "18446744073709551615\\n",
	    "18446744073709551614\\n",
	    "7\\0\\n",
	    "\\377\\376\\n",
	};
	struct gateway *g = *state;

	start(g); /* makes the folder */
	gateway_stop(g);
	for (unsigned i = 0; i < LM_ARRAY_SIZE(sequences); i++) {
		sh("printf '%%b' '%s' > %s/state/announcement-sequence", sequences[i], g->dir);
		start(g);
		UNTIL(g, has_announced, NULL);
		assert_true(own_sequence(g) < 100);
		gateway_stop(g);
	}
	for (unsigned i = 0; i < 6; i++) {
		sh("head -c %u /dev/urandom > %s/state/directory", i * 1000, g->dir);
		start(g);
		assert_int_equal(lm_directory_count(g->c->directory), 0);
		gateway_stop(g);
	}
	sh("rm -f %s/state/directory; mkdir %s/state/directory", g->dir, g->dir);
	start(g);
	gateway_stop(g);
	sh("rmdir %s/state/directory; rm %s/state/announcement-sequence;"
	   " mkfifo %s/state/announcement-sequence %s/state/directory",
	   g->dir, g->dir, g->dir, g->dir);
	start(g); /* and does not wait for somebody to write into a pipe */
	gateway_stop(g);
}

static size_t sign_list(struct gateway *g, uint64_t number, uint8_t data[1024])
{
	struct lm_revocation r = {.mesh = "test",
				  .number = number,
				  .issued = time(NULL),
				  .next_update = time(NULL) + 86400};
	struct lm_error err;
	int len = lm_revocation_sign(g->authority, &r, data, 1024, &err);

	if (len <= 0)
		fail_msg("%s", err.text);
	return (size_t)len;
}

/* A revocation list, as the mesh hands it over. */
static void take_list(struct gateway *g, uint64_t number)
{
	uint8_t data[1024];
	size_t len = sign_list(g, number, data);

	lm_control_revocation(g->c, data, len, "the test");
}

static bool is_saved(struct gateway *g, const void *arg)
{
	(void)arg;
	return !g->c->state_failing &&
	       g->c->directory_saved == lm_directory_version(g->c->directory);
}

static bool private_mounts;

static bool leaves_nothing_behind(struct gateway *g, const void *arg)
{
	char line[128];

	(void)arg;
	(void)snprintf(line, sizeof(line), "test $(ls %s/state | grep -c tmp) = 0", g->dir);
	return system(line) == 0; /* but while it tries */
}

static bool is_failing(struct gateway *g, const void *arg)
{
	(void)arg;
	return g->c->state_failing;
}

static void test_full_disk(void **state)
{
	struct gateway *g = *state;
	uint64_t before;

	if (!private_mounts)
		skip();
	sh("mkdir -p %s/state && mount -t tmpfs -o size=64k none %s/state", g->dir, g->dir);
	start(g);
	UNTIL(g, has_announced, NULL);
	before = own_sequence(g);
	sh("head -c 1M /dev/zero > %s/state/fill 2>/dev/null; test -s %s/state/fill", g->dir,
	   g->dir);
	/* A list comes, and our address changes: neither can be stored. */
	take_list(g, 7);
	UNTIL(g, is_failing, NULL);
	sh("ip addr add 192.0.2.88/24 dev wan0");
	UNTIL(g, has_changed_addresses, &before);
	assert_true(g->c->announce_due > before);
	/* Everything else goes on. */
	sh("ip neigh replace 10.1.0.9 lladdr 02:00:00:00:00:09 dev lan0 nud reachable");
	UNTIL(g, has_route, "10.1.0.9/32");
	UNTIL(g, leaves_nothing_behind, NULL);
	/* Room again: what waited is stored without a restart. */
	sh("rm %s/state/fill", g->dir);
	UNTIL(g, is_saved, NULL);
	UNTIL(g, has_announced, NULL);
	gateway_stop(g);
	before = 0;
	start(g);
	take_list(g, 6); /* older than the one that was stored */
	lm_directory_each_revocation(g->c->directory, lm_control_raise_floor, g->c);
	assert_true(g->c->wall_floor >= time(NULL) - 100);
	gateway_stop(g);
	/* Read-only from the start: forwarding is more important than remembering. */
	sh("mount -o remount,ro %s/state", g->dir);
	start(g);
	UNTIL(g, has_route, "10.1.0.0/24");
	UNTIL(g, is_failing, NULL);
	sh("mount -o remount,rw %s/state", g->dir);
	UNTIL(g, has_announced, NULL);
	gateway_stop(g);
	sh("umount %s/state", g->dir);
}

struct hang {
	uv_work_t req[4]; /* as many as libuv has threads */
	uv_sem_t hold;
	unsigned ended;
};

static void hang(uv_work_t *req)
{
	uv_sem_wait(&((struct hang *)req->data)->hold);
}

static void on_hung(uv_work_t *req, int status)
{
	(void)status;
	((struct hang *)req->data)->ended++;
}

static bool is_over(struct gateway *g, const void *arg)
{
	(void)g;
	return ((const struct hang *)arg)->ended == 4;
}

/* A disk hangs, and libuv's threads with it: the control thread does not. */
static void test_hanging_disk(void **state)
{
	struct gateway *g = *state;
	struct hang h = {.ended = 0};
	uint64_t before;

	start(g);
	UNTIL(g, has_announced, NULL);
	take_list(g, 6);
	UNTIL(g, is_saved, NULL);
	before = own_sequence(g);
	assert_int_equal(uv_sem_init(&h.hold, 0), 0);
	for (unsigned i = 0; i < 4; i++) {
		h.req[i].data = &h;
		assert_int_equal(uv_queue_work(&g->c->loop, &h.req[i], hang, on_hung), 0);
	}
	take_list(g, 7);
	sh("ip addr add 192.0.2.88/24 dev wan0; ip addr add 10.77.0.1/24 dev lan0");
	UNTIL(g, has_changed_addresses, &before);
	UNTIL(g, has_route, "10.77.0.1/32");
	/* Not on disk, so not announced; and more changes follow. */
	assert_false(is_saved(g, NULL));
	assert_false(has_announced(g, NULL));
	take_list(g, 8);
	before = own_sequence(g);
	sh("ip addr add 192.0.2.89/24 dev wan0");
	UNTIL(g, has_changed_addresses, &before);
	for (unsigned i = 0; i < 4; i++)
		uv_sem_post(&h.hold);
	UNTIL(g, is_over, &h);
	UNTIL(g, is_saved, NULL);
	UNTIL(g, has_announced, NULL);
	/* The newest is what is there. */
	sh("grep -qx %llu %s/state/announcement-sequence", (unsigned long long)own_sequence(g),
	   g->dir);
	/* What changes just before the end is stored. */
	take_list(g, 9);
	take_list(g, 10);
	gateway_stop(g);
	start(g);
	take_list(g, 10);
	assert_true(is_saved(g, NULL)); /* it was there already */
	gateway_stop(g);
	uv_sem_destroy(&h.hold);
}

/* Occupies n of libuv's threads, as a disk or a resolver does that does not answer. */
static void occupy(struct gateway *g, struct hang *h, unsigned n)
{
	assert_int_equal(uv_sem_init(&h->hold, 0), 0);
	for (unsigned i = 0; i < n; i++) {
		h->req[i].data = h;
		assert_int_equal(uv_queue_work(&g->c->loop, &h->req[i], hang, on_hung), 0);
	}
}

/* Ends the gateway with n threads hanging: it does not wait for them, nor does it let go of the
 * lock. Then they end. */
static void end_hanging(struct gateway *g, struct hang *h, unsigned n)
{
	struct lm_control *c = g->c;
	struct lm_error err;

	g->c = NULL;
	assert_false(lm_control_free(c));
	assert_int_not_equal(gateway_start(g, &err), 0);
	for (unsigned i = 0; i < n; i++)
		uv_sem_post(&h->hold);
	while (uv_run(&c->loop, UV_RUN_ONCE) != 0)
		;
	assert_int_equal(h->ended, n);
	assert_null(c->directory_write);
	assert_int_equal(uv_loop_close(&c->loop), 0);
	close(c->lock);
	free(c);
	uv_sem_destroy(&h->hold);
}

static void test_end_with_hanging_threads(void **state)
{
	struct gateway *g = *state;
	struct hang one = {.ended = 0}, all = {.ended = 0};
	uint8_t data[1024];
	size_t len;

	/* The resolver: what changed while the last write was under way is stored. */
	start(g);
	UNTIL(g, has_announced, NULL);
	occupy(g, &one, 1);
	take_list(g, 7);
	len = sign_list(g, 8, data);
	assert_int_equal(lm_directory_put_revocation(g->c->directory, data, len), 0);
	end_hanging(g, &one, 1);
	start(g);
	assert_true(is_saved(g, NULL));
	take_list(g, 8);
	assert_true(is_saved(g, NULL));
	UNTIL(g, has_announced, NULL);
	/* The disk. */
	occupy(g, &all, 4);
	take_list(g, 9);
	end_hanging(g, &all, 4);
}

static void on_nothing(uv_timer_t *t)
{
	(void)t;
}

/* A list that comes while another write is under way does not wait for the next second. */
static void test_list_is_saved_at_once(void **state)
{
	struct gateway *g = *state;

	start(g);
	UNTIL(g, has_announced, NULL);
	take_list(g, 6);
	UNTIL(g, is_saved, NULL);
	assert_int_equal(uv_timer_start(&g->c->second_timer, on_nothing, 1000, 1000), 0);
	take_list(g, 7);
	assert_non_null(g->c->directory_write);
	take_list(g, 8);
	assert_false(is_saved(g, NULL));
	UNTIL(g, is_saved, NULL);
	assert_false(g->c->save_again);
}

/* ---------------------------------------------------------------- reload -- */

#define KEY_A	      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
#define KEY_B	      "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
#define NO_KEY	      "0000000000000000000000000000000000000000000000000000000000000002"
#define COORD(n, key) "{ address = \"127.0.0.1:" n "\"; key = \"" key "\"; }"

static unsigned coordinators(const struct gateway *g, uint16_t *first_port)
{
	unsigned n = 0;

	for (unsigned i = 0; g->c->coords != NULL && i < LM_CONFIG_COORDS_MAX; i++)
		if (g->c->coords[i].link != NULL && n++ == 0)
			*first_port = g->c->coords[i].cfg.address.port;
	return n;
}

static int reload(struct gateway *g, const char *extra, struct lm_error *err)
{
	gateway_config(g, extra);
	err->text[0] = '\0';
	return lm_control_reload(g->c, err);
}

static unsigned announced_prefixes(const struct gateway *g)
{
	struct lm_announcement a;
	size_t len, body;
	const uint8_t *data = lm_mesh_own_announcement(g->c->mesh, &len);

	assert_non_null(data);
	assert_int_equal(lm_announcement_decode(data, len, &a, &body), 0);
	return a.n_prefixes;
}

static void test_reload(void **state)
{
	struct gateway *g = *state;
	struct lm_error err;
	uint16_t port = 0;

	start(g);
	UNTIL(g, has_announced, NULL);
	assert_int_equal(coordinators(g, &port), 0);
	assert_int_equal(announced_prefixes(g), 2);
	/* The same again: nothing happens, above all no prefix is taken back. */
	assert_int_equal(reload(g, "", &err), 0);
	assert_int_equal(announced_prefixes(g), 2);
	assert_int_equal(
	    reload(g,
		   "coordinators = ( " COORD(
		       "5001", KEY_A) " );"
				      "prefixes = [ \"10.1.0.0/25\" ]; allow_key_export = true;",
		   &err),
	    0);
	assert_int_equal(coordinators(g, &port), 1);
	assert_int_equal(port, 5001);
	assert_int_equal(announced_prefixes(g), 1);
	assert_true(g->c->cfg->allow_key_export);
	assert_int_equal(
	    reload(g, "coordinators = ( " COORD("5002", KEY_B) ", " COORD("5001", KEY_A) " );",
		   &err),
	    0);
	assert_int_equal(coordinators(g, &port), 2);
	assert_int_equal(port, 5002);
	assert_int_equal(announced_prefixes(g), 2);
	gateway_idle(g);
	assert_int_equal(reload(g, "", &err), 0);
	assert_int_equal(coordinators(g, &port), 0);
	gateway_idle(g);
}

/* Whatever is refused, nothing has changed. */
static void refused(struct gateway *g, const char *extra, const char *says)
{
	struct lm_config before = *g->c->cfg;
	struct lm_error err;
	uint16_t port = 0;

	assert_int_not_equal(reload(g, extra, &err), 0);
	if (strstr(err.text, says) == NULL)
		fail_msg("'%s' does not say '%s'", err.text, says);
	assert_memory_equal(&before, g->c->cfg, sizeof(before));
	assert_int_equal(coordinators(g, &port), 1);
	assert_int_equal(port, 5001);
	assert_int_equal(announced_prefixes(g), 1);
	assert_int_equal(g->c->log.level, LM_LOG_ERROR);
}

static void test_refused_reloads(void **state)
{
	static const char good[] =
	    "coordinators = ( " COORD("5001", KEY_A) " );"
						     "prefixes = [ \"10.1.0.0/25\" ];";
	struct gateway *g = *state;
	struct lm_error err;
	char text[600];

	gateway_config(g, good);
	start(g);
	UNTIL(g, has_announced, NULL);
	refused(g, "allow_key_export = 3;", "allow_key_export");
	refused(g, "allow_key_export = true; workers = { count = 3; };", "workers.count");
	refused(g, "allow_key_export = true; prefixes = [ \"10.99.0.0/16\" ];", "10.99.0.0/16");
	/* A key that is no point of the curve is found before the links are touched. */
	refused(g,
		"allow_key_export = true; coordinators = ( " COORD("5002", KEY_B) ", " COORD(
		    "5003", NO_KEY) " );",
		"coordinators[1].key");
	/* A revocation list that is rubbish, and one of an authority that is none. */
	sh("echo rubbish > %s/list", g->dir);
	(void)snprintf(text, sizeof(text),
		       "%s allow_key_export = true; revocation_list = \"%s/list\";", good, g->dir);
	refused(g, text, "list");
	{
		struct lm_identity *other = lm_identity_generate();
		struct lm_revocation r = {
		    .mesh = "test", .number = 1, .issued = 1, .next_update = 2};
		uint8_t data[1024];
		char path[96];
		int len = lm_revocation_sign(other, &r, data, sizeof(data), &err);

		assert_true(len > 0);
		(void)snprintf(path, sizeof(path), "%s/list", g->dir);
		assert_int_equal(
		    lm_armor_write(path, LM_LABEL_REVOCATION, data, (size_t)len, true, &err), 0);
		refused(g, text, "that is not configured");
		len = lm_revocation_sign(g->authority, &r, data, sizeof(data), &err);
		assert_true(len > 0);
		assert_int_equal(
		    lm_armor_write(path, LM_LABEL_REVOCATION, data, (size_t)len, true, &err), 0);
		lm_identity_free(other);
	}
	sh("mv %s/conf %s/conf.away", g->dir, g->dir);
	assert_int_equal(lm_control_reload(g->c, &err), -ENOENT);
	/* And one that is right is taken. */
	assert_int_equal(reload(g, text, &err), 0);
	assert_true(g->c->cfg->allow_key_export);
}

static bool exports_keys(struct gateway *g, const void *arg)
{
	(void)arg;
	return g->c->cfg->allow_key_export;
}

static void test_sighup(void **state)
{
	struct gateway *g = *state;

	start(g);
	gateway_config(g, "allow_key_export = true;");
	assert_int_equal(kill(getpid(), SIGHUP), 0);
	UNTIL(g, exports_keys, NULL);
	gateway_config(g, "rubbish");
	assert_int_equal(kill(getpid(), SIGHUP), 0);
	gateway_idle(g);
	assert_true(exports_keys(g, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_sequence_goes_on, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_damaged_files, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_hanging_disk, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_end_with_hanging_threads, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_list_is_saved_at_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_refused_reloads, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_sighup, setup, teardown),
	};

	if (!ns_enter())
		return 77;
	/* Before libuv has threads, which stay where they were made. */
	private_mounts =
	    unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
