/* SPDX-License-Identifier: BSD-3-Clause */
/* The running gateway, asked through its control socket. */
#ifndef LANEMESH_CLIENT_H
#define LANEMESH_CLIENT_H

#include <jansson.h>
#include <lanemesh/base.h>

/* Sends one command (argument may be NULL) and waits for the answer, 10 s at most. NULL with err:
 * not running, not allowed, or the gateway's own words. The caller drops the reference. */
json_t *client_request(const char *instance, const char *command, const char *argument,
		       struct lm_error *err);

#endif
