#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
# The WAN of a gateway changes under traffic: another address, as a DHCP client sets it; the
# interface down and up; its link going ten times a minute (FAULTS row 24). Traffic goes on by the
# same session, and with no more than a handshake for each time. LM_LONG=1: for a minute.
. "$(dirname "$0")/lib.sh"
# Every handshake counts below: none is due for its age, however slow the machine.
lab_rekey=900
flaps=2 apart=1
[ -z "${LM_LONG:-}" ] || flaps=10 apart=3
up
pings host1 10.2.0.10

# NAME COMMAND...: runs it under traffic both ways, which goes on afterwards; prints the longest gap
under_traffic()
{
	local name=$1 n
	shift
	stream "$name-there" host1 host2 10.2.0.10 500 90
	stream "$name-back" host2 host1 10.1.0.10 500 90
	flows 1 500
	flows 2 500
	"$@"
	for n in 1 2; do
		flows $n 500
	done
	stream_end "$name-there"
	stream_end "$name-back"
}
endpoint()
{
	ask 2 peers "r[0]['endpoint']"
}
endpoint_is()
{
	[ "$(endpoint)" = "$1:4500" ]
}
same_session()
{
	is "$(in_all handshakes_started)" = "$1" "handshakes in all"
	is "$(in_all sessions_down)" = 0 "sessions_down"
}

# ------------------------------------------------------- another address ---

handshakes=$(in_all handshakes_started)
lab_in gw1 sysctl -qw net.ipv4.conf.wan0.promote_secondaries=1 # as systemd has it
new_address()
{
	lab_in gw1 ip addr add "198.18.1.$1/24" dev wan0
	lab_in gw1 ip addr del "198.18.1.$2/24" dev wan0
	lab_in gw1 ip route replace default via 198.18.1.1 dev wan0
	wait_for 20 "gw2 sends to gw1's new address" endpoint_is "198.18.1.$1"
}
under_traffic address new_address 22 2
for way in there back; do
	figure "$(result address-$way gap_ms)" -le 1000 "ms without traffic $way after a change of address"
done
same_session "$handshakes"

# As it is when the old lease has ended first: for a moment there is no address.
no_address()
{
	lab_in gw1 ip addr del 198.18.1.22/24 dev wan0
	sleep 0.5
	lab_in gw1 ip addr add 198.18.1.33/24 dev wan0
	lab_in gw1 ip route replace default via 198.18.1.1 dev wan0
	wait_for 20 "gw2 sends to gw1's newest address" endpoint_is 198.18.1.33
}
under_traffic lease no_address
for way in there back; do
	figure "$(result lease-$way gap_ms)" -le 1500 "ms without traffic $way when for 500 ms there was no address"
done
same_session "$handshakes"

# ------------------------------------------------ interface down and up ---

bounce()
{
	lab_in gw1 ip link set wan0 down
	sleep 1
	lab_in gw1 ip link set wan0 up
	lab_in gw1 ip route replace default via 198.18.1.1 dev wan0
}
under_traffic interface bounce
for way in there back; do
	figure "$(result interface-$way gap_ms)" -le 2000 "ms without traffic $way when the interface was down for 1 s"
done
same_session "$handshakes"

# ------------------------------------------------------------- the link ---

# Down 3 s, up 3 s, ten times a minute; how long packets stay away after it is up.
: >"$lab_run/recovery"
flap()
{
	local i began before
	for ((i = 0; i < flaps; i++)); do
		lab_in wan ip link set site1 down
		sleep 3
		before=$(counter 2 opened_packets)
		lab_in wan ip link set site1 up
		began=$(now_ms)
		wait_for 20 "traffic after link down and up, $i" at_least 2 opened_packets $((before + 1))
		echo $(($(now_ms) - began)) >>"$lab_run/recovery"
		sleep $apart
	done
}
under_traffic flap flap
figure "$(sort -n "$lab_run/recovery" | tail -n 1)" -le 2000 "ms, the longest from link up to traffic, of $flaps"
is "$(in_all handshakes_started)" -le $((handshakes + flaps)) "handshakes in all, $handshakes before $flaps flaps"
is "$(in_all sessions_down)" = 0 "sessions_down"
