/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The directory cache as a file: magic, version, counts; coordinators (key, epoch,
 * revision); revocation lists (length u16, bytes); records (listed u16, length u16,
 * certificate, length u16, announcement); BLAKE2b-256 of all before. Big-endian.
 * The checksum tells a torn or decayed file from a good one; it proves nothing about
 * who wrote it, which is why consumers judge every record again.
 */
#include <errno.h>
#include <stdlib.h>

#include "directory.h"

static const uint8_t magic[8] = {'l', 'm', 'd', 'i', 'r', '\r', '\n', 0x1a};

#define VERSION	   1
#define HEADER_LEN (sizeof(magic) + 4 + 2 + 2 + 4)
#define SOURCE_LEN (2 + LM_KEY_LEN + LM_EPOCH_LEN + 8)
#define SUM_LEN	   32

static size_t file_len(const struct lm_directory *d, unsigned *n_sources, unsigned *n_lists)
{
	size_t len = HEADER_LEN + SUM_LEN;
	struct dir_record *r;

	*n_sources = *n_lists = 0;
	for (size_t i = 0; i < LM_ARRAY_SIZE(d->sources); i++)
		*n_sources += d->sources[i].used;
	for (size_t i = 0; i < LM_ARRAY_SIZE(d->lists); i++) {
		if (d->lists[i].data == NULL)
			continue;
		++*n_lists;
		len += 2 + d->lists[i].len;
	}
	len += *n_sources * SOURCE_LEN;
	for (r = d->records; r != NULL; r = r->hh.next)
		len += 2 + 2 + r->cert_len + 2 + r->ann_len;
	return len;
}

int lm_directory_encode(const struct lm_directory *d, uint8_t **out, size_t *len)
{
	unsigned n_sources, n_lists;
	struct dir_record *r;
	struct lm_writer w;
	uint8_t *buf;

	*len = file_len(d, &n_sources, &n_lists);
	buf = malloc(*len);
	if (buf == NULL)
		return -ENOMEM;
	w = lm_writer(buf, *len);
	lm_w_copy(&w, magic, sizeof(magic));
	lm_w_u32(&w, VERSION);
	lm_w_u16(&w, (uint16_t)n_sources);
	lm_w_u16(&w, (uint16_t)n_lists);
	lm_w_u32(&w, HASH_COUNT(d->records));
	for (size_t i = 0; i < LM_ARRAY_SIZE(d->sources); i++) {
		if (!d->sources[i].used)
			continue;
		lm_w_u16(&w, (uint16_t)i);
		lm_w_copy(&w, d->sources[i].key, LM_KEY_LEN);
		lm_w_copy(&w, d->sources[i].epoch, LM_EPOCH_LEN);
		lm_w_u64(&w, d->sources[i].revision);
	}
	for (size_t i = 0; i < LM_ARRAY_SIZE(d->lists); i++) {
		if (d->lists[i].data == NULL)
			continue;
		lm_w_u16(&w, (uint16_t)d->lists[i].len);
		lm_w_copy(&w, d->lists[i].data, d->lists[i].len);
	}
	for (r = d->records; r != NULL; r = r->hh.next) {
		lm_w_u16(&w, r->listed);
		lm_w_u16(&w, (uint16_t)r->cert_len);
		lm_w_copy(&w, r->bytes, r->cert_len);
		lm_w_u16(&w, (uint16_t)r->ann_len);
		lm_w_copy(&w, r->bytes + r->cert_len, r->ann_len);
	}
	lm_blake2b(w.p, SUM_LEN, NULL, 0, buf, lm_w_len(&w), NULL, 0);
	*out = buf;
	return 0;
}

int lm_directory_save(const struct lm_directory *d, const char *path, struct lm_error *err)
{
	uint8_t *buf;
	size_t len;
	int rc = lm_directory_encode(d, &buf, &len);

	if (rc < 0)
		return lm_error_set(err, -rc, "%s: no memory to write the directory", path);
	rc = lm_file_replace(path, buf, len, 0644, err);
	free(buf);
	return rc;
}

static bool decode_sources(struct lm_directory *d, struct lm_reader *r, unsigned n)
{
	while (n-- > 0) {
		unsigned i = lm_r_u16(r);
		struct dir_source *s = &d->sources[i < LM_DIRECTORY_SOURCES ? i : 0];

		if (i >= LM_DIRECTORY_SOURCES || s->used)
			return false;
		s->used = true;
		lm_r_copy(r, s->key, LM_KEY_LEN);
		lm_r_copy(r, s->epoch, LM_EPOCH_LEN);
		s->revision = lm_r_u64(r);
	}
	return !r->bad;
}

static bool decode_lists(struct lm_directory *d, struct lm_reader *r, unsigned n)
{
	while (n-- > 0) {
		size_t len = lm_r_u16(r);
		const uint8_t *p = lm_r_bytes(r, len);

		if (p == NULL || lm_directory_put_revocation(d, p, len) < 0)
			return false;
	}
	return true;
}

static uint16_t used_sources(const struct lm_directory *d)
{
	uint16_t used = 0;

	for (unsigned i = 0; i < LM_DIRECTORY_SOURCES; i++)
		used |= (uint16_t)((unsigned)d->sources[i].used << i);
	return used;
}

/* More records than fit now: then we are in step with nobody. */
static void forget_positions(struct lm_directory *d)
{
	for (unsigned i = 0; i < LM_DIRECTORY_SOURCES; i++) {
		memset(d->sources[i].epoch, 0, LM_EPOCH_LEN);
		d->sources[i].revision = 0;
	}
}

static bool decode_records(struct lm_directory *d, struct lm_reader *r, uint32_t n)
{
	uint16_t used = used_sources(d);

	while (n-- > 0) {
		uint16_t listed = lm_r_u16(r);
		size_t cert_len = lm_r_u16(r);
		const uint8_t *cert = lm_r_bytes(r, cert_len);
		size_t ann_len = lm_r_u16(r);
		const uint8_t *ann = lm_r_bytes(r, ann_len);
		int rc;

		if (cert == NULL || ann == NULL || (listed & ~used) != 0)
			return false;
		rc = directory_add(d, listed, cert, cert_len, ann, ann_len);
		if (rc == -ENOSPC)
			forget_positions(d);
		else if (rc < 0)
			return false;
	}
	return true;
}

int lm_directory_decode(struct lm_directory *d, const uint8_t *data, size_t len,
			struct lm_error *err)
{
	struct lm_reader r;
	uint8_t sum[SUM_LEN], is[sizeof(magic)];
	unsigned n_sources, n_lists;
	uint32_t n_records;

	if (len < HEADER_LEN + SUM_LEN)
		return lm_error_set(err, EBADMSG, "too short");
	lm_blake2b(sum, SUM_LEN, NULL, 0, data, len - SUM_LEN, NULL, 0);
	r = lm_reader(data, len - SUM_LEN);
	lm_r_copy(&r, is, sizeof(is));
	if (memcmp(is, magic, sizeof(magic)) != 0)
		return lm_error_set(err, EBADMSG, "not a directory file");
	if (lm_r_u32(&r) != VERSION)
		return lm_error_set(err, EBADMSG, "written by another version of lanemesh");
	if (memcmp(sum, data + len - SUM_LEN, SUM_LEN) != 0)
		return lm_error_set(err, EBADMSG, "damaged: wrong checksum");
	n_sources = lm_r_u16(&r);
	n_lists = lm_r_u16(&r);
	n_records = lm_r_u32(&r);
	if (!decode_sources(d, &r, n_sources) || !decode_lists(d, &r, n_lists) ||
	    !decode_records(d, &r, n_records) || r.bad || r.p != r.end) {
		directory_clear(d);
		return lm_error_set(err, EBADMSG, "damaged: its content is not decodable");
	}
	return 0;
}

int lm_directory_load(struct lm_directory *d, const char *path, struct lm_error *err)
{
	size_t max = HEADER_LEN + SUM_LEN + LM_DIRECTORY_SOURCES * SOURCE_LEN +
		     LM_AUTHORITIES_MAX * (2 + (size_t)LM_REVOCATION_MAX) +
		     (size_t)d->max_nodes * (6 + LM_CERT_MAX + LM_ANNOUNCE_MAX);
	struct lm_error why;
	uint8_t *buf;
	size_t len;
	int rc = lm_file_read(path, max, &buf, &len, err);

	if (rc < 0)
		return rc;
	rc = lm_directory_decode(d, buf, len, &why);
	if (rc < 0)
		lm_error_set(err, -rc,
			     "%s: %s; starting with an empty directory, which the coordinators "
			     "fill again",
			     path, why.text);
	free(buf);
	return rc;
}
