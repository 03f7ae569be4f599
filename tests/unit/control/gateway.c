/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway.h"

#include <errno.h>
#include <net/ethernet.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define DAY 86400

bool ns_enter(void)
{
	if (unshare(CLONE_NEWNET) != 0) {
		(void)printf("skipped: no network namespace: %s\n", strerror(errno));
		return false;
	}
	if (access("/dev/net/tun", R_OK | W_OK) != 0) {
		(void)printf("skipped: no /dev/net/tun\n");
		return false;
	}
	sh("ip link set lo up");
	return true;
}

void sh(const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (system(line) != 0)
		fail_msg("command failed: %s", line);
}

struct lm_ip ip(const char *text)
{
	struct lm_ip out;

	assert_int_equal(lm_ip_parse(text, &out), 0);
	return out;
}

struct lm_prefix prefix(const char *text)
{
	struct lm_prefix out;

	assert_int_equal(lm_prefix_parse(text, &out), 0);
	return out;
}

struct lm_mac mac(const char *text)
{
	struct lm_mac out;

	assert_int_equal(lm_mac_parse(text, &out), 0);
	return out;
}

/* ----------------------------------------------------------------- files -- */

static const char *file(const struct gateway *g, const char *name, char buf[128])
{
	(void)snprintf(buf, 128, "%s/%s", g->dir, name);
	return buf;
}

static void write_key(const struct gateway *g, const char *name, const struct lm_identity *id)
{
	struct lm_error err;
	char path[128];

	assert_int_equal(
	    lm_armor_write(file(g, name, path), LM_LABEL_KEY, id->ed_secret, 32, true, &err), 0);
}

static int sign_cert(const struct gateway *g, const struct lm_identity *id, unsigned n,
		     const char *prefix_text, const char *more, uint8_t out[LM_CERT_MAX])
{
	struct lm_cert cert = {.serial = n,
			       .not_before = (int64_t)time(NULL) - DAY,
			       .not_after = (int64_t)time(NULL) + DAY,
			       .mesh = "test"};
	struct lm_error err;
	char text[64];
	int len;

	memcpy(cert.node, id->ed_public, LM_KEY_LEN);
	(void)snprintf(cert.name, sizeof(cert.name), "gw%u", n);
	(void)snprintf(text, sizeof(text), "100.64.0.%u", n);
	cert.overlays[cert.n_overlays++] = ip(text);
	(void)snprintf(text, sizeof(text), "fd00:64::%u", n);
	cert.overlays[cert.n_overlays++] = ip(text);
	cert.prefixes[cert.n_prefixes++] = prefix(prefix_text);
	if (more != NULL)
		cert.prefixes[cert.n_prefixes++] = prefix(more);
	len = lm_cert_sign(g->authority, &cert, out, LM_CERT_MAX, &err);
	assert_true(len > 0);
	return len;
}

void gateway_cert(struct gateway *g, const char *more)
{
	struct lm_identity *id;
	uint8_t cert[LM_CERT_MAX];
	struct lm_error err;
	char path[128];
	int len;

	assert_int_equal(lm_identity_load(file(g, "key", path), LM_LABEL_KEY, &id, &err), 0);
	len = sign_cert(g, id, 1, "10.1.0.0/24", more, cert);
	assert_int_equal(
	    lm_armor_write(file(g, "cert", path), LM_LABEL_CERT, cert, (size_t)len, true, &err), 0);
	lm_identity_free(id);
}

void gateway_config(struct gateway *g, const char *extra)
{
	FILE *f = fopen(g->config, "w");
	char hex[2 * LM_KEY_LEN + 1];

	assert_non_null(f);
	(void)fprintf(f,
		      "mesh = \"test\";\n"
		      "identity = \"%s/key\";\n"
		      "certificate = \"%s/cert\";\n"
		      "state_dir = \"%s/state\";\n"
		      "authorities = [ \"%s\" ];\n"
		      "ports = ( { name = \"wan0\"; role = \"wan\"; device = \"fake0\";\n"
		      "  addresses = [ \"192.0.2.1/24\", \"2001:db8:2::1/64\" ];\n"
		      "  gateways = [ \"192.0.2.254\" ]; },\n"
		      " { name = \"lan0\"; role = \"lan\"; device = \"fake1\";\n"
		      "  addresses = [ \"10.1.0.1/24\", \"fd00:1::1/64\" ]; }%s );\n"
		      "log_level = \"error\";\n"
		      "%s\n",
		      g->dir, g->dir, g->dir, lm_hex(g->authority->ed_public, LM_KEY_LEN, hex),
		      g->ports != NULL ? g->ports : "", extra);
	assert_int_equal(fclose(f), 0);
}

void gateway_files(struct gateway *g, const char *extra)
{
	static unsigned count;
	struct lm_identity *id;

	assert_int_equal(lm_crypto_init(), 0);
	memset(g, 0, sizeof(*g));
	(void)snprintf(g->dir, sizeof(g->dir), "/tmp/lmt-ctl-XXXXXX");
	assert_non_null(mkdtemp(g->dir));
	(void)snprintf(g->config, sizeof(g->config), "%s/conf", g->dir);
	(void)snprintf(g->instance, sizeof(g->instance), "lmt-ctl-%d-%u", (int)getpid(), ++count);
	g->authority = lm_identity_generate();
	id = lm_identity_generate();
	assert_non_null(g->authority);
	assert_non_null(id);
	write_key(g, "key", id);
	lm_identity_free(id);
	gateway_cert(g, "fd00:1::/64");
	gateway_config(g, extra);
}

/* ------------------------------------------------------------ start, stop -- */

int gateway_start(struct gateway *g, struct lm_error *err)
{
	err->text[0] = '\0';
	return lm_control_new(g->config, g->instance, &g->c, err);
}

void gateway_up(struct gateway *g, const char *extra)
{
	struct lm_error err;

	gateway_files(g, extra);
	if (gateway_start(g, &err) != 0)
		fail_msg("does not start: %s", err.text);
}

void gateway_stop(struct gateway *g)
{
	if (g->c != NULL)
		assert_true(lm_control_free(g->c));
	g->c = NULL;
}

void gateway_down(struct gateway *g)
{
	gateway_stop(g);
	lm_identity_free(g->authority);
	sh("rm -rf %s " LM_RUN_DIR "/%s", g->dir, g->instance);
}

void gateway_until(struct gateway *g, bool (*cond)(struct gateway *g, const void *arg),
		   const void *arg, const char *what)
{
	time_t end = time(NULL) + 20;

	while (!cond(g, arg)) {
		if (time(NULL) > end)
			fail_msg("waited in vain for: %s", what);
		(void)uv_run(&g->c->loop, UV_RUN_ONCE); /* a timer ends it each second */
	}
}

void gateway_idle(struct gateway *g)
{
	for (unsigned i = 0; i < 50; i++)
		(void)uv_run(&g->c->loop, UV_RUN_NOWAIT);
}

/* ----------------------------------------------------------------- peers -- */

uint32_t gateway_peer(struct gateway *g, unsigned n, const char *prefix_text)
{
	struct lm_identity *id = lm_identity_generate();
	struct lm_announcement a = {.sequence = 1, .mesh = "test", .lanes = 1};
	uint8_t cert[LM_CERT_MAX], ann[LM_ANNOUNCE_MAX];
	struct lm_peer_info p;
	struct lm_error err;
	char text[32];
	int cert_len, ann_len;

	assert_non_null(id);
	cert_len = sign_cert(g, id, n, prefix_text, NULL, cert);
	memcpy(a.node, id->ed_public, LM_KEY_LEN);
	a.prefixes[a.n_prefixes++] = prefix(prefix_text);
	(void)snprintf(text, sizeof(text), "192.0.2.%u", n);
	a.endpoints[0].kind = LM_EP_HOST;
	a.endpoints[0].ep = (struct lm_endpoint){.ip = ip(text), .port = 4500};
	a.n_endpoints = 1;
	ann_len = lm_announcement_sign(id, &a, ann, sizeof(ann), &err);
	assert_true(ann_len > 0);
	assert_int_equal(lm_mesh_record(g->c->mesh, lm_control_now(g->c), cert, (size_t)cert_len,
					ann, (size_t)ann_len),
			 LM_TRUSTED);
	lm_control_rearm(g->c);
	for (uint32_t i = 0; lm_mesh_peer(g->c->mesh, i, &p); i = p.index + 1)
		if (memcmp(p.cert->node, id->ed_public, LM_KEY_LEN) == 0) {
			lm_identity_free(id);
			return p.index;
		}
	fail_msg("no such peer");
	return 0;
}

/* ------------------------------------------------------------ conditions -- */

bool has_route(struct gateway *g, const void *prefix_text)
{
	return fake_route(g->c->dp, prefix_text) != NULL;
}

bool lacks_route(struct gateway *g, const void *prefix_text)
{
	return fake_route(g->c->dp, prefix_text) == NULL;
}

struct arp {
	uint8_t dst[6], src[6], type[2];
	uint8_t htype[2], ptype[2], hlen, plen, op[2];
	uint8_t sha[6], spa[4], tha[6], tpa[4];
} __attribute__((packed));

static bool is_request(const struct fake_frame *f, struct lm_ip *who)
{
	const struct arp *a = (const struct arp *)f->data;
	const uint8_t *icmp = f->data + 14 + 40;

	if (f->len >= sizeof(*a) && a->type[0] == 8 && a->type[1] == 6 && a->op[1] == 1) {
		*who = lm_ip4(a->tpa);
		return true;
	}
	if (f->len >= 14 + 40 + 24 && f->data[12] == 0x86 && f->data[13] == 0xdd &&
	    f->data[14 + 6] == 58 && icmp[0] == 135) {
		*who = lm_ip6(icmp + 8);
		return true;
	}
	return false;
}

bool asked_for(const struct lm_dp *dp, uint16_t port, unsigned n, struct lm_ip *who)
{
	for (unsigned i = 0; i < fake_frames(dp); i++)
		if (fake_frame(dp, i)->port == port && is_request(fake_frame(dp, i), who) &&
		    n-- == 0)
			return true;
	return false;
}

void arp_reply(struct gateway *g, uint16_t port, const char *who, const char *hw)
{
	struct arp a = {
	    .type = {8, 6}, .htype = {0, 1}, .ptype = {8, 0}, .hlen = 6, .plen = 4, .op = {0, 2}};
	struct lm_ip sender = ip(who), mine = port == WAN ? ip("192.0.2.1") : ip("10.1.0.1");
	struct lm_mac m = mac(hw);

	memcpy(a.dst, g->c->twins[port].mac.b, 6);
	memcpy(a.src, m.b, 6);
	memcpy(a.sha, m.b, 6);
	memcpy(a.spa, sender.b, 4);
	memcpy(a.tha, g->c->twins[port].mac.b, 6);
	memcpy(a.tpa, mine.b, 4);
	fake_punt(g->c->dp, &(struct lm_punt){.kind = LM_PUNT_TWIN,
					      .port = port,
					      .data = (const uint8_t *)&a,
					      .len = sizeof(a)});
}
