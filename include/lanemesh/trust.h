/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trust: certificates, announcements and revocation lists: created, signed,
 * checked; and their files (RFC 7468 text).
 */
#ifndef LANEMESH_TRUST_H
#define LANEMESH_TRUST_H

#include <lanemesh/crypto.h>
#include <lanemesh/wire.h>

/* Clocks of sites may differ; certificates are judged with this much grace, in seconds. */
#define LM_TRUST_GRACE 3600

/* Who may sign: the authorities in the config (a list, so that keys can be rotated). */
#define LM_AUTHORITIES_MAX 8
struct lm_authorities {
	char mesh[LM_MESH_ID_MAX + 1];
	uint8_t n;
	uint8_t keys[LM_AUTHORITIES_MAX][LM_KEY_LEN];
};

enum lm_verdict {
	LM_TRUSTED,
	LM_BAD_ENCODING,
	LM_BAD_SIGNATURE,
	LM_BAD_MESH,	      /* made for another mesh */
	LM_UNKNOWN_AUTHORITY, /* signed by a key that is not in the config */
	LM_NOT_YET_VALID,
	LM_EXPIRED,
	LM_REVOKED,
	LM_WRONG_NODE,		 /* announcement and certificate are not of the same node */
	LM_OUTSIDE_CERT,	 /* announces a prefix that its certificate does not hold */
	LM_BAD_OVERLAY_ENDPOINT, /* announces an endpoint inside an overlay prefix of its own */
	LM_OLDER,		 /* a list with a number we already passed */
	LM_VERDICT_COUNT,
};
/* A short phrase for logs and counters: "certificate expired". */
const char *lm_verdict_text(enum lm_verdict v);
/* An identifier for metrics: "expired". */
const char *lm_verdict_name(enum lm_verdict v);

/* -------------------------------------------------------------- signing -- */

/* Encode and sign into buf. Length of the signed record or a negative errno with err. */
int lm_cert_sign(const struct lm_identity *authority, const struct lm_cert *c, uint8_t *buf,
		 size_t cap, struct lm_error *err) LM_MUST_CHECK;
int lm_announcement_sign(const struct lm_identity *node, const struct lm_announcement *a,
			 uint8_t *buf, size_t cap, struct lm_error *err) LM_MUST_CHECK;
int lm_revocation_sign(const struct lm_identity *authority, const struct lm_revocation *r,
		       uint8_t *buf, size_t cap, struct lm_error *err) LM_MUST_CHECK;

/* ------------------------------------------------------------- checking -- */

/*
 * The revocation lists in force: the newest of each authority. Lookups are
 * binary searches in the stored bytes.
 */
struct lm_revocations {
	uint8_t n;
	struct {
		uint8_t *data; /* owned copy of the signed list */
		size_t len;
		struct lm_revocation list; /* points into data */
	} of[LM_AUTHORITIES_MAX];
};
void lm_revocations_free(struct lm_revocations *rs);
/* Checks and, when it is newer than what is there from the same authority, takes a copy.
 * LM_TRUSTED: taken (*changed = true) or the same list again (*changed = false). */
enum lm_verdict lm_revocations_add(struct lm_revocations *rs, const struct lm_authorities *au,
				   const uint8_t *data, size_t len, bool *changed) LM_MUST_CHECK;
bool lm_revocations_has(const struct lm_revocations *rs, const uint8_t issuer[32],
			const uint8_t node[32], uint64_t serial);
/* The earliest next_update in force that has passed at wall time, i.e. a stale list. */
bool lm_revocations_stale(const struct lm_revocations *rs, int64_t wall);

/* Signature, issuer, mesh, validity with grace, revocation. rs may be NULL. *out is filled whenever
 * the encoding is good. */
enum lm_verdict lm_cert_check(const uint8_t *data, size_t len, const struct lm_authorities *au,
			      const struct lm_revocations *rs, int64_t wall,
			      struct lm_cert *out) LM_MUST_CHECK;
/* The part of lm_cert_check that changes with time and lists; no signature check. */
enum lm_verdict lm_cert_recheck(const struct lm_cert *c, const struct lm_authorities *au,
				const struct lm_revocations *rs, int64_t wall) LM_MUST_CHECK;
/* Signature by the certificate's node, mesh, every prefix inside a certificate prefix, no endpoint
 * inside the certificate's own prefixes or overlay addresses (Nebula #741). */
enum lm_verdict lm_announcement_check(const uint8_t *data, size_t len, const struct lm_cert *cert,
				      struct lm_announcement *out) LM_MUST_CHECK;
/* May the node carry this inner address: a certificate prefix or one of its overlay addresses? */
bool lm_cert_carries(const struct lm_cert *c, const struct lm_ip *ip);

/* ---------------------------------------------------------------- files -- */

/*
 * RFC 7468 text files. Labels: "LANEMESH PRIVATE KEY" (32-byte seed),
 * "LANEMESH AUTHORITY PRIVATE KEY" (seed), "LANEMESH CERTIFICATE",
 * "LANEMESH ANNOUNCEMENT", "LANEMESH REVOCATION LIST". Public keys are written
 * as 64 hex digits everywhere.
 */
#define LM_LABEL_KEY	    "LANEMESH PRIVATE KEY"
#define LM_LABEL_AUTHORITY  "LANEMESH AUTHORITY PRIVATE KEY"
#define LM_LABEL_CERT	    "LANEMESH CERTIFICATE"
#define LM_LABEL_ANNOUNCE   "LANEMESH ANNOUNCEMENT"
#define LM_LABEL_REVOCATION "LANEMESH REVOCATION LIST"

/* Atomically, mode 0600 for keys and 0644 otherwise. overwrite = false: -EEXIST when path exists.
 */
int lm_armor_write(const char *path, const char *label, const void *data, size_t len,
		   bool overwrite, struct lm_error *err) LM_MUST_CHECK;
/* Reads the one block of a file, which must have this label (NULL: any, then label_out, 64 bytes,
 * gets it). Returns malloc'ed bytes (sodium_memzero and free). Errors name path, line and cure. */
int lm_armor_read(const char *path, const char *label, char *label_out, uint8_t **data, size_t *len,
		  struct lm_error *err) LM_MUST_CHECK;
/* A secret key file; refuses one that group or others can read, and says the chmod that cures it.
 */
int lm_identity_load(const char *path, const char *label, struct lm_identity **out,
		     struct lm_error *err) LM_MUST_CHECK;

#endif
