/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Neighbours on the twins' links. The kernel resolves and confirms them (ARP,
 * ND); here is a copy of what it found, and the few packets that wait for it.
 *
 * Whoever scans a network behind us makes us ask for addresses that nobody has
 * (RFC 6583). So few are asked for at a time, no more than leaves the kernel's
 * own table far from its limits (gc_thresh2), and the kernel is made to forget
 * the ones that do not answer. Known neighbours and next hops of routes and paths
 * do not compete with them.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#define WAIT_MAX       (3 * LM_SEC)    /* how long a packet waits, as long as the kernel tries */
#define ASK_AGAIN      (1 * LM_SEC)    /* between two requests for one address */
#define CONFIRM	       (30 * LM_SEC)   /* how often a stale entry is confirmed */
#define CONFIRM_BURST  128	       /* in one tick */
#define GIVE_UP	       (500 * LM_MSEC) /* an unanswered one makes room for another */
#define PER_HOP_MAX    16	       /* packets that wait for one neighbour */
#define PER_TWIN_MAX   256	       /* packets that wait on a link */
#define UNRESOLVED_MAX 128	       /* on a link */
#define KNOWN_MAX      16384

struct pending {
	struct pending *next;
	lm_time since;
	size_t len;
	uint8_t frame[];
};

struct key {
	uint32_t ifindex;
	struct lm_ip ip;
	uint8_t pad[3];
};

struct lm_neigh {
	UT_hash_handle hh;
	struct key key;
	struct lm_twin *twin;
	struct lm_mac mac;
	bool valid, stale, in_rib;
	bool next_hop;	      /* of a route or path: never makes room */
	bool scanned;	      /* in the twin's list of unresolved ones */
	uint32_t view;	      /* of the kernel's tables, in which it was seen last */
	lm_time asked, since; /* since: scanned */
	struct pending *head, **tail;
	unsigned waiting;
	TAILQ_ENTRY(lm_neigh) entry;
};

static struct key key_of(const struct lm_twin *t, const struct lm_ip *ip)
{
	struct key k;

	memset(&k, 0, sizeof(k));
	k.ifindex = t->ifindex;
	k.ip = *ip;
	return k;
}

static struct lm_neigh *find(const struct lm_control *c, const struct lm_twin *t,
			     const struct lm_ip *ip)
{
	struct key k = key_of(t, ip);
	struct lm_neigh *n;

	HASH_FIND(hh, c->neighbours, &k, sizeof(k), n);
	return n;
}

static struct lm_neigh *get(struct lm_control *c, struct lm_twin *t, const struct lm_ip *ip)
{
	struct lm_neigh *n = find(c, t, ip);

	if (n != NULL || c->n_neighbours >= KNOWN_MAX)
		return n;
	n = calloc(1, sizeof(*n));
	if (n == NULL)
		return NULL;
	n->key = key_of(t, ip);
	n->twin = t;
	n->tail = &n->head;
	n->view = c->view;
	HASH_ADD(hh, c->neighbours, key, sizeof(n->key), n);
	c->n_neighbours++;
	return n;
}

static void drop_waiting(struct lm_control *c, struct lm_neigh *n, lm_time older_than)
{
	while (n->head != NULL && n->head->since <= older_than) {
		struct pending *p = n->head;

		n->head = p->next;
		if (n->head == NULL)
			n->tail = &n->head;
		n->waiting--;
		n->twin->n_waiting--;
		lm_count(&c->counters, LM_C_NEIGHBOUR_UNRESOLVED, 1);
		free(p);
	}
}

static void send_frame(struct lm_control *c, const struct lm_neigh *n, uint8_t *frame, size_t len)
{
	uint16_t port = n->twin->port;

	memcpy(frame, n->mac.b, sizeof(n->mac.b));
	if (c->cfg->ports[port].role == LM_PORT_ROLE_WAN) /* the mesh's datagrams */
		(void)lm_dp_send_urgent(c->dp, port, frame, len);
	else
		(void)lm_dp_send(c->dp, port, frame, len);
}

static void flush_waiting(struct lm_control *c, struct lm_neigh *n)
{
	while (n->head != NULL) {
		struct pending *p = n->head;

		n->head = p->next;
		n->waiting--;
		n->twin->n_waiting--;
		send_frame(c, n, p->frame, p->len);
		free(p);
	}
	n->tail = &n->head;
}

/* LAN hosts get a host route, so that workers need no second lookup. */
static void to_rib(struct lm_control *c, struct lm_neigh *n)
{
	struct lm_prefix host = lm_prefix_of(&n->key.ip, lm_ip_bits(&n->key.ip));
	bool lan = c->cfg->ports[n->twin->port].role == LM_PORT_ROLE_LAN;
	bool want = lan && n->valid && !lm_ip_is_special(&n->key.ip);
	struct lm_route r = {.kind = LM_ROUTE_NEIGHBOUR, .port = n->twin->port, .mac = n->mac};

	if (want)
		(void)lm_rib_put(c->rib, &host, LM_RIB_NEIGHBOUR, n->twin->ifindex, &r);
	else if (n->in_rib)
		lm_rib_drop(c->rib, &host, LM_RIB_NEIGHBOUR, n->twin->ifindex);
	n->in_rib = want;
	if (lan)
		lm_kernel_route_via(c, n->twin, &n->key.ip);
	else
		lm_underlay_changed(c, n->twin->port);
}

static void set_scanned(struct lm_neigh *n, bool scanned)
{
	struct lm_twin *t = n->twin;

	if (n->scanned == scanned)
		return;
	n->scanned = scanned;
	if (scanned) {
		TAILQ_INSERT_TAIL(&t->unresolved, n, entry);
		t->n_unresolved++;
	} else {
		TAILQ_REMOVE(&t->unresolved, n, entry);
		t->n_unresolved--;
	}
}

static void remove_neigh(struct lm_control *c, struct lm_neigh *n)
{
	drop_waiting(c, n, LM_TIME_NEVER);
	set_scanned(n, false);
	HASH_DEL(c->neighbours, n);
	c->n_neighbours--;
	free(n);
}

/* Nobody answers: an entry of the kernel's for it would only stand in the way of others. */
static void give_up(struct lm_control *c, struct lm_neigh *n)
{
	(void)lm_nl_neigh_del(c->nl, n->twin->ifindex, &n->key.ip);
	remove_neigh(c, n);
}

static void ask(struct lm_control *c, struct lm_neigh *n, lm_time now)
{
	if (n->asked != 0 && now - n->asked < ASK_AGAIN)
		return;
	n->asked = now;
	(void)lm_nl_neigh_use(c->nl, n->twin->ifindex, &n->key.ip);
}

void lm_neigh_event(struct lm_control *c, struct lm_twin *t, const struct lm_nl_neigh *ev,
		    bool gone)
{
	bool valid = ev->valid && !gone;
	struct lm_neigh *n = valid ? get(c, t, &ev->ip) : find(c, t, &ev->ip);
	bool changed;

	if (n == NULL)
		return;
	changed = n->valid != valid || (valid && memcmp(&n->mac, &ev->mac, sizeof(n->mac)) != 0);
	n->view = c->view;
	n->stale = valid && ev->stale;
	if (valid)
		n->mac = ev->mac;
	n->valid = valid;
	if (valid)
		set_scanned(n, false);
	if (changed)
		to_rib(c, n);
	if (valid)
		flush_waiting(c, n);
	else if (ev->failed && !changed)
		give_up(c, n);
	else if (n->head == NULL && !n->next_hop && (gone || changed))
		remove_neigh(c, n);
}

const struct lm_mac *lm_neigh_mac(struct lm_control *c, struct lm_twin *t, const struct lm_ip *ip)
{
	struct lm_neigh *n = get(c, t, ip);

	if (n == NULL)
		return NULL;
	set_scanned(n, false);
	n->next_hop = true;
	if (!n->valid)
		ask(c, n, lm_control_now(c).mono);
	return n->valid ? &n->mac : NULL;
}

/* An entry for a packet's next hop; NULL when too many are being asked for already. */
static struct lm_neigh *get_for_packet(struct lm_control *c, struct lm_twin *t,
				       const struct lm_ip *ip, lm_time now)
{
	struct lm_neigh *n = find(c, t, ip), *oldest = TAILQ_FIRST(&t->unresolved);

	if (n != NULL)
		return n;
	if (t->n_unresolved >= UNRESOLVED_MAX) {
		if (now - oldest->since < GIVE_UP)
			return NULL;
		give_up(c, oldest);
	}
	n = get(c, t, ip);
	if (n != NULL) {
		n->since = now;
		set_scanned(n, true);
	}
	return n;
}

int lm_neigh_send(struct lm_control *c, struct lm_twin *t, const struct lm_ip *ip, uint8_t *frame,
		  size_t len)
{
	lm_time now = lm_control_now(c).mono;
	struct lm_neigh *n = get_for_packet(c, t, ip, now);
	struct pending *p = NULL;

	if (n != NULL && n->valid) {
		send_frame(c, n, frame, len);
		return 0;
	}
	if (n != NULL && n->waiting < PER_HOP_MAX && (n->next_hop || t->n_waiting < PER_TWIN_MAX))
		p = malloc(sizeof(*p) + len);
	if (p == NULL) {
		lm_count(&c->counters, LM_C_NEIGHBOUR_UNRESOLVED, 1);
	} else {
		p->next = NULL;
		p->since = now;
		p->len = len;
		memcpy(p->frame, frame, len);
		*n->tail = p;
		n->tail = &p->next;
		n->waiting++;
		t->n_waiting++;
	}
	if (n != NULL)
		ask(c, n, now);
	return p != NULL ? -EINPROGRESS : -EHOSTUNREACH;
}

void lm_neigh_tick(struct lm_control *c, lm_time now)
{
	struct lm_neigh *n, *tmp;
	unsigned confirmed = 0;

	HASH_ITER(hh, c->neighbours, n, tmp)
	{
		drop_waiting(c, n, now > WAIT_MAX ? now - WAIT_MAX : 0);
		if (!n->valid && n->head == NULL && now - n->asked > WAIT_MAX) {
			give_up(c, n);
		} else if (n->stale && now - n->asked > CONFIRM && confirmed < CONFIRM_BURST) {
			/* The kernel sees none of the traffic that uses this entry. */
			ask(c, n, now);
			confirmed++;
		}
	}
}

void lm_neigh_sweep(struct lm_control *c)
{
	struct lm_neigh *n, *tmp;

	HASH_ITER(hh, c->neighbours, n, tmp)
	{
		struct lm_nl_neigh lost = {.ifindex = n->twin->ifindex, .ip = n->key.ip};

		if (n->valid && n->view != c->view)
			lm_neigh_event(c, n->twin, &lost, true);
	}
}

void lm_neigh_forget(struct lm_control *c)
{
	struct lm_neigh *n, *tmp;

	HASH_ITER(hh, c->neighbours, n, tmp)
	remove_neigh(c, n);
}
