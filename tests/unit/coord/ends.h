/* SPDX-License-Identifier: BSD-3-Clause */
/* Sites of a world whose links are real TCP, on a libuv loop and the real clock. */
#ifndef COORD_ENDS_H
#define COORD_ENDS_H

#include "world.h"

#include <unistd.h>
#include <uv.h>

struct end {
	struct site *site;
	struct lm_coord_link *link;
	uint64_t published;
	unsigned ups, downs;
	char why[256]; /* why it went down last */
};

/* Links the end's site to the coordinator there, from the position in its directory. */
void end_join(struct end *e, uv_loop_t *loop, const struct lm_endpoint *at);
void end_leave(struct end *e);
void end_publish(struct end *e, uint64_t sequence);
/* A port that was free a moment ago; 0 when there is no such address here. */
uint16_t end_free_port(const char *host);

#define END_PATIENCE (20 * LM_SEC)

/* Runs the loop until the condition holds. */
#define END_WAIT(loop, cond)                                                                       \
	do {                                                                                       \
		uint64_t end_until = uv_hrtime() + END_PATIENCE;                                   \
		while (!(cond) && uv_hrtime() < end_until) {                                       \
			uv_run(loop, UV_RUN_NOWAIT);                                               \
			usleep(1000);                                                              \
		}                                                                                  \
		assert_true(cond);                                                                 \
	} while (0)

#endif
