/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/esp.h>

#include <arpa/inet.h>

_Static_assert(offsetof(struct lm_sa_in, replay.bits) == 64, "all but the bits is one cache line");

void lm_sa_out_init(struct lm_sa_out *sa, const struct lm_aead_key *key, const uint8_t salt[4],
		    uint32_t spi, uint32_t hard)
{
	*sa = (struct lm_sa_out){
	    .key = key, .hard = hard, .spi_be = htonl(spi), .id_mix = htons((uint16_t)(spi << 10))};
	memcpy(sa->salt, salt, sizeof(sa->salt));
}

void lm_sa_in_init(struct lm_sa_in *sa, const struct lm_aead_key *key, const uint8_t salt[4],
		   uint32_t spi, uint32_t peer)
{
	*sa = (struct lm_sa_in){.key = key, .spi = spi, .peer = peer};
	memcpy(sa->salt, salt, sizeof(sa->salt));
}
