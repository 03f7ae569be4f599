/* SPDX-License-Identifier: BSD-3-Clause */
/* A server on libuv: listening sockets, connections, one timer. Bytes only; server.c decides. */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <uv.h>

#include <lanemesh/coord.h>

#include "hash.h"

#define BACKLOG	   512
#define LISTEN_MAX 16
#define READ_MAX   (64 * 1024)
#define WRITE_MAX  (16 * 1024)
/* A connection that the server has ended stays this long for its last bytes to arrive, and no
 * more than so many of them stay. */
#define LINGER_MS  1000
#define LINGER_MAX 256

struct conn {
	struct conn *next, *prev;
	struct lm_coord_listener *listener;
	struct lm_coord_conn *conn; /* NULL: ended */
	uv_tcp_t tcp;
	uv_write_t write;
	uv_shutdown_t shutdown;
	uv_timer_t linger;
	bool writing, lingering;
	unsigned handles; /* that libuv has not closed yet */
	uint8_t out[WRITE_MAX];
};

struct lm_coord_listener {
	uv_loop_t *loop;
	uv_timer_t timer;
	uv_tcp_t sockets[LISTEN_MAX];
	size_t n_sockets;
	struct lm_coord_server *server;
	void (*now)(void *user, struct lm_now *out);
	void *user;
	struct conn *conns;
	unsigned n_linger;
	unsigned open; /* handles and connections that are left */
	bool closing;
	uint8_t in[READ_MAX]; /* one read at a time: shared by all connections */
};

static struct lm_now now_of(struct lm_coord_listener *l)
{
	struct lm_now now;

	l->now(l->user, &now);
	return now;
}

static void on_timer(uv_timer_t *t);

static void rearm(struct lm_coord_listener *l)
{
	lm_time now, next;

	if (l->closing)
		return;
	now = now_of(l).mono;
	next = lm_coord_server_next(l->server);
	uv_timer_start(&l->timer, on_timer, next > now ? (next - now + LM_MSEC - 1) / LM_MSEC : 0,
		       0);
}

static void on_timer(uv_timer_t *t)
{
	struct lm_coord_listener *l = t->data;

	lm_coord_server_tick(l->server, now_of(l));
	rearm(l);
}

static void listener_release(struct lm_coord_listener *l)
{
	if (--l->open == 0)
		free(l);
}

/* ------------------------------------------------------------ connections -- */

static void on_handle_closed(uv_handle_t *h)
{
	struct conn *c = h->data;
	struct lm_coord_listener *l = c->listener;

	if (--c->handles > 0)
		return;
	DL_DELETE(l->conns, c);
	free(c);
	listener_release(l);
}

/* For good; the server knows nothing of it any more. */
static void conn_close(struct conn *c)
{
	if (uv_is_closing((uv_handle_t *)&c->tcp))
		return;
	if (c->lingering)
		c->listener->n_linger--;
	uv_close((uv_handle_t *)&c->tcp, on_handle_closed);
	uv_close((uv_handle_t *)&c->linger, on_handle_closed);
}

static void conn_lost(struct conn *c)
{
	if (c->conn != NULL)
		lm_coord_server_closed(c->listener->server, c->conn);
	c->conn = NULL;
	conn_close(c);
}

static void on_linger(uv_timer_t *t)
{
	conn_close(t->data);
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
	if (status < 0)
		conn_close(req->data);
}

static void flush(struct conn *c);

static void on_written(uv_write_t *req, int status)
{
	struct conn *c = req->data;

	c->writing = false;
	if (c->conn == NULL)
		return;
	if (status < 0)
		conn_lost(c);
	else
		flush(c);
	rearm(c->listener);
}

/* What the kernel does not take at once waits in a copy, since the server's buffer may move. */
static void flush(struct conn *c)
{
	const uint8_t *p;
	size_t len;

	while (!c->writing && (p = lm_coord_conn_output(c->conn, &len)) != NULL) {
		lm_time now = now_of(c->listener).mono;
		uv_buf_t buf = uv_buf_init((char *)(uintptr_t)p, (unsigned)len);
		int n = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);

		if (n > 0) {
			lm_coord_conn_sent(c->conn, now, (size_t)n);
			continue;
		}
		if (len > sizeof(c->out))
			len = sizeof(c->out);
		memcpy(c->out, p, len);
		buf = uv_buf_init((char *)c->out, (unsigned)len);
		if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1, on_written) < 0)
			return; /* the reader will see the broken connection */
		c->writing = true;
		lm_coord_conn_sent(c->conn, now, len);
	}
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct conn *c = h->data;

	(void)suggested;
	*buf = uv_buf_init((char *)c->listener->in, sizeof(c->listener->in));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct conn *c = stream->data;
	struct lm_coord_listener *l = c->listener;

	if (n < 0)
		conn_lost(c);
	else if (n > 0 && c->conn != NULL)
		lm_coord_server_input(l->server, now_of(l), c->conn, (const uint8_t *)buf->base,
				      (size_t)n);
	rearm(l);
}

/* Takes the connection so that it can be closed; false: it is closed already. */
static bool conn_open(struct lm_coord_listener *l, uv_stream_t *socket, struct conn *c)
{
	struct sockaddr_storage sa;
	struct lm_endpoint from;
	int len = sizeof(sa);

	if (uv_accept(socket, (uv_stream_t *)&c->tcp) < 0 ||
	    uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&sa, &len) < 0 ||
	    lm_endpoint_from_sockaddr((struct sockaddr *)&sa, &from) < 0)
		return false;
	c->conn = lm_coord_server_accept(l->server, now_of(l), &from, c);
	if (c->conn == NULL)
		return false;
	uv_tcp_nodelay(&c->tcp, 1);
	return uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) == 0;
}

static void on_connection(uv_stream_t *socket, int status)
{
	struct lm_coord_listener *l = socket->data;
	struct conn *c;

	if (status < 0 || l->closing)
		return;
	c = calloc(1, sizeof(*c));
	if (c == NULL || uv_tcp_init(l->loop, &c->tcp) < 0) {
		free(c);
		return;
	}
	uv_timer_init(l->loop, &c->linger);
	c->listener = l;
	c->handles = 2;
	c->tcp.data = c->linger.data = c->write.data = c->shutdown.data = c;
	l->open++;
	DL_APPEND(l->conns, c);
	if (!conn_open(l, socket, c))
		conn_lost(c);
	rearm(l);
}

/* ---------------------------------------------------------------- server -- */

static void op_output(void *user, void *conn_user)
{
	(void)user;
	flush(conn_user);
}

/* Closing with unread input would reset the connection and could take the last bytes with it: say
 * that nothing more comes, and wait a little for the other side to close. */
static void op_close(void *user, void *conn_user, const uint8_t *last, size_t len)
{
	struct lm_coord_listener *l = user;
	struct conn *c = conn_user;
	uv_buf_t buf = uv_buf_init((char *)(uintptr_t)last, (unsigned)len);

	c->conn = NULL;
	if (len == 0 || l->n_linger >= LINGER_MAX || c->writing ||
	    uv_try_write((uv_stream_t *)&c->tcp, &buf, 1) < 0 ||
	    uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_shutdown) < 0) {
		conn_close(c);
		return;
	}
	c->lingering = true;
	l->n_linger++;
	uv_timer_start(&c->linger, on_linger, LINGER_MS, 0);
}

static void op_random(void *user, void *out, size_t len)
{
	(void)user;
	randombytes_buf(out, len);
}

static const struct lm_coord_server_ops server_ops = {
    .output = op_output, .close = op_close, .random = op_random};

/* -------------------------------------------------------------- listener -- */

static void on_listener_closed(uv_handle_t *h)
{
	listener_release(h->data);
}

static int listen_on(struct lm_coord_listener *l, const struct lm_endpoint *ep,
		     struct lm_error *err)
{
	uv_tcp_t *socket = &l->sockets[l->n_sockets];
	struct sockaddr_storage sa;
	char text[LM_ENDPOINT_STRLEN];
	int rc;

	lm_endpoint_to_sockaddr(ep, &sa);
	rc = uv_tcp_init(l->loop, socket);
	if (rc == 0) {
		l->n_sockets++;
		l->open++;
		socket->data = l;
		/* IPv4 has endpoints of its own: [::] alone must not take them. */
		rc = uv_tcp_bind(socket, (struct sockaddr *)&sa,
				 ep->ip.family == 6 ? UV_TCP_IPV6ONLY : 0);
	}
	if (rc == 0)
		rc = uv_listen((uv_stream_t *)socket, BACKLOG, on_connection);
	if (rc < 0)
		return lm_error_set(err, -rc, "cannot listen on %s: %s; see the option listen",
				    lm_endpoint_format(ep, text), uv_strerror(rc));
	return 0;
}

struct lm_coord_listener *lm_coord_listener_new(struct uv_loop_s *loop,
						const struct lm_endpoint *listen, size_t n,
						const struct lm_coord_server_config *cfg,
						void (*now)(void *user, struct lm_now *out),
						void *user, struct lm_error *err)
{
	struct lm_coord_listener *l = calloc(1, sizeof(*l));

	if (l == NULL || n > LISTEN_MAX) {
		lm_error_set(err, l ? EINVAL : ENOMEM,
			     l ? "more than %d addresses to listen on" : "no memory", LISTEN_MAX);
		free(l);
		return NULL;
	}
	l->loop = loop;
	l->now = now;
	l->user = user;
	uv_timer_init(loop, &l->timer);
	l->timer.data = l;
	l->open = 1;
	l->server = lm_coord_server_new(cfg, &server_ops, l, now_of(l), err);
	for (size_t i = 0; l->server != NULL && i < n; i++) {
		if (listen_on(l, &listen[i], err) < 0) {
			lm_coord_listener_close(l);
			return NULL;
		}
	}
	if (l->server == NULL) {
		lm_coord_listener_close(l);
		return NULL;
	}
	rearm(l);
	return l;
}

void lm_coord_listener_close(struct lm_coord_listener *l)
{
	struct conn *c;

	if (l == NULL || l->closing)
		return;
	l->closing = true;
	for (size_t i = 0; i < l->n_sockets; i++)
		uv_close((uv_handle_t *)&l->sockets[i], on_listener_closed);
	lm_coord_server_free(l->server);
	l->server = NULL;
	DL_FOREACH(l->conns, c)
	{
		if (!c->lingering)
			conn_close(c);
	}
	uv_close((uv_handle_t *)&l->timer, on_listener_closed);
}

struct lm_coord_server *lm_coord_listener_server(struct lm_coord_listener *l)
{
	return l->server;
}

void lm_coord_listener_kick(struct lm_coord_listener *l)
{
	rearm(l);
}
