/* SPDX-License-Identifier: BSD-3-Clause */
/* A client on libuv: its TCP connection and its timer. Bytes only; client.c decides. */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <uv.h>

#include <lanemesh/coord.h>

#define READ_MAX  (16 * 1024)
#define WRITE_MAX (16 * 1024)

/* One connection or attempt. Outlives its use by the link until libuv has closed it. */
struct conn {
	uv_tcp_t tcp;
	uv_connect_t connect;
	uv_write_t write;
	struct lm_coord_link *link; /* NULL: dropped */
	bool writing;
	uint8_t out[WRITE_MAX]; /* what uv_write holds */
	uint8_t in[READ_MAX];
};

struct lm_coord_link {
	uv_loop_t *loop;
	uv_timer_t timer;
	struct sockaddr_storage addr;
	struct lm_coord_client *client;
	struct lm_coord_link_ops ops;
	void *user;
	struct conn *conn;
	int failed; /* an error of the attempt, to be told from the loop */
	bool closing;
};

static lm_time now_of(struct lm_coord_link *l)
{
	struct lm_now now;

	l->ops.now(l->user, &now);
	return now.mono;
}

static void on_timer(uv_timer_t *t);

/* Timers count whole milliseconds: rounded up, or they would fire too early and again. */
static void rearm(struct lm_coord_link *l)
{
	lm_time now, next;
	uint64_t ms = 0;

	if (l->closing)
		return;
	now = now_of(l);
	next = lm_coord_client_next(l->client);
	if (l->failed == 0 && next > now)
		ms = (next - now + LM_MSEC - 1) / LM_MSEC;
	uv_timer_start(&l->timer, on_timer, next == LM_TIME_NEVER ? LM_SEC / LM_MSEC : ms, 0);
}

/* ------------------------------------------------------------ connection -- */

static void on_conn_closed(uv_handle_t *h)
{
	free(h->data);
}

static void conn_drop(struct lm_coord_link *l)
{
	struct conn *c = l->conn;

	l->conn = NULL;
	l->failed = 0;
	if (c == NULL)
		return;
	c->link = NULL;
	uv_close((uv_handle_t *)&c->tcp, on_conn_closed);
}

static void on_timer(uv_timer_t *t)
{
	struct lm_coord_link *l = t->data;
	int failed = l->failed;

	if (failed != 0) {
		conn_drop(l);
		lm_coord_client_closed(l->client, now_of(l), uv_strerror(failed));
	}
	lm_coord_client_tick(l->client, now_of(l));
	rearm(l);
}

static void conn_lost(struct lm_coord_link *l, const char *why)
{
	conn_drop(l);
	lm_coord_client_closed(l->client, now_of(l), why);
	rearm(l);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct conn *c = h->data;

	(void)suggested;
	*buf = uv_buf_init((char *)c->in, sizeof(c->in));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct conn *c = stream->data;
	struct lm_coord_link *l = c->link;

	if (l == NULL || n == 0)
		return;
	if (n < 0) {
		conn_lost(l, n == UV_EOF ? "connection closed by the coordinator"
					 : uv_strerror((int)n));
		return;
	}
	lm_coord_client_input(l->client, now_of(l), (const uint8_t *)buf->base, (size_t)n);
	rearm(l);
}

static void flush(struct lm_coord_link *l);

static void on_written(uv_write_t *req, int status)
{
	struct conn *c = req->data;
	struct lm_coord_link *l = c->link;

	c->writing = false;
	if (l == NULL)
		return;
	if (status < 0) {
		conn_lost(l, uv_strerror(status));
		return;
	}
	flush(l);
}

/* What the kernel does not take at once waits in a copy, since the client's buffer may move. */
static void flush(struct lm_coord_link *l)
{
	struct conn *c = l->conn;
	const uint8_t *p;
	size_t len;

	while (c != NULL && !c->writing && (p = lm_coord_client_output(l->client, &len)) != NULL) {
		uv_buf_t buf = uv_buf_init((char *)(uintptr_t)p, (unsigned)len);
		int n = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);

		if (n > 0) {
			lm_coord_client_sent(l->client, (size_t)n);
			continue;
		}
		if (len > sizeof(c->out))
			len = sizeof(c->out);
		memcpy(c->out, p, len);
		buf = uv_buf_init((char *)c->out, (unsigned)len);
		if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1, on_written) < 0)
			return; /* the reader will see the broken connection */
		c->writing = true;
		lm_coord_client_sent(l->client, len);
	}
}

static void on_connect(uv_connect_t *req, int status)
{
	struct conn *c = req->data;
	struct lm_coord_link *l = c->link;

	if (l == NULL)
		return;
	if (status == 0)
		status = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
	if (status < 0) {
		conn_lost(l, uv_strerror(status));
		return;
	}
	uv_tcp_nodelay(&c->tcp, 1);
	lm_coord_client_connected(l->client, now_of(l));
	rearm(l);
}

/* --------------------------------------------------------------- client -- */

static void op_connect(void *user)
{
	struct lm_coord_link *l = user;
	struct conn *c = calloc(1, sizeof(*c));

	l->failed = c == NULL ? UV_ENOMEM : uv_tcp_init(l->loop, &c->tcp);
	if (l->failed < 0) {
		free(c);
		return; /* told by the timer: never from inside an operation */
	}
	c->link = l;
	c->tcp.data = c->connect.data = c->write.data = c;
	l->conn = c;
	l->failed =
	    uv_tcp_connect(&c->connect, &c->tcp, (const struct sockaddr *)&l->addr, on_connect);
}

static void op_close(void *user)
{
	conn_drop(user);
}

static void op_output(void *user)
{
	flush(user);
}

static void op_random(void *user, void *out, size_t len)
{
	(void)user;
	randombytes_buf(out, len);
}

static void op_record(void *user, const uint8_t *cert, size_t cert_len, const uint8_t *ann,
		      size_t ann_len)
{
	struct lm_coord_link *l = user;

	l->ops.record(l->user, cert, cert_len, ann, ann_len);
}

static void op_removed(void *user, const uint8_t node[LM_KEY_LEN])
{
	struct lm_coord_link *l = user;

	l->ops.removed(l->user, node);
}

static void op_revocation(void *user, const uint8_t *data, size_t len)
{
	struct lm_coord_link *l = user;

	l->ops.revocation(l->user, data, len);
}

static void op_resync(void *user)
{
	struct lm_coord_link *l = user;

	l->ops.resync(l->user);
}

static void op_synced(void *user, const uint8_t epoch[LM_EPOCH_LEN], uint64_t revision)
{
	struct lm_coord_link *l = user;

	l->ops.synced(l->user, epoch, revision);
}

static void op_published(void *user, uint64_t sequence)
{
	struct lm_coord_link *l = user;

	if (l->ops.published != NULL)
		l->ops.published(l->user, sequence);
}

static void op_signalled(void *user, const uint8_t node[LM_KEY_LEN], uint64_t token)
{
	struct lm_coord_link *l = user;

	if (l->ops.signalled != NULL)
		l->ops.signalled(l->user, node, token);
}

static void op_state(void *user, enum lm_coord_state s, const char *why)
{
	struct lm_coord_link *l = user;

	if (l->ops.state != NULL)
		l->ops.state(l->user, s, why);
}

static const struct lm_coord_client_ops client_ops = {
    .connect = op_connect,
    .close = op_close,
    .output = op_output,
    .random = op_random,
    .record = op_record,
    .removed = op_removed,
    .revocation = op_revocation,
    .resync = op_resync,
    .synced = op_synced,
    .published = op_published,
    .signalled = op_signalled,
    .state = op_state,
};

/* ------------------------------------------------------------------ link -- */

struct lm_coord_link *lm_coord_link_new(struct uv_loop_s *loop, const struct lm_endpoint *server,
					const struct lm_coord_client_config *cfg,
					const struct lm_coord_link_ops *ops, void *user,
					struct lm_error *err)
{
	struct lm_coord_link *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		lm_error_set(err, ENOMEM, "no memory for a coordinator link");
		return NULL;
	}
	l->loop = loop;
	l->ops = *ops;
	l->user = user;
	l->client = lm_coord_client_new(cfg, &client_ops, l, err);
	if (l->client == NULL || uv_timer_init(loop, &l->timer) < 0) {
		lm_coord_client_free(l->client);
		free(l);
		return NULL;
	}
	lm_endpoint_to_sockaddr(server, &l->addr);
	l->timer.data = l;
	rearm(l);
	return l;
}

static void on_link_closed(uv_handle_t *h)
{
	free(h->data);
}

void lm_coord_link_close(struct lm_coord_link *l)
{
	if (l == NULL)
		return;
	l->closing = true;
	conn_drop(l);
	lm_coord_client_free(l->client);
	uv_close((uv_handle_t *)&l->timer, on_link_closed);
}

struct lm_coord_client *lm_coord_link_client(struct lm_coord_link *l)
{
	return l->client;
}

void lm_coord_link_kick(struct lm_coord_link *l)
{
	rearm(l);
}
