/* SPDX-License-Identifier: BSD-3-Clause */
#include "steps.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct rig *rig_of(void **state)
{
	struct rig *r = *state;

	rig_settle(r);
	rig_forget(r);
	return r;
}

void rig_offer(struct rig *r, unsigned port, const void *frame, size_t len)
{
	assert_true(rig_feed(r, port, 0, frame, len));
	rig_settle(r);
}

void rig_from_lan(struct rig *r, const struct rig_ip *d)
{
	uint8_t frame[RIG_FRAME_MAX];

	rig_offer(r, RIG_LAN, frame, rig_frame(RIG_LAN, d, frame));
}

void rig_from_peer(struct rig *r, const struct rig_ip *d, uint8_t outer_tos)
{
	uint8_t ip[RIG_FRAME_MAX], frame[RIG_FRAME_MAX];
	size_t len = rig_ip(d, ip);

	len = rig_seal(r, 0, 0, ip[0] >> 4 == 4 ? 4 : 41, ip, len, outer_tos, frame);
	rig_offer(r, RIG_WAN, frame, len);
}

void rig_nothing_sent(struct rig *r)
{
	uint8_t frame[RIG_FRAME_MAX];

	for (unsigned port = 0; port < r->n_ports; port++)
		assert_int_equal(rig_read(r, port, frame), 0);
}

const struct rig_punt *rig_the_punt(struct rig *r, enum lm_punt_kind kind)
{
	assert_int_equal(r->n_punts, 1);
	assert_int_equal(r->punts[0].p.kind, kind);
	return &r->punts[0];
}

void rig_lan_drops(struct rig *r, const struct rig_ip *d, enum lm_ctr why)
{
	uint64_t before = rig_count(r, why), all = rig_drops(r);

	rig_forget(r);
	rig_from_lan(r, d);
	assert_int_equal(rig_count(r, why), before + 1);
	assert_int_equal(rig_drops(r), all + 1);
	rig_nothing_sent(r);
}

void rig_peer_drops(struct rig *r, const struct rig_ip *d, enum lm_ctr why)
{
	uint64_t before = rig_count(r, why), all = rig_drops(r);

	rig_forget(r);
	rig_from_peer(r, d, 0);
	assert_int_equal(rig_count(r, why), before + 1);
	assert_int_equal(rig_drops(r), all + 1);
	rig_nothing_sent(r);
}

size_t rig_next_hop(const struct rig_ip *d, uint8_t *out)
{
	struct rig_ip later = *d;

	later.ttl--;
	return rig_ip(&later, out);
}
