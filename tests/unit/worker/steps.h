/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps that tests of the packet's way are made of. */
#ifndef STEPS_H
#define STEPS_H

#include "rig.h"

/* The rig of a cmocka state, quiet and without punts. */
struct rig *rig_of(void **state);
/* Feeds a frame into queue 0 and waits until it is dealt with. */
void rig_offer(struct rig *r, unsigned port, const void *frame, size_t len);
/* The same: one packet from a LAN host, or one inner packet from peer 0 on lane 0. */
void rig_from_lan(struct rig *r, const struct rig_ip *d);
void rig_from_peer(struct rig *r, const struct rig_ip *d, uint8_t outer_tos);
/* No frame on any port. */
void rig_nothing_sent(struct rig *r);
/* The one punt that there is, of this kind. */
const struct rig_punt *rig_the_punt(struct rig *r, enum lm_punt_kind kind);
/* Offers d and expects one drop, for this reason, and nothing sent. */
void rig_lan_drops(struct rig *r, const struct rig_ip *d, enum lm_ctr why);
void rig_peer_drops(struct rig *r, const struct rig_ip *d, enum lm_ctr why);
/* What d looks like one hop later. */
size_t rig_next_hop(const struct rig_ip *d, uint8_t *out);

#endif
