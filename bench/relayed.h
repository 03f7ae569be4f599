/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The site as a relay, beside what it decrypts: its peers, which send to it, have it pass datagrams
 * on to each other as well, peer p to peer p + 1, each under an id of its own.
 */
#ifndef BENCH_RELAYED_H
#define BENCH_RELAYED_H

#include "site.h"

struct rte_mbuf;

/* Opens the ids of all peers, with a quota that is kept account of and never reached. */
void relayed_open(struct site *s);
/*
 * Frames with ESP from peers, number `first` and on of the traffic, become frames with the same
 * ESP to be passed on; but for its first encrypted bytes, where `lap` is put: a relay drops copies.
 */
void relayed_frames(const struct site *s, struct rte_mbuf **pkts, unsigned n, uint32_t first,
		    uint64_t lap);

#endif
