/* SPDX-License-Identifier: BSD-3-Clause */
/* The STUN client's state, a part of struct lm_mesh. Included by internal.h. */
#ifndef LANEMESH_MESH_STUN_H
#define LANEMESH_MESH_STUN_H

/* One server asked from one WAN port. */
struct stun_query {
	uint16_t port;
	struct lm_endpoint server;
	uint8_t id[LM_STUN_ID_LEN];
	uint8_t sends; /* of the transaction under way; 0: none is */
	uint8_t fails; /* transactions without a good answer, since the last one */
	bool answered; /* mapped holds */
	bool refused;  /* the last answer was an error */
	lm_time due;   /* next thing to do */
	lm_time sent, rtt;
	struct lm_endpoint mapped;
};

struct stun {
	struct due due;
	struct lm_endpoint servers[LM_MESH_STUN_MAX];
	uint8_t n_servers;
	struct stun_query *queries; /* ports in turn, servers in their order */
	unsigned n_queries;
	lm_time paced;	      /* nothing is sent before */
	bool look;	      /* what peers report has changed: reflexive is to be found anew */
	lm_time looked;	      /* when that was done last */
	lm_time asked_others; /* all servers anew, since one reported another address */
	/* What is announced: by WAN port, and IPv4, IPv6. Family 0: none. */
	struct lm_endpoint reflexive[LM_MESH_WAN_MAX][2];
};

#endif
