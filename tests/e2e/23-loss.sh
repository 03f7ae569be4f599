#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A WAN that loses a quarter of the packets: sessions come up all the same, rekeys go on, and what
# gets lost is what the WAN loses, not more. Then nearly all
# is lost for a while; both sides notice, and come back by themselves.
# alone
. "$(dirname "$0")/lib.sh"
need nft
lab_rekey=2
lab_extra='timers = { rekey_s = 2; keepalive_s = 2; };'
lab_keys
lab_network
for n in 1 2; do
	lab_gateway_config $n | sed '/^timers = { rekey_s = 2; };$/d' >"$lab_run/gw$n.conf"
done
loses()
{
	# a share of a thousand, since nftables wants the share to be less than all
	lab_in wan nft -f - <<-NFT
		table inet loss
		delete table inet loss
		table inet loss {
			chain forward {
				type filter hook forward priority 0;
				udp dport 4500 numgen random mod 1000 < $1 drop
			}
		}
	NFT
}
loses 250
start=$(now_ms)
lab_start
say "up after $(($(now_ms) - start)) ms with 25 % loss"
stream there host1 host2 10.2.0.10 500 8
streamed there
lost=$(result there lost)
# 6 standard deviations more than the WAN loses
figure "$lost" -le 1165 "packets lost of 4000 at 25 % loss"
is "$lost" -lt 2000 "packets lost of 4000 at 25 % loss"
is "$(result there duplicates)" = 0 "packets that came twice"
is $(($(counter 1 rekeys) + $(counter 2 rekeys))) -ge 2 "rekeys under loss"
figure "$(result there gap_ms)" -lt 1000 "longest gap in ms"

loses 999
for n in 1 2; do
	wait_for 30 "gw$n notices" has_peers $n 0
done
out=$(lab_in host1 ping -c1 -W1 10.2.0.10 || true)
is "$(counter 1 no_session)" -ge 1 "gw1 no_session"
loses 0
start=$(now_ms)
wait_for 15 "back by themselves" lab_ping host1 10.2.0.10
say "back $(($(now_ms) - start)) ms after the WAN"
pings host2 fd00:1::10
