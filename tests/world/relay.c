/* SPDX-License-Identifier: BSD-3-Clause */
/* Relay ids in the model of the data plane: what a node passes on, and what it takes as an end. */
#include "inside.h"

#include <errno.h>
#include <stdlib.h>

#define RELAYS_MAX   4096
#define RELAY_MEMORY 4096 /* a power of two */

static struct lm_mesh_relay *find(struct node *n, uint64_t id)
{
	for (unsigned i = 0; i < n->n_relays; i++)
		if (n->relays[i].from.relay == id)
			return &n->relays[i];
	return NULL;
}

int relay_set(void *user, const struct lm_mesh_relay *r)
{
	struct node *n = user;
	struct world *w = n->world;
	struct lm_mesh_relay *known = find(n, r->from.relay);

	world_must(w, r->from.relay != 0 && r->from.remote.port != 0 && r->from.port < n->n_wan);
	world_must(w, r->to.relay == 0 || (r->to.remote.port != 0 && r->to.port < n->n_wan));
	/* Only a relay with the role relays, and only what a member sends. */
	if (r->to.relay != 0) {
		world_must(w, (n->cert_body.roles & LM_ROLE_RELAY) != 0);
		world_must(w, r->member < n->max_peers && n->peers[r->member].used &&
				  n->peers[r->member].n_in > 0);
		plane_must_not_be_revoked(n, r->member);
	}
	if (known != NULL) {
		world_must(w, (known->to.relay == 0) == (r->to.relay == 0));
		*known = *r;
		return 0;
	}
	if (n->n_relays == RELAYS_MAX || n->refuse_relays)
		return -ENOSPC;
	n->relays = realloc(n->relays, (n->n_relays + 1) * sizeof(n->relays[0]));
	world_must(w, n->relays != NULL);
	n->relays[n->n_relays++] = *r;
	return 0;
}

void relay_end(void *user, uint64_t id)
{
	struct node *n = user;
	struct lm_mesh_relay *r = find(n, id);

	if (r != NULL)
		*r = n->relays[--n->n_relays];
}

void relay_send(struct node *n, const struct lm_path *path, const uint8_t *data, size_t len)
{
	uint8_t msg[WORLD_DATAGRAM_MAX];

	if (path->relay == 0) {
		net_send(n, path->port, &path->remote, data, len);
		return;
	}
	world_must(n->world, len + LM_RELAY_HDR_LEN <= sizeof(msg));
	lm_msg_relay_header(msg, path->relay);
	memcpy(msg + LM_RELAY_HDR_LEN, data, len);
	net_send(n, path->port, &path->remote, msg, len + LM_RELAY_HDR_LEN);
}

/* A relay drops what it has passed on before (FAULTS row 21). */
static bool seen_before(struct node *n, const struct datagram *d)
{
	uint64_t print = 0xcbf29ce484222325u; /* FNV-1a */
	uint64_t *slot;

	if (n->relayed_before == NULL) {
		n->relayed_before = calloc(RELAY_MEMORY, sizeof(print));
		world_must(n->world, n->relayed_before != NULL);
	}
	for (size_t i = 0; i < d->len; i++)
		print = (print ^ d->data[i]) * 0x100000001b3u;
	slot = &n->relayed_before[(print ^ print >> 32) & (RELAY_MEMORY - 1)];
	if (*slot == print)
		return true;
	*slot = print;
	return false;
}

bool relay_arrive(struct node *n, unsigned port, const struct datagram *d, struct datagram *inner,
		  uint64_t *id)
{
	struct lm_msg_relay msg;
	struct lm_mesh_relay *known;

	if (lm_msg_relay_decode(d->data, d->len, &msg) != 0)
		return false;
	known = find(n, msg.id);
	if (known == NULL || known->from.port != port ||
	    !lm_endpoint_equal(&known->from.remote, &d->from)) {
		n->relay_refused++;
		n->esp_not_relayed += relay_is_esp(d->data, d->len);
		return false;
	}
	if (known->to.relay != 0 && seen_before(n, d)) {
		n->esp_relayed_again += relay_is_esp(d->data, d->len);
		return false;
	}
	if (known->to.relay != 0) {
		n->relayed++;
		n->relayed_bytes += d->len;
		relay_send(n, &known->to, msg.inner, msg.inner_len);
		return false;
	}
	*id = msg.id;
	memcpy(inner, d, offsetof(struct datagram, data));
	inner->len = msg.inner_len;
	memcpy(inner->data, msg.inner, msg.inner_len);
	return true;
}

bool relay_is_esp(const uint8_t *data, size_t len)
{
	struct lm_msg_relay msg;

	if (lm_msg_relay_decode(data, len, &msg) == 0)
		return lm_demux(msg.inner, msg.inner_len) == LM_DEMUX_ESP;
	return lm_demux(data, len) == LM_DEMUX_ESP;
}
