#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Gateway 1 is behind a NAT that forgets its mapping and makes another, in the middle of traffic:
# both directions recover within a second, without a new handshake (FAULTS row 10). Then the same while
# gateway 1's site is silent: its keepalives do it.
. "$(dirname "$0")/lib.sh"
need nft
lab_extra='timers = { rekey_s = 120; keepalive_s = 5; };'
lab_keys
lab_network
for n in 1 2; do
	lab_gateway_config $n | sed '/^timers = { rekey_s = 120; };$/d' >"$lab_run/gw$n.conf"
done

# Gateway 1 is 198.18.50.1:$1 to the outside; all other mappings are gone.
mapping()
{
	lab_in wan nft -f - <<-NFT
		table ip nat1
		delete table ip nat1
		table ip nat1 {
			chain in {
				type filter hook prerouting priority raw;
				iifname "site1" ip saddr 198.18.1.2 udp sport 4500 ip saddr set 198.18.50.1 udp sport set $1
				iifname "site2" ip daddr 198.18.50.1 udp dport $1 ip daddr set 198.18.1.2 udp dport set 4500
				iifname "site2" ip daddr { 198.18.1.2, 198.18.50.1 } udp sport 4500 udp dport != 4500 drop
			}
			chain through {
				type filter hook prerouting priority raw - 1;
				iifname "site2" ip daddr 198.18.1.2 drop
			}
		}
	NFT
}
mapping 20001
lab_start
endpoint()
{
	ask 2 peers "r[0]['endpoint']"
}
endpoint_is()
{
	[ "$(endpoint)" = "198.18.50.1:$1" ]
}
is "$(endpoint)" = 198.18.50.1:20001 "gw1's endpoint as gw2 sees it"
pings host1 10.2.0.10
moves=$(counter 2 moves)
handshakes=$(($(counter 1 handshakes_started) + $(counter 2 handshakes_started)))

stream there host1 host2 10.2.0.10 500 60
stream back host2 host1 10.1.0.10 500 60
flows 2 1000
mapping 30002
wait_for 20 "gw2 sends to the new mapping" endpoint_is 30002
for n in 1 2; do
	flows $n 1000
done
for s in there back; do
	stream_end $s
	figure "$(result $s gap_ms)" -le 1000 "ms without traffic $s"
done
is "$(endpoint)" = 198.18.50.1:30002 "gw1's endpoint after the change"
is "$(counter 2 moves)" = $((moves + 1)) "gw2 moves"

# The site behind the NAT is silent: the keepalive of its gateway tells the new mapping.
mapping 40003
start=$(now_ms)
wait_for 25 "gw2 learns the new mapping from a keepalive" endpoint_is 40003
figure $(($(now_ms) - start)) -le 6000 "ms until a keepalive, each 5 s, has told the new mapping"
wait_for 3 "ping after the move" lab_ping host2 10.1.0.10
is $(($(counter 1 handshakes_started) + $(counter 2 handshakes_started))) = $handshakes "handshakes in all"
