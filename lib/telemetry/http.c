/* SPDX-License-Identifier: BSD-3-Clause */
/* Metrics over HTTP, by libmicrohttpd on the caller's loop. */
#include <errno.h>
#include <lanemesh/telemetry.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 16
#define IDLE_SECONDS	10

struct lm_metrics_http {
	struct MHD_Daemon *daemon;
	lm_metrics_render_fn render;
	void *user;
	int fd;
	uint16_t port;
};

static enum MHD_Result reply(struct MHD_Connection *conn, unsigned status, const char *type,
			     const void *body, size_t len)
{
	struct MHD_Response *r =
	    MHD_create_response_from_buffer(len, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result rc;

	if (r == NULL)
		return MHD_NO;
	MHD_add_response_header(r, "Content-Type", type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, "Allow", "GET, HEAD");
	rc = MHD_queue_response(conn, status, r);
	MHD_destroy_response(r);
	return rc;
}

static enum MHD_Result reply_text(struct MHD_Connection *conn, unsigned status, const char *text)
{
	return reply(conn, status, "text/plain; charset=utf-8", text, strlen(text));
}

static enum MHD_Result metrics(struct lm_metrics_http *h, struct MHD_Connection *conn)
{
	enum MHD_Result rc;
	struct lm_writer w;
	char *page = malloc(LM_METRICS_MAX);

	if (page == NULL)
		return reply_text(conn, MHD_HTTP_INTERNAL_SERVER_ERROR, "no memory\n");
	w = lm_writer(page, LM_METRICS_MAX);
	h->render(h->user, &w);
	if (w.bad)
		rc = reply_text(conn, MHD_HTTP_INTERNAL_SERVER_ERROR, "page too large\n");
	else
		rc = reply(conn, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", page,
			   lm_w_len(&w));
	free(page);
	return rc;
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *conn, const char *url,
				  const char *method, const char *version, const char *body,
				  size_t *body_len, void **state)
{
	struct lm_metrics_http *h = user;

	(void)version;
	(void)body;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
		/* A body that nobody wants is thrown away before the answer. */
		if (*state == NULL) {
			*state = h;
			return MHD_YES;
		}
		if (*body_len > 0) {
			*body_len = 0;
			return MHD_YES;
		}
		return reply_text(conn, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
	}
	if (strcmp(url, "/metrics") != 0)
		return reply_text(conn, MHD_HTTP_NOT_FOUND, "see /metrics\n");
	return metrics(h, conn);
}

static int bind_socket(const struct lm_endpoint *listen_on, struct lm_metrics_http *h,
		       struct lm_error *err)
{
	struct sockaddr_storage ss;
	socklen_t len = lm_endpoint_to_sockaddr(listen_on, &ss);
	char text[LM_ENDPOINT_STRLEN];
	struct lm_endpoint bound;
	int one = 1, rc;

	h->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (h->fd < 0)
		return lm_error_set(err, errno, "metrics: no socket: %s", strerror(errno));
	setsockopt(h->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(h->fd, (struct sockaddr *)&ss, len) != 0 || listen(h->fd, CONNECTIONS_MAX) != 0 ||
	    getsockname(h->fd, (struct sockaddr *)&ss, &len) != 0) {
		rc = lm_error_set(err, errno, "metrics: cannot listen on %s: %s; choose another",
				  lm_endpoint_format(listen_on, text), strerror(errno));
		close(h->fd);
		return rc;
	}
	rc = lm_endpoint_from_sockaddr((struct sockaddr *)&ss, &bound);
	h->port = rc == 0 ? bound.port : listen_on->port;
	return 0;
}

int lm_metrics_http_start(const struct lm_endpoint *listen_on, lm_metrics_render_fn render,
			  void *user, struct lm_metrics_http **out, struct lm_error *err)
{
	struct lm_metrics_http *h = calloc(1, sizeof(*h));
	int rc;

	if (h == NULL)
		return lm_error_set(err, ENOMEM, "metrics: no memory");
	h->render = render;
	h->user = user;
	rc = bind_socket(listen_on, h, err);
	if (rc != 0) {
		free(h);
		return rc;
	}
	/* The listening socket is the daemon's from here on. */
	h->daemon =
	    MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, h, MHD_OPTION_LISTEN_SOCKET,
			     h->fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
			     MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
			     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)16384, MHD_OPTION_END);
	if (h->daemon == NULL) {
		close(h->fd);
		free(h);
		return lm_error_set(err, EIO, "metrics: libmicrohttpd does not start");
	}
	*out = h;
	return 0;
}

int lm_metrics_http_fd(const struct lm_metrics_http *h)
{
	return MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

uint16_t lm_metrics_http_port(const struct lm_metrics_http *h)
{
	return h->port;
}

void lm_metrics_http_run(struct lm_metrics_http *h)
{
	MHD_run(h->daemon);
}

void lm_metrics_http_stop(struct lm_metrics_http *h)
{
	if (h == NULL)
		return;
	MHD_stop_daemon(h->daemon);
	free(h);
}
