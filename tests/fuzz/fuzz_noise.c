/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a stranger can send to the handshake: first byte = who reads, the rest is
 * the message. Authentic bytes cannot be found by mutation, so the harness also
 * checks that nothing is accepted.
 */
#include "fuzz.h"

#include <lanemesh/crypto.h>
#include <lanemesh/noise.h>
#include <sodium.h>

static const uint8_t secret[32] = {1}, ephemeral[32] = {2}, psk[32] = {3};

static void handshake(bool initiator, const uint8_t *msg, size_t len, uint8_t *payload)
{
	uint8_t pub[32], out[LM_NOISE_MSG1_OVERHEAD];
	struct lm_noise ns;

	crypto_scalarmult_base(pub, secret);
	lm_noise_init(&ns, initiator, secret, pub, ephemeral, initiator ? pub : NULL, psk, "fuzz",
		      4);
	if (initiator && lm_noise_write(&ns, NULL, 0, out) != 0)
		abort();
	if (lm_noise_read(&ns, msg, len, payload) == 0)
		abort();
}

/* The cheap checks that stand before a handshake. */
static void macs(const uint8_t *msg, size_t len)
{
	struct lm_cookie_jar jar = {0};
	struct lm_endpoint from = {.ip = {.family = 4, .b = {192, 0, 2, 1}}, .port = 4500};

	if (len < 32)
		return;
	lm_cookie_jar_turn(&jar, 0, secret);
	if (lm_mac1_ok(secret, msg, len - 32, msg + len - 32) ||
	    lm_mac2_ok(&jar, &from, msg, len - 32, msg + len - 16))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *msg, *payload;

	if (size == 0 || size > 4096 || lm_crypto_init() != 0)
		return 0;
	/* Copies of the exact size, so that a byte read or written too far is seen. */
	msg = malloc(size - 1);
	payload = malloc(size - 1);
	if (msg == NULL || payload == NULL)
		abort();
	memcpy(msg, data + 1, size - 1);
	switch (data[0] % 4) {
	case 0:
	case 1:
		handshake(data[0] % 4 == 1, msg, size - 1, payload);
		break;
	case 2:
		macs(msg, size - 1);
		break;
	default:
		if (lm_noise_open(secret, data[0], psk, 32, msg, size - 1, payload) == 0)
			abort();
	}
	free(msg);
	free(payload);
	return 0;
}
