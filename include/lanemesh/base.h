/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base: what every other module stands on. Bounds-checked cursors for foreign
 * bytes, IP addresses, time, log, errors for people, atomic files, a heap.
 *
 * Conventions of all lanemesh libraries:
 *  - functions that can fail return 0 or a negative errno;
 *  - "now" is always a parameter, no library reads a clock;
 *  - no mutable globals; any thread may call a function on objects that it
 *    owns, unless the function says otherwise.
 */
#ifndef LANEMESH_BASE_H
#define LANEMESH_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LM_MUST_CHECK			 __attribute__((warn_unused_result))
#define LM_PRINTF(f, a)			 __attribute__((format(printf, f, a)))
#define LM_NONNULL(...)			 __attribute__((nonnull(__VA_ARGS__)))
#define LM_ARRAY_SIZE(a)		 (sizeof(a) / sizeof((a)[0]))
#define LM_CONTAINER_OF(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

/* ---------------------------------------------------------------- time -- */

/* Nanoseconds on a monotonic clock of the caller's choosing; 0 = its start. */
typedef uint64_t lm_time;
#define LM_TIME_NEVER UINT64_MAX
#define LM_USEC	      ((lm_time)1000)
#define LM_MSEC	      ((lm_time)1000000)
#define LM_SEC	      ((lm_time)1000000000)

/* Both clocks at one moment. Wall time judges certificates, nothing else. */
struct lm_now {
	lm_time mono;
	int64_t wall; /* seconds since 1970-01-01 UTC */
};

/* -------------------------------------------------------------- errors -- */

/*
 * A message for a person: what is wrong, where (file:line when there is one),
 * and what would be right. Filled by functions that take a struct lm_error;
 * those accept NULL.
 */
struct lm_error {
	char text[384];
};

/* Formats into err (may be NULL), cutting what does not fit; returns -code, code > 0. */
int lm_error_set(struct lm_error *err, int code, const char *fmt, ...) LM_PRINTF(3, 4);

/* ----------------------------------------------------------------- log -- */

enum lm_log_level { LM_LOG_ERROR, LM_LOG_WARN, LM_LOG_INFO, LM_LOG_DEBUG };

/* Where messages go. The sink gets one line without newline; it must not keep it. */
struct lm_log {
	enum lm_log_level level; /* messages above this are not formatted */
	void (*sink)(void *user, enum lm_log_level level, const char *line);
	void *user;
};

/* log may be NULL: nothing is written. Lines are cut at 1,023 bytes; control characters in
 * them are replaced by '?', so that foreign names cannot forge lines. */
void lm_log(const struct lm_log *log, enum lm_log_level level, const char *fmt, ...)
    LM_PRINTF(3, 4);
const char *lm_log_level_name(enum lm_log_level level);
/* "error", "warn", "info", "debug"; -EINVAL for anything else. */
int lm_log_level_parse(const char *name, enum lm_log_level *out) LM_MUST_CHECK;
/* A sink that writes to stderr; with the prefixes of sd-daemon(3) when user is non-NULL. */
void lm_log_stderr(void *user, enum lm_log_level level, const char *line);

/* ------------------------------------------------------------- cursors -- */

/*
 * Reader over foreign bytes. After the first read beyond the end, `bad` is set,
 * every later read gives zero, and nothing out of bounds is ever touched: read
 * all fields, then test `bad` once.
 */
struct lm_reader {
	const uint8_t *p, *end;
	bool bad;
};

static inline struct lm_reader lm_reader(const void *data, size_t len)
{
	const uint8_t *p = data;

	return (struct lm_reader){.p = p, .end = len > 0 ? p + len : p, .bad = false};
}

static inline size_t lm_r_left(const struct lm_reader *r)
{
	return r->bad ? 0 : (size_t)(r->end - r->p);
}

/* Pointer to the next n bytes, or NULL (and bad) when there are fewer. */
static inline const uint8_t *lm_r_bytes(struct lm_reader *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || (size_t)(r->end - r->p) < n) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	return p;
}

static inline void lm_r_copy(struct lm_reader *r, void *out, size_t n)
{
	const uint8_t *p = lm_r_bytes(r, n);

	if (p != NULL)
		memcpy(out, p, n);
	else
		memset(out, 0, n);
}

static inline uint64_t lm_r_be(struct lm_reader *r, unsigned n)
{
	const uint8_t *p = lm_r_bytes(r, n);
	uint64_t v = 0;

	for (unsigned i = 0; p != NULL && i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static inline uint8_t lm_r_u8(struct lm_reader *r)
{
	return (uint8_t)lm_r_be(r, 1);
}

static inline uint16_t lm_r_u16(struct lm_reader *r)
{
	return (uint16_t)lm_r_be(r, 2);
}

static inline uint32_t lm_r_u32(struct lm_reader *r)
{
	return (uint32_t)lm_r_be(r, 4);
}

static inline uint64_t lm_r_u64(struct lm_reader *r)
{
	return lm_r_be(r, 8);
}

/* A reader over the next n bytes, which are consumed; a bad, empty one when there are fewer. */
static inline struct lm_reader lm_r_sub(struct lm_reader *r, size_t n)
{
	const uint8_t *p = lm_r_bytes(r, n);

	if (p == NULL)
		return (struct lm_reader){.bad = true};
	return lm_reader(p, n);
}

/* Writer into a buffer of ours. Beyond the end `bad` is set and nothing is written. */
struct lm_writer {
	uint8_t *start, *p, *end;
	bool bad;
};

static inline struct lm_writer lm_writer(void *buf, size_t cap)
{
	uint8_t *p = buf;

	return (struct lm_writer){.start = p, .p = p, .end = p + cap, .bad = false};
}

static inline size_t lm_w_len(const struct lm_writer *w)
{
	return (size_t)(w->p - w->start);
}

/* Room for n bytes, to be filled by the caller, or NULL (and bad). */
static inline uint8_t *lm_w_room(struct lm_writer *w, size_t n)
{
	uint8_t *p = w->p;

	if (w->bad || (size_t)(w->end - w->p) < n) {
		w->bad = true;
		return NULL;
	}
	w->p += n;
	return p;
}

static inline void lm_w_copy(struct lm_writer *w, const void *data, size_t n)
{
	uint8_t *p = lm_w_room(w, n);

	if (p != NULL && n > 0)
		memcpy(p, data, n);
}

static inline void lm_w_zero(struct lm_writer *w, size_t n)
{
	uint8_t *p = lm_w_room(w, n);

	if (p != NULL)
		memset(p, 0, n);
}

static inline void lm_w_be(struct lm_writer *w, uint64_t v, unsigned n)
{
	uint8_t *p = lm_w_room(w, n);

	for (unsigned i = 0; p != NULL && i < n; i++)
		p[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
}

static inline void lm_w_u8(struct lm_writer *w, uint8_t v)
{
	lm_w_be(w, v, 1);
}

static inline void lm_w_u16(struct lm_writer *w, uint16_t v)
{
	lm_w_be(w, v, 2);
}

static inline void lm_w_u32(struct lm_writer *w, uint32_t v)
{
	lm_w_be(w, v, 4);
}

static inline void lm_w_u64(struct lm_writer *w, uint64_t v)
{
	lm_w_be(w, v, 8);
}

/* ----------------------------------------------------------- addresses -- */

/* An IP address in network byte order. IPv4 uses b[0..3], the rest is zero, so
 * that two addresses are equal exactly when their bytes are. */
struct lm_ip {
	uint8_t family; /* 4, 6, or 0 = none */
	uint8_t b[16];
};

struct lm_prefix {
	struct lm_ip ip; /* host bits are zero */
	uint8_t len;
};

/* An address and a UDP or TCP port. */
struct lm_endpoint {
	struct lm_ip ip;
	uint16_t port; /* host byte order */
};

struct lm_mac {
	uint8_t b[6];
};

struct sockaddr;
struct sockaddr_storage;

#define LM_IP_STRLEN	   46 /* longest address text and NUL */
#define LM_PREFIX_STRLEN   50 /* longest "addr/len" and NUL */
#define LM_ENDPOINT_STRLEN 54 /* longest "[addr]:port" and NUL */
#define LM_MAC_STRLEN	   18

struct lm_ip lm_ip4(const uint8_t b[4]);
struct lm_ip lm_ip6(const uint8_t b[16]);
/* ::ffff:a.b.c.d becomes a.b.c.d (Nebula #1786: before any check); others stay. */
struct lm_ip lm_ip_canonical(struct lm_ip ip);
static inline bool lm_ip_equal(const struct lm_ip *a, const struct lm_ip *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}
/* memcmp order, IPv4 before IPv6. */
int lm_ip_cmp(const struct lm_ip *a, const struct lm_ip *b);
/* Unspecified, loopback, multicast, link-local IPv6 or IPv4 broadcast: never a unicast peer. */
bool lm_ip_is_special(const struct lm_ip *ip);
unsigned lm_ip_bits(const struct lm_ip *ip); /* 32, 128 or 0 */
/* Numeric text only, no names; v4-mapped comes out canonical. 0 or -EINVAL. */
int lm_ip_parse(const char *text, struct lm_ip *out) LM_MUST_CHECK;
/* Writes at most LM_IP_STRLEN bytes; returns buf. IPv6 as RFC 5952. */
const char *lm_ip_format(const struct lm_ip *ip, char buf[LM_IP_STRLEN]);

bool lm_endpoint_equal(const struct lm_endpoint *a, const struct lm_endpoint *b);
/* "a.b.c.d:port", "[v6]:port"; without port, default_port (0 = a port is required). */
int lm_endpoint_parse(const char *text, uint16_t default_port,
		      struct lm_endpoint *out) LM_MUST_CHECK;
const char *lm_endpoint_format(const struct lm_endpoint *ep, char buf[LM_ENDPOINT_STRLEN]);
/* To and from the socket API; from: -EAFNOSUPPORT for other families; v4-mapped is canonicalised.
 */
unsigned lm_endpoint_to_sockaddr(const struct lm_endpoint *ep, struct sockaddr_storage *out);
int lm_endpoint_from_sockaddr(const struct sockaddr *sa, struct lm_endpoint *out) LM_MUST_CHECK;

/* "addr/len"; a bare address gets its full length. -EINVAL when host bits are set or the address
 * is v4-mapped. */
int lm_prefix_parse(const char *text, struct lm_prefix *out) LM_MUST_CHECK;
const char *lm_prefix_format(const struct lm_prefix *p, char buf[LM_PREFIX_STRLEN]);
/* Is the length possible, the family 4 or 6, every host bit zero, and not v4-mapped space? */
bool lm_prefix_valid(const struct lm_prefix *p);
/* A v4-mapped IPv6 address is in no prefix: canonicalise first, or let it be refused. */
bool lm_prefix_contains(const struct lm_prefix *p, const struct lm_ip *ip);
/* Is every address of inner in outer? */
bool lm_prefix_covers(const struct lm_prefix *outer, const struct lm_prefix *inner);
bool lm_prefix_equal(const struct lm_prefix *a, const struct lm_prefix *b);
/* The network of ip with the first len bits. */
struct lm_prefix lm_prefix_of(const struct lm_ip *ip, unsigned len);

int lm_mac_parse(const char *text, struct lm_mac *out) LM_MUST_CHECK;
const char *lm_mac_format(const struct lm_mac *mac, char buf[LM_MAC_STRLEN]);

/* ----------------------------------------------------------------- hex -- */

/* Lower-case hex and NUL; out needs 2 * n + 1 bytes. */
const char *lm_hex(const void *data, size_t n, char *out);
/* Exactly 2 * n hex digits and NUL. 0 or -EINVAL. */
int lm_unhex(const char *text, void *out, size_t n) LM_MUST_CHECK;

/* --------------------------------------------------------------- files -- */

/*
 * Replaces path by data so that a reader, a crash or a power cut at any moment
 * sees the old file or the new one: temporary file in the same folder, write,
 * fsync, rename, fsync of the folder. Returns only after all of that.
 * mode: permission bits of the new file. On failure the old file is untouched
 * (unless only the folder's fsync failed) and the temporary one, PATH.tmp,
 * removed; err (may be NULL) names the path. -EBUSY: another process is at it.
 */
int lm_file_replace(const char *path, const void *data, size_t len, unsigned mode,
		    struct lm_error *err) LM_MUST_CHECK;
/*
 * Reads a whole regular file of at most max bytes into malloc'ed *out (caller
 * frees; a NUL follows the data, not counted in *len). -EFBIG when larger.
 */
int lm_file_read(const char *path, size_t max, uint8_t **out, size_t *len,
		 struct lm_error *err) LM_MUST_CHECK;

/* ---------------------------------------------------------------- heap -- */

/* Min-heap of deadlines, intrusive: put a struct lm_timer into the owner. */
struct lm_timer {
	lm_time due;
	uint32_t slot; /* 1-based place in the heap, 0 = not armed */
};

struct lm_timer_place {
	lm_time due;
	struct lm_timer *timer;
};

struct lm_timers {
	struct lm_timer_place *heap;
	uint32_t n, cap;
};

void lm_timers_free(struct lm_timers *ts);
/* Arms or moves t to due (LM_TIME_NEVER disarms). 0 or -ENOMEM, then t is as it was. */
int lm_timer_set(struct lm_timers *ts, struct lm_timer *t, lm_time due) LM_MUST_CHECK;
void lm_timer_stop(struct lm_timers *ts, struct lm_timer *t);
/* When is the first due? LM_TIME_NEVER when none is armed. */
lm_time lm_timers_next(const struct lm_timers *ts);
/* Takes out and returns the first timer due at or before now; NULL when none is. */
struct lm_timer *lm_timers_pop(struct lm_timers *ts, lm_time now);

#endif
