/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/telemetry.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct fixture {
	struct lm_metrics_http *http;
	struct lm_endpoint at;
	bool too_large;
	unsigned rendered;
};

static void render(void *user, struct lm_writer *w)
{
	struct fixture *f = user;

	f->rendered++;
	lm_w_copy(w, "page of metrics\n", 16);
	if (f->too_large)
		w->bad = true;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(lm_ip_parse("127.0.0.1", &f->at.ip), 0);
	assert_int_equal(lm_metrics_http_start(&f->at, render, f, &f->http, NULL), 0);
	f->at.port = lm_metrics_http_port(f->http);
	assert_true(f->at.port != 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	lm_metrics_http_stop(f->http);
	free(f);
	return 0;
}

static int dial(const struct fixture *f)
{
	struct sockaddr_storage ss;
	socklen_t len = lm_endpoint_to_sockaddr(&f->at, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
	return fd;
}

/* Runs the server as a loop would until the client's connection has ended. */
static void answer(struct fixture *f, int fd, char *out, size_t size)
{
	struct pollfd p[2] = {{.fd = fd, .events = POLLIN},
			      {.fd = lm_metrics_http_fd(f->http), .events = POLLIN}};
	size_t n = 0;
	ssize_t got = 1;

	for (unsigned i = 0; i < 200 && got > 0; i++) {
		assert_true(poll(p, 2, 5000) > 0);
		if (p[1].revents != 0)
			lm_metrics_http_run(f->http);
		if (p[0].revents == 0)
			continue;
		got = read(fd, out + n, size - 1 - n);
		n += got > 0 ? (size_t)got : 0;
	}
	out[n] = '\0';
	close(fd);
}

static void request(struct fixture *f, const char *text, const char *status, const char *body)
{
	char out[4096];
	int fd = dial(f);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	answer(f, fd, out, sizeof(out));
	if (strncmp(out, status, strlen(status)) != 0 || strstr(out, body) == NULL)
		fail_msg("%s\ngives %s", text, out);
}

static void get_metrics(void **state)
{
	struct fixture *f = *state;

	request(f, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200",
		"\r\n\r\npage of metrics\n");
	request(f, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200",
		"Content-Type: text/plain; version=0.0.4");
	assert_int_equal(f->rendered, 2);
}

static void all_else_is_refused(void **state)
{
	static const char garbage[] = "\x01\x02\x03 garbage\r\n\r\n";
	struct fixture *f = *state;
	char out[4096];
	int fd;

	request(f, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 404",
		"see /metrics");
	request(f, "DELETE /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"HTTP/1.1 405", "Allow: GET");
	request(
	    f,
	    "POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\n"
	    "abc",
	    "HTTP/1.1 405", "only GET");
	/* libmicrohttpd 0.9 answers, 1.0 closes the connection. */
	fd = dial(f);
	assert_int_equal(write(fd, garbage, strlen(garbage)), strlen(garbage));
	answer(f, fd, out, sizeof(out));
	assert_true(out[0] == '\0' || strncmp(out, "HTTP/1.1 400", 12) == 0);
	assert_int_equal(f->rendered, 0);
}

static void a_page_too_large_is_an_error(void **state)
{
	struct fixture *f = *state;

	f->too_large = true;
	request(f, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 500",
		"page too large");
}

/* More clients than connections, all silent: the limit holds and the server lives. */
static void many_silent_clients(void **state)
{
	struct fixture *f = *state;
	int fds[24];

	for (size_t i = 0; i < LM_ARRAY_SIZE(fds); i++) {
		fds[i] = dial(f);
		lm_metrics_http_run(f->http);
	}
	for (size_t i = 0; i < LM_ARRAY_SIZE(fds); i++)
		close(fds[i]);
	for (unsigned i = 0; i < 64; i++)
		lm_metrics_http_run(f->http);
	request(f, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200",
		"page of metrics");
}

static void taken_port(void **state)
{
	struct fixture *f = *state;
	struct lm_metrics_http *second = NULL;
	struct lm_error err = {""};

	assert_int_equal(lm_metrics_http_start(&f->at, render, f, &second, &err), -EADDRINUSE);
	assert_null(second);
	assert_non_null(strstr(err.text, "cannot listen on 127.0.0.1:"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(get_metrics, setup, teardown),
	    cmocka_unit_test_setup_teardown(all_else_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_page_too_large_is_an_error, setup, teardown),
	    cmocka_unit_test_setup_teardown(many_silent_clients, setup, teardown),
	    cmocka_unit_test_setup_teardown(taken_port, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
