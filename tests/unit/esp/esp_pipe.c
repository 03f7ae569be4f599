/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Our ESP as a filter for another implementation's test. One command a line, hex
 * bytes; one answer a line:
 *   key KEY SALT SPI          SAs both ways; answer "ok"
 *   seal 4|6 NEXT TOS INNER   answer: the outer IP packet
 *   open ESP                  answer: "NEXT INNER", or "refused STATUS"
 */
#include "esp_test.h"

#include <stdio.h>

#define LINE_MAX_ (3 * 65536)

static struct lm_aead *aead;
static struct lm_aead_key *key;
static struct lm_sa_out out;
static struct lm_sa_in in;
static struct lm_outer outers[2];

static int set_key(const char *arg)
{
	char key_hex[65], salt_hex[9];
	uint8_t raw[32], salt[4];
	unsigned spi;

	if (sscanf(arg, "%64s %8s %x", key_hex, salt_hex, &spi) != 3 ||
	    lm_unhex(key_hex, raw, 32) != 0 || lm_unhex(salt_hex, salt, 4) != 0)
		return -1;
	lm_aead_key_init(aead, key, raw);
	lm_sa_out_init(&out, key, salt, spi, LM_ESP_HARD_LIMIT);
	lm_sa_in_init(&in, key, salt, spi, 0);
	puts("ok");
	return 0;
}

static int seal(const char *arg)
{
	static uint8_t room[70000];
	static char text[2 * 70000 + 1];
	unsigned family, next, tos;
	int at = 0;
	struct lm_esp_tx t = {.sa = &out,
			      .data = room + LM_ESP_HEADROOM,
			      .headroom = LM_ESP_HEADROOM,
			      .tailroom = LM_ESP_TAILROOM};

	if (sscanf(arg, "%u %u %u %n", &family, &next, &tos, &at) < 3 || at == 0)
		return -1;
	t.len = (uint32_t)strlen(arg + at) / 2;
	if (t.len > LM_ESP_INNER_MAX || lm_unhex(arg + at, t.data, t.len) != 0)
		return -1;
	t.outer = &outers[family == 6];
	t.next = (uint8_t)next;
	t.tos = (uint8_t)tos;
	if (lm_esp_seal(aead, &t, 1) != 1)
		return -1;
	puts(lm_hex(t.data + 14, t.len - 14, text));
	return 0;
}

static int open_esp(const char *arg)
{
	static uint8_t esp[LINE_MAX_ / 2];
	static char text[LINE_MAX_];
	uint32_t len = (uint32_t)strlen(arg) / 2;
	struct lm_esp_rx r;

	if (lm_unhex(arg, esp, len) != 0)
		return -1;
	if (open_one(aead, &r, &in, esp, len) != LM_ESP_OK)
		printf("refused %u\n", r.status);
	else
		printf("%u %s\n", r.next, lm_hex(r.data, r.len, text));
	return 0;
}

static int command(char *line)
{
	line[strcspn(line, "\n")] = 0;
	if (strncmp(line, "key ", 4) == 0)
		return set_key(line + 4);
	if (strncmp(line, "seal ", 5) == 0)
		return seal(line + 5);
	if (strncmp(line, "open ", 5) == 0)
		return open_esp(line + 5);
	return -1;
}

int main(void)
{
	static const char *const ends[2][2] = {{"192.0.2.1:4500", "198.51.100.2:4500"},
					       {"[2001:db8::1]:4500", "[2001:db8::2]:4500"}};
	static char line[LINE_MAX_];
	const struct lm_mac mac = {{2, 0, 0, 0, 0, 1}};

	if (lm_crypto_init() != 0)
		return 1;
	for (unsigned i = 0; i < 2; i++) {
		struct lm_endpoint a, b;

		if (lm_endpoint_parse(ends[i][0], 0, &a) != 0 ||
		    lm_endpoint_parse(ends[i][1], 0, &b) != 0 ||
		    lm_outer_build(&outers[i], &mac, &mac, &a, &b, true) != 0)
			return 1;
	}
	aead = test_aead();
	key = aligned_alloc(64, (lm_aead_key_size(aead) + 63) & ~(size_t)63);
	if (key == NULL)
		return 1;
	while (fgets(line, sizeof(line), stdin) != NULL) {
		if (command(line) != 0) {
			fprintf(stderr, "bad command: %.60s\n", line);
			return 1;
		}
		fflush(stdout);
	}
	free(key);
	lm_aead_free(aead);
	return 0;
}
