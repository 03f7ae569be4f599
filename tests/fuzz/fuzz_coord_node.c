/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A member of the mesh that says anything, to the coordinator's state machine. The
 * input is a list of steps: sealed or bare bytes, valid messages, connections, time,
 * a failing store, a restart. At the end everybody can still be served, and all that
 * the coordinator lists is signed as it must be.
 */
#include "fuzz.h"

#include <raw.h>

#define STEPS 64

static void say_valid(struct raw *r, struct lm_reader *in)
{
	uint8_t buf[LM_ANNOUNCE_MAX], list[2048];
	static const uint8_t types[] = {LM_COORD_PUBLISH, LM_COORD_PING, LM_COORD_SYNC,
					LM_COORD_SIGNAL,  LM_COORD_PING, LM_COORD_REVOCATION};
	struct lm_coord_msg m = {.type = types[lm_r_u8(in) % sizeof(types)]};
	uint64_t value = lm_r_u8(in);
	struct site *s = r->site;

	switch (m.type) {
	case LM_COORD_PUBLISH:
		m.data = buf;
		m.data_len = site_announcement(s, value, buf);
		break;
	case LM_COORD_SYNC:
		m.revision = value;
		memcpy(m.epoch, r->epoch, LM_EPOCH_LEN);
		break;
	case LM_COORD_REVOCATION: /* half of them revoke the speaker */
		m.data = list;
		m.data_len = world_list(s->w, value / 2 + 1, &s, value % 2, list, sizeof(list));
		break;
	case LM_COORD_SIGNAL:
		memcpy(m.node, s->w->sites[value % 2]->id->ed_public, LM_KEY_LEN);
		break;
	default:
		m.number = value;
	}
	if (r->pipe.sealed)
		raw_say(r, &m);
}

static void join(struct raw *r, struct site *s, bool whole)
{
	raw_close(r);
	if (!raw_connect(r, s))
		return;
	raw_hello(r, s->id, s->cert, s->cert_len);
	if (!whole)
		return;
	raw_send_hello(r);
	(void)raw_answered(r);
}

static void pass_time(struct world *w, lm_time span)
{
	w->now.mono += span;
	w->now.wall += (int64_t)(span / LM_SEC);
	for (unsigned i = 0; i < 100 && lm_coord_server_next(w->server) <= w->now.mono; i++)
		lm_coord_server_tick(w->server, w->now);
	FUZZ_CHECK(lm_coord_server_next(w->server) > w->now.mono);
}

static void step(struct raw *r, struct lm_reader *in, bool *fail)
{
	struct world *w = r->site->w;
	const uint8_t *p;
	size_t len;

	switch (lm_r_u8(in) % 8) {
	case 0:
	case 1:
		len = lm_r_u8(in);
		p = lm_r_bytes(in, len);
		if (p != NULL && r->pipe.sealed)
			raw_send(r, p, len);
		break;
	case 2:
		len = lm_r_u8(in);
		p = lm_r_bytes(in, len);
		if (p != NULL)
			raw_bytes(r, p, len);
		break;
	case 3:
		pass_time(w, lm_r_u8(in) * (LM_SEC / 4));
		break;
	case 4:
		say_valid(r, in);
		break;
	case 5:
		join(r, w->sites[lm_r_u8(in) % 2], lm_r_u8(in) % 8 != 0);
		break;
	case 6:
		*fail = !*fail;
		mem_store_fail(w->store, *fail);
		break;
	default:
		if (lm_r_u8(in) % 2) {
			r->site->hold_down = !r->site->hold_down;
		} else {
			raw_close(r);
			world_server_kill(w);
			world_server_start(w);
		}
	}
}

/* An honest stranger lists the directory. */
static void check_listing(struct world *w)
{
	struct site *s = site_new(w, false);
	struct lm_announcement a;
	struct lm_cert c;
	struct raw r;
	uint8_t type;

	FUZZ_CHECK(raw_join(&r, s));
	raw_say(&r, &(struct lm_coord_msg){.type = LM_COORD_SYNC});
	while ((type = raw_next(&r)) != LM_COORD_SYNCED) {
		FUZZ_CHECK(type == LM_COORD_RECORD || type == LM_COORD_REVOCATION);
		if (type != LM_COORD_RECORD)
			continue;
		FUZZ_CHECK(lm_cert_check(r.last.cert, r.last.cert_len, &w->au, NULL, w->now.wall,
					 &c) == LM_TRUSTED);
		FUZZ_CHECK(lm_announcement_check(r.last.data, r.last.data_len, &c, &a) ==
			   LM_TRUSTED);
	}
	raw_close(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lm_reader in = lm_reader(data, size);
	struct raw r = {0};
	struct world *w;
	bool fail = false;

	if (size > 4096)
		return -1;
	w = world_new();
	(void)site_new(w, false);
	r.site = site_new(w, false);
	(void)raw_join(&r, r.site);
	for (unsigned i = 0; i < STEPS && lm_r_left(&in) > 0; i++)
		step(&r, &in, &fail);
	raw_close(&r);
	mem_store_fail(w->store, false);
	pass_time(w, 70 * LM_SEC);
	check_listing(w);
	world_free(w);
	return 0;
}
