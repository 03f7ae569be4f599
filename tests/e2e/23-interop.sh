#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 120
# Nodes written from PROTOCOL.md alone (interop_node.py) in the place of gateways 2 and 3, rekeying
# with gateway 1 every 2 s: they call it, it calls them, both at once. The key of one is less than
# the gateway's, the other's greater, since that decides whose handshake wins. No ping is lost.
lab_sites="1 2 3"
. "$(dirname "$0")/lib.sh"
/usr/bin/python3 -c "import cryptography" 2>/dev/null || skip "no python3-cryptography"
lab_rekey=2

key()
{
	cat "$lab_run/keys/$1.pub"
}

lab_keys
until [[ $(key gw2) < $(key gw1) && $(key gw1) < $(key gw3) ]]; do
	rm -r "$lab_run/keys"
	lab_keys
done
lab_network
for n in 2 3; do
	lab_in gw$n "$lab_top/drivers-config/prepare-af-packet" --undo wan-dev
	lab_in gw$n ip addr add 198.18.$n.2/24 dev wan-dev
	lab_in gw$n ip route add default via 198.18.$n.1
done
lab_start_coord
lab_start_gateway 1

# NAME [options]: nodes 2 and 3, until nodes_end
nodes()
{
	local n
	nodes=$1
	shift
	for n in 2 3; do
		setsid ip netns exec "${lab_ns}gw$n" /usr/bin/python3 "$e2e_dir/interop_node.py" \
			--key "$lab_run/keys/gw$n.key" --cert "$lab_run/keys/gw$n.crt" \
			--authority "$(key authority)" --address 198.18.$n.2:4500 \
			--coordinator "198.18.100.10:4600=$(key coord)" --rekey $lab_rekey \
			--ping 10.1.0.10 --ping fd00:1::10 --ping 10.255.0.1 "$@" \
			>"$lab_run/$nodes$n.json" 2>"$lab_run/$nodes$n.log" </dev/null &
		echo $! >"$lab_run/$nodes$n.pid"
		disown
	done
	wait_for 10 "gw1's sessions with both nodes ($nodes)" has_peers 1 2
}

# Ends the nodes; the gateway must know at once. Pings may be lost that were on their way then, of
# each node one to each address; or so many.
nodes_end()
{
	local n sent answered lost=${1:-3}
	refused_nothing
	for n in 2 3; do kill "$(cat "$lab_run/$nodes$n.pid")"; done
	wait_for 3 "gw1 sees both nodes leave ($nodes)" has_peers 1 0
	for n in 2 3; do
		wait_for 5 "node $n ends ($nodes)" grep -q '}$' "$lab_run/$nodes$n.json"
		say "$nodes, node $n: $(cat "$lab_run/$nodes$n.json")"
		sent=$(node_count $n "pings sent") answered=$(node_count $n "pings answered")
		is "$sent" -ge 100 "pings of node $n"
		is "$answered" -ge $((sent - lost)) "answers to the pings of node $n"
		is "$(grep -o '"dropped: [^"]*"' "$lab_run/$nodes$n.json" |
			grep -v 'not asked for\|no session\|unknown spi' || true)" = "" "what node $n refused"
	done
}

# The gateway has refused nothing that nodes sent.
refused_nothing()
{
	is "$(ask 1 drops "' '.join(k for k in r if r[k] and k.startswith(('ctl_', 'esp_', 'inner_')) and k not in ('ctl_cookie_sent', 'ctl_rate_limited', 'ctl_half_open_full', 'ctl_unknown_session', 'esp_unknown_spi'))")" = "" "what gw1 refused"
}

# N WHAT: how often that happened at node N
node_count()
{
	local count
	count=$(lab_number "$2" <"$lab_run/$nodes$1.json") || count=0
	echo "$count"
}

# Pings to the nodes during more than three rekeys; the nodes ping by themselves.
traffic()
{
	local to job jobs=()
	for to in 10.2.0.10 fd00:3::10 10.255.0.3 "10.2.0.77 -s 1410"; do
		# shellcheck disable=SC2086
		lab_in host1 ping -q -c70 -i0.1 -W2 $to >"$lab_run/ping-${to%% *}.txt" &
		jobs+=($!)
	done
	for job in "${jobs[@]}"; do wait "$job" || true; done
	for to in "$lab_run"/ping-*.txt; do
		grep -q ' 70 received' "$to" || fail "pings from host1 ($nodes): $(cat "$to")"
	done
}

# -- The nodes call, from addresses that the gateway cannot know; at first with more handshakes than
# one source may begin, so that it asks for cookies.
nodes calling --hidden --burst 16
traffic
nodes_end
for n in 2 3; do
	is "$(node_count $n "sessions as initiator")" -ge 4 "sessions that node $n started"
	is "$(node_count $n "cookies taken")" -ge 1 "cookies that node $n took"
done

# -- The gateway calls; the nodes answer its first message with a cookie.
nodes called --passive --cookies
traffic
for n in 2 3; do
	lab_cli 1 ping gw$n >"$lab_run/ping.txt" || fail "gw1 pings node $n: $(cat "$lab_run/ping.txt")"
done
nodes_end
for n in 2 3; do
	is "$(node_count $n "sessions as responder")" -ge 4 "sessions that gw1 started with node $n"
	is "$(node_count $n "cookies given")" -ge 1 "cookies that node $n gave"
done

# -- Both at once, and all three with each other; then the gateway goes, and comes back.
nodes both
traffic
refused_nothing
lab_stop gw1
for n in 2 3; do
	wait_for 3 "node $n takes gw1's CLOSE" grep -q "gw1 closes .* reason 1 in use" "$lab_run/both$n.log"
done
lab_start_gateway 1
wait_for 10 "gw1 has sessions again" has_peers 1 2
pings host1 10.2.0.10
pings host1 fd00:3::10
nodes_end 9 # also those of gw1's end and beginning
