/* SPDX-License-Identifier: BSD-3-Clause */
/* What a handshake costs: the Noise part, the certificate of the other side, mac1 of a flood. */
#include "micro.h"

#include <lanemesh/noise.h>
#include <lanemesh/trust.h>

#include <sodium.h>
#include <stdlib.h>

#define PAYLOAD 400 /* about what a certificate and the capabilities take */

struct handshake {
	struct lm_identity *us, *peer;
	struct lm_authorities trusted;
	uint8_t cert[1024];
	size_t cert_len;
	uint8_t e[2][32], payload[PAYLOAD];
	uint8_t msg1[LM_NOISE_MSG1_OVERHEAD + PAYLOAD], msg2[LM_NOISE_MSG2_OVERHEAD + PAYLOAD];
	uint8_t mac1_key[32];
};

static void must(int e)
{
	if (e != 0) {
		fprintf(stderr, "bench: handshake: %d\n", e);
		exit(1);
	}
}

static void check_cert(void *ctx)
{
	struct handshake *h = ctx;
	struct lm_cert c;

	if (lm_cert_check(h->cert, h->cert_len, &h->trusted, NULL, 1000, &c) != LM_TRUSTED)
		exit(1);
}

static void noise_responder(void *ctx)
{
	struct handshake *h = ctx;
	struct lm_noise n;
	struct lm_noise_keys keys;
	uint8_t got[PAYLOAD];

	lm_noise_init(&n, false, h->us->x_secret, h->us->x_public, h->e[1], NULL, NULL, "bench", 5);
	must(lm_noise_read(&n, h->msg1, sizeof(h->msg1), got));
	must(lm_noise_write(&n, h->payload, PAYLOAD, h->msg2));
	must(lm_noise_split(&n, &keys));
}

static void responder(void *ctx)
{
	noise_responder(ctx);
	check_cert(ctx);
}

static void initiator(void *ctx)
{
	struct handshake *h = ctx;
	struct lm_noise n;
	struct lm_noise_keys keys;
	uint8_t got[PAYLOAD];

	lm_noise_init(&n, true, h->peer->x_secret, h->peer->x_public, h->e[0], h->us->x_public,
		      NULL, "bench", 5);
	must(lm_noise_write(&n, h->payload, PAYLOAD, h->msg1));
	must(lm_noise_read(&n, h->msg2, sizeof(h->msg2), got));
	must(lm_noise_split(&n, &keys));
	check_cert(ctx);
}

static void mac1(void *ctx)
{
	struct handshake *h = ctx;

	if (lm_mac1_ok(h->mac1_key, h->msg1, LM_INIT_MACED, h->msg1 + sizeof(h->msg1) - 32))
		exit(1); /* a flood's is wrong */
}

void micro_handshake(void)
{
	struct handshake *h = micro_alloc(sizeof(*h));
	const struct micro_work work[] = {
	    {"responder", responder, h, 1},
	    {"initiator", initiator, h, 1},
	    {"noise_responder", noise_responder, h, 1},
	    {"certificate", check_cert, h, 1},
	    {"mac1", mac1, h, 1},
	};
	struct lm_identity *authority = lm_identity_generate();
	struct lm_cert c = {.serial = 1, .not_after = 2000};
	struct lm_noise n;
	struct lm_error err = {0};
	int len;

	h->us = lm_identity_generate();
	h->peer = lm_identity_generate();
	if (authority == NULL || h->us == NULL || h->peer == NULL)
		exit(1);
	snprintf(c.mesh, sizeof(c.mesh), "bench");
	snprintf(c.name, sizeof(c.name), "peer");
	memcpy(c.node, h->peer->ed_public, sizeof(c.node));
	snprintf(h->trusted.mesh, sizeof(h->trusted.mesh), "bench");
	h->trusted.n = 1;
	memcpy(h->trusted.keys[0], authority->ed_public, LM_KEY_LEN);
	len = lm_cert_sign(authority, &c, h->cert, sizeof(h->cert), &err);
	if (len < 0) {
		fprintf(stderr, "bench: %s\n", err.text);
		exit(1);
	}
	h->cert_len = (size_t)len;
	randombytes_buf(h->e, sizeof(h->e));
	lm_mac1_key(h->us->x_public, h->mac1_key);
	lm_noise_init(&n, true, h->peer->x_secret, h->peer->x_public, h->e[0], h->us->x_public,
		      NULL, "bench", 5);
	must(lm_noise_write(&n, h->payload, PAYLOAD, h->msg1));
	micro_measure("handshake", work, LM_ARRAY_SIZE(work));
	lm_identity_free(authority);
	lm_identity_free(h->us);
	lm_identity_free(h->peer);
	free(h);
}
