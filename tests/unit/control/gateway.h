/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A whole control thread, with the recording data plane under it, in a network
 * namespace of the test process. Include after cmocka.h.
 */
#ifndef TESTS_CONTROL_GATEWAY_H
#define TESTS_CONTROL_GATEWAY_H

#include "fake_dp.h"
#include "internal.h"

#include <stdio.h>

/* LAN 10.1.0.1/24, fd00:1::1/64; WAN 192.0.2.1/24, 2001:db8:2::1/64, gateway 192.0.2.254; overlay
 * 100.64.0.1, fd00:64::1. */
#define WAN 0
#define LAN 1

struct gateway {
	char dir[64], config[96], instance[33];
	struct lm_identity *authority;
	const char *ports;    /* more of them for the config, each with a comma first; NULL: none */
	struct lm_control *c; /* NULL: not running */
};

/* A namespace for this process; false, with a line that says why, when that is not permitted. */
bool ns_enter(void);
/* Runs a command line; fails the test when it does. */
void sh(const char *fmt, ...) LM_PRINTF(1, 2);

struct lm_ip ip(const char *text);
struct lm_prefix prefix(const char *text);
struct lm_mac mac(const char *text);

/* Keys, certificate and config. extra goes into the config. */
void gateway_files(struct gateway *g, const char *extra);
/* Its certificate once more, with the prefixes 10.1.0.0/24 and this one. */
void gateway_cert(struct gateway *g, const char *more);
void gateway_config(struct gateway *g, const char *extra);
int gateway_start(struct gateway *g, struct lm_error *err);
/* Files and start in one; fails the test when it does not start. */
void gateway_up(struct gateway *g, const char *extra);
void gateway_stop(struct gateway *g);
/* Stops it if need be, and removes its files. */
void gateway_down(struct gateway *g);

/* Runs the loop until the condition holds; fails the test after 20 seconds. */
void gateway_until(struct gateway *g, bool (*cond)(struct gateway *g, const void *arg),
		   const void *arg, const char *what);
/* Runs the loop until nothing is left to do for the moment. */
void gateway_idle(struct gateway *g);
#define LINE_TEXT_(n) #n
#define LINE_TEXT(n)  LINE_TEXT_(n)
#define UNTIL(g, cond, arg)                                                                        \
	gateway_until(g, cond, arg, #cond " " #arg ", line " LINE_TEXT(__LINE__))

/* A peer in the directory: its number. It is at 192.0.2.`n`:4500 and carries prefix. */
uint32_t gateway_peer(struct gateway *g, unsigned n, const char *prefix_text);

/* Conditions. */
bool has_route(struct gateway *g, const void *prefix_text);
bool lacks_route(struct gateway *g, const void *prefix_text);

/* The n-th neighbour that the kernel asks for (ARP request or neighbour solicitation) in what was
 * handed over for sending: its address. False: there are not so many. */
bool asked_for(const struct lm_dp *dp, uint16_t port, unsigned n, struct lm_ip *who);
/* Somebody on the port's link answers for ip (ARP). */
void arp_reply(struct gateway *g, uint16_t port, const char *who, const char *hw);

#endif
