/* SPDX-License-Identifier: BSD-3-Clause */
/* STUN Binding, RFC 8489: as much of it as asks for an address and answers. */
#include <lanemesh/wire.h>

#include <errno.h>

#define BINDING_REQUEST 0x0001u
#define BINDING_SUCCESS 0x0101u
#define BINDING_ERROR	0x0111u

#define MAPPED_ADDRESS	   0x0001u
#define RFC3489_LAST	   0x000bu /* what old servers put beside XOR-MAPPED-ADDRESS */
#define USERNAME	   0x0006u
#define MESSAGE_INTEGRITY  0x0008u
#define ERROR_CODE	   0x0009u
#define UNKNOWN_ATTRIBUTES 0x000au
#define REALM		   0x0014u
#define NONCE		   0x0015u
#define INTEGRITY_SHA256   0x001cu
#define PASSWORD_ALGORITHM 0x001du
#define USERHASH	   0x001eu
#define XOR_MAPPED_ADDRESS 0x0020u
#define PADDING		   0x0026u /* RFC 5780 section 7.6 */
#define OPTIONAL	   0x8000u /* comprehension-optional from here */
#define SOFTWARE	   0x8022u
#define FINGERPRINT	   0x8028u

#define FAMILY_IP4	 1
#define FAMILY_IP6	 2
#define FINGERPRINT_LEN	 4
#define FINGERPRINT_XOR	 0x5354554eu
#define ATTR_HDR_LEN	 4
#define ATTRIBUTES_MAX	 64 /* more are refused: nobody sends a tenth of that */
#define UNKNOWN_ATTR_420 420

/* CRC-32 of ITU-T V.42, bit by bit: a message has some dozen bytes. */
static uint32_t crc32(const uint8_t *p, size_t len)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1)));
	}
	return ~crc;
}

/* ------------------------------------------------------------- decoding -- */

/* RFC 8489 section 14.2: port and address under the cookie, and for IPv6 the transaction id. */
static bool xor_mapped(struct lm_reader a, const uint8_t *id, struct lm_endpoint *out)
{
	uint8_t key[16], addr[16], family;
	struct lm_writer w = lm_writer(key, sizeof(key));
	size_t n;

	lm_w_u32(&w, LM_STUN_COOKIE);
	lm_w_copy(&w, id, LM_STUN_ID_LEN);
	lm_r_u8(&a);
	family = lm_r_u8(&a);
	n = family == FAMILY_IP4 ? 4 : 16;
	out->port = lm_r_u16(&a) ^ (uint16_t)(LM_STUN_COOKIE >> 16);
	lm_r_copy(&a, addr, n);
	if (a.bad || a.p != a.end || (family != FAMILY_IP4 && family != FAMILY_IP6) ||
	    out->port == 0)
		return false;
	for (size_t i = 0; i < n; i++)
		addr[i] ^= key[i];
	out->ip = family == FAMILY_IP4 ? lm_ip4(addr) : lm_ip_canonical(lm_ip6(addr));
	return true;
}

static bool error_code(struct lm_reader a, uint16_t *out)
{
	uint8_t class, number;

	lm_r_u16(&a);
	class = lm_r_u8(&a) & 7;
	number = lm_r_u8(&a);
	*out = (uint16_t)(class * 100 + number);
	return !a.bad && class >= 3 && class <= 6 && number < 100;
}

/* Credentials are for servers that ask for some: we neither do nor have any. */
static bool understood(uint16_t type, enum lm_stun_kind kind)
{
	switch (type) {
	case USERNAME:
	case MESSAGE_INTEGRITY:
	case INTEGRITY_SHA256:
	case REALM:
	case NONCE:
	case PASSWORD_ALGORITHM:
	case USERHASH:
	case PADDING:
		return true;
	default:
		return type >= OPTIONAL ||
		       (kind != LM_STUN_REQUEST && type >= MAPPED_ADDRESS && type <= RFC3489_LAST);
	}
}

static bool attribute(struct lm_stun_msg *m, uint16_t type, struct lm_reader a)
{
	if (type == XOR_MAPPED_ADDRESS && m->kind != LM_STUN_REQUEST)
		return m->mapped.ip.family != 0 || xor_mapped(a, m->id, &m->mapped);
	if (type == ERROR_CODE && m->kind == LM_STUN_ERROR)
		return m->error != 0 || error_code(a, &m->error);
	if (understood(type, m->kind))
		return true;
	if (m->kind != LM_STUN_REQUEST) /* RFC 8489 section 6.3.3: to be discarded */
		return false;
	if (m->n_unknown < LM_STUN_UNKNOWN_MAX)
		m->unknown[m->n_unknown++] = type;
	return true;
}

static bool attributes(const uint8_t *msg, struct lm_reader r, struct lm_stun_msg *m)
{
	bool sealed = false; /* behind the integrity, all but the fingerprint is ignored */

	for (unsigned i = 0; lm_r_left(&r) > 0; i++) {
		const uint8_t *start = r.p;
		uint16_t type = lm_r_u16(&r), len = lm_r_u16(&r);
		struct lm_reader a = lm_r_sub(&r, len);

		lm_r_bytes(&r, -len & 3u);
		if (r.bad || m->fingerprint || i >= ATTRIBUTES_MAX)
			return false;
		if (type == FINGERPRINT) {
			if (len != FINGERPRINT_LEN ||
			    lm_r_u32(&a) != (crc32(msg, (size_t)(start - msg)) ^ FINGERPRINT_XOR))
				return false;
			m->fingerprint = true;
		} else if (!sealed && !attribute(m, type, a)) {
			return false;
		}
		sealed |= type == MESSAGE_INTEGRITY || type == INTEGRITY_SHA256;
	}
	return !r.bad;
}

int lm_stun_decode(const uint8_t *msg, size_t len, struct lm_stun_msg *out)
{
	struct lm_reader r = lm_reader(msg, len);
	uint16_t type = lm_r_u16(&r), body = lm_r_u16(&r);
	uint32_t cookie = lm_r_u32(&r);

	memset(out, 0, sizeof(*out));
	lm_r_copy(&r, out->id, LM_STUN_ID_LEN);
	if (r.bad || type >> 14 != 0 || cookie != LM_STUN_COOKIE || (body & 3) != 0 ||
	    body != lm_r_left(&r))
		return -EBADMSG;
	if (type == BINDING_REQUEST)
		out->kind = LM_STUN_REQUEST;
	else if (type == BINDING_SUCCESS)
		out->kind = LM_STUN_SUCCESS;
	else if (type == BINDING_ERROR)
		out->kind = LM_STUN_ERROR;
	else
		return -EOPNOTSUPP;
	if (!attributes(msg, r, out) ||
	    (out->kind == LM_STUN_SUCCESS && out->mapped.ip.family == 0) ||
	    (out->kind == LM_STUN_ERROR && out->error == 0))
		return -EBADMSG;
	return 0;
}

/* ------------------------------------------------------------- encoding -- */

static struct lm_writer begin(uint8_t *buf, size_t cap, uint16_t type,
			      const uint8_t id[LM_STUN_ID_LEN])
{
	struct lm_writer w = lm_writer(buf, cap);

	lm_w_u16(&w, type);
	lm_w_u16(&w, 0); /* length: when it is known */
	lm_w_u32(&w, LM_STUN_COOKIE);
	lm_w_copy(&w, id, LM_STUN_ID_LEN);
	return w;
}

static void set_length(struct lm_writer *w, size_t body)
{
	w->start[2] = (uint8_t)(body >> 8);
	w->start[3] = (uint8_t)body;
}

static int end(struct lm_writer *w, bool fingerprint)
{
	if (w->bad)
		return -EMSGSIZE;
	if (fingerprint) { /* its CRC covers a length that counts it in */
		size_t len = lm_w_len(w);

		set_length(w, len + ATTR_HDR_LEN + FINGERPRINT_LEN - LM_STUN_HDR_LEN);
		lm_w_u16(w, FINGERPRINT);
		lm_w_u16(w, FINGERPRINT_LEN);
		lm_w_u32(w, crc32(w->start, len) ^ FINGERPRINT_XOR);
	}
	if (w->bad)
		return -EMSGSIZE;
	set_length(w, lm_w_len(w) - LM_STUN_HDR_LEN);
	return (int)lm_w_len(w);
}

void lm_stun_request(uint8_t buf[LM_STUN_REQUEST_LEN], const uint8_t id[LM_STUN_ID_LEN])
{
	static const char software[] = "lanemesh, room to answer";
	struct lm_writer w = begin(buf, LM_STUN_REQUEST_LEN, BINDING_REQUEST, id);

	_Static_assert(LM_STUN_HDR_LEN + ATTR_HDR_LEN + sizeof(software) - 1 == LM_STUN_REQUEST_LEN,
		       "the request is one attribute");
	lm_w_u16(&w, SOFTWARE);
	lm_w_u16(&w, sizeof(software) - 1);
	lm_w_copy(&w, software, sizeof(software) - 1);
	set_length(&w, LM_STUN_REQUEST_LEN - LM_STUN_HDR_LEN);
}

int lm_stun_success(uint8_t *buf, size_t cap, const uint8_t id[LM_STUN_ID_LEN],
		    const struct lm_endpoint *mapped, bool fingerprint)
{
	struct lm_writer w = begin(buf, cap, BINDING_SUCCESS, id);
	bool ip6 = mapped->ip.family == 6;
	size_t n = ip6 ? 16 : 4;
	uint8_t x[16];

	if ((!ip6 && mapped->ip.family != 4) || mapped->port == 0)
		return -EINVAL;
	lm_w_u16(&w, XOR_MAPPED_ADDRESS);
	lm_w_u16(&w, (uint16_t)(4 + n));
	lm_w_u8(&w, 0);
	lm_w_u8(&w, ip6 ? FAMILY_IP6 : FAMILY_IP4);
	lm_w_u16(&w, mapped->port ^ (uint16_t)(LM_STUN_COOKIE >> 16));
	if (w.bad)
		return -EMSGSIZE;
	for (size_t i = 0; i < n; i++) /* bytes 4 to 19 are cookie and transaction id */
		x[i] = mapped->ip.b[i] ^ buf[4 + i];
	lm_w_copy(&w, x, n);
	return end(&w, fingerprint);
}

int lm_stun_unknown(uint8_t *buf, size_t cap, const struct lm_stun_msg *request)
{
	struct lm_writer w = begin(buf, cap, BINDING_ERROR, request->id);

	lm_w_u16(&w, ERROR_CODE);
	lm_w_u16(&w, 4);
	lm_w_u16(&w, 0);
	lm_w_u8(&w, UNKNOWN_ATTR_420 / 100);
	lm_w_u8(&w, UNKNOWN_ATTR_420 % 100);
	lm_w_u16(&w, UNKNOWN_ATTRIBUTES);
	lm_w_u16(&w, (uint16_t)(2 * request->n_unknown));
	for (unsigned i = 0; i < request->n_unknown; i++)
		lm_w_u16(&w, request->unknown[i]);
	lm_w_zero(&w, -(2u * request->n_unknown) & 3u);
	return end(&w, request->fingerprint);
}
