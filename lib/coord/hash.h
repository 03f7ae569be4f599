/* SPDX-License-Identifier: BSD-3-Clause */
/* uthash, told to report want of memory instead of ending the process. */
#ifndef COORD_HASH_H
#define COORD_HASH_H

#define HASH_NONFATAL_OOM	  1
#define uthash_nonfatal_oom(elem) ((void)(elem)) /* the element's hh.tbl stays NULL */
#include <uthash.h>
#include <utlist.h>

#endif
