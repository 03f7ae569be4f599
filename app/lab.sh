# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# A laboratory: gateways, LAN hosts, a router and a coordinator in network
# namespaces of this machine. Sourced by app/quickstart and by the end-to-end
# tests, which set these first:
#   lab_ns      prefix of the namespaces' names        (quickstart: lm-)
#   lab_inst    prefix of the instances' names         (quickstart: none)
#   lab_run     folder for keys, configs, state, logs
#   lab_build   folder of the built programs
#   lab_sites   numbers of the sites, "1 2 3"
#   lab_top     the source tree
#
#   host N: 10.N.0.10, fd00:N::10 - gateway N: 10.N.0.1, fd00:N::1
#   WAN N: 198.18.N.0/24 and 2001:db8:N::/64, the gateway is .2, the router .1
#   coordinator: 198.18.100.10:4600, and [2001:db8:100::10]:4600

: "${lab_ns:?}" "${lab_run:?}" "${lab_build:?}" "${lab_sites:?}" "${lab_top:?}" "${lab_inst?}"
lab_mesh=quickstart

lab_die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

lab_in()
{
	local ns=$1
	shift
	ip netns exec "$lab_ns$ns" "$@"
}

lab_cli()
{
	local n=$1
	shift
	"$lab_build/app/lanemesh" -i "${lab_inst}gw$n" "$@"
}

# Waits until a command succeeds: seconds, what for, command...
lab_wait()
{
	local limit=$1 what=$2 end
	shift 2
	end=$((SECONDS + limit))
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || lab_die "$what did not happen within $limit s; logs are in $lab_run"
		sleep 0.1
	done
}

lab_namespaces()
{
	local n
	printf '%s\n' "${lab_ns}wan" "${lab_ns}coord"
	for n in $lab_sites; do
		printf '%s\n' "${lab_ns}host$n" "${lab_ns}gw$n"
	done
}

# ----------------------------------------------------------------- keys ---

lab_authority()
{
	mkdir -p "$lab_run/keys"
	"$lab_build/app/lanemesh" authority create -o "$lab_run/keys/authority.key" >"$lab_run/keys/authority.pub"
	"$lab_build/app/lanemesh" keygen -o "$lab_run/keys/coord.key" >"$lab_run/keys/coord.pub"
}

# Key and certificate of gateway N; further arguments go to `lanemesh sign`.
lab_identity()
{
	local n=$1
	shift
	"$lab_build/app/lanemesh" keygen -o "$lab_run/keys/gw$n.key" >"$lab_run/keys/gw$n.pub"
	lab_sign "$n" "$@"
}

lab_sign()
{
	local n=$1
	shift
	rm -f "$lab_run/keys/gw$n.crt"
	"$lab_build/app/lanemesh" sign --authority "$lab_run/keys/authority.key" --mesh $lab_mesh \
		--node "$(cat "$lab_run/keys/gw$n.pub")" --name "gw$n" \
		--overlay "10.255.0.$n" --overlay "fd00:ffff::$n" \
		--prefix "10.$n.0.0/24" --prefix "fd00:$n::/64" "$@" -o "$lab_run/keys/gw$n.crt" >/dev/null
}

lab_keys()
{
	local n
	lab_authority
	for n in $lab_sites; do
		lab_identity "$n"
	done
}

# -------------------------------------------------------------- network ---

# name, namespace, name, namespace
lab_veth()
{
	ip link add "$1" netns "$lab_ns$2" type veth peer name "$3" netns "$lab_ns$4"
	lab_in "$2" ip link set "$1" up
	lab_in "$4" ip link set "$3" up
}

lab_network()
{
	local ns n
	for ns in $(lab_namespaces); do
		ip netns add "$ns"
		ip netns exec "$ns" ip link set lo up
		ip netns exec "$ns" sysctl -qw net.ipv6.conf.default.accept_dad=0 \
			net.ipv6.conf.all.accept_dad=0
	done
	lab_in wan sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	lab_veth coord wan eth0 coord
	lab_in wan ip addr add 198.18.100.1/24 dev coord
	lab_in wan ip addr add 2001:db8:100::1/64 dev coord nodad
	lab_in coord ip addr add 198.18.100.10/24 dev eth0
	lab_in coord ip addr add 2001:db8:100::10/64 dev eth0 nodad
	lab_in coord ip route add default via 198.18.100.1
	lab_in coord ip route add default via 2001:db8:100::1
	for n in $lab_sites; do
		lab_site "$n"
	done
}

lab_site()
{
	local n=$1
	lab_veth "site$n" wan wan-dev "gw$n"
	lab_in wan ip addr add "198.18.$n.1/24" dev "site$n"
	lab_in wan ip addr add "2001:db8:$n::1/64" dev "site$n" nodad
	lab_veth eth0 "host$n" lan-dev "gw$n"
	lab_in "host$n" ip addr add "10.$n.0.10/24" dev eth0
	lab_in "host$n" ip addr add "fd00:$n::10/64" dev eth0 nodad
	lab_in "host$n" ip route add default via "10.$n.0.1"
	lab_in "host$n" ip route add default via "fd00:$n::1"
	# The data path takes frames as they are on the wire: no unfinished checksums, no GSO.
	lab_in "host$n" "$lab_top/drivers-config/prepare-af-packet" --peer eth0
	lab_in wan "$lab_top/drivers-config/prepare-af-packet" --peer "site$n"
	lab_in "gw$n" "$lab_top/drivers-config/prepare-af-packet" lan-dev
	lab_in "gw$n" "$lab_top/drivers-config/prepare-af-packet" wan-dev
}

# -------------------------------------------------------------- configs ---

lab_coord_config()
{
	cat <<EOF
mesh = "$lab_mesh";
identity = "$lab_run/keys/coord.key";
authorities = [ "$(cat "$lab_run/keys/authority.pub")" ];
listen = [ "198.18.100.10:4600", "[2001:db8:100::10]:4600" ];
store = "$lab_run/coord/directory.db";
${lab_coord_extra:-}
EOF
}

# The config of gateway N. The options that tests change come from the environment:
#   lab_workers, lab_rekey, lab_underlay (4 or 6), lab_extra (lines of config)
lab_gateway_config()
{
	local n=$1 coord=198.18.100.10:4600 net=198.18.$1. len=24
	if [ "${lab_underlay:-4}" = 6 ]; then
		coord="[2001:db8:100::10]:4600" net=2001:db8:$n:: len=64
	fi
	cat <<EOF
mesh = "$lab_mesh";
identity = "$lab_run/keys/gw$n.key";
certificate = "$lab_run/keys/gw$n.crt";
authorities = [ "$(cat "$lab_run/keys/authority.pub")" ];
state_dir = "$lab_run/gw$n";
coordinators = ( { address = "$coord"; key = "$(cat "$lab_run/keys/coord.pub")"; } );
ports = (
  { name = "lan0"; role = "lan"; device = "net_af_packet0,iface=lan-dev";
    addresses = [ "10.$n.0.1/24", "fd00:$n::1/64" ]; },
  { name = "wan0"; role = "wan"; device = "net_af_packet1,iface=wan-dev";
    addresses = [ "${net}2/$len" ]; gateways = [ "${net}1" ]; }
);
workers = { count = ${lab_workers:-1}; };
timers = { rekey_s = ${lab_rekey:-120}; };
allow_key_export = true;
${lab_extra:-}
EOF
}

# ------------------------------------------------------------ processes ---

# name, command...: in the background, logging to $lab_run/name.log
lab_daemon()
{
	local name=$1
	shift
	setsid "$@" >>"$lab_run/$name.log" 2>&1 </dev/null &
	echo $! >"$lab_run/$name.pid"
	disown # its end is no news for the shell
}

lab_running()
{
	[ -f "$lab_run/$1.pid" ] && kill -0 "$(cat "$lab_run/$1.pid")" 2>/dev/null
}

# name, signal: ends it and waits until it is gone
lab_stop()
{
	local pid end
	[ -f "$lab_run/$1.pid" ] || return 0
	pid=$(cat "$lab_run/$1.pid")
	rm -f "$lab_run/$1.pid"
	# The number may belong to somebody else by now.
	grep -qs lanemesh "/proc/$pid/comm" || return 0
	kill "-${2:-TERM}" "$pid" 2>/dev/null || return 0
	end=$((SECONDS + 10))
	while kill -0 "$pid" 2>/dev/null; do
		((SECONDS < end)) || kill -9 "$pid" 2>/dev/null || true
		sleep 0.02
	done
}

# The coordinator needs no privileges; but a build below /root only root can run.
lab_unprivileged()
{
	local as="setpriv --reuid nobody --regid nogroup --clear-groups"
	if $as test -x "$lab_build/app/lanemesh-coord"; then
		echo "$as"
	fi
}

lab_start_coord()
{
	mkdir -p "$lab_run/coord"
	[ -f "$lab_run/coord.conf" ] || lab_coord_config >"$lab_run/coord.conf"
	chown -R nobody:nogroup "$lab_run/coord" "$lab_run/keys/coord.key"
	# shellcheck disable=SC2046
	lab_daemon coord ip netns exec "${lab_ns}coord" $(lab_unprivileged) \
		"$lab_build/app/lanemesh-coord" -i "${lab_inst}coord" -c "$lab_run/coord.conf"
}

lab_start_gateway()
{
	local n=$1
	[ -f "$lab_run/gw$n.conf" ] || lab_gateway_config "$n" >"$lab_run/gw$n.conf"
	# shellcheck disable=SC2086
	lab_daemon "gw$n" ip netns exec "${lab_ns}gw$n" env ${lab_env:-} \
		"$lab_build/app/lanemeshd" -i "${lab_inst}gw$n" -c "$lab_run/gw$n.conf"
}

# One number of a JSON object on standard input.
lab_number()
{
	grep -o "\"$1\": *[0-9.]*" | head -n 1 | grep -o '[0-9.]*$'
}

# Has gateway N at least this many live peers?
lab_has_peers()
{
	local up
	lab_running "gw$1" || lab_die "gw$1 ended: $(tail -n 3 "$lab_run/gw$1.log")"
	up=$(lab_cli "$1" --json status | lab_number peers_up)
	[ "${up:-0}" -ge "$2" ]
}

lab_ping()
{
	lab_in "$1" ping -c1 -W1 "$2"
}

# Starts all; waits until every gateway has a session with every other.
lab_start()
{
	local n count
	# shellcheck disable=SC2086
	count=$(set -- $lab_sites; echo $#)
	lab_start_coord
	for n in $lab_sites; do
		lab_start_gateway "$n"
	done
	for n in $lab_sites; do
		lab_wait "${lab_patience:-20}" "sessions of gw$n" lab_has_peers "$n" $((count - 1))
	done
}

# Ends every process and removes every namespace and file of the laboratory.
lab_clean()
{
	local ns n
	for n in $lab_sites; do
		lab_stop "gw$n"
		rm -rf "/run/lanemesh/${lab_inst}gw$n" "/run/dpdk/lanemesh-${lab_inst}gw$n"
		rm -f "/dev/hugepages/lanemesh-${lab_inst}gw${n}map_"*
	done
	lab_stop coord
	rmdir /run/lanemesh /run/dpdk 2>/dev/null || true
	for ns in $(lab_namespaces); do
		if [ -e "/run/netns/$ns" ]; then
			ip netns pids "$ns" | xargs -r kill -9 2>/dev/null || true
			ip netns del "$ns"
		fi
	done
	rm -rf "$lab_run"
}
