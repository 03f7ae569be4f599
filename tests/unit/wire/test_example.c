/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The worked example at the end of lib/wire/PROTOCOL.md is what this code makes
 * of fixed keys. With the argument "print" it writes that text; without, it
 * checks that the document holds it, so that the document stays true.
 */
#include <lanemesh/crypto.h>
#include <lanemesh/noise.h>
#include <lanemesh/wire.h>

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BEGIN "<!-- example: begin -->\n"
#define END   "<!-- example: end -->\n"

static const char mesh[] = "example";
static const uint8_t psk[32] = {0xc0, 1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
				16,   17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
#define SPI_A 0x800001c0u
#define SPI_B 0xdeadbe40u

struct node {
	struct lm_identity *id;
	uint8_t e[32]; /* ephemeral secret of the one handshake */
	uint8_t cert[LM_CERT_MAX];
	size_t cert_len;
};

/* Everything that the example is made of, and the text so far. */
struct example {
	FILE *out;
	struct lm_identity *authority;
	struct node a, b; /* a starts the handshake */
	struct lm_noise_keys a_keys, b_keys;
	uint8_t init[LM_INIT_LEN];
	struct lm_error err;
};

static void title(struct example *x, const char *text)
{
	fprintf(x->out, "\n### %s\n\n", text);
}

static void bytes(struct example *x, const char *name, const void *data, size_t len)
{
	const uint8_t *p = data;

	fprintf(x->out, "%s, %zu bytes:\n\n", name, len);
	for (size_t i = 0; i < len; i += 32) {
		char line[2 * 32 + 1];

		fprintf(x->out, "    %s\n", lm_hex(p + i, len - i < 32 ? len - i : 32, line));
	}
	fprintf(x->out, "\n");
}

static size_t sign(const struct lm_identity *id, const char *context, uint8_t *buf, int body)
{
	assert_true(body > 0);
	assert_int_equal(lm_sign(id, context, buf, (size_t)body, buf + body), 0);
	return (size_t)body + LM_SIG_LEN;
}

static struct lm_identity *identity(struct example *x, const char *name, uint8_t first)
{
	struct lm_identity *id;
	uint8_t seed[32];
	char label[64];

	for (unsigned i = 0; i < sizeof(seed); i++)
		seed[i] = (uint8_t)(first + i);
	id = lm_identity_from_seed(seed);
	assert_non_null(id);
	snprintf(label, sizeof(label), "%s, Ed25519 seed", name);
	bytes(x, label, seed, 32);
	snprintf(label, sizeof(label), "%s, Ed25519 public key", name);
	bytes(x, label, id->ed_public, 32);
	snprintf(label, sizeof(label), "%s, X25519 secret key", name);
	bytes(x, label, id->x_secret, 32);
	snprintf(label, sizeof(label), "%s, X25519 public key", name);
	bytes(x, label, id->x_public, 32);
	return id;
}

static void keys(struct example *x)
{
	title(x, "Keys");
	fprintf(x->out, "Mesh id `%s`.\n\n", mesh);
	x->authority = identity(x, "Authority", 0x20);
	x->a.id = identity(x, "Node A (`gw1`)", 0x40);
	x->b.id = identity(x, "Node B (`gw2`)", 0x60);
	bytes(x, "Pre-shared key", psk, sizeof(psk));
}

static void certificate(struct example *x, struct node *n, const char *who, uint8_t site)
{
	struct lm_cert c = {.serial = 1000u + site,
			    .not_before = 1767225600,
			    .not_after = 1798761600,
			    .roles = site == 1 ? LM_ROLE_RELAY : 0,
			    .n_overlays = 1,
			    .overlays = {{.family = 4, .b = {100, 64, 0, site}}},
			    .n_prefixes = 2,
			    .prefixes = {{.ip = {.family = 4, .b = {10, site}}, .len = 24},
					 {.ip = {.family = 6, .b = {0xfd, 0, 0, site}}, .len = 64}},
			    .n_segments = 1,
			    .segments = {7},
			    .n_tags = 1,
			    .tags = {"edge"}};

	strcpy(c.mesh, mesh);
	snprintf(c.name, sizeof(c.name), "gw%u", site);
	memcpy(c.node, n->id->ed_public, 32);
	memcpy(c.issuer, x->authority->ed_public, 32);
	n->cert_len = sign(x->authority, LM_SIGN_CERT, n->cert,
			   lm_cert_encode(&c, n->cert, sizeof(n->cert) - LM_SIG_LEN));
	bytes(x, who, n->cert, n->cert_len);
}

static void records(struct example *x)
{
	struct lm_announcement a = {
	    .sequence = 42,
	    .lanes = 2,
	    .n_endpoints = 2,
	    .endpoints = {{LM_EP_HOST, {{.family = 4, .b = {192, 0, 2, 1}}, 4500}},
			  {LM_EP_PUBLIC,
			   {{.family = 6, .b = {0x20, 1, 0x0d, 0xb8, [15] = 1}}, 4500}}},
	    .n_prefixes = 1,
	    .prefixes = {{.ip = {.family = 4, .b = {10, 1}}, .len = 24}}};
	static const uint8_t serials[16] = {[7] = 5, [14] = 3, [15] = 0xe7};
	struct lm_revocation v = {.number = 3,
				  .issued = 1767225600,
				  .next_update = 1767830400,
				  .n_nodes = 1,
				  .n_serials = 2,
				  .serials = serials};
	uint8_t buf[1024], revoked[32];
	size_t len;

	title(x, "Records");
	certificate(x, &x->a, "Certificate of A", 1);
	certificate(x, &x->b, "Certificate of B", 2);
	strcpy(a.mesh, mesh);
	memcpy(a.node, x->a.id->ed_public, 32);
	len = sign(x->a.id, LM_SIGN_ANNOUNCEMENT, buf, lm_announcement_encode(&a, buf, 900));
	bytes(x, "Announcement of A", buf, len);
	strcpy(v.mesh, mesh);
	memcpy(v.issuer, x->authority->ed_public, 32);
	memset(revoked, 0x99, sizeof(revoked));
	v.nodes = revoked;
	len = sign(x->authority, LM_SIGN_REVOCATION, buf, lm_revocation_encode(&v, buf, 900));
	bytes(x, "Revocation list", buf, len);
}

/* Starts one side of a handshake with the ephemeral secret that it is given. */
static void noise_init(struct lm_noise *ns, bool initiator, const struct node *self,
		       const struct lm_identity *to, const uint8_t *key, const char *protocol)
{
	uint8_t prologue[64];
	struct lm_writer w = lm_writer(prologue, sizeof(prologue));

	lm_w_copy(&w, protocol, strlen(protocol) + 1);
	lm_w_copy(&w, mesh, strlen(mesh));
	lm_noise_init(ns, initiator, self->id->x_secret, self->id->x_public, self->e,
		      initiator ? to->x_public : NULL, key, prologue, lm_w_len(&w));
}

static void macs(uint8_t *msg, size_t len, size_t covered, const struct lm_identity *receiver)
{
	uint8_t key[32];

	lm_mac1_key(receiver->x_public, key);
	lm_mac1(key, msg, covered, msg + len - 32);
	memset(msg + len - 16, 0, 16);
}

static void handshake(struct example *x)
{
	struct lm_hello h = {
	    .spi_base = SPI_A, .lanes = 2, .cert = x->a.cert, .cert_len = x->a.cert_len};
	uint8_t payload[LM_INIT_PAYLOAD_LEN], resp[LM_RESP_MAX], key[32];
	struct lm_noise na, nb;
	size_t len;
	int n;

	title(x, "Handshake");
	memset(x->a.e, 0x0a, 32);
	memset(x->b.e, 0x0b, 32);
	bytes(x, "A's ephemeral secret", x->a.e, 32);
	bytes(x, "B's ephemeral secret", x->b.e, 32);
	noise_init(&na, true, &x->a, x->b.id, psk, LM_PROLOGUE);
	noise_init(&nb, false, &x->b, NULL, psk, LM_PROLOGUE);

	n = lm_hello_encode(&h, payload, sizeof(payload), sizeof(payload));
	assert_int_equal(n, sizeof(payload));
	lm_msg_init_header(x->init, SPI_A);
	assert_int_equal(lm_noise_write(&na, payload, sizeof(payload), x->init + LM_INIT_NOISE_OFF),
			 0);
	macs(x->init, LM_INIT_LEN, LM_INIT_MACED, x->b.id);
	lm_mac1_key(x->b.id->x_public, key);
	bytes(x, "Key of mac1 towards B", key, 32);
	bytes(x, "Message 1, A to B", x->init, LM_INIT_LEN);
	assert_int_equal(
	    lm_noise_read(&nb, x->init + LM_INIT_NOISE_OFF, LM_INIT_NOISE_LEN, payload), 0);

	h = (struct lm_hello){
	    .spi_base = SPI_B, .lanes = 1, .cert = x->b.cert, .cert_len = x->b.cert_len};
	n = lm_hello_encode(&h, payload, sizeof(payload), 0);
	assert_true(n > 0);
	lm_msg_resp_header(resp, SPI_B, SPI_A);
	assert_int_equal(lm_noise_write(&nb, payload, (size_t)n, resp + LM_RESP_NOISE_OFF), 0);
	len = LM_RESP_NOISE_OFF + LM_NOISE_MSG2_OVERHEAD + (size_t)n + 2 * LM_MAC_LEN;
	macs(resp, len, LM_RESP_MACED, x->a.id);
	bytes(x, "Message 2, B to A", resp, len);
	assert_int_equal(lm_noise_read(&na, resp + LM_RESP_NOISE_OFF, len - 48, payload), 0);

	assert_int_equal(lm_noise_split(&na, &x->a_keys), 0);
	assert_int_equal(lm_noise_split(&nb, &x->b_keys), 0);
	assert_memory_equal(x->a_keys.send, x->b_keys.recv, 32);
	assert_memory_equal(x->a_keys.recv, x->b_keys.send, 32);
	assert_memory_equal(x->a_keys.esp_root, x->b_keys.esp_root, 64);
	bytes(x, "Control key, A to B", x->a_keys.send, 32);
	bytes(x, "Control key, B to A", x->a_keys.recv, 32);
	bytes(x, "ESP root", x->a_keys.esp_root, 64);
}

static void cookie(struct example *x)
{
	uint8_t msg[LM_COOKIE_REPLY_LEN], key[32], value[16], mac2[16];
	uint8_t *nonce = msg + LM_COOKIE_NONCE_OFF;

	title(x, "Cookie reply to message 1");
	memset(value, 0xcc, sizeof(value));
	bytes(x, "Cookie (known to B alone until it is opened)", value, 16);
	lm_msg_cookie_header(msg, SPI_A);
	memset(nonce, 0x24, LM_COOKIE_NONCE_LEN);
	lm_cookie_key(x->b.id->x_public, key);
	lm_cookie_seal(key, nonce, x->init + LM_INIT_LEN - 32, value, nonce + LM_COOKIE_NONCE_LEN);
	bytes(x, "Key of cookie replies from B", key, 32);
	bytes(x, "Cookie reply, B to A", msg, sizeof(msg));
	lm_mac2(value, x->init, LM_INIT_MACED, mac2);
	bytes(x, "mac2 of message 1 under that cookie", mac2, 16);
}

static void transport(struct example *x)
{
	struct lm_frame f = {.type = LM_FRAME_PROBE, .u.probe.token = 0x0102030405060708};
	uint8_t frames[64], msg[128];
	struct lm_writer w = lm_writer(frames, sizeof(frames));

	title(x, "Control: probe and answer");
	lm_frame_encode(&w, &f);
	lm_w_copy(&w, "\0\0\x11", 3); /* PAD of 17 bytes: as long as the answer */
	lm_w_zero(&w, 17);
	bytes(x, "Frames, A to B", frames, lm_w_len(&w));
	lm_msg_transport_header(msg, SPI_B, 0);
	lm_noise_seal(x->a_keys.send, 0, msg, LM_TRANSPORT_DATA_OFF, frames, lm_w_len(&w),
		      msg + LM_TRANSPORT_DATA_OFF);
	bytes(x, "Transport message, A to B, counter 0", msg, LM_TRANSPORT_OVERHEAD + lm_w_len(&w));

	f = (struct lm_frame){
	    .type = LM_FRAME_PROBE_REPLY,
	    .u.reply = {0x0102030405060708, {{.family = 4, .b = {192, 0, 2, 1}}, 4500}}};
	w = lm_writer(frames, sizeof(frames));
	lm_frame_encode(&w, &f);
	bytes(x, "Frames, B to A", frames, lm_w_len(&w));
	lm_msg_transport_header(msg, SPI_A, 0);
	lm_noise_seal(x->b_keys.send, 0, msg, LM_TRANSPORT_DATA_OFF, frames, lm_w_len(&w),
		      msg + LM_TRANSPORT_DATA_OFF);
	bytes(x, "Transport message, B to A, counter 0", msg, LM_TRANSPORT_OVERHEAD + lm_w_len(&w));
}

static void esp_key(struct example *x, uint8_t direction, uint8_t lane)
{
	struct lm_esp_key k;
	char name[80];

	lm_esp_key_derive(x->a_keys.esp_root, direction, lane, &k);
	snprintf(name, sizeof(name), "Direction %u, lane %u: key, then salt", direction, lane);
	bytes(x, name, &k, sizeof(k));
}

/* Lane 1 of A, so SPI_B + 1; second packet. */
static void esp(struct example *x)
{
	static const uint8_t inner[] = {0x45, 0,    0,	  29,	0, 1,  0,  0, 64,  1,
					0x66, 0xc9, 10,	  1,	0, 10, 10, 2, 0,   10,
					8,    0,    0x96, 0xfd, 0, 1,  0,  1, 0x61};
	uint8_t pkt[128], *body = pkt + 16;
	struct lm_writer w = lm_writer(pkt, sizeof(pkt));
	struct lm_aead *aead = lm_aead_new(NULL, &x->err);
	struct lm_esp_key k;
	struct lm_aead_key *key;
	struct lm_aead_op op;

	assert_non_null(aead);
	key = aligned_alloc(64, (lm_aead_key_size(aead) + 63) & ~(size_t)63);
	assert_non_null(key);
	title(x, "ESP");
	esp_key(x, 0, 0);
	esp_key(x, 0, 1);
	esp_key(x, 1, 0);
	bytes(x, "Inner packet, A to B", inner, sizeof(inner));
	lm_w_u32(&w, SPI_B + 1);
	lm_w_u32(&w, 2);
	lm_w_u64(&w, 2);
	lm_w_copy(&w, inner, sizeof(inner));
	lm_w_copy(&w, "\1\1\4", 3); /* one byte of padding, its length, IPv4 */
	lm_esp_key_derive(x->a_keys.esp_root, 0, 1, &k);
	lm_aead_key_init(aead, key, k.key);
	op = (struct lm_aead_op){.key = key,
				 .src = body,
				 .dst = body,
				 .len = sizeof(inner) + 3,
				 .aad = pkt,
				 .aad_len = 8,
				 .tag = w.p};
	memcpy(op.iv, k.salt, 4);
	memcpy(op.iv + 4, pkt + 8, 8);
	lm_aead_seal(aead, &op, 1);
	bytes(x, "ESP packet (UDP payload), lane 1, number 2", pkt, lm_w_len(&w) + 16);
	free(key);
	lm_aead_free(aead);
}

/* A record of the link: length, then the bytes. */
static void coord_record(struct example *x, const char *name, const uint8_t *data, size_t len)
{
	uint8_t buf[2048] = {(uint8_t)(len >> 8), (uint8_t)len};

	memcpy(buf + 2, data, len);
	bytes(x, name, buf, len + 2);
}

static void coordinator(struct example *x)
{
	struct node c = {.id = NULL};
	uint8_t msg[LM_NOISE_MSG1_OVERHEAD + LM_CERT_MAX], plain[1200], payload[24];
	struct lm_coord_msg sync = {.type = LM_COORD_SYNC, .revision = 0};
	struct lm_writer w = lm_writer(payload, sizeof(payload));
	struct lm_noise_keys ka, kc;
	struct lm_noise na, nc;
	int n;

	title(x, "Coordinator link");
	c.id = identity(x, "Coordinator", 0x80);
	memset(x->a.e, 0x1a, 32);
	memset(c.e, 0x1c, 32);
	bytes(x, "A's ephemeral secret", x->a.e, 32);
	bytes(x, "The coordinator's ephemeral secret", c.e, 32);
	noise_init(&na, true, &x->a, c.id, NULL, LM_COORD_PROLOGUE);
	noise_init(&nc, false, &c, NULL, NULL, LM_COORD_PROLOGUE);
	assert_int_equal(lm_noise_write(&na, x->a.cert, x->a.cert_len, msg), 0);
	coord_record(x, "First record, A to coordinator", msg,
		     LM_NOISE_MSG1_OVERHEAD + x->a.cert_len);
	assert_int_equal(lm_noise_read(&nc, msg, LM_NOISE_MSG1_OVERHEAD + x->a.cert_len, plain), 0);

	memset(lm_w_room(&w, LM_EPOCH_LEN), 0xee, LM_EPOCH_LEN);
	lm_w_u64(&w, 17);
	assert_int_equal(lm_noise_write(&nc, payload, sizeof(payload), msg), 0);
	coord_record(x, "First record, coordinator to A (epoch ee..., revision 17)", msg,
		     LM_NOISE_MSG2_OVERHEAD + sizeof(payload));
	assert_int_equal(lm_noise_read(&na, msg, LM_NOISE_MSG2_OVERHEAD + sizeof(payload), plain),
			 0);
	assert_int_equal(lm_noise_split(&na, &ka), 0);
	assert_int_equal(lm_noise_split(&nc, &kc), 0);
	assert_memory_equal(ka.send, kc.recv, 32);

	n = lm_coord_msg_encode(&sync, plain, sizeof(plain));
	assert_true(n > 0);
	bytes(x, "SYNC from zero, before sealing", plain, (size_t)n);
	lm_noise_seal(ka.send, 0, NULL, 0, plain, (size_t)n, msg);
	coord_record(x, "Second record, A to coordinator", msg, (size_t)n + LM_TAG_LEN);
	lm_identity_free(c.id);
}

/* The whole text; free it. */
static char *example_text(void)
{
	struct example *x = calloc(1, sizeof(*x));
	char *text = NULL;
	size_t len = 0;

	assert_non_null(x);
	assert_int_equal(lm_crypto_init(), 0);
	x->out = open_memstream(&text, &len);
	assert_non_null(x->out);
	keys(x);
	records(x);
	handshake(x);
	cookie(x);
	transport(x);
	esp(x);
	coordinator(x);
	assert_int_equal(fclose(x->out), 0);
	lm_identity_free(x->authority);
	lm_identity_free(x->a.id);
	lm_identity_free(x->b.id);
	free(x);
	return text;
}

static void document_holds_the_example(void **state)
{
	const char *path = getenv("LM_PROTOCOL");
	char *want = example_text(), *begin, *end;
	uint8_t *data;
	size_t len;

	(void)state;
	assert_non_null(path);
	assert_int_equal(lm_file_read(path, 1 << 20, &data, &len, NULL), 0);
	begin = strstr((char *)data, BEGIN);
	end = strstr((char *)data, END);
	assert_true(begin != NULL && end != NULL);
	begin += strlen(BEGIN);
	*end = '\0';
	if (strcmp(begin, want) != 0)
		fail_msg("the example is not what the code makes: put what this test writes when "
			 "run with the argument \"print\" between the marks in %s",
			 path);
	free(data);
	free(want);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(document_holds_the_example)};

	if (argc > 1 && strcmp(argv[1], "print") == 0) {
		char *text = example_text();

		fputs(text, stdout);
		free(text);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
