/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A data plane that does nothing but remember what it was told: the control
 * thread's calls are kept for the test to look at, and what the test queues as
 * punted comes out of lm_dp_poll. Calls can be made to fail.
 */
#ifndef TESTS_CONTROL_FAKE_DP_H
#define TESTS_CONTROL_FAKE_DP_H

#include <lanemesh/worker.h>

enum fake_call {
	FAKE_CREATE,
	FAKE_ROUTE_SET,
	FAKE_OWN_SET,
	FAKE_ADDRESSES_SET,
	FAKE_PEER_SET,
	FAKE_PATH_SET,
	FAKE_PORT_INFO,
	FAKE_CALLS,
};
/* The next n calls return rc; n = 0: none does. Stays over lm_dp_create. */
void fake_fail(enum fake_call call, unsigned n, int rc);
/* The one data plane of the process, NULL before lm_dp_create and after lm_dp_free. */
struct lm_dp *fake_dp(void);
/* A data plane without a control thread, for tests of single parts. */
struct lm_dp *fake_new(void);

/* ------------------------------------------------------ what it was told -- */

/* NULL: no such route. */
const struct lm_route *fake_route(const struct lm_dp *dp, const char *prefix);
unsigned fake_route_changes(const struct lm_dp *dp); /* sets and deletes until now */

struct fake_frame {
	uint16_t port; /* LM_DP_PORT_NONE: injected */
	size_t len;
	uint8_t *data;
};
/* Frames handed over for sending, oldest first; forgotten with fake_frames_clear. */
unsigned fake_frames(const struct lm_dp *dp);
const struct fake_frame *fake_frame(const struct lm_dp *dp, unsigned i);
void fake_frames_clear(struct lm_dp *dp);

struct fake_peer {
	unsigned n_prefixes;
	bool has_path;
	struct lm_outer outer;
	uint16_t inner_mtu;
	unsigned path_changes;
};
/* What the data plane holds for a relay id; NULL: nothing. */
struct fake_relay {
	uint64_t id;
	struct lm_dp_relay r;
	struct lm_outer outer;
};
const struct fake_relay *fake_relay(const struct lm_dp *dp, uint64_t id);
uint64_t fake_relay_quota(const struct lm_dp *dp);
const struct fake_peer *fake_peer(const struct lm_dp *dp, uint32_t peer);
unsigned fake_addresses(const struct lm_dp *dp, uint16_t port, const struct lm_ip **ips);
unsigned fake_own(const struct lm_dp *dp);

/* ------------------------------------------------------- what it punts -- */

/* Copies p with its data; it comes out of the next lm_dp_poll. */
void fake_punt(struct lm_dp *dp, const struct lm_punt *p);

/* The port's link, as seen from its next check on; up at first. */
void fake_link(struct lm_dp *dp, uint16_t port, bool up);

#endif
