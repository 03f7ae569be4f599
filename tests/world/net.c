/* SPDX-License-Identifier: BSD-3-Clause */
/* The network: out through the NATs at once, across after a while, and in through the NATs. */
#include "inside.h"

#include <stdio.h>
#include <stdlib.h>

#define HOPS 16

/* A line for each datagram and what becomes of it, when the run is to be looked at so closely. */
static void show(const struct world *w, const struct datagram *d, const char *what)
{
	char from[LM_ENDPOINT_STRLEN], to[LM_ENDPOINT_STRLEN];

	if (w->show)
		fprintf(stderr, "%10.4f %s -> %s type %u, %zu bytes: %s\n",
			(double)(w->now - WORLD_START) / 1e9, lm_endpoint_format(&d->from, from),
			lm_endpoint_format(&d->to, to), lm_msg_type(d->data, d->len), d->len, what);
}

static void enqueue(struct world *w, const struct datagram *d, lm_time delay)
{
	struct datagram *copy = malloc(offsetof(struct datagram, data) + d->len);

	world_must(w, copy != NULL && d->len <= sizeof(d->data));
	memcpy(copy, d, offsetof(struct datagram, data) + d->len);
	copy->at = w->now + delay;
	copy->order = w->order++;
	queue_push(w, copy);
}

static lm_time some_delay(struct world *w)
{
	return w->delay + w->jitter / 1000 * world_random(w, 1000);
}

/* Up through NATs until one that has the destination inside, or the open. A NAT that has it as its
 * own address turns the datagram round, if it can (RFC 4787 section 6). */
static bool go_out(struct world *w, struct datagram *d)
{
	while (d->domain != NULL) {
		struct nat *n = d->domain;

		if (lm_prefix_contains(&n->inside, &d->to.ip))
			return true;
		if (!nat_out(w, n, &d->from, &d->to))
			return false;
		if (!n->kind.firewall && lm_ip_equal(&n->outer, &d->to.ip))
			return n->kind.hairpin && nat_in(w, n, &d->from, &d->to);
		d->domain = n->parent;
	}
	return true;
}

static void launch(struct world *w, struct datagram *d, lm_time extra, unsigned loss)
{
	bool esp = relay_is_esp(d->data, d->len);

	if (world_random(w, 1000) < loss) {
		w->lost++;
		w->esp_lost += esp;
		return;
	}
	enqueue(w, d, some_delay(w) + extra);
	if (world_random(w, 1000) < w->duplicate) {
		w->duplicated++;
		w->esp_duplicated += esp;
		enqueue(w, d, some_delay(w) + extra);
	}
}

void net_send(struct node *n, unsigned port, const struct lm_endpoint *to, const uint8_t *data,
	      size_t len)
{
	struct world *w = n->world;
	struct datagram d;

	world_must(w, len <= sizeof(d.data));
	d.sender = n;
	d.sender_port = (uint8_t)port;
	d.domain = n->behind[port];
	d.from = n->wan[port];
	d.to = *to;
	d.len = len;
	memcpy(d.data, data, len);
	if (w->tap != NULL && !w->tap(w, &d, w->tap_user))
		return;
	if (n->wan[port].port == 0 || !go_out(w, &d)) {
		show(w, &d, "cannot leave");
		return;
	}
	show(w, &d, "leaves");
	launch(w, &d, n->latency[port], w->loss + n->port_loss[port]);
}

void world_inject(struct world *w, const struct lm_endpoint *from, const struct lm_endpoint *to,
		  const uint8_t *data, size_t len, lm_time delay)
{
	struct datagram d;

	world_must(w, len <= sizeof(d.data));
	d.sender = NULL;
	d.sender_port = 0;
	d.domain = NULL;
	d.from = *from;
	d.to = *to;
	d.len = len;
	memcpy(d.data, data, len);
	enqueue(w, &d, delay);
}

static bool serve(struct world *w, const struct datagram *d)
{
	struct datagram answer;

	for (unsigned i = 0; i < w->n_services; i++) {
		struct service *s = &w->services[i];

		if (!lm_endpoint_equal(&s->at, &d->to))
			continue;
		answer.sender = NULL;
		answer.sender_port = 0;
		answer.domain = NULL;
		answer.from = d->to;
		answer.to = d->from;
		answer.len = s->answer(w, s->user, &d->from, d->data, d->len, answer.data);
		if (answer.len > 0)
			launch(w, &answer, 0, w->loss);
		return true;
	}
	return false;
}

void net_arrive(struct world *w, struct datagram *d)
{
	struct node *n;
	struct nat *in;
	unsigned port;

	if (d->domain == NULL && serve(w, d))
		return;
	for (unsigned hops = 0; (in = nat_at(w, d->domain, &d->to.ip)) != NULL; hops++) {
		if (hops == HOPS || !nat_in(w, in, &d->from, &d->to)) {
			show(w, d, "a NAT keeps it out");
			return;
		}
		d->domain = in;
	}
	n = place_find(w, d->domain, &d->to, &port);
	show(w, d, n == NULL ? "nobody is there" : n->cert_body.name);
	if (n == NULL || n->mesh == NULL || n->silent)
		return;
	if (w->cut != NULL && w->cut(w, d, n, port))
		return;
	if (n->port_loss[port] > 0 && world_random(w, 1000) < n->port_loss[port])
		return;
	w->delivered++;
	world_trace(w, (uint64_t)n->number << 32 ^ d->len << 8 ^ d->data[d->len / 2]);
	node_deliver(n, port, d);
}
