/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How we look from outside: every STUN server is asked from every WAN port
 * (RFC 8489), since the address and port that a NAT gives us count only for the
 * port that the mesh sends from. An answer counts only with the random id of
 * the question, from the address that was asked, at the port that asked.
 *
 * When no server answers, what the peers say in their answers to probes takes
 * the servers' place: two at least, and more than half of those that know.
 */
#include "internal.h"

#include <stdlib.h>

#define RTO	   (500 * LM_MSEC) /* RFC 8489 section 6.2.1 */
#define SENDS	   5		   /* of one transaction: its last one waits 8 s, 15.5 s in all */
#define PACE	   (20 * LM_MSEC)  /* between any two requests */
#define RETRY	   (30 * LM_SEC)   /* a server that does not answer */
#define KEEP	   (25 * LM_SEC)   /* behind NAT: mappings live 30 s and more (RFC 4787 REQ-5) */
#define KEEP_PLAIN (300 * LM_SEC)  /* without NAT: is there still none? */
#define ASK_OTHERS (2 * LM_SEC)	   /* at most, after a change that one server reports */
#define LOOK	   LM_SEC	   /* at most, what peers report is counted this often */
#define AGREE	   2		   /* peers */

static bool is_local(const struct lm_mesh *m, uint16_t port, const struct lm_endpoint *ep)
{
	for (unsigned i = 0; i < m->n_local; i++)
		if (m->local[i].port == port && m->local[i].kind == LM_EP_HOST &&
		    lm_endpoint_equal(&m->local[i].ep, ep))
			return true;
	return false;
}

static bool is_of(const struct stun_query *q, uint16_t port, uint8_t family)
{
	return q->port == port && q->server.ip.family == family;
}

static struct lm_endpoint *reflexive(struct lm_mesh *m, uint16_t port, uint8_t family)
{
	return &m->stun.reflexive[port][family == 6];
}

/* ------------------------------------------------------------- the timer -- */

static void rearm(struct lm_mesh *m)
{
	struct stun *st = &m->stun;
	lm_time due = LM_TIME_NEVER;

	for (unsigned i = 0; i < st->n_queries; i++)
		if (st->queries[i].due < due)
			due = st->queries[i].due;
	if (due < st->paced)
		due = st->paced;
	if (st->look && st->looked + LOOK < due)
		due = st->looked + LOOK;
	if (due == LM_TIME_NEVER)
		lm_m_disarm(m, &st->due);
	else
		lm_m_arm(m, &st->due, due > m->now.mono ? due - m->now.mono : 0);
}

static void begin(struct lm_mesh *m, struct stun_query *q)
{
	q->sends = 0;
	q->due = m->now.mono;
}

/* The transaction is over, without an answer that is good for anything. */
static void failed(struct lm_mesh *m, struct stun_query *q, bool refused)
{
	q->sends = 0;
	q->refused = refused;
	q->fails += q->fails < UINT8_MAX;
	q->due = m->now.mono + RETRY + lm_m_jitter(m, RETRY / 4);
	m->stun.look = true;
}

static void ask(struct lm_mesh *m, struct stun_query *q)
{
	const struct lm_path to = {.port = q->port, .remote = q->server};
	uint8_t msg[LM_STUN_REQUEST_LEN];

	if (q->sends == SENDS) {
		failed(m, q, false);
		return;
	}
	if (q->sends == 0)
		m->ops.random(m->user, q->id, sizeof(q->id));
	lm_stun_request(msg, q->id);
	q->due = m->now.mono + (RTO << q->sends);
	q->sends++;
	q->sent = m->now.mono;
	m->stun.paced = m->now.mono + PACE;
	m->count.stun_sent += lm_m_send(m, &to, msg, sizeof(msg)) == 0;
}

/* ------------------------------------------------- what is to be announced -- */

/* Where the peer sees this port, if that is another address than the port's. */
static const struct lm_endpoint *seen_by(const struct lm_mesh *m, const struct peer *p,
					 uint16_t port, uint8_t family)
{
	const struct path *r = p->active;

	if (p->current == NULL || r == NULL || r->path.relay != 0 || r->path.port != port ||
	    r->observed.ip.family != family || is_local(m, port, &r->observed))
		return NULL;
	return &r->observed;
}

/* The endpoint that more than half of those peers report that see us through a NAT (Boyer and
 * Moore's vote). */
static bool peers_agree(const struct lm_mesh *m, uint16_t port, uint8_t family,
			struct lm_endpoint *out)
{
	unsigned lead = 0, votes = 0, for_it = 0;
	const struct lm_endpoint *seen;

	for (const struct peer *p = m->peers; p != NULL; p = p->hh.next) {
		seen = seen_by(m, p, port, family);
		if (seen == NULL)
			continue;
		if (lead == 0)
			*out = *seen;
		lead += lead == 0 || lm_endpoint_equal(out, seen) ? 1u : -1u;
	}
	if (lead == 0)
		return false;
	for (const struct peer *p = m->peers; p != NULL; p = p->hh.next) {
		seen = seen_by(m, p, port, family);
		votes += seen != NULL;
		for_it += seen != NULL && lm_endpoint_equal(out, seen);
	}
	return for_it >= AGREE && 2 * for_it > votes;
}

/* One endpoint for a port and family. Where the NAT makes another one for every server, one that is
 * still reported stays: it will not work, but says through which address we go. With nobody to ask,
 * the last one stays: it was right, and the port's address is the same. */
static void find_reflexive(struct lm_mesh *m, uint16_t port, uint8_t family)
{
	struct lm_endpoint *now = reflexive(m, port, family);
	const struct stun_query *first = NULL;
	struct lm_endpoint seen;

	for (unsigned i = 0; i < m->stun.n_queries; i++) {
		const struct stun_query *q = &m->stun.queries[i];

		if (!is_of(q, port, family) || !q->answered || q->fails > 0)
			continue;
		if (lm_endpoint_equal(&q->mapped, now))
			return;
		if (first == NULL)
			first = q;
	}
	if (first != NULL && is_local(m, port, &first->mapped))
		memset(now, 0, sizeof(*now));
	else if (first != NULL)
		*now = first->mapped;
	else if (peers_agree(m, port, family, &seen) && lm_m_endpoint_ok(m, &seen))
		*now = seen;
}

static void look(struct lm_mesh *m)
{
	struct lm_endpoint before[LM_MESH_WAN_MAX][2];

	m->stun.look = false;
	m->stun.looked = m->now.mono;
	memcpy(before, m->stun.reflexive, sizeof(before));
	for (uint16_t port = 0; port < LM_MESH_WAN_MAX; port++) {
		if (m->wan4[port])
			find_reflexive(m, port, 4);
		if (m->wan6[port])
			find_reflexive(m, port, 6);
	}
	if (memcmp(before, m->stun.reflexive, sizeof(before)) != 0 && m->n_local > 0)
		lm_m_own_announcement(m, false);
}

void lm_m_stun_timer(struct lm_mesh *m)
{
	struct stun *st = &m->stun;

	for (unsigned i = 0; i < st->n_queries && st->paced <= m->now.mono; i++)
		if (st->queries[i].due <= m->now.mono)
			ask(m, &st->queries[i]);
	if (st->look && lm_m_since(m, st->looked) >= LOOK)
		look(m);
	rearm(m);
}

/* --------------------------------------------------------------- answers -- */

static struct stun_query *question(struct lm_mesh *m, const struct lm_path *from,
				   const uint8_t id[LM_STUN_ID_LEN])
{
	for (unsigned i = 0; i < m->stun.n_queries; i++) {
		struct stun_query *q = &m->stun.queries[i];

		if (q->sends > 0 && q->port == from->port && from->relay == 0 &&
		    lm_endpoint_equal(&q->server, &from->remote) &&
		    memcmp(q->id, id, LM_STUN_ID_LEN) == 0)
			return q;
	}
	return NULL;
}

/* Another mapping than before: what the other servers said is out of date. */
static void ask_others(struct lm_mesh *m, const struct stun_query *than)
{
	for (unsigned i = 0; i < m->stun.n_queries; i++) {
		struct stun_query *q = &m->stun.queries[i];

		if (q != than && is_of(q, than->port, than->server.ip.family) && q->sends == 0)
			begin(m, q);
	}
}

static void answered(struct lm_mesh *m, struct stun_query *q, const struct lm_endpoint *mapped)
{
	bool changed = q->answered && !lm_endpoint_equal(&q->mapped, mapped);
	struct stun *st = &m->stun;
	lm_time keep = is_local(m, q->port, mapped) ? KEEP_PLAIN : KEEP;

	/* Karn's rule: an answer to one of several requests with one id measures nothing. */
	if (q->sends == 1 || q->rtt == 0)
		q->rtt = lm_m_since(m, q->sent);
	q->mapped = *mapped;
	q->answered = true;
	q->refused = false;
	q->sends = 0;
	q->fails = 0;
	q->due = m->now.mono + keep - lm_m_jitter(m, keep / 8);
	m->count.stun_answered++;
	if (!changed) {
		look(m);
		return;
	}
	/* A server that answers with another address each time must not make us ask the others, and
	 * announce, as often. */
	if (st->asked_others == 0 || lm_m_since(m, st->asked_others) >= ASK_OTHERS) {
		st->asked_others = m->now.mono;
		ask_others(m, q);
		look(m);
	} else {
		st->look = true;
	}
}

void lm_m_on_stun(struct lm_mesh *m, const struct lm_path *from, const uint8_t *data, size_t len)
{
	struct lm_stun_msg msg;
	struct stun_query *q;

	if (lm_stun_decode(data, len, &msg) != 0 || msg.kind == LM_STUN_REQUEST) {
		m->count.stun_unexpected++;
		return;
	}
	q = question(m, from, msg.id);
	if (q == NULL) {
		m->count.stun_unexpected++;
		return;
	}
	if (msg.kind == LM_STUN_SUCCESS && msg.mapped.ip.family == q->server.ip.family &&
	    lm_m_endpoint_ok(m, &msg.mapped)) {
		answered(m, q, &msg.mapped);
	} else {
		m->count.bad_endpoint += msg.kind == LM_STUN_SUCCESS;
		failed(m, q, true);
	}
	rearm(m);
}

void lm_m_stun_observed(struct lm_mesh *m)
{
	m->stun.look = true;
	rearm(m);
}

/* ---------------------------------------------------------- whom to ask -- */

static const struct stun_query *find_query(const struct stun_query *list, unsigned n, uint16_t port,
					   const struct lm_endpoint *server)
{
	for (unsigned i = 0; i < n; i++)
		if (list[i].port == port && lm_endpoint_equal(&list[i].server, server))
			return &list[i];
	return NULL;
}

/* A question for each port and server of a family that the port has. Those that are there already
 * go on, but for the ports (by bit) whose address is another one now. */
static void rebuild(struct lm_mesh *m, uint32_t fresh)
{
	struct stun *st = &m->stun;
	struct stun_query *list =
	    calloc((size_t)LM_MESH_WAN_MAX * st->n_servers + 1, sizeof(*list));
	unsigned n = 0;

	if (list == NULL) {
		lm_m_event(m, LM_LOG_ERROR, "no memory to ask STUN servers");
		return;
	}
	for (uint16_t port = 0; port < LM_MESH_WAN_MAX; port++) {
		for (unsigned k = 0; k < st->n_servers; k++) {
			const struct lm_endpoint *server = &st->servers[k];
			const struct stun_query *old =
			    find_query(st->queries, st->n_queries, port, server);

			if (!lm_m_wan_ok(m, port, server))
				continue;
			if (old != NULL && (fresh >> port & 1) == 0)
				list[n++] = *old;
			else
				list[n++] = (struct stun_query){
				    .port = port, .server = *server, .due = m->now.mono};
		}
	}
	free(st->queries);
	st->queries = list;
	st->n_queries = n;
	rearm(m);
}

void lm_m_stun_local(struct lm_mesh *m, uint32_t ports)
{
	for (uint16_t port = 0; port < LM_MESH_WAN_MAX; port++)
		if ((ports >> port & 1) != 0)
			memset(m->stun.reflexive[port], 0, sizeof(m->stun.reflexive[port]));
	if (ports != 0)
		rebuild(m, ports);
}

void lm_mesh_stun_servers(struct lm_mesh *m, struct lm_now now, const struct lm_endpoint *servers,
			  size_t n)
{
	struct stun *st = &m->stun;
	char at[LM_ENDPOINT_STRLEN];

	lm_m_enter(m, now);
	st->n_servers = 0;
	for (size_t i = 0; i < n && st->n_servers < LM_MESH_STUN_MAX; i++) {
		struct lm_endpoint ep = {lm_ip_canonical(servers[i].ip), servers[i].port};
		bool twice = false;

		for (unsigned k = 0; k < st->n_servers; k++)
			twice |= lm_endpoint_equal(&st->servers[k], &ep);
		if (!lm_m_endpoint_ok(m, &ep))
			lm_m_event(m, LM_LOG_WARN,
				   "STUN server %s is not asked: an overlay or special address",
				   lm_endpoint_format(&ep, at));
		else if (!twice)
			st->servers[st->n_servers++] = ep;
	}
	rebuild(m, 0);
	lm_m_leave(m);
}

void lm_mesh_stun_again(struct lm_mesh *m, struct lm_now now)
{
	lm_m_enter(m, now);
	for (unsigned i = 0; i < m->stun.n_queries; i++)
		begin(m, &m->stun.queries[i]);
	rearm(m);
	lm_m_leave(m);
}

/* -------------------------------------------------------- for people -- */

const char *lm_nat_name(enum lm_nat nat)
{
	static const char *const names[] = {
	    [LM_NAT_UNKNOWN] = "unknown",
	    [LM_NAT_NONE] = "no NAT",
	    [LM_NAT_SOME] = "NAT, kind unknown",
	    [LM_NAT_ENDPOINT] = "endpoint-independent",
	    [LM_NAT_ADDRESS] = "address-dependent",
	    [LM_NAT_ADDRESS_PORT] = "address and port-dependent",
	    [LM_NAT_ADDRESS_PERHAPS_PORT] = "address- or port-dependent",
	};

	return (unsigned)nat < LM_ARRAY_SIZE(names) ? names[nat] : "?";
}

enum lm_nat lm_mesh_nat(const struct lm_mesh *m, uint16_t port, uint8_t family)
{
	const struct stun_query *first = NULL;
	bool two_ips = false, differ = false, same_ip = false, same_ip_differ = false;

	for (unsigned i = 0; i < m->stun.n_queries; i++) {
		const struct stun_query *a = &m->stun.queries[i];

		if (!is_of(a, port, family) || !a->answered)
			continue;
		first = first == NULL ? a : first;
		for (unsigned k = 0; k < i; k++) {
			const struct stun_query *b = &m->stun.queries[k];
			bool other;

			if (!is_of(b, port, family) || !b->answered)
				continue;
			other = !lm_endpoint_equal(&a->mapped, &b->mapped);
			differ |= other;
			if (lm_ip_equal(&a->server.ip, &b->server.ip)) {
				same_ip = true;
				same_ip_differ |= other;
			} else {
				two_ips = true;
			}
		}
	}
	if (first == NULL)
		return LM_NAT_UNKNOWN;
	if (!differ && is_local(m, port, &first->mapped))
		return LM_NAT_NONE;
	if (!differ)
		return two_ips ? LM_NAT_ENDPOINT : LM_NAT_SOME;
	if (!same_ip)
		return LM_NAT_ADDRESS_PERHAPS_PORT;
	return same_ip_differ ? LM_NAT_ADDRESS_PORT : LM_NAT_ADDRESS;
}

bool lm_mesh_reflexive(const struct lm_mesh *m, uint16_t port, uint8_t family,
		       struct lm_endpoint *out)
{
	if (port >= LM_MESH_WAN_MAX)
		return false;
	*out = m->stun.reflexive[port][family == 6];
	return out->ip.family != 0;
}

void lm_mesh_stun(const struct lm_mesh *m, void (*each)(void *user, const struct lm_stun_info *s),
		  void *user)
{
	for (unsigned i = 0; i < m->stun.n_queries; i++) {
		const struct stun_query *q = &m->stun.queries[i];
		const struct lm_stun_info info = {.port = q->port,
						  .server = q->server,
						  .mapped = q->mapped,
						  .answered = q->answered && q->fails == 0,
						  .refused = q->refused,
						  .asking = q->sends > 0 || q->due <= m->now.mono,
						  .rtt = q->rtt};

		each(user, &info);
	}
}
