/* SPDX-License-Identifier: BSD-3-Clause */
/* lanemesh-coord itself on loopback: LM_COORD is the program. */
#include "ends.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

struct setup {
	struct world *w;
	uv_loop_t loop;
	struct lm_endpoint at, metrics;
	char dir[64];
	char config[96], key[96], list[96], log[96];
	pid_t pid;
	struct end a, b;
};

static void write_text(const char *path, const char *text)
{
	struct lm_error err;

	assert_int_equal(lm_file_replace(path, text, strlen(text), 0644, &err), 0);
}

static void write_config(struct setup *s, const char *more)
{
	char text[1024], at[LM_ENDPOINT_STRLEN], metrics[LM_ENDPOINT_STRLEN];
	char authority[2 * LM_KEY_LEN + 1];

	snprintf(text, sizeof(text),
		 "mesh = \"test\";\nidentity = \"%s\";\nauthorities = [ \"%s\" ];\n"
		 "listen = [ \"%s\" ];\nstore = \"%s/store/directory.db\";\n"
		 "revocation_list = \"%s\";\nmetrics = \"%s\";\nmax_nodes = 100;\n%s",
		 s->key, lm_hex(s->w->authority->ed_public, LM_KEY_LEN, authority),
		 lm_endpoint_format(&s->at, at), s->dir, s->list,
		 lm_endpoint_format(&s->metrics, metrics), more);
	write_text(s->config, text);
}

static bool logged(struct setup *s, const char *text)
{
	struct lm_error err;
	uint8_t *data;
	size_t len;
	bool found;

	if (lm_file_read(s->log, 1024 * 1024, &data, &len, &err) < 0)
		return false;
	found = strstr((char *)data, text) != NULL;
	free(data);
	return found;
}

/* Appends to the log file; returns the exit code when wait is set. */
static int daemon_run(struct setup *s, bool wait, const char *const argv[])
{
	const char *path = getenv("LM_COORD");
	int status;

	assert_non_null(path);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		int fd = open(s->log, O_WRONLY | O_CREAT | O_APPEND, 0600);

		dup2(fd, 2);
		dup2(fd, 1);
		execv(path, (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	if (!wait)
		return 0;
	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	s->pid = 0;
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void daemon_start(struct setup *s)
{
	const char *const argv[] = {"lanemesh-coord", "-c", s->config, NULL};

	write_text(s->log, "");
	daemon_run(s, false, argv);
	for (unsigned i = 0; i < 20000 && !logged(s, "ready: "); i++) {
		assert_int_equal(waitpid(s->pid, NULL, WNOHANG), 0);
		usleep(1000);
	}
	assert_true(logged(s, "ready: "));
}

static void daemon_kill(struct setup *s)
{
	kill(s->pid, SIGKILL);
	assert_int_equal(waitpid(s->pid, NULL, 0), s->pid);
	s->pid = 0;
}

static int set_up(void **state)
{
	struct setup *s = calloc(1, sizeof(*s));
	struct lm_error err;

	assert_non_null(s);
	signal(SIGPIPE, SIG_IGN);
	s->w = world_new_at(time(NULL));
	strcpy(s->dir, "/tmp/lmt-coord-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->config, sizeof(s->config), "%s/coord.conf", s->dir);
	snprintf(s->key, sizeof(s->key), "%s/coord.key", s->dir);
	snprintf(s->list, sizeof(s->list), "%s/revoked", s->dir);
	snprintf(s->log, sizeof(s->log), "%s/log", s->dir);
	assert_int_equal(
	    lm_armor_write(s->key, LM_LABEL_KEY, s->w->server_id->ed_secret, 32, false, &err), 0);
	assert_int_equal(lm_endpoint_parse("127.0.0.1:1", 0, &s->at), 0);
	s->metrics = s->at;
	s->at.port = end_free_port("127.0.0.1");
	do
		s->metrics.port = end_free_port("127.0.0.1");
	while (s->metrics.port == s->at.port);
	assert_int_equal(uv_loop_init(&s->loop), 0);
	s->a.site = site_new(s->w, false);
	s->b.site = site_new(s->w, false);
	write_config(s, "");
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct setup *s = *state;
	char cmd[128];

	if (s->pid > 0)
		daemon_kill(s);
	end_leave(&s->a);
	end_leave(&s->b);
	for (unsigned i = 0; i < 5000 && uv_run(&s->loop, UV_RUN_NOWAIT) != 0; i++)
		usleep(1000);
	assert_int_equal(uv_loop_close(&s->loop), 0);
	world_free(s->w);
	snprintf(cmd, sizeof(cmd), "rm -r %s", s->dir);
	assert_int_equal(system(cmd), 0);
	free(s);
	return 0;
}

/* kill -9 while announcements stream in: what was acknowledged is served afterwards. */
static void test_kill(void **state)
{
	struct setup *s = *state;
	const char *env = getenv("LM_COORD_KILLS");
	unsigned kills = env ? (unsigned)atoi(env) : 10;
	uint64_t sequence = 0;

	srandom(2);
	for (unsigned i = 0; i < kills; i++) {
		struct lm_directory_record r;
		uint64_t acknowledged, until;
		unsigned ups = s->b.ups;

		daemon_start(s);
		end_join(&s->a, &s->loop, &s->at);
		end_publish(&s->a, ++sequence);
		END_WAIT(&s->loop, s->a.published == sequence);
		until = uv_hrtime() + (uint64_t)(random() % 700) * LM_MSEC;
		while (uv_hrtime() < until) {
			if (s->a.published == sequence)
				end_publish(&s->a, ++sequence);
			uv_run(&s->loop, UV_RUN_NOWAIT);
			usleep(500);
		}
		daemon_kill(s);
		acknowledged = s->a.published;
		end_leave(&s->a); /* it shall not publish again what may be lost */
		daemon_start(s);
		end_join(&s->b, &s->loop, &s->at);
		END_WAIT(&s->loop, s->b.ups > ups);
		assert_true(lm_directory_get(s->b.site->dir, s->a.site->id->ed_public, &r));
		assert_in_range(r.sequence, acknowledged, sequence);
		end_leave(&s->b);
		daemon_kill(s);
	}
	assert_int_equal(s->b.site->resyncs, 1); /* from then on only what had changed */
	print_message("%u kills, %llu acknowledged, none lost\n", kills,
		      (unsigned long long)s->a.published);
}

static void test_live(void **state)
{
	struct setup *s = *state;
	uint8_t list[4096];
	struct lm_error err;
	size_t len;
	int status;

	daemon_start(s);
	end_join(&s->a, &s->loop, &s->at);
	end_join(&s->b, &s->loop, &s->at);
	end_publish(&s->a, 1);
	end_publish(&s->b, 1);
	END_WAIT(&s->loop,
		 site_knows(s->a.site, s->b.site, 1) && site_knows(s->b.site, s->a.site, 1));
	/* a file that is no list changes nothing; a list that appears is taken */
	write_text(s->list, "nonsense\n");
	END_WAIT(&s->loop, logged(s, "the list in force stays"));
	assert_int_equal(s->b.downs, 0);
	len = world_list(s->w, 3, &s->b.site, 1, list, sizeof(list));
	assert_int_equal(lm_armor_write(s->list, LM_LABEL_REVOCATION, list, len, true, &err), 0);
	END_WAIT(&s->loop, strstr(s->b.why, "revoked") != NULL);
	END_WAIT(&s->loop, !site_knows(s->a.site, s->b.site, 1) && s->a.site->lists == 1);
	/* an older one does not bring it back */
	len = world_list(s->w, 2, NULL, 0, list, sizeof(list));
	assert_int_equal(lm_armor_write(s->list, LM_LABEL_REVOCATION, list, len, true, &err), 0);
	END_WAIT(&s->loop, logged(s, "older than the list in force"));
	/* SIGHUP: bad configs change nothing, good ones what may change */
	write_config(s, "colour = \"blue\";\n");
	kill(s->pid, SIGHUP);
	END_WAIT(&s->loop, logged(s, "the config in force stays"));
	write_config(s, "log_level = \"debug\";\nrecord_ttl_s = 77;\n");
	kill(s->pid, SIGHUP);
	END_WAIT(&s->loop, logged(s, "config: record_ttl_s has changed"));
	assert_int_equal(s->a.downs, 0);
	kill(s->pid, SIGTERM);
	END_WAIT(&s->loop, s->a.downs > 0);
	assert_non_null(strstr(s->a.why, "stops"));
	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	s->pid = 0;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* An authority that is taken out of the config: its nodes are put out at once. */
static void test_authority_removed(void **state)
{
	struct setup *s = *state;
	struct lm_identity *keep = s->w->authority;

	daemon_start(s);
	end_join(&s->a, &s->loop, &s->at);
	end_publish(&s->a, 1);
	END_WAIT(&s->loop, s->a.published == 1);
	s->w->authority = s->w->other;
	write_config(s, "");
	s->w->authority = keep;
	kill(s->pid, SIGHUP);
	END_WAIT(&s->loop, strstr(s->a.why, "authority") != NULL);
}

static void fetch(struct setup *s, char *page, size_t cap)
{
	static const char request[] = "GET /metrics HTTP/1.0\r\n\r\n";
	struct sockaddr_storage sa;
	unsigned len = lm_endpoint_to_sockaddr(&s->metrics, &sa);
	size_t n = 0;
	ssize_t got;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(write(fd, request, sizeof(request) - 1), sizeof(request) - 1);
	while (n < cap - 1 && (got = read(fd, page + n, cap - 1 - n)) > 0)
		n += (size_t)got;
	page[n] = '\0';
	close(fd);
}

/* On the UDP port of the address that nodes connect to. */
static void ask_stun(struct setup *s)
{
	static const uint8_t id[LM_STUN_ID_LEN] = "transaction";
	uint8_t request[LM_STUN_REQUEST_LEN], answer[100];
	struct sockaddr_storage sa;
	unsigned len = lm_endpoint_to_sockaddr(&s->at, &sa);
	struct lm_stun_msg m;
	ssize_t n = -1;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	lm_stun_request(request, id);
	assert_int_equal(write(fd, request, sizeof(request)), sizeof(request));
	END_WAIT(&s->loop, n >= 0 || (n = read(fd, answer, sizeof(answer))) >= 0);
	assert_int_equal(lm_stun_decode(answer, (size_t)n, &m), 0);
	assert_int_equal(m.kind, LM_STUN_SUCCESS);
	close(fd);
}

static void test_metrics(void **state)
{
	struct setup *s = *state;
	char *page = malloc(65536);

	assert_non_null(page);
	daemon_start(s);
	end_join(&s->a, &s->loop, &s->at);
	end_publish(&s->a, 1);
	END_WAIT(&s->loop, s->a.published == 1);
	ask_stun(s);
	fetch(s, page, 65536);
	assert_non_null(strstr(page, "\nlanemesh_coord_nodes 1\n"));
	assert_non_null(strstr(page, "\nlanemesh_coord_connections 1\n"));
	assert_non_null(strstr(page, "\nlanemesh_coord_published_total 1\n"));
	assert_non_null(strstr(page, "\nlanemesh_coord_stun_answered_total 1\n"));
	assert_non_null(strstr(page, "certificates_refused_total{reason=\"revoked\"} 0\n"));
	free(page);
}

static void refused(struct setup *s, int code, const char *text, const char *const argv[])
{
	write_text(s->log, "");
	assert_int_equal(daemon_run(s, true, argv), code);
	if (!logged(s, text))
		print_error("not in the log: %s\n", text);
	assert_true(logged(s, text));
}

static void test_refusals(void **state)
{
	struct setup *s = *state;
	const char *const plain[] = {"lanemesh-coord", "-c", s->config, NULL};
	const char *const check[] = {"lanemesh-coord", "-c", s->config, "--check", NULL};
	const char *const bad_option[] = {"lanemesh-coord", "--colour", NULL};
	const char *const bad_name[] = {"lanemesh-coord", "-i", "../x", NULL};
	const char *const extra[] = {"lanemesh-coord", "now", NULL};
	const char *const help[] = {"lanemesh-coord", "--help", NULL};
	const char *const version[] = {"lanemesh-coord", "--version", NULL};
	const char *const missing[] = {"lanemesh-coord", "-c", "/nonexistent/coord.conf", NULL};
	char store[128];

	refused(s, 2, "see lanemesh-coord --help", bad_option);
	refused(s, 2, "instance name", bad_name);
	refused(s, 2, "unexpected argument", extra);
	refused(s, 0, "EXIT STATUS", help);
	refused(s, 0, LM_VERSION, version);
	refused(s, 1, "/nonexistent/coord.conf", missing);
	refused(s, 0, "good", check);
	write_config(s, "colour = \"blue\";\n");
	refused(s, 1, "colour", check);
	refused(s, 1, "colour", plain);
	write_config(s, "");
	chmod(s->key, 0644);
	refused(s, 1, "chmod", plain);
	chmod(s->key, 0600);
	write_text(s->list, "nonsense\n");
	refused(s, 1, s->list, plain);
	unlink(s->list);
	snprintf(store, sizeof(store), "%s/store", s->dir);
	assert_int_equal(mkdir(store, 0755) < 0 && errno != EEXIST, 0);
	snprintf(store, sizeof(store), "%s/store/directory.db", s->dir);
	write_text(store, "this is not a database, and it is long enough to be looked at as one: "
			  "one hundred bytes are needed for that, says the format ...............");
	refused(s, 1, "move the file away", plain);
	unlink(store);
	daemon_start(s);
	{
		pid_t first = s->pid;

		refused(s, 1, "lanemesh-coord", plain); /* store and port are taken */
		s->pid = first;
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    T(test_kill),    T(test_live),     T(test_authority_removed),
	    T(test_metrics), T(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
