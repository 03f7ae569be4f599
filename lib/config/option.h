/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside config: the option table and what walks it. A row says where a value
 * goes (offset and size in the struct), how it is read, and what the reference
 * prints about it; parser, difference and reference are loops over the rows.
 */
#ifndef LM_CONFIG_OPTION_H
#define LM_CONFIG_OPTION_H

#include <lanemesh/config.h>
#include <libconfig.h>

/* How a value is written and stored. */
enum lm_value {
	LM_V_U8, /* integer, by the size of its field */
	LM_V_U16,
	LM_V_U32,
	LM_V_BOOL,
	LM_V_WORD,     /* one of row->words, stored as its index in an enum */
	LM_V_BACKEND,  /* one of row->words, stored as text, the first as "" */
	LM_V_NAME,     /* mesh id */
	LM_V_PATH,     /* absolute; %i becomes the instance */
	LM_V_IFNAME,   /* Linux interface name */
	LM_V_DEVICE,   /* DPDK devargs */
	LM_V_KEY,      /* 64 hex digits */
	LM_V_ENDPOINT, /* address:port */
	LM_V_HOST,     /* name:port or address:port */
	LM_V_IFADDR,   /* address/length, host bits kept */
	LM_V_IP,
	LM_V_PREFIX,
	LM_V_MAC,
	LM_V_COUNT,
};

enum lm_shape {
	LM_S_ONE,    /* a value */
	LM_S_LIST,   /* of values; counter at off_n */
	LM_S_GROUP,  /* { }; member rows have offsets in the whole struct */
	LM_S_GROUPS, /* ( { }, ... ); member rows have offsets in one element; counter at off_n */
};

#define LM_NO_COUNT SIZE_MAX

struct lm_row {
	struct lm_option pub;
	enum lm_shape shape;
	enum lm_value value;
	size_t off;
	size_t size;		  /* of the field, or of one element */
	size_t off_n;		  /* lists: uint8_t count; a value: bool "is set"; or LM_NO_COUNT */
	uint32_t min, max;	  /* integers */
	uint32_t least, most;	  /* lists: number of elements */
	uint32_t room;		  /* lists: elements that fit the field */
	const char *const *words; /* NULL-terminated */
	uint16_t port;		  /* endpoints, hosts: default port, 0 = must be written */
	bool required;
};

struct lm_table {
	const struct lm_row *rows;
	unsigned n;
};
const struct lm_table *lm_table(enum lm_config_kind kind);
/* Last component of a row's name, and is the row directly inside group (NULL: the root)? */
const char *lm_row_key(const struct lm_row *row);
bool lm_row_in(const struct lm_row *row, const char *group);

/* A file being read. */
struct lm_cfg {
	config_t tree;
	const char *file; /* for errors */
	const char *instance;
	struct lm_error *err;
};

/* "file:line: option: message"; gives -EINVAL. s says line and option. */
int lm_cfg_error(struct lm_cfg *c, const config_setting_t *s, const char *fmt, ...) LM_PRINTF(3, 4);
/* Bounds and refuses what libconfig would misread: see scan.c. text ends with NUL at len. */
int lm_scan(struct lm_cfg *c, const char *text, size_t len);
/* Reads one value into dst (row->size bytes, zeroed). */
int lm_value_read(struct lm_cfg *c, const config_setting_t *s, const struct lm_row *row, void *dst);
bool lm_value_equal(enum lm_value v, size_t size, const void *a, const void *b);
/* Rules between options. */
int lm_check_node(struct lm_cfg *c, struct lm_config *cfg);
int lm_check_coord(struct lm_cfg *c, struct lm_coord_config *cfg);

#endif
