/* SPDX-License-Identifier: BSD-3-Clause */
#include "ends.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define need(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "ends: %s\n", #cond);                                      \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static void clock_now(void *user, struct lm_now *out)
{
	*out =
	    (struct lm_now){.mono = uv_hrtime(), .wall = ((struct end *)user)->site->w->now.wall};
}

static void e_record(void *user, const uint8_t *cert, size_t cert_len, const uint8_t *ann,
		     size_t ann_len)
{
	struct site *s = ((struct end *)user)->site;

	need(lm_directory_put(s->dir, s->source, cert, cert_len, ann, ann_len) == 0);
}

static void e_removed(void *user, const uint8_t node[LM_KEY_LEN])
{
	struct site *s = ((struct end *)user)->site;

	lm_directory_unlist(s->dir, s->source, node);
}

static void e_revocation(void *user, const uint8_t *data, size_t len)
{
	struct site *s = ((struct end *)user)->site;

	need(lm_directory_put_revocation(s->dir, data, len) == 0);
	s->lists++;
}

static void e_resync(void *user)
{
	struct site *s = ((struct end *)user)->site;

	s->resyncs++;
	lm_directory_resync(s->dir, s->source);
}

static void e_synced(void *user, const uint8_t epoch[LM_EPOCH_LEN], uint64_t revision)
{
	struct site *s = ((struct end *)user)->site;

	lm_directory_synced(s->dir, s->source, epoch, revision, NULL, NULL);
}

static void e_published(void *user, uint64_t sequence)
{
	((struct end *)user)->published = sequence;
}

static void e_state(void *user, enum lm_coord_state st, const char *why)
{
	struct end *e = user;

	e->ups += st == LM_COORD_UP;
	if (why == NULL)
		return;
	e->downs++;
	snprintf(e->why, sizeof(e->why), "%s", why);
}

static const struct lm_coord_link_ops link_ops = {
    .now = clock_now,
    .record = e_record,
    .removed = e_removed,
    .revocation = e_revocation,
    .resync = e_resync,
    .synced = e_synced,
    .published = e_published,
    .state = e_state,
};

void end_join(struct end *e, uv_loop_t *loop, const struct lm_endpoint *at)
{
	struct lm_coord_client_config cfg = {
	    .mesh = "test", .name = "c1", .log = &e->site->w->sink};
	struct lm_error err;

	cfg.id = e->site->id;
	cfg.cert = e->site->cert;
	cfg.cert_len = e->site->cert_len;
	memcpy(cfg.server_key, e->site->w->server_id->ed_public, LM_KEY_LEN);
	lm_directory_position(e->site->dir, e->site->source, cfg.epoch, &cfg.revision);
	e->link = lm_coord_link_new(loop, at, &cfg, &link_ops, e, &err);
	need(e->link != NULL);
}

void end_publish(struct end *e, uint64_t sequence)
{
	uint8_t buf[LM_ANNOUNCE_MAX];
	size_t len = site_announcement(e->site, sequence, buf);

	need(lm_coord_client_publish(lm_coord_link_client(e->link), uv_hrtime(), buf, len) == 0);
	lm_coord_link_kick(e->link);
}

void end_leave(struct end *e)
{
	lm_coord_link_close(e->link);
	e->link = NULL;
}

uint16_t end_free_port(const char *host)
{
	struct sockaddr_storage sa;
	struct lm_endpoint ep;
	socklen_t len;
	int fd;

	need(lm_ip_parse(host, &ep.ip) == 0);
	ep.port = 0;
	len = lm_endpoint_to_sockaddr(&ep, &sa);
	fd = socket(sa.ss_family, SOCK_STREAM, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, len) < 0) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	len = sizeof(sa);
	need(getsockname(fd, (struct sockaddr *)&sa, &len) == 0);
	close(fd);
	need(lm_endpoint_from_sockaddr((struct sockaddr *)&sa, &ep) == 0);
	return ep.port;
}
