#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A LAN port without a link: its networks are not announced, and are again once the link is back.
# The kernel sees the link on the twin.
. "$(dirname "$0")/lib.sh"
up
pings host2 10.1.0.10

knows()
{
	[ "$(ask 2 routes "len([x for x in r if x['prefix'] in ('10.1.0.0/24', 'fd00:1::/64')])")" = "$1" ]
}
carrier()
{
	[ "$(lab_in gw1 cat /sys/class/net/lan0/carrier 2>/dev/null)" = "$1" ]
}
knows 2 || fail "gw2 does not have gw1's networks: $(ask 2 routes)"
for how in "host1 eth0" "gw1 lan0"; do
	# The cable, then the interface itself
	read -r ns dev <<<"$how"
	lab_in "$ns" ip link set "$dev" down
	wait_for 5 "gw1's networks are withdrawn ($how)" knows 0
	is "$(ask 1 status "r['prefixes']")" = "[]" "what gw1 announces"
	[ "$ns" = gw1 ] || wait_for 2 "no carrier on gw1's lan0" carrier 0
	# The site itself is still there.
	wait_for 5 "gw1's overlay address answers" lab_in gw2 ping -c1 -W1 10.255.0.1
	lab_in "$ns" ip link set "$dev" up
	if [ "$ns" = host1 ]; then
		lab_in host1 ip addr replace fd00:1::10/64 dev eth0 nodad
		lab_in host1 ip route replace default via 10.1.0.1
	fi
	wait_for 5 "gw1's networks are back ($how)" knows 2
	wait_for 5 "host1 answers ($how)" lab_ping host2 10.1.0.10
done
is "$(counter 1 sessions_down)" = 0 "gw1 sessions_down"

# The same when the gateway starts without a link: never announced, until it is there.
lab_stop gw1
lab_in host1 ip link set eth0 down
lab_start_gateway 1
wait_for 20 "gw1 is up again" has_peers 1 1
is "$(ask 1 status "r['prefixes']")" = "[]" "what gw1 announces without a link from its start"
carrier 0 || fail "gw1's lan0 has a carrier without a link"
wait_for 5 "gw2 does not have gw1's networks" knows 0
lab_in host1 ip link set eth0 up
wait_for 5 "gw1's networks are announced" knows 2

# Another machine in the gateway's place: hosts that know the old one's MAC learn the new one's
# without asking.
lab_in host1 ip addr replace fd00:1::10/64 dev eth0 nodad
lab_in host1 ip route replace default via 10.1.0.1
lab_stop gw1
for a in 10.1.0.1 fd00:1::1; do
	lab_in host1 ip neigh replace "$a" lladdr 02:00:00:00:00:99 dev eth0 nud stale
done
lab_start_gateway 1
wait_for 20 "gw1 is up in its place" has_peers 1 1
mac=$(lab_in gw1 cat /sys/class/net/lan0/address)
knows_mac()
{
	lab_in host1 ip neigh show "$1" dev eth0 | grep -q "lladdr $mac"
}
for a in 10.1.0.1 fd00:1::1; do
	wait_for 10 "host1 knows gw1's new MAC for $a" knows_mac "$a"
done

# A kernel without IPv6 carries IPv4.
lab_stop gw1
lab_in gw1 sysctl -qw net.ipv6.conf.all.disable_ipv6=1
lab_start_gateway 1
wait_for 20 "gw1 is up without IPv6" has_peers 1 1
wait_for 10 "host1 answers" lab_ping host2 10.1.0.10
grep -q "left out, since IPv6 is switched off" "$lab_run"/gw1.log || fail "no warning in gw1's log"
