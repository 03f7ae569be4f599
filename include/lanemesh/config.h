/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config: a libconfig file becomes a typed, checked struct, or an error that
 * names file, line, option, what is wrong and what would be right. The difference
 * of two configs says what changed and whether that may change while running.
 *
 * One table of options (lm_config_options) drives the parser, the difference, the
 * command line's help and the reference in README.md.
 *
 * The structs are plain values: no pointers inside, copied by assignment, nothing
 * to free. They are large (tens of kB): put them on the heap or into an owner.
 * Paths are stored, not opened: reading keys and records is the program's job.
 */
#ifndef LANEMESH_CONFIG_H
#define LANEMESH_CONFIG_H

#include <lanemesh/wire.h>

#define LM_CONFIG_FILE_MAX	  (256 * 1024) /* bytes of a config file */
#define LM_CONFIG_DEPTH_MAX	  8	       /* nested brackets */
#define LM_CONFIG_PATH_MAX	  256	       /* with NUL; every path is absolute */
#define LM_CONFIG_DEVICE_MAX	  256
#define LM_CONFIG_IFNAME_MAX	  16 /* with NUL, as the kernel's IFNAMSIZ */
#define LM_CONFIG_AUTHORITIES_MAX 8
#define LM_CONFIG_COORDS_MAX	  8
#define LM_CONFIG_STUN_MAX	  8
#define LM_CONFIG_HOST_MAX	  254 /* with NUL; RFC 1035 section 2.3.4 */
#define LM_CONFIG_PORTS_MAX	  16
#define LM_CONFIG_ADDRESSES_MAX	  16
#define LM_CONFIG_GATEWAYS_MAX	  2
#define LM_CONFIG_PUBLIC_MAX	  8
#define LM_CONFIG_ACCEPT_MAX	  32
#define LM_CONFIG_LISTEN_MAX	  8
#define LM_CONFIG_WORKERS_MAX	  64
#define LM_INSTANCE_MAX		  32 /* bytes of an instance name */

/* [A-Za-z0-9_-], 1 to LM_INSTANCE_MAX bytes: safe as one path component. */
bool lm_instance_valid(const char *instance);

/* --------------------------------------------------------- lanemeshd ----- */

enum lm_port_role { LM_PORT_ROLE_LAN, LM_PORT_ROLE_WAN };
enum lm_idle { LM_IDLE_ADAPTIVE, LM_IDLE_POLL };
enum lm_hugepages { LM_HUGEPAGES_AUTO, LM_HUGEPAGES_YES, LM_HUGEPAGES_NO };

/* An address with the length of its network; host bits are kept. */
struct lm_ifaddr {
	struct lm_ip ip;
	uint8_t len;
};

struct lm_config_port {
	char name[LM_CONFIG_IFNAME_MAX]; /* of the kernel twin */
	enum lm_port_role role;
	char device[LM_CONFIG_DEVICE_MAX]; /* DPDK devargs: PCI address or vdev */
	uint8_t n_addresses;		   /* 0 = given by something else, e.g. systemd-networkd */
	struct lm_ifaddr addresses[LM_CONFIG_ADDRESSES_MAX];
	uint8_t n_gateways; /* WAN: at most one for each family */
	struct lm_ip gateways[LM_CONFIG_GATEWAYS_MAX];
	uint16_t mtu;
	bool has_mac; /* false: the device's own */
	struct lm_mac mac;
	/* WAN only */
	uint16_t udp_port;
	uint8_t n_public_endpoints, n_accept_tcp, n_accept_udp;
	struct lm_endpoint public_endpoints[LM_CONFIG_PUBLIC_MAX];
	uint16_t accept_tcp[LM_CONFIG_ACCEPT_MAX]; /* local ports open to new connections */
	uint16_t accept_udp[LM_CONFIG_ACCEPT_MAX];
};

struct lm_config_coordinator {
	struct lm_endpoint address;
	uint8_t key[LM_KEY_LEN]; /* Ed25519 public key */
};

/* A host by name or address, and a port. */
struct lm_config_host {
	char name[LM_CONFIG_HOST_MAX]; /* as lm_ip_parse takes it, or to be resolved */
	uint16_t port;
};

struct lm_config {
	char instance[LM_INSTANCE_MAX + 1];
	char mesh[LM_MESH_ID_MAX + 1];
	char identity[LM_CONFIG_PATH_MAX];
	char certificate[LM_CONFIG_PATH_MAX];
	char psk_file[LM_CONFIG_PATH_MAX];	  /* "" = none */
	char revocation_list[LM_CONFIG_PATH_MAX]; /* "" = none */
	char state_dir[LM_CONFIG_PATH_MAX];
	char overlay_interface[LM_CONFIG_IFNAME_MAX];
	uint8_t n_authorities;
	uint8_t authorities[LM_CONFIG_AUTHORITIES_MAX][LM_KEY_LEN];
	uint8_t n_coordinators;
	struct lm_config_coordinator coordinators[LM_CONFIG_COORDS_MAX];
	struct {
		bool enabled;
		uint32_t pairs, rate_mbit;
	} relay;
	uint8_t n_stun_servers;
	struct lm_config_host stun_servers[LM_CONFIG_STUN_MAX];
	uint8_t n_prefixes; /* 0 = announce all of the certificate's */
	struct lm_prefix prefixes[LM_PREFIXES_MAX];
	uint8_t n_ports; /* at least one LAN and one WAN */
	struct lm_config_port ports[LM_CONFIG_PORTS_MAX];
	uint32_t max_peers;
	uint32_t full_mesh_up_to; /* other nodes with each of which a session is kept */
	uint32_t max_routes;	  /* of each IP version */
	uint32_t handshake_limit; /* handshakes a second before cookies are asked for */
	struct {
		uint8_t count;
		uint8_t n_cpus; /* 0 = not pinned, else count */
		uint16_t cpus[LM_CONFIG_WORKERS_MAX];
		enum lm_idle idle;
	} workers;
	struct {
		enum lm_hugepages hugepages;
		uint32_t size_mb;
		uint32_t mbufs;
	} memory;
	struct {
		uint32_t rekey_s; /* a session without successor ends at 1.5 times this */
		uint32_t keepalive_s;
	} timers;
	char aead[16]; /* backend for lm_aead_new; "" = the best ("auto") */
	bool allow_key_export;
	bool has_metrics;
	struct lm_endpoint metrics;
	enum lm_log_level log_level;
};

/*
 * Reads and checks path. instance (see lm_instance_valid) goes into defaults.
 * 0; -EINVAL, -EFBIG or an errno of reading the file, with err =
 * "file:line: option: what is wrong; what would be right", and *out undefined.
 * Blocks on the file, nothing else. Thread-safe.
 */
int lm_config_load(const char *path, const char *instance, struct lm_config *out,
		   struct lm_error *err) LM_MUST_CHECK;
/* The same from memory; name stands for the file in errors. len bytes, no NUL needed. */
int lm_config_parse(const char *name, const char *text, size_t len, const char *instance,
		    struct lm_config *out, struct lm_error *err) LM_MUST_CHECK;

/* ----------------------------------------------------- lanemesh-coord ----- */

struct lm_coord_config {
	char instance[LM_INSTANCE_MAX + 1];
	char mesh[LM_MESH_ID_MAX + 1];
	char identity[LM_CONFIG_PATH_MAX];
	char store[LM_CONFIG_PATH_MAX];		  /* SQLite database */
	char revocation_list[LM_CONFIG_PATH_MAX]; /* "" = none; watched */
	uint8_t n_authorities;
	uint8_t authorities[LM_CONFIG_AUTHORITIES_MAX][LM_KEY_LEN];
	uint8_t n_listen;
	struct lm_endpoint listen[LM_CONFIG_LISTEN_MAX]; /* TCP, and STUN on UDP */
	uint8_t n_stun_listen;
	struct lm_endpoint stun_listen[LM_CONFIG_LISTEN_MAX]; /* STUN alone */
	uint32_t max_nodes;
	uint32_t record_ttl_s; /* how long the record of a node stays after it was last connected */
	bool has_metrics;
	struct lm_endpoint metrics;
	enum lm_log_level log_level;
};

int lm_coord_config_load(const char *path, const char *instance, struct lm_coord_config *out,
			 struct lm_error *err) LM_MUST_CHECK;
int lm_coord_config_parse(const char *name, const char *text, size_t len, const char *instance,
			  struct lm_coord_config *out, struct lm_error *err) LM_MUST_CHECK;

/* ----------------------------------------------------------- difference -- */

/*
 * Calls each for every option that differs: "log_level", "ports[1].mtu"
 * (0-based). When a list has another length, for the list alone: "ports". live:
 * the option may change while the program runs; false: only a restart takes it
 * over. Returns how many options differ; *restart (may be NULL): is any not live?
 */
typedef void (*lm_config_change_fn)(void *user, const char *option, bool live);
unsigned lm_config_diff(const struct lm_config *from, const struct lm_config *to,
			lm_config_change_fn each, void *user, bool *restart);
unsigned lm_coord_config_diff(const struct lm_coord_config *from, const struct lm_coord_config *to,
			      lm_config_change_fn each, void *user, bool *restart);

/* ------------------------------------------------------------ reference -- */

enum lm_config_kind { LM_CONFIG_NODE, LM_CONFIG_COORD };

struct lm_option {
	const char *name;  /* "ports.mtu" */
	const char *type;  /* "integer", "list of addresses with length", ... */
	const char *range; /* "576 to 9000", "" when there is nothing to say */
	const char *def;   /* as it would be written; "required", or "none" */
	const char *help;  /* one line */
	bool live;	   /* may change while running */
};

/* Every option of a program's config: the i-th, NULL beyond the last. Lives forever. */
const struct lm_option *lm_config_option(enum lm_config_kind kind, unsigned i);

#endif
