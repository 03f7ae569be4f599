/* SPDX-License-Identifier: BSD-3-Clause */
/* A coordinator's store in memory: outlives the server object, as a disk does. */
#ifndef TESTS_COORD_STORE_MEM_H
#define TESTS_COORD_STORE_MEM_H

#include <lanemesh/coord.h>

struct mem_store;

/* epoch: the first one. Aborts without memory. */
struct mem_store *mem_store_new(const uint8_t epoch[LM_EPOCH_LEN]);
void mem_store_free(struct mem_store *ms);
struct lm_coord_store *mem_store_ops(struct mem_store *ms);
/* As a full disk: commits fail with -ENOSPC. */
void mem_store_fail(struct mem_store *ms, bool fail);

#endif
