/* SPDX-License-Identifier: BSD-3-Clause */
/* Signed records as objects for cli_print. */
#ifndef APP_LANEMESH_RECORD_JSON_H
#define APP_LANEMESH_RECORD_JSON_H

#include "cli.h"

#include <lanemesh/trust.h>

/* A new reference, or NULL without memory. now: the wall clock that times are judged by. */
json_t *cli_cert_json(const struct lm_cert *c, int64_t now);
json_t *cli_announcement_json(const struct lm_announcement *a);
json_t *cli_revocation_json(const struct lm_revocation *r, int64_t now);
/* "role" names and their bits, ends with NULL. */
struct cli_role {
	const char *name;
	uint32_t bit;
};
extern const struct cli_role cli_roles[];

#endif
