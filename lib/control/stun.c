/* SPDX-License-Identifier: BSD-3-Clause */
/* Which STUN servers the mesh asks: the coordinators, and those of the config, by name too. */
#include "internal.h"

#include <stdlib.h>

#define RETRY_MIN (2 * LM_SEC)
#define RETRY_MAX (60 * LM_SEC)
#define REFRESH	  (300 * LM_SEC) /* names of public servers move */

/* A question to the resolver. It may outlive the config that asked it, never the control thread,
 * which ends only after the loop has run dry. */
struct question {
	uv_getaddrinfo_t req;
	struct lm_control *c;
	unsigned slot;
	uint32_t generation;
};

/* Coordinators first: they are ours. */
static void tell_mesh(struct lm_control *c)
{
	struct lm_endpoint eps[LM_MESH_STUN_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < c->cfg->n_coordinators && n < LM_MESH_STUN_MAX; i++)
		eps[n++] = c->cfg->coordinators[i].address;
	for (unsigned i = 0; i < c->cfg->n_stun_servers; i++)
		for (unsigned k = 0; k < c->stun[i].n && n < LM_MESH_STUN_MAX; k++)
			eps[n++] = c->stun[i].eps[k];
	lm_mesh_stun_servers(c->mesh, lm_control_now(c), eps, n);
	lm_control_rearm(c);
}

/* At most LM_STUN_NAME_FAMILY addresses of each family. */
static unsigned addresses(const struct addrinfo *list, uint16_t port,
			  struct lm_endpoint out[2 * LM_STUN_NAME_FAMILY])
{
	unsigned n = 0, of[2] = {0, 0};

	for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
		bool six = a->ai_family == AF_INET6;
		struct lm_endpoint ep = {.port = port};

		if (a->ai_family != AF_INET && !six)
			continue;
		if (six)
			ep.ip = lm_ip_canonical(
			    lm_ip6(((const struct sockaddr_in6 *)a->ai_addr)->sin6_addr.s6_addr));
		else
			ep.ip = lm_ip4(
			    (const uint8_t *)&((const struct sockaddr_in *)a->ai_addr)->sin_addr);
		if (of[six]++ < LM_STUN_NAME_FAMILY)
			out[n++] = ep;
	}
	return n;
}

static void failed(struct lm_control *c, unsigned slot, int rc)
{
	struct lm_stun_name *s = &c->stun[slot];
	lm_time wait = RETRY_MIN << (s->fails < 5 ? s->fails : 5);

	/* The same again and again is not news; addresses from before stay in use. */
	lm_log(&c->log, s->fails == 0 ? LM_LOG_WARN : LM_LOG_DEBUG, "STUN server %s: %s",
	       c->cfg->stun_servers[slot].name, uv_strerror(rc));
	s->fails++;
	s->due = lm_control_now(c).mono + (wait < RETRY_MAX ? wait : RETRY_MAX);
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
	struct question *q = LM_CONTAINER_OF(req, struct question, req);
	struct lm_control *c = q->c;
	struct lm_stun_name *s = &c->stun[q->slot];
	struct lm_endpoint eps[2 * LM_STUN_NAME_FAMILY];
	unsigned n;

	if (c->stun_generation != q->generation) {
		uv_freeaddrinfo(list);
		free(q);
		return;
	}
	s->asking = NULL;
	n = status == 0 ? addresses(list, c->cfg->stun_servers[q->slot].port, eps) : 0;
	if (n == 0) {
		failed(c, q->slot, status != 0 ? status : UV_EAI_NODATA);
	} else {
		s->fails = 0;
		s->due = lm_control_now(c).mono + REFRESH;
		s->n = (uint8_t)n;
		memcpy(s->eps, eps, n * sizeof(eps[0]));
		tell_mesh(c);
	}
	uv_freeaddrinfo(list);
	free(q);
}

static void resolve(struct lm_control *c, unsigned slot)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
	struct question *q = calloc(1, sizeof(*q));
	int rc = UV_ENOMEM;

	if (q != NULL) {
		*q = (struct question){.c = c, .slot = slot, .generation = c->stun_generation};
		rc = uv_getaddrinfo(&c->loop, &q->req, on_resolved, c->cfg->stun_servers[slot].name,
				    NULL, &hints);
	}
	if (rc != 0) {
		free(q);
		failed(c, slot, rc);
		return;
	}
	c->stun[slot].asking = &q->req;
}

void lm_stun_stop(struct lm_control *c)
{
	c->stun_generation++;
	for (unsigned i = 0; i < LM_CONFIG_STUN_MAX; i++)
		if (c->stun[i].asking != NULL)
			(void)uv_cancel((uv_req_t *)c->stun[i].asking);
	memset(c->stun, 0, sizeof(c->stun));
}

void lm_stun_start(struct lm_control *c)
{
	lm_stun_stop(c);
	for (unsigned i = 0; i < c->cfg->n_stun_servers; i++) {
		const struct lm_config_host *h = &c->cfg->stun_servers[i];
		struct lm_stun_name *s = &c->stun[i];

		if (lm_ip_parse(h->name, &s->eps[0].ip) == 0) {
			s->eps[0].port = h->port;
			s->n = 1;
			s->due = LM_TIME_NEVER;
		} else {
			resolve(c, i);
		}
	}
	tell_mesh(c);
}

void lm_stun_tick(struct lm_control *c, lm_time now)
{
	for (unsigned i = 0; i < c->cfg->n_stun_servers; i++)
		if (c->stun[i].asking == NULL && c->stun[i].due <= now)
			resolve(c, i);
}
