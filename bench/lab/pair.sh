#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# pair.sh up | down: two gateways joined by memif, each LAN port a memif too, for a tester to be
# joined to. For bench/report/pair.py, which sets PAIR_RUN (a new folder below /run), PAIR_ID (a
# prefix of names) and PAIR_BUILD (the built programs).
#
#   tester 10.1.0.10 - gw1 10.1.0.1, 198.18.0.1 --- 198.18.0.2, 10.2.0.1 gw2 - 10.2.0.10 tester
#
# The coordinator runs on gw2's machine; the gateways know each other from it alone.
set -euo pipefail

lab_top=$(cd "$(dirname "$0")/../.." && pwd)
lab_run=${PAIR_RUN:?}
lab_build=${PAIR_BUILD:?}
lab_ns=$PAIR_ID-
lab_inst=$PAIR_ID
lab_sites="1 2"
# shellcheck source=app/lab.sh
. "$lab_top/app/lab.sh"

# The client joins the server, which must be there first.
lab_gateway_config()
{
	local n=$1 role=client
	[ "$n" = 1 ] || role=server
	cat <<CONFIG
mesh = "$lab_mesh";
identity = "$lab_run/keys/gw$n.key";
certificate = "$lab_run/keys/gw$n.crt";
authorities = [ "$(cat "$lab_run/keys/authority.pub")" ];
state_dir = "$lab_run/gw$n";
coordinators = ( { address = "198.18.0.2:4600"; key = "$(cat "$lab_run/keys/coord.pub")"; } );
ports = (
  { name = "lan0"; role = "lan"; mac = "02:00:00:00:0$n:01"; addresses = [ "10.$n.0.1/24" ];
    device = "net_memif0,role=server,id=0,socket=$lab_run/lan$n.sock,socket-abstract=no"; },
  { name = "wan0"; role = "wan"; mac = "02:00:00:00:0$n:02"; addresses = [ "198.18.0.$n/24" ];
    accept_tcp = [ 4600 ]; accept_udp = [ 4600 ];
    device = "net_memif1,role=$role,id=0,socket=$lab_run/wan.sock,socket-abstract=no"; }
);
CONFIG
}

up()
{
	local n
	chmod 755 "$lab_run"
	lab_keys
	for n in 1 2; do
		ip netns add "${lab_ns}gw$n"
		lab_in "gw$n" ip link set lo up
		# No link-local addresses: nothing but the tester's packets shall be counted.
		lab_in "gw$n" sysctl -qw net.ipv6.conf.default.addr_gen_mode=1
	done
	mkdir -p "$lab_run/coord"
	lab_coord_config | sed 's/^listen = .*/listen = [ "0.0.0.0:4600" ];/' >"$lab_run/coord.conf"
	chown -R nobody:nogroup "$lab_run/coord" "$lab_run/keys/coord.key"
	# shellcheck disable=SC2046
	lab_daemon coord ip netns exec "${lab_ns}gw2" $(lab_unprivileged) \
		"$lab_build/app/lanemesh-coord" -i "${lab_inst}coord" -c "$lab_run/coord.conf"
	lab_start_gateway 2
	lab_wait 10 "gw2's memif" test -S "$lab_run/wan.sock"
	lab_start_gateway 1
	for n in 1 2; do
		lab_wait 30 "session of gw$n" lab_has_peers "$n" 1
	done
}

case ${1:-} in
up) up ;;
down) lab_clean ;;
*)
	echo "usage: pair.sh up | down" >&2
	exit 2
	;;
esac
