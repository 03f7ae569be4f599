# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# For the scripts of this folder, which source it first. Each is one behaviour of a
# running mesh: exit status 0 = passed, 77 = skipped (the reason is printed),
# anything else = failed (what was expected is printed, and the ends of the logs).
#
# A script works in namespaces, instances and a folder of its own, so several can
# run at once, and all of it is gone at the end. LM_BUILD names the build folder.
#
# A machine may stand still for a second, and be slow. So scripts wait for what is to
# happen, and how long it took is a figure: printed, and judged only under LM_LONG=1,
# when the machine is known to be quiet.
set -euo pipefail

[ "$(id -u)" = 0 ] || { echo "needs root for network namespaces"; exit 77; }

e2e_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
lab_top=$(cd "$e2e_dir/../.." && pwd)
lab_build=${LM_BUILD:-$lab_top/build}
# Not the process number alone: two scripts in namespaces of their own may have the same, and
# huge pages are the machine's.
lab_ns=lmt$$x$((RANDOM % 10000))-
lab_inst=$lab_ns
lab_sites=${lab_sites:-1 2}
lab_patience=60
# /run, since the coordinator, which is not root, must get there.
lab_run=$(mktemp -d /run/lanemesh-e2e.XXXXXX)
chmod 755 "$lab_run"
# shellcheck source=app/lab.sh
. "$lab_top/app/lab.sh"
export PYTHONPATH=$e2e_dir PYTHONDONTWRITEBYTECODE=1

[ -x "$lab_build/app/lanemeshd" ] || { echo "no lanemeshd in $lab_build"; exit 77; }

e2e_end()
{
	local status=$? log
	trap '' INT TERM PIPE
	set +e
	if [ $status != 0 ] && [ $status != 77 ]; then
		for log in "$lab_run"/*.log; do
			[ -s "$log" ] || continue
			echo "--- ${log##*/}"
			tail -n "${LM_E2E_LOG_LINES:-12}" "$log"
		done >&2
		for n in $lab_sites; do
			lab_running "gw$n" && { echo "--- gw$n drops"; lab_cli "$n" drops; } >&2
		done
		if [ -n "${LM_E2E_KEEP:-}" ]; then
			cp -r "$lab_run" "$LM_E2E_KEEP/${0##*/}.$$"
		fi
	fi
	lab_clean
	exit $status
}
trap e2e_end EXIT
trap 'exit 130' INT TERM

say()
{
	printf '  %s\n' "$*"
}

skip()
{
	echo "$*"
	exit 77
}

# Every command that the script cannot do without.
need()
{
	local c
	for c in "$@"; do
		command -v "$c" >/dev/null || skip "no $c"
	done
}

fail()
{
	local frame=0
	while [ "${BASH_SOURCE[$frame + 1]##*/}" = lib.sh ]; do frame=$((frame + 1)); done
	echo "${BASH_SOURCE[$frame + 1]##*/}:${BASH_LINENO[$frame]}: $*" >&2
	exit 1
}

# is ACTUAL OPERATOR WANTED WHAT: a comparison of numbers, or with = of texts
is()
{
	test "$1" "$2" "$3" || fail "$4: is '$1', expected $2 '$3'"
}

# The same of something that a slow machine makes worse: printed, judged under LM_LONG=1
figure()
{
	if [ -n "${LM_LONG:-}" ]; then
		is "$@"
	fi
	say "$4: $1 (to be $2 $3)"
}

# Packets that both gateways dropped as a LAN's host did not answer ARP or ND, whose answers pass
# through a daemon that may have stood still with the machine.
unresolved()
{
	echo $(($(counter 1 neighbour_unresolved) + $(counter 2 neighbour_unresolved)))
}

# Bounded wait: seconds, what for, command... No shorter than what a busy machine needs.
wait_for()
{
	local limit=$1 what=$2 end
	shift 2
	[ -n "${LM_LONG:-}" ] || [ "$limit" -ge 15 ] || limit=15
	end=$((SECONDS + limit))
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || fail "$what: not within $limit s"
		sleep 0.05
	done
}

# Milliseconds since some time in the past.
now_ms()
{
	local t
	read -r t _ </proc/uptime
	echo $((10#${t/./} * 10))
}

# The whole laboratory: keys, network, processes, all sessions.
up()
{
	lab_keys
	lab_network
	lab_start
}

# N: site N, not started yet, gets another uplink: 198.19.N.2 on port wan1
second_wan()
{
	local n=$1
	lab_veth "other$n" wan wan1-dev "gw$n"
	lab_in wan ip addr add "198.19.$n.1/24" dev "other$n"
	lab_in wan "$lab_top/drivers-config/prepare-af-packet" --peer "other$n"
	lab_in "gw$n" "$lab_top/drivers-config/prepare-af-packet" wan1-dev
	[ -f "$lab_run/gw$n.conf" ] || lab_gateway_config "$n" >"$lab_run/gw$n.conf"
	sed -i '/^);$/i\
  , { name = "wan1"; role = "wan"; device = "net_af_packet2,iface=wan1-dev"; addresses = [ "198.19.'"$n"'.2/24" ]; gateways = [ "198.19.'"$n"'.1" ]; }' "$lab_run/gw$n.conf"
}

# ------------------------------------------------------------ gateways ---

# N COMMAND [ARGUMENT] [EXPRESSION]: what gateway N answers on its control socket, or a
# Python expression of it, where r is the answer.
ask()
{
	/usr/bin/python3 "$e2e_dir/ask.py" "${lab_inst}gw$1" "${@:2}"
}

# N NAME: a counter of gateway N
counter()
{
	ask "$1" counter "$2"
}

at_least()
{
	[ "$(counter "$1" "$2")" -ge "$3" ]
}

# N NAME VALUE: the counter reaches the value soon, and does not pass it
counts_to()
{
	wait_for 5 "gw$1 $2 = $3 (is $(counter "$1" "$2"))" at_least "$1" "$2" "$3"
	is "$(counter "$1" "$2")" = "$3" "gw$1 $2"
}

# N: connected peers
peers_up()
{
	ask "$1" status "r['peers_up']"
}

has_peers()
{
	[ "$(peers_up "$1")" = "$2" ]
}

# N PEER COUNT: so many paths answer
paths_alive()
{
	[ "$(ask "$1" why "$2" "len([p for p in r['paths'] if p['state'] == 'alive'])")" = "$3" ]
}

# NAME: that counter of all gateways
in_all()
{
	local n sum=0
	for n in $lab_sites; do sum=$((sum + $(counter "$n" "$1"))); done
	echo $sum
}

# N TEXT: gateway N has logged it
logged()
{
	grep -qF -- "$2" "$lab_run/gw$1.log"
}

gw_pid()
{
	cat "$lab_run/gw$1.pid"
}

gw_mac()
{
	ask "$1" ports "[p['mac'] for p in r if p['name'] == '$2'][0]"
}

# N: SPIs and keys, one a line, sorted
keys_of()
{
	ask "$1" sa-keys "'\n'.join(sorted(f\"{k['spi']} {k['key']}{k['salt']}\" for k in r))"
}

# Path of libfaketime, or nothing
e2e_faketime()
{
	local f
	for f in /usr/lib/*/faketime/libfaketime.so.1; do
		[ ! -e "$f" ] || echo "$f"
	done
}

# ------------------------------------------------------------- traffic ---

# NAMESPACE ADDRESS [ping options]: three pings, all answered
pings()
{
	local ns=$1 to=$2 out
	shift 2
	out=$(lab_in "$ns" ping -c3 -i0.05 -W2 "$@" "$to") || fail "ping from $ns to $to: $out"
}

# NAME NAMESPACE INTERFACE [FILTER]: captures to $lab_run/NAME.pcap
capture()
{
	local name=$1 ns=$2 dev=$3
	shift 3
	lab_in "$ns" tcpdump -Z root -U --immediate-mode -B 8192 -ni "$dev" \
		-w "$lab_run/$name.pcap" "$@" 2>"$lab_run/$name.tcpdump" &
	echo $! >"$lab_run/$name.tcpdump.pid"
	disown
	wait_for 5 "capture $name" grep -q 'listening on' "$lab_run/$name.tcpdump"
}

# NAME: ends the capture; what was seen until now is in the file
capture_end()
{
	local pid
	pid=$(cat "$lab_run/$1.tcpdump.pid")
	kill "$pid" 2>/dev/null || true
	wait_for 5 "end of capture $1" sh -c "! kill -0 $pid"
}

# NAME [FILTER]: how many packets of the capture match
captured()
{
	local name=$1
	shift
	tcpdump -nr "$lab_run/$name.pcap" "$@" 2>/dev/null | wc -l
}

# NAME FILTER COUNT: so many, soon
captures()
{
	wait_for 5 "$3 packets '$2' in capture $1 (are $(captured "$1" "$2"))" \
		e2e_captured "$@"
}

e2e_captured()
{
	[ "$(captured "$1" "$2")" -ge "$3" ]
}

# NAMESPACE [VARIABLE=VALUE...]: runs the Python program on standard input there
py()
{
	local ns=$1
	shift
	lab_in "$ns" env "$@" /usr/bin/python3 -
}

# FROM TO ADDRESS [iperf3 options]: Mbit/s received
iperf()
{
	local from=$1 to=$2 address=$3
	shift 3
	lab_in "$to" iperf3 -s -1 >/dev/null 2>&1 &
	disown
	wait_for 5 "iperf3 server in $to" sh -c "ip netns exec $lab_ns$to ss -ltnH | grep -q :5201"
	lab_in "$from" timeout 60 iperf3 -c "$address" -J "$@" >"$lab_run/iperf.json" ||
		fail "iperf3 from $from to $address: $(grep '"error"' "$lab_run/iperf.json")"
	/usr/bin/python3 -c 'import json, sys
e = json.load(open(sys.argv[1]))["end"]
r = e.get("sum_received", e.get("sum"))
print(round(r["bits_per_second"] * (100 - r.get("lost_percent", 0)) / 1e8))' "$lab_run/iperf.json"
}

# stream NAME FROM TO ADDRESS PPS SECONDS [FLOWS]: numbered packets in the background.
# streamed NAME: waits for the end of it; the result is in $lab_run/NAME.stream as JSON.
# stream_end NAME: ends it before its time.
stream()
{
	local name=$1 from=$2 to=$3 address=$4 pps=$5 seconds=$6 flows=${7:-1}
	local tool=$e2e_dir/stream.py out=$lab_run/$name.stream
	lab_in "$to" timeout $((seconds + 60)) /usr/bin/python3 "$tool" recv "$address" >"$out" &
	echo $! >"$out.pid"
	wait_for 5 "receiver of stream $name" \
		sh -c "ip netns exec $lab_ns$to ss -lunH | grep -qF '${address}'"
	lab_in "$from" timeout $((seconds + 60)) /usr/bin/python3 "$tool" \
		send "$address" "$pps" "$seconds" "$flows" "$out.stop" &
	echo $! >>"$out.pid"
}

stream_end()
{
	touch "$lab_run/$1.stream.stop"
	streamed "$1"
}

streamed()
{
	local out=$lab_run/$1.stream pid
	while read -r pid; do
		wait "$pid" || fail "stream $1 has not ended well"
	done <"$out.pid"
	say "$1: $(cat "$out")"
}

# N COUNT: so many more packets come in through gateway N's tunnels
flows()
{
	local opened
	opened=$(counter "$1" opened_packets)
	wait_for 20 "$2 packets for gw$1" at_least "$1" opened_packets $((opened + $2))
}

# NAME KEY
result()
{
	lab_number "$2" <"$lab_run/$1.stream"
}

# N PEER: waits until gateway N has a single session with it, since sa_of gives the newest, which
# need not be the one that stays: handshakes of both sides may have crossed.
one_session()
{
	wait_for 30 "a single session of gw$1 with $2" e2e_one_session "$1" "$2"
}

e2e_one_session()
{
	[ "$(ask "$1" sa-keys "len([k for k in r if k['peer'] == '$2' and k['direction'] == 'in' and k['lane'] == 0])")" = 1 ]
}

# N PEER in|out: "SPI KEYSALT" of the newest such SA's first lane
sa_of()
{
	ask "$1" sa-keys "[f\"{k['spi']} {k['key']}{k['salt']}\" for k in r if k['peer'] == '$2' and k['direction'] == '$3' and k['lane'] == 0][-1]"
}
