/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trust: certificates, announcements and revocation lists: created, signed,
 * checked; and their files (RFC 7468 text).
 */
#ifndef LANEMESH_TRUST_H
#define LANEMESH_TRUST_H

#include <lanemesh/crypto.h>
#include <lanemesh/wire.h>

/* Clocks of sites may differ; certificates are judged with this much grace, in seconds: they hold
 * while not_before - grace <= t < not_after + grace. t is the wall clock, but never earlier than
 * the issue times of the revocation lists of our authorities: a clock that starts in 1970, or is
 * turned back, does not revive what has expired. No time at all is remembered beyond that, so a
 * clock that was far ahead does no harm once it is right again. */
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
	LM_OLDER,		 /* a list with a number that we have, or passed */
	LM_NO_MEMORY,		 /* good, but it could not be kept */
	LM_VERDICT_COUNT,
};
/* A short phrase for logs and counters: "certificate expired". */
const char *lm_verdict_text(enum lm_verdict v);
/* An identifier for metrics: "expired". */
const char *lm_verdict_name(enum lm_verdict v);

/* -------------------------------------------------------------- signing -- */

/* Encode and sign into buf, with the signer's key as issuer or node whatever the struct says.
 * Length of the signed record or a negative errno with err: -EINVAL a field that no peer would
 * accept, -EMSGSIZE too much in it or cap too small, -ENOMEM. */
int lm_cert_sign(const struct lm_identity *authority, const struct lm_cert *c, uint8_t *buf,
		 size_t cap, struct lm_error *err) LM_MUST_CHECK;
int lm_announcement_sign(const struct lm_identity *node, const struct lm_announcement *a,
			 uint8_t *buf, size_t cap, struct lm_error *err) LM_MUST_CHECK;
int lm_revocation_sign(const struct lm_identity *authority, const struct lm_revocation *r,
		       uint8_t *buf, size_t cap, struct lm_error *err) LM_MUST_CHECK;

/* ------------------------------------------------------------- checking -- */

/*
 * The revocation lists in force: the newest of each authority. Lookups are
 * binary searches in the stored bytes. Zeroed = empty.
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
 * LM_TRUSTED: taken (*changed = true) or the same list again (*changed = false). LM_OLDER: a lower
 * number, or the same number with other content. On anything but taken, rs is as it was. */
enum lm_verdict lm_revocations_add(struct lm_revocations *rs, const struct lm_authorities *au,
				   const uint8_t *data, size_t len, bool *changed) LM_MUST_CHECK;
/* Is the node, or this serial of this issuer, on a list of one of the authorities? A node's key
 * counts on the list of any of them, so that it cannot hide behind another's certificate. */
bool lm_revocations_has(const struct lm_revocations *rs, const struct lm_authorities *au,
			const uint8_t issuer[32], const uint8_t node[32], uint64_t serial);
/* Has next_update of a list of one of the authorities passed at wall time? */
bool lm_revocations_stale(const struct lm_revocations *rs, const struct lm_authorities *au,
			  int64_t wall);

/* Issuer, signature, mesh, validity with grace, revocation. rs may be NULL. *out is filled whenever
 * the encoding is good, and zeroed otherwise. */
enum lm_verdict lm_cert_check(const uint8_t *data, size_t len, const struct lm_authorities *au,
			      const struct lm_revocations *rs, int64_t wall,
			      struct lm_cert *out) LM_MUST_CHECK;
/* The part of lm_cert_check that changes with time and lists; no signature check. */
enum lm_verdict lm_cert_recheck(const struct lm_cert *c, const struct lm_authorities *au,
				const struct lm_revocations *rs, int64_t wall) LM_MUST_CHECK;
/* Signature by the certificate's node, mesh, every prefix inside a certificate prefix, no endpoint
 * inside the certificate's own prefixes or overlay addresses (Nebula #741); 0.0.0.0/0 and ::/0 are
 * left out of the last rule, since every address is inside them. cert must be a checked one. */
enum lm_verdict lm_announcement_check(const uint8_t *data, size_t len, const struct lm_cert *cert,
				      struct lm_announcement *out) LM_MUST_CHECK;
/* May the node carry this inner address: a certificate prefix or one of its overlay addresses?
 * Never a special address (lm_ip_is_special) nor v4-mapped IPv6, not even inside ::/0. */
bool lm_cert_carries(const struct lm_cert *c, const struct lm_ip *ip);

/* ---------------------------------------------------------------- files -- */

/*
 * RFC 7468 text files, written and read strictly (its section 3, "strict" grammar): one block,
 * nothing around it but empty lines, base64 in lines of 64. Labels: "LANEMESH PRIVATE KEY" (32-byte
 * seed), "LANEMESH AUTHORITY PRIVATE KEY" (seed), "LANEMESH CERTIFICATE", "LANEMESH ANNOUNCEMENT",
 * "LANEMESH REVOCATION LIST". Public keys are written as 64 hex digits everywhere.
 */
#define LM_LABEL_MAX	    63 /* bytes of a label */
#define LM_LABEL_KEY	    "LANEMESH PRIVATE KEY"
#define LM_LABEL_AUTHORITY  "LANEMESH AUTHORITY PRIVATE KEY"
#define LM_LABEL_CERT	    "LANEMESH CERTIFICATE"
#define LM_LABEL_ANNOUNCE   "LANEMESH ANNOUNCEMENT"
#define LM_LABEL_REVOCATION "LANEMESH REVOCATION LIST"

/* Atomically, mode 0600 for keys and 0644 otherwise. overwrite = false: -EEXIST when path exists,
 * whatever it is. */
int lm_armor_write(const char *path, const char *label, const void *data, size_t len,
		   bool overwrite, struct lm_error *err) LM_MUST_CHECK;
/* Reads the one block of a file, which must have this label (NULL: any; label_out, LM_LABEL_MAX + 1
 * bytes or NULL,
 * gets it). Returns malloc'ed bytes (sodium_memzero and free). Errors name path, line and cure;
 * -EBADMSG when it is about the content. */
int lm_armor_read(const char *path, const char *label, char *label_out, uint8_t **data, size_t *len,
		  struct lm_error *err) LM_MUST_CHECK;
/* The same on text in memory; name stands in errors for the path. */
int lm_armor_decode(const char *name, const char *text, size_t text_len, const char *label,
		    char *label_out, uint8_t **data, size_t *len,
		    struct lm_error *err) LM_MUST_CHECK;
/* A secret key file; refuses one that group or others can read, and says the chmod that cures it.
 */
int lm_identity_load(const char *path, const char *label, struct lm_identity **out,
		     struct lm_error *err) LM_MUST_CHECK;

#endif
