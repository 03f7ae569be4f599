/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The state machine of mesh. The input is a program for a network that lies:
 * three nodes send, and each instruction delivers, holds back, repeats, changes
 * or misdirects one of their datagrams, or moves a clock, restarts a node, plays
 * a workers' report or a directory record. The world (tests/world) checks what
 * must always hold. In the end the network is honest again, and those that may
 * talk to each other must.
 */
#include "fuzz.h"
#include "world.h"

#include <lanemesh/noise.h>

#define NODES 3
#define HELD  64

struct run {
	struct world w;
	struct datagram held[HELD];
	unsigned n_held;
	bool revoked[NODES];
};

static bool hold(struct world *w, struct datagram *d, void *user)
{
	struct run *r = user;

	(void)w;
	if (r->n_held < HELD)
		r->held[r->n_held++] = *d;
	return false;
}

static struct node *at(struct run *r, const struct lm_endpoint *to)
{
	for (unsigned i = 0; i < NODES; i++)
		if (lm_endpoint_equal(&r->w.nodes[i]->wan[0], to))
			return r->w.nodes[i];
	return NULL;
}

static void deliver(struct run *r, const struct datagram *d)
{
	struct node *n = at(r, &d->to);

	if (n != NULL && n->mesh != NULL)
		node_deliver(n, 0, d);
}

static void take_out(struct run *r, unsigned i)
{
	r->held[i] = r->held[--r->n_held];
}

/* The network is honest for a while. */
static void flow(struct run *r, unsigned rounds)
{
	for (unsigned i = 0; i <= rounds; i++) {
		struct datagram d;

		for (unsigned n = r->n_held; n > 0 && r->n_held > 0; n--) {
			d = r->held[0];
			memmove(r->held, r->held + 1, --r->n_held * sizeof(d));
			deliver(r, &d);
		}
		world_pass(&r->w, 5 * LM_MSEC);
	}
}

/* Changes bytes; fix: and gives the message a good mac1 again, as anybody can. */
static void mutate(struct run *r, struct datagram *d, unsigned where, uint8_t xor, bool fix)
{
	struct node *n = at(r, &d->to);
	uint8_t key[32];

	/* the model's ESP has no authentication */
	if (d->len == 0 || lm_demux(d->data, d->len) == LM_DEMUX_ESP)
		return;
	d->data[where % d->len] ^= xor;
	if (!fix || n == NULL || d->len < LM_RESP_MIN)
		return;
	lm_mac1_key(n->id->x_public, key);
	lm_mac1(key, d->data, d->data[4] == LM_MSG_INIT ? LM_INIT_MACED : LM_RESP_MACED,
		d->data + d->len - 2 * LM_MAC_LEN);
}

static void tick_all(struct run *r)
{
	for (unsigned i = 0; i < NODES; i++)
		if (r->w.nodes[i]->mesh != NULL)
			lm_mesh_tick(r->w.nodes[i]->mesh, world_now(&r->w, r->w.nodes[i]));
}

static void jump(struct run *r, lm_time by)
{
	r->w.now += by;
	r->w.next_report = r->w.now + WORLD_REPORT;
	tick_all(r);
}

static void restart(struct run *r, struct node *n, bool polite)
{
	int64_t wall = world_now(&r->w, n).wall;

	if (wall < n->cert_body.not_before || wall >= n->cert_body.not_after)
		return; /* it would not start */
	node_stop(n, polite);
	node_start(n);
	for (unsigned i = 0; i < NODES; i++)
		if (r->w.nodes[i] != n)
			(void)node_tell(r->w.nodes[i], n);
}

static void revoke(struct run *r, struct node *n)
{
	uint8_t list[512];

	if (r->w.revocation_number > 2)
		return;
	r->revoked[n->number] = true;
	(void)world_revoke(&r->w, n, 0, list, sizeof(list));
}

static void report(struct run *r, struct node *n, struct lm_reader *in)
{
	uint8_t which = lm_r_u8(in), age = lm_r_u8(in);
	uint32_t seq = lm_r_u32(in);
	struct lm_now now = world_now(&r->w, n);

	for (unsigned i = 0; i < n->cap_sas; i++)
		if (n->sas[i].used && which-- == 0)
			(void)lm_mesh_usage(n->mesh, now, n->sas[i].spi_base,
					    &(struct lm_mesh_usage){
						.last_rx = now.mono - age * 10 * LM_MSEC,
						.highest_seq = seq,
						.tx_packets = seq,
					    });
}

static void moved(struct run *r, struct node *n, struct lm_reader *in)
{
	struct lm_path from = {.remote.ip.family = 4};
	uint8_t which = lm_r_u8(in);

	lm_r_copy(in, from.remote.ip.b, 4);
	from.remote.port = lm_r_u16(in);
	from.port = which & 1;
	for (unsigned i = 0; i < n->cap_sas; i++)
		if (n->sas[i].used && which-- == 0)
			lm_mesh_moved(n->mesh, world_now(&r->w, n), n->sas[i].spi_base, &from);
}

static void raw(struct run *r, struct node *n, struct lm_reader *in)
{
	struct lm_path from = {.remote = r->w.nodes[(n->number + 1) % NODES]->wan[0]};
	size_t len = lm_r_u8(in);
	const uint8_t *data = lm_r_bytes(in, len);
	uint8_t msg[260] = {0};

	if (data == NULL)
		return;
	memcpy(msg + 4, data, len);
	lm_mesh_datagram(n->mesh, world_now(&r->w, n), &from, msg, len + 4);
}

static void instruction(struct run *r, struct lm_reader *in)
{
	uint8_t op = lm_r_u8(in), arg = lm_r_u8(in);
	struct node *n = r->w.nodes[arg % NODES];
	unsigned i = r->n_held > 0 ? arg % r->n_held : 0;
	struct datagram d = r->held[i];

	switch ((op & 0x7f) % 20) {
	case 0:
	case 1:
		world_pass(&r->w, (arg + 1) * LM_MSEC * (op & 0x80 ? 40 : 1));
		break;
	case 2:
	case 3:
	case 4:
		if (r->n_held == 0)
			break;
		take_out(r, (op & 0x7f) % 20 == 4 ? r->n_held - 1 : i);
		deliver(r, &d);
		break;
	case 5: /* again, or from elsewhere */
		if (op & 0x80)
			d.from.port ^= 1;
		if (r->n_held > 0)
			deliver(r, &d);
		break;
	case 6:
	case 7:
		mutate(r, &d, lm_r_u16(in), lm_r_u8(in), (op & 0x7f) % 20 == 7);
		if (r->n_held > 0)
			deliver(r, &d);
		break;
	case 8: /* to another node */
		d.to = n->wan[0];
		if (r->n_held > 0)
			deliver(r, &d);
		break;
	case 9:
		if (op & 0x80)
			flow(r, arg % 32);
		else if (r->n_held > 0)
			take_out(r, i);
		break;
	case 10:
		if (op & 0x80)
			lm_mesh_signalled(n->mesh, world_now(&r->w, n), arg % 3,
					  r->w.nodes[(arg + 1) % NODES]->id->ed_public);
		(void)lm_mesh_rekey(n->mesh, world_now(&r->w, n), lm_r_u8(in) % NODES);
		break;
	case 11:
		jump(r, (lm_time)lm_r_u32(in) * LM_MSEC);
		break;
	case 12:
		n->skew = (int32_t)lm_r_u32(in);
		jump(r, 5 * LM_SEC);
		break;
	case 13:
		restart(r, n, (op & 0x80) != 0);
		break;
	case 14:
		if (op & 0x80)
			revoke(r, n);
		else
			lm_mesh_record_removed(n->mesh, world_now(&r->w, n),
					       r->w.nodes[(arg + 1) % NODES]->id->ed_public);
		break;
	case 15:
		report(r, n, in);
		break;
	case 16:
		moved(r, n, in);
		break;
	case 17:
		raw(r, n, in);
		break;
	case 18:
		n->wan[0].port = (uint16_t)(4500 + lm_r_u8(in) % 4);
		if (op & 0x80)
			node_local(n);
		break;
	case 19:
		(void)node_send_esp(n, r->w.nodes[(arg + 1) % NODES]);
		break;
	}
}

static bool all_up(struct world *w, void *arg)
{
	struct run *r = arg;

	for (unsigned i = 0; i < NODES; i++)
		for (unsigned j = 0; j < NODES; j++)
			if (i != j && !r->revoked[i] && !r->revoked[j] &&
			    !node_up(w->nodes[i], w->nodes[j], NULL))
				return false;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lm_reader in = lm_reader(data, size);
	struct run *r = calloc(1, sizeof(*r));

	FUZZ_CHECK(r != NULL);
	world_init(&r->w, 1);
	r->w.what = "fuzz_mesh";
	r->w.esp_may_miss = true;
	r->w.tap = hold;
	r->w.tap_user = r;
	for (unsigned i = 0; i < NODES; i++) {
		struct node *n = world_node(&r->w);

		n->reports = false;
		if (i + 1 == NODES) { /* for when the other two do not hear each other */
			n->cert_body.roles = LM_ROLE_RELAY;
			n->relay_pairs = NODES;
			node_sign(n, r->w.authority);
		}
		node_start(n);
	}
	world_tell_all(&r->w);
	for (unsigned steps = 0; lm_r_left(&in) > 0 && steps < 300; steps++)
		instruction(r, &in);

	r->w.tap = NULL;
	for (unsigned i = 0; i < NODES; i++) {
		r->w.nodes[i]->skew = 0;
		r->w.nodes[i]->reports = true;
		node_local(r->w.nodes[i]);
	}
	/* Certificates have run out when the clock was moved on by weeks. */
	r->w.wall = WORLD_WALL - (int64_t)((r->w.now - WORLD_START) / LM_SEC);
	world_tell_all(&r->w);
	FUZZ_CHECK(world_until(&r->w, 90 * LM_SEC, all_up, r));
	world_free(&r->w);
	free(r);
	return 0;
}
