/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The action socket LM_RUN_DIR/<instance>/control.sock, for root alone. One
 * request a connection: a JSON object {"command": ..., "argument": ...} and a
 * newline; one answer: {"ok": true, "result": ...} or {"ok": false, "error": ...}.
 */
#include "report.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define REQUEST_MAX  4096
#define CLIENTS_MAX  64
#define IDLE_MS	     10000
#define PING_TIMEOUT (2 * LM_SEC)

struct client {
	struct client *next;
	struct lm_manage *m;
	uv_pipe_t pipe;
	uv_timer_t idle;
	uv_write_t write;
	unsigned closing;
	char request[REQUEST_MAX + 1];
	size_t len;
	char *answer;
	struct lm_ip ping_to;
};

struct lm_manage {
	struct lm_control *c;
	uv_pipe_t listener;
	struct client *clients;
	unsigned n_clients;
	bool listening;
	char path[108];
};

static void on_client_closed(uv_handle_t *h)
{
	struct client *k = h->data;

	if (--k->closing != 0)
		return;
	free(k->answer);
	free(k);
}

static void drop(struct client *k)
{
	struct client **at = &k->m->clients;

	if (uv_is_closing((uv_handle_t *)&k->pipe))
		return;
	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	k->m->n_clients--;
	lm_ping_cancel(k->m->c, k);
	k->closing = 2;
	uv_close((uv_handle_t *)&k->pipe, on_client_closed);
	uv_close((uv_handle_t *)&k->idle, on_client_closed);
}

static void on_written(uv_write_t *w, int status)
{
	(void)status;
	drop(w->data);
}

/* Takes over result. */
static void answer(struct client *k, json_t *result, const char *error)
{
	json_t *o = result != NULL ? json_pack("{sbso}", "ok", 1, "result", result)
				   : json_pack("{sbss}", "ok", 0, "error", error);
	uv_buf_t buf;
	size_t len;

	if (o == NULL && result == NULL) /* cut in the middle of a character, so no JSON text */
		o = json_pack("{sbss}", "ok", 0, "error", "the error cannot be shown");
	k->answer = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	if (k->answer == NULL) {
		drop(k);
		return;
	}
	len = strlen(k->answer);
	k->answer[len] = '\n'; /* in place of the NUL, which nobody needs any more */
	buf = uv_buf_init(k->answer, (unsigned)len + 1);
	k->write.data = k;
	if (uv_write(&k->write, (uv_stream_t *)&k->pipe, &buf, 1, on_written) != 0)
		drop(k);
}

static void on_pong(void *user, lm_time rtt)
{
	struct client *k = user;
	char text[LM_IP_STRLEN];

	if (rtt == LM_TIME_NEVER)
		answer(k, json_pack("{sssn}", "address", lm_ip_format(&k->ping_to, text), "rtt_us"),
		       NULL);
	else
		answer(k,
		       json_pack("{sssf}", "address", lm_ip_format(&k->ping_to, text), "rtt_us",
				 (double)rtt / 1000.0),
		       NULL);
}

static void run(struct client *k, const char *command, const char *arg)
{
	struct lm_control *c = k->m->c;
	struct lm_peer_info peer;
	struct lm_error err = {.text = ""};
	json_t *result;

	if (strcmp(command, "why") == 0) {
		result = lm_report_why(c, arg != NULL ? arg : "", &err);
		answer(k, result, err.text);
		return;
	}
	if (strcmp(command, "ping") == 0 || strcmp(command, "rekey") == 0) {
		if (arg == NULL || !lm_report_peer_named(c, arg, &peer)) {
			(void)lm_error_set(&err, ENOENT,
					   "no site '%s'; `lanemesh peers` lists them",
					   arg != NULL ? arg : "");
		} else if (command[0] == 'p') {
			if (lm_ping_start(c, peer.index, PING_TIMEOUT, on_pong, k, &k->ping_to,
					  &err) == 0)
				return;
		} else if (lm_mesh_rekey(c->mesh, lm_control_now(c), peer.index) == 0) {
			lm_control_rearm(c);
			answer(k, json_object(), NULL);
			return;
		}
		answer(k, NULL, err.text);
		return;
	}
	if (strcmp(command, "stun") == 0) {
		lm_mesh_stun_again(c->mesh, lm_control_now(c));
		lm_control_rearm(c);
		answer(k, json_object(), NULL);
		return;
	}
	if (strcmp(command, "reload") == 0) {
		bool ok = lm_control_reload(c, &err) == 0;

		answer(k, ok ? json_object() : NULL, err.text);
		return;
	}
	result = lm_report(c, command, &err);
	answer(k, result, err.text);
}

static void on_request(struct client *k)
{
	json_error_t why;
	json_t *o = json_loadb(k->request, k->len, JSON_REJECT_DUPLICATES, &why);
	const char *command = json_string_value(json_object_get(o, "command"));
	const char *arg = json_string_value(json_object_get(o, "argument"));

	if (command == NULL)
		answer(k, NULL, "a request is a JSON object with a string \"command\"");
	else
		run(k, command, arg);
	json_decref(o);
}

static void on_alloc(uv_handle_t *h, size_t want, uv_buf_t *buf)
{
	struct client *k = h->data;

	(void)want;
	*buf = uv_buf_init(k->request + k->len, (unsigned)(REQUEST_MAX - k->len));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct client *k = s->data;
	char *end;

	if (n == 0)
		return;
	if (n < 0) {
		drop(k);
		return;
	}
	end = memchr(buf->base, '\n', (size_t)n);
	k->len += (size_t)n;
	if (end == NULL && k->len < REQUEST_MAX)
		return;
	uv_read_stop(s);
	if (end == NULL) {
		answer(k, NULL, "request too long");
		return;
	}
	k->len = (size_t)(end - k->request);
	on_request(k);
}

static void on_idle(uv_timer_t *t)
{
	drop(t->data);
}

static void on_connection(uv_stream_t *s, int status)
{
	struct lm_manage *m = s->data;
	struct client *k;

	if (status != 0)
		return;
	k = calloc(1, sizeof(*k));
	if (k == NULL)
		return;
	k->m = m;
	(void)uv_pipe_init(&m->c->loop, &k->pipe, 0);
	(void)uv_timer_init(&m->c->loop, &k->idle);
	k->pipe.data = k->idle.data = k;
	k->next = m->clients;
	m->clients = k;
	m->n_clients++;
	if (uv_accept(s, (uv_stream_t *)&k->pipe) != 0 || m->n_clients > CLIENTS_MAX ||
	    uv_read_start((uv_stream_t *)&k->pipe, on_alloc, on_read) != 0) {
		drop(k);
		return;
	}
	(void)uv_timer_start(&k->idle, on_idle, IDLE_MS, 0);
}

int lm_manage_start(struct lm_control *c, struct lm_error *err)
{
	struct lm_manage *m = calloc(1, sizeof(*m));
	char dir[80];
	mode_t old;
	int rc;

	if (m == NULL)
		return lm_error_set(err, ENOMEM, "no memory for the control socket");
	c->manage = m;
	m->c = c;
	(void)snprintf(dir, sizeof(dir), LM_RUN_DIR "/%s", c->cfg->instance);
	(void)snprintf(m->path, sizeof(m->path), "%s/control.sock", dir);
	if ((mkdir(LM_RUN_DIR, 0755) != 0 && errno != EEXIST) ||
	    (mkdir(dir, 0755) != 0 && errno != EEXIST))
		return lm_error_set(err, errno, "%s: cannot create: %s", dir, strerror(errno));
	/* One that a killed process left behind: the instance's lock is ours by now. */
	(void)unlink(m->path);
	(void)uv_pipe_init(&c->loop, &m->listener, 0);
	m->listener.data = m;
	m->listening = true;
	old = umask(0177);
	rc = uv_pipe_bind(&m->listener, m->path);
	umask(old);
	if (rc == 0)
		rc = uv_listen((uv_stream_t *)&m->listener, 16, on_connection);
	if (rc != 0)
		return lm_error_set(err, -rc, "%s: cannot listen: %s", m->path, uv_strerror(rc));
	return 0;
}

void lm_manage_stop(struct lm_control *c)
{
	struct lm_manage *m = c->manage;

	if (m == NULL)
		return;
	while (m->clients != NULL)
		drop(m->clients);
	if (m->listening) {
		uv_close((uv_handle_t *)&m->listener, NULL);
		(void)unlink(m->path);
	}
	(void)uv_run(&c->loop, UV_RUN_NOWAIT);
	free(m);
	c->manage = NULL;
}
