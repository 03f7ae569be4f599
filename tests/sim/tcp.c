/* SPDX-License-Identifier: BSD-3-Clause */
/* A TCP of few words: in order, without loss, after a fixed delay; a connection may be refused or
 * end. */
#include "sim.h"

#include <stdlib.h>

#define TCP_DELAY (15 * LM_MSEC)

void tcp_send(struct link *l, bool to_server, int kind, const uint8_t *data, size_t len)
{
	struct sim *s = l->site->sim;
	struct chunk *c;

	if (l->hangs || l->site->node->silent)
		return;
	c = malloc(sizeof(*c) + len);
	world_must(&s->w, c != NULL);
	*c = (struct chunk){.at = s->w.now + TCP_DELAY,
			    .link = l,
			    .life = l->life,
			    .to_server = to_server,
			    .len = len};
	c->kind = kind;
	if (len > 0)
		memcpy(c->data, data, len);
	*s->last = c;
	s->last = &c->next;
	if (s->first == c)
		actor_at(&s->w, &s->tcp, c->at);
}

static void at_server(struct link *l, const struct chunk *c)
{
	struct sim *s = l->site->sim;
	struct coordinator *co = &s->coords[l->coord];

	switch (c->kind) {
	case CHUNK_OPEN:
		if (co->server != NULL)
			l->conn = lm_coord_server_accept(co->server, coordinator_now(co),
							 &l->site->node->wan[0], l);
		tcp_send(l, false, l->conn != NULL ? CHUNK_OPENED : CHUNK_CLOSED, NULL, 0);
		break;
	case CHUNK_DATA:
		if (l->conn != NULL)
			lm_coord_server_input(co->server, coordinator_now(co), l->conn, c->data,
					      c->len);
		break;
	default:
		if (l->conn != NULL)
			lm_coord_server_closed(co->server, l->conn);
		l->conn = NULL;
	}
	coordinator_output(l);
	coordinator_sync(co);
}

static void at_client(struct link *l, const struct chunk *c)
{
	lm_time now = world_now(&l->site->sim->w, l->site->node).mono;

	if (l->client == NULL)
		return;
	if (c->kind == CHUNK_OPENED)
		lm_coord_client_connected(l->client, now);
	else if (c->kind == CHUNK_DATA)
		lm_coord_client_input(l->client, now, c->data, c->len);
	else
		lm_coord_client_closed(l->client, now, "closed");
	link_sync(l);
	node_sync(l->site->node);
}

static void run(struct world *w, struct actor *a)
{
	struct sim *s = LM_CONTAINER_OF(a, struct sim, tcp);

	while (s->first != NULL && s->first->at <= w->now) {
		struct chunk *c = s->first;

		s->first = c->next;
		if (s->first == NULL)
			s->last = &s->first;
		if (c->life == c->link->life) {
			if (c->to_server)
				at_server(c->link, c);
			else
				at_client(c->link, c);
		}
		free(c);
	}
	if (s->first != NULL)
		actor_at(w, a, s->first->at);
}

void tcp_init(struct sim *s)
{
	s->last = &s->first;
	s->tcp.run = run;
}

void link_hang(struct link *l)
{
	l->life++;
	l->hangs = true;
}

void link_open(struct link *l)
{
	link_close(l); /* the coordinator's end of one that hung */
	l->hangs = false;
	tcp_send(l, true, CHUNK_OPEN, NULL, 0);
}

/* The client's side lets go; the coordinator notices at once, which is as good as later. */
void link_close(struct link *l)
{
	struct sim *s = l->site->sim;

	l->life++;
	if (l->conn != NULL)
		lm_coord_server_closed(s->coords[l->coord].server, l->conn);
	l->conn = NULL;
	coordinator_sync(&s->coords[l->coord]);
}
