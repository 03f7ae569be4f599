/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile coordinator (it has the right key) against a node's client and directory
 * cache. At the end the client comes back to an honest one and is in step with it,
 * and the cache holds nothing but well-signed records.
 */
#include "fuzz.h"

#include <raw.h>

#define STEPS 64

static const uint8_t epochs[4][LM_EPOCH_LEN] = {"", "one", "two", "three"};

static void say_valid(struct raw *r, struct lm_reader *in)
{
	uint8_t ann[LM_ANNOUNCE_MAX], cert[LM_CERT_MAX], list[2048];
	uint8_t what = lm_r_u8(in), value = lm_r_u8(in), flip = lm_r_u8(in);
	struct site *other = r->site->w->sites[1 + value % 2];
	struct lm_coord_msg m = {.type = what % 10 + 1, .revision = value, .number = flip};

	memcpy(cert, other->cert, other->cert_len);
	m.cert = cert;
	m.cert_len = other->cert_len;
	m.data = ann;
	m.data_len = site_announcement(other, flip, ann);
	memcpy(m.epoch, epochs[flip % 4], LM_EPOCH_LEN);
	memcpy(m.node, other->id->ed_public, LM_KEY_LEN);
	if (what & 0x80) {
		cert[flip % m.cert_len] ^= value | 1;
		ann[flip % m.data_len] ^= value | 1;
	}
	if (m.type == LM_COORD_REVOCATION) {
		m.data = list;
		m.data_len =
		    world_list(r->site->w, flip + 1u, &other, value % 2, list, sizeof(list));
	} else if (m.type == LM_COORD_ERROR) {
		m.data = (const uint8_t *)"no";
		m.data_len = 2;
	}
	raw_say(r, &m);
}

static void step(struct raw *r, struct lm_reader *in)
{
	struct site *s = r->site;
	const uint8_t *p;
	size_t len;

	switch (lm_r_u8(in) % 6) {
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
		if (r->pipe.sealed)
			say_valid(r, in);
		break;
	case 4:
		raw_close(r);
		(void)raw_serve(r, s, NULL, epochs[lm_r_u8(in) % 4], lm_r_u8(in));
		break;
	default:
		s->w->now.mono += lm_r_u8(in) * (LM_SEC / 4);
		lm_coord_client_tick(s->client, s->w->now.mono);
		FUZZ_CHECK(lm_coord_client_next(s->client) > s->w->now.mono ||
			   lm_coord_client_state(s->client) != LM_COORD_WAITING);
	}
}

static void check_record(void *user, const struct lm_directory_record *r)
{
	struct world *w = user;
	struct lm_announcement a;
	struct lm_cert c;

	FUZZ_CHECK(lm_cert_check(r->cert, r->cert_len, &w->au, NULL, w->now.wall, &c) ==
		   LM_TRUSTED);
	FUZZ_CHECK(lm_announcement_check(r->ann, r->ann_len, &c, &a) == LM_TRUSTED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lm_reader in = lm_reader(data, size);
	struct world *w;
	struct raw r;
	struct site *s;

	if (size > 4096)
		return -1;
	w = world_new();
	s = site_new(w, true);
	(void)site_new(w, false);
	(void)site_new(w, false);
	site_publish(s, 3);
	(void)raw_serve(&r, s, NULL, epochs[1], 5);
	for (unsigned i = 0; i < STEPS && lm_r_left(&in) > 0; i++)
		step(&r, &in);
	raw_close(&r);
	world_run(w, 12 * LM_SEC);
	FUZZ_CHECK(lm_coord_client_state(s->client) == LM_COORD_UP);
	FUZZ_CHECK(site_knows(s, s, 3));
	lm_directory_each(s->dir, check_record, w);
	world_free(w);
	return 0;
}
