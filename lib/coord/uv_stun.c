/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * STUN on UDP sockets of a libuv loop. An answer leaves from the address that the
 * question came to, whatever the routes say: else a NAT would not let it in.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <lanemesh/coord.h>

#define SOCKETS_MAX 32
#define TURN_MAX    64 /* datagrams of one socket before others get their turn */

struct stun_socket {
	struct lm_coord_stun_listener *listener;
	uv_poll_t poll;
	int fd;
};

struct lm_coord_stun_listener {
	struct lm_coord_stun *stun;
	struct stun_socket sockets[SOCKETS_MAX];
	size_t n_sockets;
	unsigned open; /* handles that libuv has not closed yet */
	bool closing;
};

/* What names our own address, in a question and in its answer. */
union control {
	struct cmsghdr align;
	uint8_t
	    bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo))];
};

/* Linux takes back what it gave, but for the interface: routes may lead out of another one. A
 * link-local address alone needs its own. */
static void answer_from(struct msghdr *h)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(h);

	if (c == NULL)
		return;
	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		struct in_pktinfo info;

		memcpy(&info, CMSG_DATA(c), sizeof(info));
		info.ipi_ifindex = 0;
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		struct in6_pktinfo info;

		memcpy(&info, CMSG_DATA(c), sizeof(info));
		if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
			info.ipi6_ifindex = 0;
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	} else {
		h->msg_controllen = 0;
	}
}

/* False: nothing more to read. */
static bool one(struct stun_socket *s)
{
	uint8_t msg[1500], out[LM_STUN_ANSWER_MAX];
	struct sockaddr_storage sa;
	union control control;
	struct iovec iov = {.iov_base = msg, .iov_len = sizeof(msg)};
	struct msghdr h = {.msg_name = &sa,
			   .msg_namelen = sizeof(sa),
			   .msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(s->fd, &h, MSG_DONTWAIT);
	struct lm_endpoint from;

	if (n < 0)
		return errno == EINTR || errno == ECONNREFUSED; /* an ICMP error for an answer */
	/* A longer datagram is cut, and so malformed: its length does not fit. */
	if (lm_endpoint_from_sockaddr((struct sockaddr *)&sa, &from) < 0)
		return true;
	iov.iov_len =
	    lm_coord_stun_answer(s->listener->stun, uv_hrtime(), &from, msg, (size_t)n, out);
	if (iov.iov_len == 0)
		return true;
	iov.iov_base = out;
	answer_from(&h);
	/* One that cannot leave is one that was lost: who asked will ask again. */
	(void)sendmsg(s->fd, &h, MSG_DONTWAIT);
	return true;
}

static void on_readable(uv_poll_t *p, int status, int events)
{
	struct stun_socket *s = p->data;

	(void)events;
	for (unsigned i = 0; status == 0 && i < TURN_MAX && one(s); i++)
		continue;
}

static void on_closed(uv_handle_t *h)
{
	struct stun_socket *s = h->data;
	struct lm_coord_stun_listener *l = s->listener;

	close(s->fd);
	if (--l->open > 0)
		return;
	lm_coord_stun_free(l->stun);
	free(l);
}

static int open_fd(const struct lm_endpoint *ep)
{
	const int on = 1;
	struct sockaddr_storage sa;
	socklen_t len = lm_endpoint_to_sockaddr(ep, &sa);
	int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc;

	if (fd < 0)
		return -errno;
	if (ep->ip.family == 6)
		rc = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) |
		     setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	else
		rc = setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	if (rc == 0 && bind(fd, (struct sockaddr *)&sa, len) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

static int listen_on(struct lm_coord_stun_listener *l, uv_loop_t *loop,
		     const struct lm_endpoint *ep)
{
	struct stun_socket *s = &l->sockets[l->n_sockets];
	int rc = open_fd(ep);

	if (rc < 0)
		return rc;
	*s = (struct stun_socket){.listener = l, .fd = rc, .poll.data = s};
	rc = uv_poll_init(loop, &s->poll, s->fd);
	if (rc != 0) {
		close(s->fd);
		return rc;
	}
	s->poll.data = s;
	l->n_sockets++;
	l->open++;
	return uv_poll_start(&s->poll, UV_READABLE, on_readable);
}

struct lm_coord_stun_listener *lm_coord_stun_listener_new(struct uv_loop_s *loop,
							  const struct lm_endpoint *listen,
							  size_t n, struct lm_error *err)
{
	struct lm_coord_stun_listener *l = calloc(1, sizeof(*l));
	char text[LM_ENDPOINT_STRLEN];
	uint8_t key[16];
	int rc = 0;

	randombytes_buf(key, sizeof(key));
	if (l != NULL)
		l->stun = lm_coord_stun_new(key);
	if (l == NULL || l->stun == NULL || n > SOCKETS_MAX) {
		lm_error_set(err, n > SOCKETS_MAX ? EINVAL : ENOMEM, "no room for %zu STUN sockets",
			     n);
		if (l != NULL)
			lm_coord_stun_free(l->stun);
		free(l);
		return NULL;
	}
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = listen_on(l, loop, &listen[i]);
		if (rc != 0)
			lm_error_set(err, -rc,
				     "cannot answer STUN on %s: %s; see the options listen and "
				     "stun_listen",
				     lm_endpoint_format(&listen[i], text), strerror(-rc));
	}
	if (rc == 0)
		return l;
	lm_coord_stun_listener_close(l);
	return NULL;
}

void lm_coord_stun_listener_close(struct lm_coord_stun_listener *l)
{
	if (l == NULL || l->closing)
		return;
	l->closing = true;
	if (l->n_sockets == 0) {
		lm_coord_stun_free(l->stun);
		free(l);
		return;
	}
	for (size_t i = 0; i < l->n_sockets; i++)
		uv_close((uv_handle_t *)&l->sockets[i].poll, on_closed);
}

const struct lm_coord_stun_counters *
lm_coord_stun_listener_counters(const struct lm_coord_stun_listener *l)
{
	return lm_coord_stun_counters(l->stun);
}
