#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Two sites on one topology twice, once with lanemesh's gateways and once with Linux routers that
# run other tunnels, for bench/report/wire.py, which sets WIRE_RUN (a new folder below /run),
# WIRE_ID (a prefix of names) and WIRE_BUILD (the built programs).
#
#   host1 10.1.0.10 - gw1 198.18.1.2 - wan - 198.18.2.2 gw2 - 10.2.0.10 host2, each - a veth pair
#
#   wire.sh up              builds both; prints a product a line, or "skip PRODUCT REASON"
#   wire.sh port KIND       lanemesh's gateways start again with other ports; see port_devices
#   wire.sh tcp PRODUCT S   one TCP flow of S seconds from host1 to host2: iperf3's JSON
#   wire.sh down
set -euo pipefail

lab_top=$(cd "$(dirname "$0")/../.." && pwd)
lab_run=${WIRE_RUN:?}
lab_build=${WIRE_BUILD:?}
lab_ns=$WIRE_ID-
lab_inst=$WIRE_ID
lab_sites="1 2"
# shellcheck source=app/lab.sh
. "$lab_top/app/lab.sh"
tunnels="wireguard-go nebula openvpn"

# ------------------------------------------------- the other tunnels' lab ---

# A name space of the other lab, and a command in it.
other()
{
	local ns=$1
	shift
	ip netns exec "${lab_ns}o-$ns" "$@"
}

other_network()
{
	local ns n
	for ns in host1 gw1 wan gw2 host2; do
		ip netns add "${lab_ns}o-$ns"
		other "$ns" ip link set lo up
		other "$ns" sysctl -qw net.ipv4.ip_forward=1
	done
	for n in 1 2; do
		ip link add "site$n" netns "${lab_ns}o-wan" type veth peer name wan-dev netns "${lab_ns}o-gw$n"
		ip link add eth0 netns "${lab_ns}o-host$n" type veth peer name lan-dev netns "${lab_ns}o-gw$n"
		other wan ip addr add "198.18.$n.1/24" dev "site$n"
		other wan ip link set "site$n" up
		other "gw$n" ip addr add "198.18.$n.2/24" dev wan-dev
		other "gw$n" ip addr add "10.$n.0.1/24" dev lan-dev
		other "gw$n" ip link set wan-dev up
		other "gw$n" ip link set lan-dev up
		other "gw$n" ip route add default via "198.18.$n.1"
		other "host$n" ip addr add "10.$n.0.10/24" dev eth0
		other "host$n" ip link set eth0 up
		other "host$n" ip route add default via "10.$n.0.1"
		other wan ip route add "10.$n.0.0/24" via "198.18.$n.2"
	done
}

# name, site, command...: a daemon of the other lab
other_daemon()
{
	local name=$1 n=$2
	shift 2
	lab_daemon "$name$n" ip netns exec "${lab_ns}o-gw$n" "$@"
}

wireguard_go_up()
{
	local n far keys=$lab_run/wireguard
	mkdir -m 700 "$keys"
	for n in 1 2; do
		(umask 077 && wg genkey >"$keys/$n.key")
		wg pubkey <"$keys/$n.key" >"$keys/$n.pub"
		# Its control socket bears the interface's name, in a folder that all share.
		other_daemon wireguard-go "$n" env LOG_LEVEL=error wireguard-go -f "$WIRE_ID-$n"
	done
	for n in 1 2; do
		far=$((3 - n))
		lab_wait 5 "wireguard-go" test -S "/run/wireguard/$WIRE_ID-$n.sock"
		other "gw$n" wg set "$WIRE_ID-$n" listen-port 51820 private-key "$keys/$n.key" \
			peer "$(cat "$keys/$far.pub")" endpoint "198.18.$far.2:51820" \
			allowed-ips "10.$far.0.0/24"
		other "gw$n" ip link set "$WIRE_ID-$n" mtu 1420 up
	done
}

nebula_up()
{
	local n far dir=$lab_run/nebula
	mkdir -m 700 "$dir"
	nebula-cert ca -name bench -out-crt "$dir/ca.crt" -out-key "$dir/ca.key"
	for n in 1 2; do
		far=$((3 - n))
		nebula-cert sign -ca-crt "$dir/ca.crt" -ca-key "$dir/ca.key" -name "gw$n" \
			-ip "192.168.100.$n/24" -subnets "10.$n.0.0/24" -out-crt "$dir/$n.crt" \
			-out-key "$dir/$n.key"
		cat >"$dir/$n.yml" <<-CONFIG
			pki: {ca: $dir/ca.crt, cert: $dir/$n.crt, key: $dir/$n.key}
			static_host_map: {"192.168.100.$far": ["198.18.$far.2:4242"]}
			lighthouse: {am_lighthouse: false}
			listen: {host: 0.0.0.0, port: 4242}
			tun:
			  dev: nebula
			  unsafe_routes: [{route: 10.$far.0.0/24, via: 192.168.100.$far, metric: 999}]
			firewall:
			  outbound: [{port: any, proto: any, host: any}]
			  inbound: [{port: any, proto: any, host: any}]
		CONFIG
		other_daemon nebula "$n" nebula -config "$dir/$n.yml"
	done
}

openvpn_up()
{
	local n far dir=$lab_run/openvpn role
	mkdir -m 700 "$dir"
	for n in 1 2; do
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
			-subj "/CN=gw$n" -keyout "$dir/$n.key" -out "$dir/$n.crt" 2>/dev/null
		openssl x509 -in "$dir/$n.crt" -noout -fingerprint -sha256 | cut -d= -f2 >"$dir/$n.print"
	done
	for n in 1 2; do
		far=$((3 - n)) role="--tls-client"
		[ "$n" = 1 ] || role="--tls-server --dh none"
		# shellcheck disable=SC2086
		other_daemon openvpn "$n" openvpn --dev openvpn --dev-type tun --proto udp --port 1194 \
			--remote "198.18.$far.2" --ifconfig "10.201.0.$n" "10.201.0.$far" $role \
			--cert "$dir/$n.crt" --key "$dir/$n.key" \
			--peer-fingerprint "$(cat "$dir/$far.print")"
	done
}

# Sends what is for the other site into a product's interface; kernel: unsealed to the WAN.
other_use()
{
	local n device=$1
	[ "$1" != wireguard-go ] || device=$WIRE_ID
	for n in 1 2; do
		case $1 in
		kernel) other "gw$n" ip route replace "10.$((3 - n)).0.0/24" via "198.18.$n.1" ;;
		wireguard-go) other "gw$n" ip route replace "10.$((3 - n)).0.0/24" dev "$device-$n" ;;
		*) other "gw$n" ip route replace "10.$((3 - n)).0.0/24" dev "$device" ;;
		esac
	done
}

# The hosts hand the kernel whole packets only when nothing is sealed: what a packet costs it.
other_offloads()
{
	local n feature
	for n in 1 2; do
		for feature in tx tso gso gro; do
			other "host$n" ethtool -K eth0 "$feature" "$1" >/dev/null 2>&1 || true
		done
	done
}

other_works()
{
	other_use "$1" && other host1 ping -c1 -W1 10.2.0.10
}

others_up()
{
	local p command
	other_network
	for p in $tunnels; do
		command=$p
		[ "$p" != wireguard-go ] || command=wg
		if ! command -v "$p" "$command" >/dev/null; then
			echo "skip $p it is not installed: drivers-config/install-deps --bench"
			continue
		fi
		"${p//-/_}_up"
		lab_wait 20 "a packet through $p" other_works "$p"
		echo "$p"
	done
}

# ------------------------------------------------------- lanemesh's ports ---

# KIND DEVICE-NUMBER INTERFACE
port_device()
{
	case $1 in
	af_packet) echo "net_af_packet$2,iface=$3" ;;
	af_packet-512) echo "net_af_packet$2,iface=$3,framecnt=512" ;;
	af_xdp) echo "net_af_xdp$2,iface=$3" ;;
	esac
}

port()
{
	local kind=$1 n
	for n in 1 2; do
		lab_stop "gw$n"
		lab_gateway_config "$n" |
			sed "s/net_af_packet0,iface=lan-dev/$(port_device "$kind" 0 lan-dev)/
				s/net_af_packet1,iface=wan-dev/$(port_device "$kind" 1 wan-dev)/" \
				>"$lab_run/gw$n.conf"
		lab_start_gateway "$n"
	done
	for n in 1 2; do
		lab_wait 20 "session of gw$n" lab_has_peers "$n" 1
	done
	lab_wait 10 "a packet through lanemesh" lab_ping host1 10.2.0.10
}

# ------------------------------------------------------------------- main ---

up()
{
	chmod 755 "$lab_run"
	lab_keys
	lab_network
	lab_start
	lab_wait 10 "a packet through lanemesh" lab_ping host1 10.2.0.10
	echo lanemesh
	others_up
	echo kernel
}

# One flow between two name spaces.
flow()
{
	local from=$1 to=$2 seconds=$3
	ip netns exec "$to" iperf3 -s -1 -D -I "$lab_run/iperf3.pid" --logfile /dev/null
	lab_wait 5 "iperf3 server" ip netns exec "$to" sh -c 'ss -ltn | grep -q :5201'
	ip netns exec "$from" iperf3 -c 10.2.0.10 -t "$seconds" -O 0.2 -J
}

tcp()
{
	if [ "$1" = lanemesh ]; then
		flow "${lab_ns}host1" "${lab_ns}host2" "$2"
		return
	fi
	other_use "$1"
	[ "$1" != kernel ] || other_offloads off
	flow "${lab_ns}o-host1" "${lab_ns}o-host2" "$2"
	[ "$1" != kernel ] || other_offloads on
}

down()
{
	local p n ns pid
	for p in $tunnels; do
		for n in 1 2; do
			pid=$(cat "$lab_run/$p$n.pid" 2>/dev/null) || continue
			if grep -qs "${p:0:9}" "/proc/$pid/comm"; then
				kill "$pid" 2>/dev/null || true
			fi
		done
	done
	for ns in host1 gw1 wan gw2 host2; do
		ns=${lab_ns}o-$ns
		[ -e "/run/netns/$ns" ] || continue
		ip netns pids "$ns" | xargs -r kill -9 2>/dev/null || true
		ip netns del "$ns"
	done
	lab_clean
}

case ${1:-} in
up | down | port | tcp) "$@" ;;
*)
	echo "usage: wire.sh up | port KIND | tcp PRODUCT SECONDS | down" >&2
	exit 2
	;;
esac
