/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What may go to hosts that have never answered (FAULTS row 14). Records of
 * members name addresses, and authentic packets can carry a false source; either
 * may be a victim's. So there is one budget for each host, an IPv4 address or
 * IPv6 /64, whoever names it, by whichever port and how often; and a peer can make
 * us speak to few new hosts in a minute. Each entry lives for a minute.
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

static struct host *find(const struct lm_mesh *m, const struct lm_ip *ip)
{
	struct lm_prefix key = host_of(ip);
	struct host *h;

	HASH_FIND(hh, m->hosts, &key, sizeof(key), h);
	return h;
}

static bool new_allowed(struct lm_mesh *m, struct peer *p)
{
	if (p->hosts_since == 0 || lm_m_since(m, p->hosts_since) >= LM_M_HOST_LIFE) {
		p->hosts_since = m->now.mono;
		p->n_hosts = 0;
	}
	if (p->n_hosts >= LM_M_HOSTS_PEER || HASH_COUNT(m->hosts) >= LM_M_HOSTS)
		return false;
	p->n_hosts++;
	return true;
}

static struct host *add(struct lm_mesh *m, struct peer *p, const struct lm_ip *ip)
{
	struct host *h = new_allowed(m, p) ? calloc(1, sizeof(*h)) : NULL;

	if (h == NULL)
		return NULL;
	h->net = host_of(ip);
	h->since = m->now.mono;
	HASH_ADD(hh, m->hosts, net, sizeof(h->net), h);
	if (h->hh.tbl == NULL) {
		free(h);
		return NULL;
	}
	return h;
}

static size_t on_the_wire(const struct lm_ip *ip, size_t len)
{
	return len + sizeof(struct lm_udp_hdr) +
	       (ip->family == 6 ? sizeof(struct lm_ip6_hdr) : sizeof(struct lm_ip4_hdr));
}

bool lm_m_host_spend(struct lm_mesh *m, struct peer *p, const struct lm_ip *ip, size_t len)
{
	size_t bytes = on_the_wire(ip, len), limit = LM_M_HOST_BYTES;
	struct host *h;

	expire(m);
	h = find(m, ip);
	if (h == NULL)
		h = add(m, p, ip);
	if (h == NULL)
		return false;
	if (len > 1)
		limit -= LM_M_HOST_PUNCHES;
	if (h->answered)
		limit *= LM_M_HOST_SITES;
	if (h->spent + bytes > limit)
		return false;
	h->spent += (uint32_t)bytes;
	return true;
}

void lm_m_host_refund(struct lm_mesh *m, const struct lm_ip *ip, size_t len)
{
	struct host *h = find(m, ip);
	size_t bytes = on_the_wire(ip, len);

	if (h != NULL)
		h->spent -= (uint32_t)(bytes < h->spent ? bytes : h->spent);
}

void lm_m_host_answered(struct lm_mesh *m, const struct lm_ip *ip)
{
	struct host *h = find(m, ip);

	if (h != NULL)
		h->answered = true;
}

void lm_m_hosts_free(struct lm_mesh *m)
{
	while (m->hosts != NULL)
		forget(m, m->hosts);
}
