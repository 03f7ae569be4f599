/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ICMP echo to a peer's overlay address, sent by the kernel through lm0: the whole
 * way that traffic takes, sealing and opening included (RFC 792, RFC 4443).
 */
#include "internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#define PINGS_MAX 64
#define DATA_LEN  56

struct lm_ping {
	struct lm_ping *next;
	struct lm_control *c;
	uv_poll_t poll;
	uv_timer_t timer;
	unsigned closing; /* handles still open */
	int fd;
	struct lm_ip to;
	lm_time sent;
	uint8_t token[DATA_LEN]; /* random data: what comes back is ours */
	void (*done)(void *user, lm_time rtt);
	void *user;
};

static void on_closed(uv_handle_t *h)
{
	struct lm_ping *p = h->data;

	if (--p->closing == 0) {
		close(p->fd);
		free(p);
	}
}

static void finish(struct lm_ping *p, lm_time rtt)
{
	struct lm_ping **at = &p->c->pings;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->closing = 2;
	uv_close((uv_handle_t *)&p->poll, on_closed);
	uv_close((uv_handle_t *)&p->timer, on_closed);
	if (p->done != NULL)
		p->done(p->user, rtt);
}

static void on_timeout(uv_timer_t *t)
{
	finish(t->data, LM_TIME_NEVER);
}

/* Raw IPv4 sockets give the IP header too, raw ICMPv6 ones do not. */
static bool is_answer(const struct lm_ping *p, const uint8_t *buf, size_t len)
{
	size_t off = 0;

	if (p->to.family == 4) {
		if (len < sizeof(struct lm_ip4_hdr))
			return false;
		off = (size_t)(buf[0] & 0xf) * 4;
	}
	if (len < off + 8 + DATA_LEN)
		return false;
	return buf[off] == (p->to.family == 4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) &&
	       memcmp(buf + off + 8, p->token, DATA_LEN) == 0;
}

static void on_readable(uv_poll_t *h, int status, int events)
{
	struct lm_ping *p = h->data;
	uint8_t buf[512];
	ssize_t n;

	(void)events;
	for (unsigned i = 0; status == 0 && i < 64; i++) {
		n = recv(p->fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0)
			return;
		if (is_answer(p, buf, (size_t)n)) {
			finish(p, lm_control_now(p->c).mono - p->sent);
			return;
		}
	}
}

static int send_echo(struct lm_ping *p)
{
	struct lm_endpoint to = {.ip = p->to};
	struct sockaddr_storage sa;
	uint8_t msg[8 + DATA_LEN] = {0};
	unsigned sa_len = lm_endpoint_to_sockaddr(&to, &sa);
	uint16_t csum;

	msg[0] = p->to.family == 4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
	memcpy(msg + 4, p->token, 4); /* identifier and sequence */
	memcpy(msg + 8, p->token, DATA_LEN);
	if (p->to.family == 4) { /* ICMPv6's is the kernel's to fill in, RFC 3542 section 3.1 */
		csum = lm_csum_finish(lm_csum_add(0, msg, sizeof(msg)));
		memcpy(msg + 2, &csum, 2);
	}
	return sendto(p->fd, msg, sizeof(msg), 0, (struct sockaddr *)&sa, sa_len) < 0 ? -errno : 0;
}

int lm_ping_start(struct lm_control *c, uint32_t peer, lm_time timeout,
		  void (*done)(void *user, lm_time rtt), void *user, struct lm_ip *to,
		  struct lm_error *err)
{
	struct lm_peer_info info;
	struct lm_ping *p;
	unsigned n = 0;
	int rc;

	for (struct lm_ping *i = c->pings; i != NULL; i = i->next)
		n++;
	if (n >= PINGS_MAX)
		return lm_error_set(err, EBUSY, "too many pings at once");
	if (!lm_mesh_peer(c->mesh, peer, &info) || info.index != peer)
		return lm_error_set(err, ENOENT, "no such peer");
	if (info.cert->n_overlays == 0)
		return lm_error_set(err, EADDRNOTAVAIL,
				    "the certificate of '%s' has no overlay address; sign one with "
				    "--overlay, or ping a host behind it",
				    info.cert->name);
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return lm_error_set(err, ENOMEM, "no memory for a ping");
	p->c = c;
	p->to = *to = info.cert->overlays[0];
	p->done = done;
	p->user = user;
	randombytes_buf(p->token, sizeof(p->token));
	p->fd =
	    socket(p->to.family == 4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
		   p->to.family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	if (p->fd < 0 || setsockopt(p->fd, SOL_SOCKET, SO_BINDTODEVICE, c->overlay.name,
				    (socklen_t)strlen(c->overlay.name)) < 0) {
		rc = lm_error_set(err, errno, "cannot open a raw ICMP socket on %s: %s",
				  c->overlay.name, strerror(errno));
		goto fail;
	}
	p->sent = lm_control_now(c).mono;
	rc = send_echo(p);
	if (rc != 0) {
		rc =
		    lm_error_set(err, -rc, "cannot send on %s: %s", c->overlay.name, strerror(-rc));
		goto fail;
	}
	rc = uv_poll_init(&c->loop, &p->poll, p->fd);
	if (rc != 0) {
		rc = lm_error_set(err, -rc, "cannot watch the ICMP socket: %s", uv_strerror(rc));
		goto fail;
	}
	(void)uv_timer_init(&c->loop, &p->timer);
	p->poll.data = p->timer.data = p;
	(void)uv_poll_start(&p->poll, UV_READABLE, on_readable);
	(void)uv_timer_start(&p->timer, on_timeout, timeout / LM_MSEC, 0);
	p->next = c->pings;
	c->pings = p;
	return 0;
fail:
	if (p->fd >= 0)
		close(p->fd);
	free(p);
	return rc;
}

void lm_ping_cancel(struct lm_control *c, void *user)
{
	for (struct lm_ping *p = c->pings; p != NULL; p = p->next)
		if (p->user == user)
			p->done = NULL;
}

void lm_ping_stop(struct lm_control *c)
{
	while (c->pings != NULL) {
		c->pings->done = NULL;
		finish(c->pings, LM_TIME_NEVER);
	}
}
