/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of a node's directory cache: directory.c holds it, directory_file.c stores it. */
#ifndef COORD_DIRECTORY_H
#define COORD_DIRECTORY_H

#include <lanemesh/coord.h>

#include "hash.h"

struct dir_record {
	UT_hash_handle hh;
	uint8_t node[LM_KEY_LEN];
	uint64_t sequence;
	int64_t not_before, not_after;
	uint64_t serial;
	uint16_t listed; /* bit n: source n lists it */
	uint16_t seen;	 /* bit n: named in the full listing of source n that is going on */
	size_t cert_len, ann_len;
	uint8_t *bytes; /* certificate, announcement */
};

struct dir_source {
	bool used;
	uint8_t key[LM_KEY_LEN];
	uint8_t epoch[LM_EPOCH_LEN];
	uint64_t revision;
	bool resync; /* a full listing is going on */
};

struct dir_list {
	uint8_t issuer[LM_KEY_LEN];
	uint64_t number;
	uint8_t *data; /* NULL: unused */
	size_t len;
};

struct lm_directory {
	uint32_t max_nodes;
	uint64_t version;
	struct dir_record *records;
	struct dir_source sources[LM_DIRECTORY_SOURCES];
	struct dir_list lists[LM_AUTHORITIES_MAX];
};

/* lm_directory_put with any set of sources. */
int directory_add(struct lm_directory *d, uint16_t listed, const uint8_t *cert, size_t cert_len,
		  const uint8_t *ann, size_t ann_len) LM_MUST_CHECK;
/* Back to empty; max_nodes stays. */
void directory_clear(struct lm_directory *d);

#endif
