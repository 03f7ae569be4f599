#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Real NATs of the kernel between the gateways: none, port-preserving, random ports (symmetric),
# two levels (CGNAT), two sites behind one NAT, no UDP but over IPv6, IPv6 behind stateful
# firewalls. Every pair is connected, through a relay if need be: its first packet passes within
# 2 s of both gateways being up; a pair that has a direct way (RFC 5128) takes it within 5 s. A
# foreign STUN server (coturn) and the coordinator together say what kind of NAT it is. The two bars
# hold under LM_LONG=1.
#
#   gwN 198.18.N.2 - .1 natN 198.19.N.2 - .1 wan        natN: public, masquerade, or as the round says
#   site 4: natN 198.20.4.2 - .1 cgn 198.19.4.2 - .1 wan
# alone
lab_sites="1 2 3 4"
. "$(dirname "$0")/lib.sh"
need nft turnserver stdbuf

lab_namespaces()
{
	local n
	printf '%s\n' "${lab_ns}wan" "${lab_ns}coord" "${lab_ns}cgn"
	for n in $lab_sites; do
		printf '%s\n' "${lab_ns}host$n" "${lab_ns}gw$n" "${lab_ns}nat$n"
	done
}

# inner end's namespace and device, outer end's, network's second number
link()
{
	lab_veth "$2" "$1" "$4" "$3"
	lab_in "$1" ip addr add "198.$5.2/24" dev "$2"
	lab_in "$3" ip addr add "198.$5.1/24" dev "$4"
	lab_in "$1" ip addr add "2001:db8:${5/./:}::2/64" dev "$2" nodad
	lab_in "$3" ip addr add "2001:db8:${5/./:}::1/64" dev "$4" nodad
}

# The outer of the lab's own site becomes a NAT's inside.
nat_site()
{
	local n=$1
	lab_in wan ip link set "site$n" netns "${lab_ns}nat$n"
	lab_in "nat$n" ip link set "site$n" name in up
	lab_in "nat$n" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	lab_in "nat$n" ip addr add "198.18.$n.1/24" dev in
	lab_in "nat$n" ip addr add "2001:db8:$n::1/64" dev in nodad
	if [ "$n" = 4 ]; then
		link cgn out wan "nat4" 19.4
		lab_in cgn sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
		link nat4 out cgn in 20.4
		lab_in cgn ip route add default via 198.19.4.1
		lab_in cgn ip route add default via 2001:db8:19:4::1
		lab_in cgn ip route add 2001:db8:4::/64 via 2001:db8:20:4::2
		lab_in "nat4" ip route add default via 198.20.4.1
		lab_in "nat4" ip route add default via 2001:db8:20:4::1
		masquerade cgn ""
	else
		link "nat$n" out wan "nat$n" "19.$n"
		lab_in "nat$n" ip route add default via "198.19.$n.1"
		lab_in "nat$n" ip route add default via "2001:db8:19:$n::1"
	fi
	lab_in wan ip route add "2001:db8:$n::/64" via "2001:db8:19:$n::2"
}

# NAMESPACE HOW: what leaves by "out" has another source
masquerade()
{
	lab_in "$1" nft -f - <<-NFT
		table ip nat
		delete table ip nat
		table ip nat {
			chain post {
				type nat hook postrouting priority srcnat;
				oifname "out" masquerade $2
			}
			chain forward {
				type filter hook forward priority filter;
				iifname "out" ct state new drop
			}
			# As routers have it. Without it the kernel remembers a stranger's packet to the
			# router itself as a flow, and gives ours to him another port.
			chain input {
				type filter hook input priority filter;
				iifname "out" ct state new drop
			}
		}
	NFT
}

# N KIND
nat_kind()
{
	local n=$1 ns=nat$1
	lab_in "$ns" nft flush ruleset
	lab_in wan ip route del "198.18.$n.0/24" 2>/dev/null || true
	case $2 in
	public)
		lab_in wan ip route add "198.18.$n.0/24" via "198.19.$n.2"
		[ "$n" != 4 ] || lab_in cgn nft flush ruleset
		;;
	masquerade) masquerade "$ns" "" ;;
	cgnat)
		masquerade "$ns" ""
		masquerade cgn ""
		;;
	symmetric) masquerade "$ns" fully-random ;;
	blocked)
		masquerade "$ns" ""
		lab_in "$ns" nft add rule ip nat forward iifname in ip daddr != 198.18.4.2 udp dport 1-65535 drop
		;;
	behind1) ;; # by its route
	firewall)
		lab_in "$ns" nft -f - <<-NFT
			table ip6 fw {
				chain forward {
					type filter hook forward priority filter;
					iifname "out" ip6 nexthdr udp ct state new drop
				}
			}
		NFT
		;;
	esac
	# Site 2's router leaves by site 1's, or by itself.
	if [ "$2" = behind1 ]; then
		lab_in nat2 ip route replace default via 198.21.2.1
		lab_in nat1 ip route add 198.18.2.0/24 via 198.21.2.2
	elif [ "$n" = 2 ]; then
		lab_in nat2 ip route replace default via 198.19.2.1
		lab_in nat1 ip route del 198.18.2.0/24 2>/dev/null || true
	fi
}

lab_keys
for n in 1 4; do # a relay that both others reach is there in each round
	lab_sign $n --role relay
done
lab_network
for n in $lab_sites; do
	nat_site $n
done
link nat2 near nat1 near2 21.2
lab_in cgn ip route add 198.18.4.0/24 via 198.20.4.2
# The foreign STUN server, beside the coordinator: another address, as RFC 5780 needs.
lab_in coord ip addr add 198.18.100.11/24 dev eth0
lab_in coord ip addr add 2001:db8:100::11/64 dev eth0 nodad
lab_start_coord
lab_in coord turnserver -n -S -L 198.18.100.11 -L 2001:db8:100::11 -p 3478 --no-cli --no-tls \
	--no-dtls --no-tcp --log-file stdout --simple-log --pidfile "$lab_run/turn.pid" \
	--db "$lab_run/turn.db" >"$lab_run/turn.log" 2>&1 &
disown

# NAME UDP-PORT UNDERLAY "KIND OF 1, 2, 3, 4" "A B WANT"...
round()
{
	local name=$1 port=$2 underlay=$3 kinds=$4 n=0 kind
	shift 4
	for kind in $kinds; do
		n=$((n + 1))
		lab_stop gw$n
		nat_kind $n "$kind"
		# Another port in each round: the kernel remembers the old flows.
		lab_underlay=$underlay lab_extra='stun_servers = [ "198.18.100.11", "[2001:db8:100::11]" ]; relay = { enabled = true; };' \
			lab_gateway_config $n | sed "s/role = \"wan\";/& udp_port = $port;/" >"$lab_run/gw$n.conf"
	done
	printf '%s\n' "$@" | PYTHONPATH=$e2e_dir /usr/bin/python3 "$e2e_dir/natwatch.py" 90 "$lab_ns" \
		"$lab_inst" "4" $lab_sites >"$lab_run/$name.matrix" &
	local watch=$!
	for n in $lab_sites; do
		lab_start_gateway $n
	done
	wait $watch || fail "natwatch"
	say "$name: $kinds"
	sed 's/^/    /' "$lab_run/$name.matrix"
}

matrix()
{
	round "$@"
	/usr/bin/python3 - "$lab_run/$1.matrix" "${LM_LONG:+hard}" <<'PY' || fail "$1: not every pair is connected as it can be"
import json, sys
first, direct = (2000, 5000) if sys.argv[2] == "hard" else (30000, 30000)
bad = [r for r in map(json.loads, open(sys.argv[1]))
       if r["first_ms"] is None or r["first_ms"] > first
       or r["want"] == "direct" and (r["direct_ms"] is None or r["direct_ms"] > direct)
       or r["want"] == "relay" and r["direct_ms"] is not None]
for r in bad:
    print("misses the bar:", r)
sys.exit(bool(bad))
PY
}

# N FAMILY KIND: the NAT that gateway N sees
mapping()
{
	wait_for 20 "gw$1 finds that mapping over IPv$2 is: $3" mapping_is "$@"
}
mapping_is()
{
	[ "$(ask "$1" netcheck "[w['mapping'] for w in r['ports'] if w['family'] == $2][0]")" = "$3" ]
}

matrix kinds 4600 4 "public masquerade symmetric cgnat" \
	"1 2 direct" "1 3 direct" "1 4 direct" "2 3 relay" "2 4 direct" "3 4 relay"
mapping 1 4 "no NAT"
mapping 2 4 "endpoint-independent"       # at the port-preserving NAT
mapping 3 4 "address- or port-dependent" # at the symmetric one
mapping 4 4 "endpoint-independent"       # at the CGNAT
is "$(ask 2 netcheck "r['ports'][0]['outside']")" = 198.19.2.2:4600 "gw2 seen from outside at"
answered()
{
	[ "$(ask 2 netcheck "sorted(s['state'] for s in r['servers'])")" = "['answered', 'answered']" ]
}
wait_for 10 "coordinator and coturn answer gw2" answered
lab_cli 2 netcheck >"$lab_run/netcheck"
grep -q '^UDP  *works$' "$lab_run/netcheck" || fail "netcheck: $(cat "$lab_run/netcheck")"
lab_cli 3 netcheck >"$lab_run/netcheck"
grep -q 'wan0 .* address- or port-dependent$' "$lab_run/netcheck" ||
	fail "netcheck at the symmetric NAT: $(cat "$lab_run/netcheck")"

# why: in words
says()
{
	lab_cli "$1" why "$2" >"$lab_run/why" && grep -qF -- "$3" "$lab_run/why"
}
why()
{
	wait_for 20 "gw$1 why $2 says '$3'" says "$@"
	[ "$(wc -L <"$lab_run/why")" -le 100 ] || fail "gw$1 why $2 is too wide: $(cat "$lab_run/why")"
}
why 2 gw1 "gw1 is up, path: host"
why 2 gw1 "- traffic goes direct, to an address of its own"
why 2 gw1 "- wan0, IPv4, on our side: endpoint-independent mapping"
why 1 gw2 "- traffic goes direct, through the NAT before it, to the address that a STUN server saw"
why 1 gw2 "- gw2 is behind a NAT: it announces an address that a STUN server saw"
why 1 gw3 "- gw3 comes from an address that it did not announce: the NAT on its side maps by destination"
why 3 gw2 "- wan0, IPv4, on our side: address- or port-dependent mapping, so a site learns the port"
why 3 gw2 "- with NATs on both sides, of which ours maps by destination, a relay is likely to be needed"
# Peers of gw1 at an address that nobody announced, and at reflexive ones
kinds()
{
	[ "$(ask 1 status "(r['peers_by_path']['seen'], r['peers_by_path']['reflexive'])")" = "(1, 2)" ]
}
wait_for 10 "gw1 has a peer at a seen and two at reflexive addresses" kinds

matrix one-nat 4610 4 "masquerade behind1 masquerade public" \
	"1 2 direct" "1 3 direct" "2 3 direct" "1 4 direct" "2 4 direct" "3 4 direct"
is "$(ask 1 peers "[p['endpoint'] for p in r if p['name'] == 'gw2'][0].split(':')[0]")" = 198.18.2.2 \
	"gw1 reaches gw2 inside their NAT at"

matrix hard 4620 4 "symmetric symmetric blocked public" \
	"1 2 relay" "1 3 relay" "2 3 relay" "1 4 direct" "2 4 direct" "3 4 direct"

matrix ipv6 4630 6 "firewall firewall firewall firewall" \
	"1 2 direct" "1 3 direct" "2 3 direct" "1 4 direct" "2 4 direct" "3 4 direct"
mapping 1 6 "no NAT"
