/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In which order a peer's addresses are tried, as ICE has it in spirit (RFC 8445
 * section 5.1.2): where it was, then over the LAN when both are behind one NAT,
 * then addresses that need no NAT to be opened, then the others.
 */
#include "internal.h"

/* RFC 1918, RFC 6598, RFC 4193: known inside some network only. */
static bool is_private(const struct lm_ip *ip)
{
	const uint8_t *b = ip->b;

	if (ip->family == 6)
		return (b[0] & 0xfe) == 0xfc;
	return b[0] == 10 || (b[0] == 172 && (b[1] & 0xf0) == 16) || (b[0] == 192 && b[1] == 168) ||
	       (b[0] == 100 && (b[1] & 0xc0) == 64);
}

/* Is the peer seen from outside under an address of ours? */
static bool behind_our_nat(const struct lm_mesh *m, const struct peer *p)
{
	for (unsigned i = 0; i < p->n_candidates; i++) {
		const struct candidate *c = &p->candidates[i];

		for (uint16_t port = 0; port < LM_MESH_WAN_MAX; port++)
			if (c->kind == LM_PATH_REFLEXIVE &&
			    lm_ip_equal(&m->stun.reflexive[port][c->ep.ip.family == 6].ip,
					&c->ep.ip))
				return true;
	}
	return false;
}

/* Lower ones first. */
static unsigned rank(const struct candidate *c, bool near)
{
	switch (c->kind) {
	case LM_PATH_SEEN:
		return 0;
	case LM_PATH_HOST:
		return near ? 1 : is_private(&c->ep.ip) ? 4 : 2;
	case LM_PATH_PUBLIC:
		return 2;
	default:
		return 3;
	}
}

/* Ways through relays: they work, if the peer is there at all. */
static unsigned ways(const struct peer *p, struct lm_path out[LM_M_TARGETS])
{
	const struct path *r;
	unsigned n = 0;

	DL_FOREACH2(p->paths, r, next_path)
	if (r->path.relay != 0 && n < LM_M_TARGETS / 2)
		out[n++] = r->path;
	return n;
}

/* Port by port, so that two datagrams to one address are as far apart as can be. Each address goes
 * on with the port after the one that its last message 1 left by: its budget may not do for all,
 * nor for each round. When there are more than a round may have, each round takes up where the one
 * before ended. */
uint8_t lm_m_targets(const struct lm_mesh *m, const struct peer *p, bool everywhere,
		     struct lm_path out[LM_M_TARGETS])
{
	struct lm_path all[LM_MESH_WAN_MAX * LM_M_CANDIDATES];
	bool near = behind_our_nat(m, p);
	uint16_t ports[LM_MESH_WAN_MAX];
	unsigned n = 0, n_ports = 0, first, taken, room, relays;

	if (!everywhere && p->has_path && lm_m_wan_ok(m, p->path.port, &p->path.remote) &&
	    (p->path.relay == 0 || lm_m_way(p, &p->path) != NULL)) {
		out[0] = p->path;
		return 1;
	}
	for (uint16_t port = 0; port < LM_MESH_WAN_MAX; port++)
		if (m->wan4[port] || m->wan6[port])
			ports[n_ports++] = port;
	for (unsigned k = 0; k < n_ports; k++)
		for (unsigned r = 0; r <= 4; r++)
			for (unsigned i = 0; i < p->n_candidates; i++) {
				const struct candidate *c = &p->candidates[i];
				const struct lm_endpoint *ep = &c->ep;
				uint16_t port = ports[(k + c->turn) % n_ports];

				if (rank(c, near) == r && lm_m_wan_ok(m, port, ep) &&
				    lm_m_endpoint_ok(m, ep) && !lm_m_own_endpoint(m, ep))
					all[n++] = (struct lm_path){.port = port, .remote = *ep};
			}
	relays = ways(p, out);
	room = LM_M_TARGETS - relays;
	first = n > room ? p->rounds * room : 0;
	taken = n < room ? n : room;
	for (unsigned i = 0; i < taken; i++)
		out[relays + i] = all[(first + i) % n];
	return (uint8_t)(relays + taken);
}
