/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of world know of each other. */
#ifndef LANEMESH_TESTS_WORLD_INSIDE_H
#define LANEMESH_TESTS_WORLD_INSIDE_H

#include "nat.h"
#include "world.h"

/* queue.c */
void queue_push(struct world *w, struct datagram *d);
struct datagram *queue_pop(struct world *w);

/* net.c */
void net_send(struct node *n, unsigned port, const struct lm_endpoint *to, const uint8_t *data,
	      size_t len);
void net_arrive(struct world *w, struct datagram *d);

/* plane.c: the data plane of a node */
extern const struct lm_mesh_ops plane_ops;
void plane_start(struct node *n);
void plane_stop(struct node *n);
void plane_free(struct node *n);
void plane_report(struct node *n);
void plane_must_not_be_revoked(const struct node *n, uint32_t peer);

/* relay.c: relay ids */
int relay_set(void *user, const struct lm_mesh_relay *r);
void relay_end(void *user, uint64_t id);
/* Sends on the path, with a relay's header if it goes through one. */
void relay_send(struct node *n, const struct lm_path *path, const uint8_t *data, size_t len);
/* A relayed datagram. True: it is for the node, and this is what is inside. */
bool relay_arrive(struct node *n, unsigned port, const struct datagram *d, struct datagram *inner,
		  uint64_t *id);
/* ESP, straight or relayed? */
bool relay_is_esp(const uint8_t *data, size_t len);

/* index.c */
/* True when no outbound SA ever had this key before. */
bool key_fresh(struct world *w, const struct lm_esp_key *key);
void place_set(struct world *w, struct node *n, unsigned port);
struct node *place_find(struct world *w, const struct nat *domain, const struct lm_endpoint *at,
			unsigned *port);
void overlay_add(struct world *w, const struct lm_prefix *p);
bool overlay_has(const struct world *w, const struct lm_ip *ip);
void name_add(struct world *w, struct node *n);
void index_free(struct world *w);

#endif
