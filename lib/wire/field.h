/* SPDX-License-Identifier: BSD-3-Clause */
/* Fields that several records share. Readers set r->bad on anything not canonical. */
#ifndef LM_WIRE_FIELD_H
#define LM_WIRE_FIELD_H

#include <lanemesh/wire.h>

#define LM_RECORD_VERSION 1

/* u8 family (4 or 6), then 4 or 16 bytes. v4-mapped IPv6 is refused: one address, one form. */
struct lm_ip lm_field_ip_read(struct lm_reader *r);
void lm_field_ip_write(struct lm_writer *w, const struct lm_ip *ip);
bool lm_field_ip_valid(const struct lm_ip *ip);

/* u8 family, address, u16 port, which is not zero. */
struct lm_endpoint lm_field_endpoint_read(struct lm_reader *r);
void lm_field_endpoint_write(struct lm_writer *w, const struct lm_endpoint *ep);
bool lm_field_endpoint_valid(const struct lm_endpoint *ep);

/* u8 count, then for each u8 family, u8 length, address; no two equal. */
uint8_t lm_field_prefixes_read(struct lm_reader *r, struct lm_prefix out[LM_PREFIXES_MAX]);
void lm_field_prefixes_write(struct lm_writer *w, const struct lm_prefix *p, uint8_t n);
bool lm_field_prefixes_valid(const struct lm_prefix *p, uint8_t n);

/* u8 length, then a name for which lm_name_valid holds. out has room for max + 1. */
void lm_field_name_read(struct lm_reader *r, char *out, size_t max);
void lm_field_name_write(struct lm_writer *w, const char *name);

/* u8 count of at most max; a greater one makes r bad and gives 0. */
uint8_t lm_field_count_read(struct lm_reader *r, uint8_t max);

/* u64 of at most INT64_MAX: times and numbers also live in signed columns and in JSON. */
uint64_t lm_field_u63_read(struct lm_reader *r);

#endif
