/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The STUN client of mesh: the input is a program for servers and strangers. They
 * answer requests rightly, late, twice, with changes, from elsewhere or to another
 * port; the clock moves, servers and own addresses change. What is announced must be
 * what a server said in an answer to a request of ours, from the address asked.
 */
#include "fuzz.h"
#include "world.h"

#define HELD  16
#define KNOWN 512

struct run {
	struct world w;
	struct node *n;
	struct datagram held[HELD]; /* requests, the newest last */
	unsigned n_held;
	struct lm_endpoint said[KNOWN]; /* mappings in answers that had to count */
	unsigned n_said;
};

static bool hold(struct world *w, struct datagram *d, void *user)
{
	struct run *r = user;

	(void)w;
	if (lm_demux(d->data, d->len) != LM_DEMUX_STUN)
		return false;
	if (r->n_held == HELD)
		memmove(r->held, r->held + 1, --r->n_held * sizeof(r->held[0]));
	r->held[r->n_held++] = *d;
	return false;
}

static struct lm_endpoint endpoint(struct lm_reader *in)
{
	struct lm_endpoint ep = {.ip.family = 4};

	lm_r_copy(in, ep.ip.b, 4);
	ep.port = lm_r_u16(in);
	return ep;
}

static void check(struct run *r)
{
	struct lm_endpoint ep;
	bool found = false;

	if (!lm_mesh_reflexive(r->n->mesh, 0, 4, &ep))
		return;
	for (unsigned i = 0; i < r->n_said; i++)
		found |= lm_endpoint_equal(&r->said[i], &ep);
	FUZZ_CHECK(found);
	FUZZ_CHECK(!lm_ip_is_special(&ep.ip) && !lm_cert_carries(&r->n->cert_body, &ep.ip));
}

static void deliver(struct run *r, const struct lm_path *from, const uint8_t *msg, size_t len)
{
	lm_mesh_datagram(r->n->mesh, world_now(&r->w, r->n), from, msg, len);
	node_sync(r->n);
	check(r);
}

/* how: what is wrong with the answer. */
static void answer(struct run *r, const struct datagram *req, uint8_t how, struct lm_reader *in)
{
	struct lm_path from = {.remote = req->to};
	struct lm_endpoint mapped = endpoint(in);
	uint8_t msg[LM_STUN_ANSWER_MAX], id[LM_STUN_ID_LEN];
	int len;

	memcpy(id, req->data + 8, sizeof(id));
	id[0] ^= (how & 1) != 0;
	from.remote.port ^= (how & 2) != 0;
	from.relay = (how & 4) != 0;
	from.port = (how & 8) != 0;
	len = lm_stun_success(msg, sizeof(msg), id, &mapped, (how & 16) != 0);
	if (len < 0)
		return;
	if ((how & 32) != 0)
		msg[lm_r_u8(in) % (unsigned)len] ^= lm_r_u8(in);
	else if ((how & 15) == 0 && r->n_said < KNOWN)
		r->said[r->n_said++] = mapped;
	/* A changed byte of the address is another answer that a server may give. */
	if ((how & 32) != 0 && (how & 15) == 0) {
		struct lm_stun_msg m;

		if (lm_stun_decode(msg, (size_t)len, &m) == 0 && m.kind == LM_STUN_SUCCESS &&
		    r->n_said < KNOWN)
			r->said[r->n_said++] = m.mapped;
	}
	deliver(r, &from, msg, (size_t)len);
}

static void servers(struct run *r, struct lm_reader *in)
{
	struct lm_endpoint list[20];
	unsigned n = lm_r_u8(in) % LM_ARRAY_SIZE(list);

	for (unsigned i = 0; i < n; i++)
		list[i] = endpoint(in);
	lm_mesh_stun_servers(r->n->mesh, world_now(&r->w, r->n), list, n);
	node_sync(r->n);
}

static void raw(struct run *r, struct lm_reader *in)
{
	struct lm_path from = {.remote = endpoint(in)};
	size_t len = lm_r_u8(in);
	const uint8_t *data = lm_r_bytes(in, len);

	if (data != NULL)
		deliver(r, &from, data, len);
}

static void instruction(struct run *r, struct lm_reader *in)
{
	uint8_t op = lm_r_u8(in), arg = lm_r_u8(in);

	switch (op % 8) {
	case 0:
	case 1:
		world_pass(&r->w, (op & 0x80 ? LM_SEC : LM_MSEC) * (arg + 1));
		break;
	case 2:
	case 3:
	case 4:
		if (r->n_held > 0)
			answer(r, &r->held[(op >> 3) % r->n_held], op % 8 == 4 ? arg : arg & 16,
			       in);
		break;
	case 5:
		servers(r, in);
		break;
	case 6:
		r->n->wan[0].ip.b[3] = (uint8_t)(1 + arg % 4);
		node_local(r->n);
		node_sync(r->n);
		break;
	case 7:
		if (op & 0x80)
			lm_mesh_stun_again(r->n->mesh, world_now(&r->w, r->n));
		else
			raw(r, in);
		node_sync(r->n);
		break;
	}
	check(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct lm_endpoint two[] = {{{4, {203, 0, 113, 1}}, 3478},
						 {{4, {203, 0, 113, 2}}, 3478}};
	struct lm_reader in = lm_reader(data, size);
	struct run *r = calloc(1, sizeof(*r));

	FUZZ_CHECK(r != NULL);
	world_init(&r->w, 1);
	r->w.what = "fuzz_stun_client";
	r->w.tap = hold;
	r->w.tap_user = r;
	r->n = world_node(&r->w);
	node_start(r->n);
	lm_mesh_stun_servers(r->n->mesh, world_now(&r->w, r->n), two, 2);
	node_sync(r->n);
	for (unsigned steps = 0; lm_r_left(&in) > 0 && steps < 200; steps++)
		instruction(r, &in);
	world_free(&r->w);
	free(r);
	return 0;
}
