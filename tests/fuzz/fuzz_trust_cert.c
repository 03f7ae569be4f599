/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A certificate and an announcement from a stranger. Input: length u16 of the
 * certificate, its bytes, the announcement. Where the certificate decodes, its
 * issuer is taken for a configured authority, so that the checks go all the way.
 */
#include <lanemesh/trust.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly len bytes, for ASan. */
static uint8_t *exact(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len + 1);

	if (copy == NULL)
		abort();
	memcpy(copy + 1, data, len);
	return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lm_reader r = lm_reader(data, size);
	size_t cert_len = lm_r_u16(&r), body_len;
	struct lm_authorities au = {.n = 1};
	struct lm_announcement ann;
	struct lm_cert cert;
	uint8_t *c, *a;

	if (lm_crypto_init() != 0)
		abort();
	if (r.bad || cert_len > lm_r_left(&r))
		cert_len = lm_r_left(&r);
	c = exact(r.p, cert_len);
	a = exact(r.p + cert_len, lm_r_left(&r) - cert_len);
	if (lm_cert_decode(c + 1, cert_len, &cert, &body_len) == 0) {
		memcpy(au.keys[0], cert.issuer, LM_KEY_LEN);
		memcpy(au.mesh, cert.mesh, sizeof(au.mesh));
	}
	if (lm_cert_check(c + 1, cert_len, &au, NULL, 1750000000, &cert) != LM_BAD_ENCODING) {
		struct lm_ip ip = {.family = 4, .b = {10, 1, 0, 1}};

		(void)!lm_cert_recheck(&cert, &au, NULL, (int64_t)cert.serial);
		lm_cert_carries(&cert, &ip);
		(void)!lm_announcement_check(a + 1, lm_r_left(&r) - cert_len, &cert, &ann);
	}
	free(c);
	free(a);
	return 0;
}
