/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What may go to hosts that have never answered (FAULTS row 14). Records of
 * members name addresses, and authentic packets can carry a false source; either
 * may be a victim's. So there is a budget for each host, an IPv4 address or IPv6
 * /64, by whichever port and how often it is named, and of that a share for each
 * peer because of which we speak there. The more a peer has spent the more it
 * leaves to others: members who name an address of an honest one, however often,
 * cannot keep us from calling it. A peer can also make us speak to few new hosts
 * in a minute. Each entry, a host or a peer's share of it, lives for a minute.
 */
#include "internal.h"

#include <stdlib.h>

static struct lm_prefix host_of(const struct lm_ip *ip)
{
	return lm_prefix_of(ip, ip->family == 6 ? 64 : 32);
}

static void forget(struct lm_mesh *m, struct host *h)
{
	HASH_DEL(m->hosts, h);
	free(h);
}

/* The table is in the order of insertion. */
static void expire(struct lm_mesh *m)
{
	while (m->hosts != NULL && lm_m_since(m, m->hosts->since) >= LM_M_HOST_LIFE)
		forget(m, m->hosts);
}

/* p: whose share; NULL: the host. */
static struct host_key key_of(const struct peer *p, const struct lm_ip *ip)
{
	struct host_key key;

	memset(&key, 0, sizeof(key));
	key.net = host_of(ip);
	if (p != NULL)
		memcpy(key.node, p->node, sizeof(key.node));
	return key;
}

static struct host *find(const struct lm_mesh *m, const struct peer *p, const struct lm_ip *ip)
{
	struct host_key key = key_of(p, ip);
	struct host *h;

	HASH_FIND(hh, m->hosts, &key, sizeof(key), h);
	return h;
}

static struct host *add(struct lm_mesh *m, const struct peer *p, const struct lm_ip *ip)
{
	struct host *h = HASH_COUNT(m->hosts) < LM_M_HOSTS ? calloc(1, sizeof(*h)) : NULL;

	if (h == NULL)
		return NULL;
	h->key = key_of(p, ip);
	h->since = m->now.mono;
	HASH_ADD(hh, m->hosts, key, sizeof(h->key), h);
	if (h->hh.tbl == NULL) {
		free(h);
		return NULL;
	}
	return h;
}

static bool new_allowed(const struct lm_mesh *m, struct peer *p)
{
	if (p->hosts_since == 0 || lm_m_since(m, p->hosts_since) >= LM_M_HOST_LIFE) {
		p->hosts_since = m->now.mono;
		p->n_hosts = 0;
	}
	if (p->n_hosts >= LM_M_HOSTS_PEER)
		return false;
	p->n_hosts++;
	return true;
}

/* The host in *h, and the peer's share in this life of it; NULL: there is no room. */
static struct host *share_of(struct lm_mesh *m, struct peer *p, const struct lm_ip *ip,
			     struct host **h)
{
	struct host *share = find(m, p, ip);

	*h = find(m, NULL, ip);
	if (share != NULL && (*h == NULL || share->since < (*h)->since)) {
		forget(m, share);
		share = NULL;
	}
	if (share != NULL)
		return share;
	if (!new_allowed(m, p))
		return NULL;
	if (*h == NULL)
		*h = add(m, NULL, ip);
	return *h != NULL ? add(m, p, ip) : NULL;
}

static size_t on_the_wire(const struct lm_ip *ip, size_t len)
{
	return len + sizeof(struct lm_udp_hdr) +
	       (ip->family == 6 ? sizeof(struct lm_ip6_hdr) : sizeof(struct lm_ip4_hdr));
}

/* What a peer has spent counts for each of those that a host has room for: so one that has spent
 * nothing yet is refused only when very many have. */
static bool take(struct host *h, struct host *share, enum spending what, size_t bytes)
{
	static const size_t limits[] = {
	    [SPENT] = LM_M_HOST_BYTES - LM_M_HOST_PUNCHES, [PUNCHED] = LM_M_HOST_PUNCHES};
	size_t peers = h->answered ? LM_M_HOST_SITES : LM_M_HOST_PEERS, mine = share->spent[what];

	if (mine + bytes > limits[what] ||
	    h->spent[what] + bytes > peers * (limits[what] - mine) + mine)
		return false;
	h->spent[what] += (uint32_t)bytes;
	share->spent[what] += (uint32_t)bytes;
	return true;
}

bool lm_m_host_spend(struct lm_mesh *m, struct peer *p, const struct lm_ip *ip, size_t len)
{
	size_t bytes = on_the_wire(ip, len);
	struct host *h, *share;

	expire(m);
	share = share_of(m, p, ip, &h);
	if (share != NULL &&
	    ((len == 1 && take(h, share, PUNCHED, bytes)) || take(h, share, SPENT, bytes)))
		return true;
	m->count.budget_spent++;
	return false;
}

static void give_back(struct host *h, size_t bytes)
{
	if (h != NULL)
		h->spent[SPENT] -= (uint32_t)(bytes < h->spent[SPENT] ? bytes : h->spent[SPENT]);
}

void lm_m_host_refund(struct lm_mesh *m, const struct peer *p, const struct lm_ip *ip, size_t len)
{
	give_back(find(m, p, ip), on_the_wire(ip, len));
	give_back(find(m, NULL, ip), on_the_wire(ip, len));
}

void lm_m_host_answered(struct lm_mesh *m, const struct lm_ip *ip)
{
	struct host *h = find(m, NULL, ip);

	if (h != NULL)
		h->answered = true;
}

void lm_m_hosts_free(struct lm_mesh *m)
{
	while (m->hosts != NULL)
		forget(m, m->hosts);
}
