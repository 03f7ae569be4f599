/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files that answer questions share. */
#ifndef LM_CONTROL_REPORT_H
#define LM_CONTROL_REPORT_H

#include "internal.h"

#include <jansson.h>

/* report_value.c */
json_t *lm_json_hex(const void *data, size_t n);
json_t *lm_json_spi(uint32_t spi);
json_t *lm_json_ip(const struct lm_ip *ip);
json_t *lm_json_prefix(const struct lm_prefix *p);
json_t *lm_json_endpoint(const struct lm_endpoint *ep);
/* Seconds since then, null when it never was. */
json_t *lm_json_ago(lm_time now, lm_time then);
const char *lm_port_name(const struct lm_control *c, uint16_t port);

/* report_path.c */
json_t *lm_report_netcheck(struct lm_control *c);

/* report_why.c */
/* By its name, or its node key in hex. */
bool lm_report_peer_named(struct lm_control *c, const char *name, struct lm_peer_info *out);
/* Also of ourselves ("local") and of whom we may not talk to ("refused"). NULL with err: nobody is
 * known by that name or key. */
json_t *lm_report_why(struct lm_control *c, const char *site, struct lm_error *err);

#endif
