/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of lanemeshd and lanemesh-coord: every fact about one stands in its row. */
#include "option.h"

/* What the option is: name, default, live, help. */
#define OPT(n, d, l, h) d, .pub.name = (n), .pub.live = (l), .pub.help = (h)
#define MUST		.required = true, .pub.def = "required"
#define NONE		.pub.def = "none"
#define DEF(d)		.pub.def = (d)
#define LIVE		true
#define RESTART		false

/* How it is written. */
#define VALUE(v)   .shape = LM_S_ONE, .value = LM_V_##v, .pub.type = T_##v
#define LIST(v)	   .shape = LM_S_LIST, .value = LM_V_##v, .pub.type = "list: " T_##v
#define GROUP	   .shape = LM_S_GROUP, .pub.type = "group", .pub.range = ""
#define GROUPS	   .shape = LM_S_GROUPS, .pub.type = "list: group"
#define T_U8	   "integer"
#define T_U16	   "integer"
#define T_U32	   "integer"
#define T_BOOL	   "true or false"
#define T_WORD	   "word"
#define T_BACKEND  "word"
#define T_NAME	   "name"
#define T_PATH	   "path"
#define T_IFNAME   "interface name"
#define T_DEVICE   "DPDK device"
#define T_KEY	   "key"
#define T_ENDPOINT "address:port"
#define T_HOST	   "host:port"
#define T_IFADDR   "address/length"
#define T_IP	   "address"
#define T_PREFIX   "prefix"
#define T_MAC	   "MAC address"

/* What it may be. */
#define ANY		.pub.range = ""
#define RANGE(lo, hi)	.min = (lo), .max = (hi), .pub.range = #lo " to " #hi
#define WORDS(w, text)	.words = (w), .pub.range = text
#define ENTRIES(lo, hi) .least = (lo), .most = (hi), .pub.range = #lo " to " #hi " entries"
#define PORT(p)		.port = (p)

/* Where it goes; a list's most entries are checked against its array by the unit test. */
#define AT(s, f)                                                                                   \
	.off = offsetof(struct s, f), .size = sizeof(((struct s *)0)->f), .off_n = LM_NO_COUNT
#define ATLIST(s, f, n)                                                                            \
	.off = offsetof(struct s, f), .size = sizeof(((struct s *)0)->f[0]),                       \
	.off_n = offsetof(struct s, n), .room = LM_ARRAY_SIZE(((struct s *)0)->f)
#define ATOPT(s, f, has)                                                                           \
	.off = offsetof(struct s, f), .size = sizeof(((struct s *)0)->f),                          \
	.off_n = offsetof(struct s, has)

static const char *const roles[] = {"lan", "wan", NULL};
static const char *const idles[] = {"adaptive", "poll", NULL};
static const char *const hugepages[] = {"auto", "yes", "no", NULL};
static const char *const levels[] = {"error", "warn", "info", "debug", NULL};
static const char *const backends[] = {"auto", "ipsec-mb", "sodium", NULL};

static const struct lm_row node_rows[] = {
    {OPT("mesh", MUST, RESTART, "id of the mesh, the same on every node"), VALUE(NAME), ANY,
     AT(lm_config, mesh)},
    {OPT("identity", MUST, RESTART, "private key of this node, made by lanemesh keygen"),
     VALUE(PATH), ANY, AT(lm_config, identity)},
    {OPT("certificate", MUST, LIVE, "certificate of this node, signed by an authority"),
     VALUE(PATH), ANY, AT(lm_config, certificate)},
    {OPT("authorities", MUST, LIVE, "public keys that may sign certificates"), LIST(KEY),
     ENTRIES(1, 8), ATLIST(lm_config, authorities, n_authorities)},
    {OPT("psk_file", NONE, RESTART,
	 "file with the mesh's pre-shared key, 64 hex digits, mode 0600; the same on every node"),
     VALUE(PATH), ANY, AT(lm_config, psk_file)},
    {OPT("revocation_list", NONE, LIVE,
	 "signed revocation list, read at start and when it changes"),
     VALUE(PATH), ANY, AT(lm_config, revocation_list)},
    {OPT("state_dir", DEF("\"/var/lib/lanemesh/%i\""), RESTART,
	 "folder for the last directory and counters; %i is the instance"),
     VALUE(PATH), ANY, AT(lm_config, state_dir)},
    {OPT("overlay_interface", DEF("\"lm0\""), RESTART,
	 "interface that carries the mesh's routes in the kernel"),
     VALUE(IFNAME), ANY, AT(lm_config, overlay_interface)},
    {OPT("coordinators", NONE, LIVE, "coordinators to keep a connection to"), GROUPS, ENTRIES(0, 8),
     ATLIST(lm_config, coordinators, n_coordinators)},
    {OPT("coordinators.address", MUST, LIVE, "where it listens; port 4600 when none is given"),
     VALUE(ENDPOINT), ANY, PORT(LM_COORD_PORT_DEFAULT), AT(lm_config_coordinator, address)},
    {OPT("coordinators.key", MUST, LIVE, "its public key"), VALUE(KEY), ANY,
     AT(lm_config_coordinator, key)},
    {OPT("stun_servers", NONE, LIVE,
	 "more servers that say how our address looks from outside, by name or address; port 3478 "
	 "when none is given. Coordinators are asked anyway"),
     LIST(HOST), ENTRIES(0, 8), PORT(3478), ATLIST(lm_config, stun_servers, n_stun_servers)},
    {OPT("prefixes", NONE, LIVE,
	 "prefixes to announce, all inside the certificate's; without it, all of the "
	 "certificate's"),
     LIST(PREFIX), ENTRIES(1, 32), ATLIST(lm_config, prefixes, n_prefixes)},
    {OPT("ports", MUST, RESTART, "network ports; at least one LAN and one WAN"), GROUPS,
     ENTRIES(2, 16), ATLIST(lm_config, ports, n_ports)},
    {OPT("ports.name", MUST, RESTART, "name of the kernel interface that stands for the port"),
     VALUE(IFNAME), ANY, AT(lm_config_port, name)},
    {OPT("ports.role", MUST, RESTART, "lan: plain packets of the site; wan: the tunnels"),
     VALUE(WORD), WORDS(roles, "\"lan\", \"wan\""), AT(lm_config_port, role)},
    {OPT("ports.device", MUST, RESTART, "PCI address, or virtual device with its arguments"),
     VALUE(DEVICE), ANY, AT(lm_config_port, device)},
    {OPT("ports.addresses", DEF("[]"), RESTART,
	 "addresses of the port; none: another program sets them on the kernel interface"),
     LIST(IFADDR), ENTRIES(0, 16), ATLIST(lm_config_port, addresses, n_addresses)},
    {OPT("ports.gateways", DEF("[]"), RESTART, "WAN: default gateways, one for each IP version"),
     LIST(IP), ENTRIES(0, 2), ATLIST(lm_config_port, gateways, n_gateways)},
    {OPT("ports.mtu", DEF("1500"), RESTART, "largest IP packet; 1280 or more for IPv6"), VALUE(U16),
     RANGE(576, 9000), AT(lm_config_port, mtu)},
    {OPT("ports.mac", NONE, RESTART, "MAC address; without it, the device's own"), VALUE(MAC), ANY,
     ATOPT(lm_config_port, mac, has_mac)},
    {OPT("ports.udp_port", DEF("4500"), RESTART, "WAN: UDP port of the tunnels"), VALUE(U16),
     RANGE(1, 65535), AT(lm_config_port, udp_port)},
    {OPT("ports.public_endpoints", DEF("[]"), LIVE,
	 "WAN: addresses under which others reach the port, e.g. through port forwarding"),
     LIST(ENDPOINT), ENTRIES(0, 8), ATLIST(lm_config_port, public_endpoints, n_public_endpoints)},
    {OPT("ports.accept_tcp", DEF("[]"), RESTART, "WAN: TCP ports of this machine open to anyone"),
     LIST(U16), ENTRIES(0, 32), .min = 1, .max = 65535,
     ATLIST(lm_config_port, accept_tcp, n_accept_tcp)},
    {OPT("ports.accept_udp", DEF("[]"), RESTART, "WAN: UDP ports of this machine open to anyone"),
     LIST(U16), ENTRIES(0, 32), .min = 1, .max = 65535,
     ATLIST(lm_config_port, accept_udp, n_accept_udp)},
    {OPT("max_peers", DEF("4096"), RESTART, "most other nodes that are kept"), VALUE(U32),
     RANGE(1, 65535), AT(lm_config, max_peers)},
    {OPT("full_mesh_up_to", DEF("256"), RESTART,
	 "with so many other nodes, a session is kept with each; with more, only where traffic is"),
     VALUE(U32), RANGE(1, 65535), AT(lm_config, full_mesh_up_to)},
    {OPT("max_routes", DEF("65536"), RESTART,
	 "most routes of each IP version in the workers' table, and from the kernel on LAN ports"),
     VALUE(U32), RANGE(1024, 4194304), AT(lm_config, max_routes)},
    {OPT("handshake_limit", DEF("500"), RESTART,
	 "incoming handshakes a second before senders must prove their address"),
     VALUE(U32), RANGE(1, 100000), AT(lm_config, handshake_limit)},
    {OPT("relay", NONE, LIVE, "passing on traffic between other members"), GROUP},
    {OPT("relay.enabled", DEF("false"), LIVE,
	 "pass it on; the certificate needs the role relay as well"),
     VALUE(BOOL), ANY, AT(lm_config, relay.enabled)},
    {OPT("relay.pairs", DEF("512"), LIVE,
	 "most pairs of members at a time; about 130 kB of memory each"),
     VALUE(U32), RANGE(1, 4096), AT(lm_config, relay.pairs)},
    {OPT("relay.rate_mbit", DEF("1000"), LIVE,
	 "most that each member may have passed on, in Mbit/s; 0: no limit"),
     VALUE(U32), RANGE(0, 400000), AT(lm_config, relay.rate_mbit)},
    {OPT("workers", NONE, RESTART, "threads that move packets"), GROUP},
    {OPT("workers.count", DEF("1"), RESTART, "number of threads"), VALUE(U8), RANGE(1, 64),
     AT(lm_config, workers.count)},
    {OPT("workers.cpus", DEF("[]"), RESTART, "CPU of each thread; none: the kernel chooses"),
     LIST(U16), ENTRIES(0, 64), .min = 0, .max = 1023,
     ATLIST(lm_config, workers.cpus, workers.n_cpus)},
    {OPT("workers.idle", DEF("\"adaptive\""), RESTART,
	 "adaptive: sleep when there is nothing to do; poll: never, for the lowest delay"),
     VALUE(WORD), WORDS(idles, "\"adaptive\", \"poll\""), AT(lm_config, workers.idle)},
    {OPT("memory", NONE, RESTART, "DPDK's memory"), GROUP},
    {OPT("memory.hugepages", DEF("\"auto\""), RESTART,
	 "auto: when enough are free; yes: required; no: ordinary pages"),
     VALUE(WORD), WORDS(hugepages, "\"auto\", \"yes\", \"no\""), AT(lm_config, memory.hugepages)},
    {OPT("memory.size_mb", DEF("384"), RESTART, "most memory that DPDK takes, in MiB"), VALUE(U32),
     RANGE(128, 65536), AT(lm_config, memory.size_mb)},
    {OPT("memory.mbufs", DEF("16384"), RESTART, "packet buffers, about 2.5 KiB each"), VALUE(U32),
     RANGE(4096, 4194304), AT(lm_config, memory.mbufs)},
    {OPT("timers", NONE, RESTART, "durations"), GROUP},
    {OPT("timers.rekey_s", DEF("120"), RESTART,
	 "seconds until a session's keys are replaced; it ends at 1.5 times this"),
     VALUE(U32), RANGE(2, 3600), AT(lm_config, timers.rekey_s)},
    {OPT("timers.keepalive_s", DEF("5"), RESTART,
	 "seconds of silence after which a peer is probed"),
     VALUE(U32), RANGE(1, 25), AT(lm_config, timers.keepalive_s)},
    {OPT("aead", DEF("\"auto\""), RESTART,
	 "implementation of AES-GCM; auto: the fastest, also VAES code that "
	 "ipsec-mb 2.x has but does not pick here; ipsec-mb: only what it "
	 "picks"),
     VALUE(BACKEND), WORDS(backends, "\"auto\", \"ipsec-mb\", \"sodium\""), AT(lm_config, aead)},
    {OPT("allow_key_export", DEF("false"), LIVE,
	 "let lanemesh sa --wireshark show the tunnels' keys; for debugging only"),
     VALUE(BOOL), ANY, AT(lm_config, allow_key_export)},
    {OPT("metrics", NONE, RESTART, "serve Prometheus metrics over HTTP here"), VALUE(ENDPOINT), ANY,
     ATOPT(lm_config, metrics, has_metrics)},
    {OPT("log_level", DEF("\"info\""), LIVE, "how much is logged"), VALUE(WORD),
     WORDS(levels, "\"error\", \"warn\", \"info\", \"debug\""), AT(lm_config, log_level)},
};

static const struct lm_row coord_rows[] = {
    {OPT("mesh", MUST, RESTART, "id of the mesh that is served"), VALUE(NAME), ANY,
     AT(lm_coord_config, mesh)},
    {OPT("identity", MUST, RESTART, "private key of the coordinator, made by lanemesh keygen"),
     VALUE(PATH), ANY, AT(lm_coord_config, identity)},
    {OPT("authorities", MUST, LIVE, "public keys that may sign certificates"), LIST(KEY),
     ENTRIES(1, 8), ATLIST(lm_coord_config, authorities, n_authorities)},
    {OPT("listen", DEF("[\"0.0.0.0:4600\", \"[::]:4600\"]"), RESTART,
	 "addresses to listen on, TCP for nodes and UDP for STUN; port 4600 when none is given"),
     LIST(ENDPOINT), ENTRIES(1, 8), PORT(LM_COORD_PORT_DEFAULT),
     ATLIST(lm_coord_config, listen, n_listen)},
    {OPT("stun_listen", DEF("[]"), RESTART,
	 "more UDP addresses that answer STUN; port 3478 when none is given"),
     LIST(ENDPOINT), ENTRIES(0, 8), PORT(3478),
     ATLIST(lm_coord_config, stun_listen, n_stun_listen)},
    {OPT("store", DEF("\"/var/lib/lanemesh-coord/%i/directory.db\""), RESTART,
	 "database of the directory; %i is the instance"),
     VALUE(PATH), ANY, AT(lm_coord_config, store)},
    {OPT("revocation_list", NONE, LIVE,
	 "signed revocation list, read at start and when it changes"),
     VALUE(PATH), ANY, AT(lm_coord_config, revocation_list)},
    {OPT("max_nodes", DEF("65536"), RESTART, "most nodes in the directory"), VALUE(U32),
     RANGE(1, 1000000), AT(lm_coord_config, max_nodes)},
    {OPT("record_ttl_s", DEF("2592000"), LIVE,
	 "seconds that a node's record stays after it was last connected"),
     VALUE(U32), RANGE(60, 31536000), AT(lm_coord_config, record_ttl_s)},
    {OPT("metrics", NONE, RESTART, "serve Prometheus metrics over HTTP here"), VALUE(ENDPOINT), ANY,
     ATOPT(lm_coord_config, metrics, has_metrics)},
    {OPT("log_level", DEF("\"info\""), LIVE, "how much is logged"), VALUE(WORD),
     WORDS(levels, "\"error\", \"warn\", \"info\", \"debug\""), AT(lm_coord_config, log_level)},
};

static const struct lm_table tables[] = {
    [LM_CONFIG_NODE] = {node_rows, LM_ARRAY_SIZE(node_rows)},
    [LM_CONFIG_COORD] = {coord_rows, LM_ARRAY_SIZE(coord_rows)},
};

const struct lm_table *lm_table(enum lm_config_kind kind)
{
	return &tables[kind];
}

const struct lm_option *lm_config_option(enum lm_config_kind kind, unsigned i)
{
	return i < tables[kind].n ? &tables[kind].rows[i].pub : NULL;
}

const char *lm_row_key(const struct lm_row *row)
{
	const char *dot = strchr(row->pub.name, '.');

	return dot != NULL ? dot + 1 : row->pub.name;
}

bool lm_row_in(const struct lm_row *row, const char *group)
{
	const char *dot = strchr(row->pub.name, '.');
	size_t len = dot != NULL ? (size_t)(dot - row->pub.name) : 0;

	if (group == NULL)
		return dot == NULL;
	return dot != NULL && strlen(group) == len && memcmp(row->pub.name, group, len) == 0;
}
