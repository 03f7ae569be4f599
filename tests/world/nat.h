/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NATs and stateful firewalls, by the terms of RFC 4787 (UDP). A NAT may stand
 * behind another one (CGNAT), and several nodes behind one.
 */
#ifndef LANEMESH_TESTS_WORLD_NAT_H
#define LANEMESH_TESTS_WORLD_NAT_H

#include "world.h"

/* RFC 4787 sections 4.1 (mapping) and 5 (filtering). */
enum nat_dependence { NAT_ENDPOINT_INDEPENDENT, NAT_ADDRESS, NAT_ADDRESS_PORT };
const char *nat_dependence_name(enum nat_dependence d);

struct nat_kind {
	enum nat_dependence mapping, filtering;
	bool preserves_port;  /* RFC 4787 section 4.2.1; else a random one */
	bool hairpin;	      /* section 6, with the external source address */
	bool inbound_refresh; /* section 4.3: packets from outside keep a mapping alive too */
	lm_time timeout;      /* section 4.3 */
	bool firewall;	      /* filters only: addresses inside are good outside */
	bool no_udp;	      /* lets nothing through but what world.exempt names */
};

struct nat_mapping;
struct nat_session;

struct nat {
	struct nat *next; /* of the world */
	struct nat_kind kind;
	struct nat *parent;	 /* NULL: its outside is the open */
	struct lm_ip outer;	 /* unless it is a firewall */
	struct lm_prefix inside; /* addresses that need not pass through it */
	struct nat_mapping *by_inner, *by_port;
	struct nat_session *sessions;
	uint64_t dropped; /* what it let not in */
	unsigned n_mappings, sweep_at;
	uint8_t hosts; /* addresses given out inside */
};

struct nat *world_nat(struct world *w, const struct nat_kind *kind, struct nat *parent,
		      struct lm_ip outer, struct lm_prefix inside);
/* It forgets all mappings, and may have another address now. */
void nat_reboot(struct nat *n);
void nat_free(struct nat *n);
/* A datagram from inside: *from becomes the outside's view. False: dropped. */
bool nat_out(struct world *w, struct nat *n, struct lm_endpoint *from,
	     const struct lm_endpoint *to);
/* A datagram from outside: *to becomes the inside's address. False: dropped. */
bool nat_in(struct world *w, struct nat *n, const struct lm_endpoint *from, struct lm_endpoint *to);
/* The NAT with that address on its outside; NULL: none. */
struct nat *nat_at(const struct world *w, const struct nat *domain, const struct lm_ip *ip);
/* Is outer the NAT n, or one that n stands behind? The open (NULL) encloses all. */
bool nat_encloses(const struct nat *outer, const struct nat *n);
/* Can two nodes at these attachments reach each other without a relay, given that both know each
 * other's reflexive addresses and send to them at the same time? (RFC 5128 section 3.3)
 * What world.exempt lets through does not count. */
bool nat_direct(const struct nat *a, const struct nat *b);

#endif
