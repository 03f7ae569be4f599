/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control: the daemon's control thread. One libuv loop holds the mesh core, the
 * kernel twins, netlink, the coordinator links, timers and management, and is
 * the only writer of the data plane's tables.
 */
#ifndef LANEMESH_CONTROL_H
#define LANEMESH_CONTROL_H

#include <lanemesh/base.h>

struct lm_control;

/* Folder of an instance's sockets: LM_RUN_DIR/<instance>/control.sock. */
#define LM_RUN_DIR "/run/lanemesh"

/*
 * Reads the config and everything it names, starts the data plane, makes the
 * twins, joins the mesh. The calling thread becomes the control thread. 0 or
 * -errno with err; then nothing is left behind.
 */
int lm_control_new(const char *config_path, const char *instance, struct lm_control **out,
		   struct lm_error *err) LM_MUST_CHECK;
/* Runs until SIGTERM or SIGINT. Control thread. */
void lm_control_run(struct lm_control *c);
/* Leaves the mesh politely and frees all. False: after some seconds disk or resolver still keep a
 * thread, which has what it needs, the instance's lock too; the process is to end by _exit, as exit
 * would wait for that thread. Control thread. */
bool lm_control_free(struct lm_control *c);

/*
 * Asks a question ("status", "peers", "drops", ...; the list is in
 * lib/control/README.md) from any other thread and waits, two seconds at most,
 * for the control thread's answer: a JSON text that the caller frees, or NULL
 * with err. The caller sees to it that no call is under way when lm_control_free
 * begins; one that waits when lm_control_run ends returns at once.
 */
char *lm_control_query(struct lm_control *c, const char *what, struct lm_error *err);

#endif
