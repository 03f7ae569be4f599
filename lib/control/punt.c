/* SPDX-License-Identifier: BSD-3-Clause */
/* What the workers hand to the control thread. */
#include "internal.h"

#include <errno.h>
#include <unistd.h>

static void to_kernel(struct lm_control *c, const struct lm_twin *t, const struct lm_punt *p)
{
	ssize_t n = write(t->fd, p->data, p->len);

	/* Non-blocking: a full queue, an interface that is down, a packet that is too big. */
	if (n != (ssize_t)p->len)
		lm_count(&c->counters, LM_C_TWIN_FULL, 1);
}

static void to_mesh(struct lm_control *c, const struct lm_punt *p)
{
	const struct lm_path from = {.port = p->port, .remote = p->from, .relay = p->relay};

	switch (lm_demux(p->data, p->len)) {
	case LM_DEMUX_CONTROL:
	case LM_DEMUX_STUN:
		lm_mesh_datagram(c->mesh, lm_control_now(c), &from, p->data, p->len);
		break;
	default:
		lm_count(&c->counters, LM_C_CTL_MALFORMED, 1);
		break;
	}
}

static void to_neighbour(struct lm_control *c, const struct lm_punt *p)
{
	uint8_t frame[sizeof(struct lm_eth_hdr) + 9216];
	struct lm_eth_hdr *eth = (struct lm_eth_hdr *)frame;
	struct lm_twin *t = &c->twins[p->port];

	if (p->len == 0 || p->len > sizeof(frame) - sizeof(*eth)) {
		lm_count(&c->counters, LM_C_NEIGHBOUR_UNRESOLVED, 1);
		return;
	}
	memset(eth->dst, 0, sizeof(eth->dst));
	memcpy(eth->src, t->mac.b, sizeof(eth->src));
	eth->type = __builtin_bswap16((p->data[0] >> 4) == 6 ? LM_ETHERTYPE_IP6 : LM_ETHERTYPE_IP4);
	memcpy(frame + sizeof(*eth), p->data, p->len);
	lm_neigh_send(c, t, &p->via, frame, sizeof(*eth) + p->len);
}

void lm_control_punt(void *user, const struct lm_punt *p)
{
	struct lm_control *c = user;
	bool boxs_own = p->port == LM_DP_PORT_NONE;

	if (p->port >= c->cfg->n_ports &&
	    !(boxs_own && (p->kind == LM_PUNT_LOCAL || p->kind == LM_PUNT_ERROR)))
		return;
	switch (p->kind) {
	case LM_PUNT_TWIN:
		to_kernel(c, &c->twins[p->port], p);
		break;
	case LM_PUNT_LOCAL:
		to_kernel(c, &c->overlay, p);
		break;
	case LM_PUNT_CONTROL:
		to_mesh(c, p);
		break;
	case LM_PUNT_NEIGHBOUR:
		to_neighbour(c, p);
		break;
	case LM_PUNT_ERROR:
		lm_control_icmp(c, p);
		break;
	case LM_PUNT_WANTED:
		lm_mesh_wanted(c->mesh, lm_control_now(c), p->peer);
		lm_control_rearm(c);
		break;
	case LM_PUNT_MOVED:
		lm_mesh_moved(
		    c->mesh, lm_control_now(c), p->session,
		    &(struct lm_path){.port = p->port, .remote = p->from, .relay = p->relay});
		break;
	}
}
