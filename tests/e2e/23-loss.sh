#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A WAN that loses 30 % of the packets one way, 10 % the other, and doubles some (FAULTS row 25):
# sessions come up all the same, rekeys go on, nothing comes twice, and what gets lost is what the
# WAN loses, not more. Then nearly all is lost for a while; both sides notice, and come back by
# themselves.
. "$(dirname "$0")/lib.sh"
need nft
lab_rekey=2
lab_extra='timers = { rekey_s = 2; keepalive_s = 2; };'
lab_keys
lab_network
for n in 1 2; do
	lab_gateway_config $n | sed '/^timers = { rekey_s = 2; };$/d' >"$lab_run/gw$n.conf"
done
# In 1,000: what gw1's datagrams lose, and gw2's; and how many come twice
loses()
{
	lab_in wan nft -f - <<-NFT
		table ip loss
		delete table ip loss
		table ip loss {
			chain forward {
				type filter hook forward priority 0;
				udp dport 4500 ip daddr 198.18.2.2 numgen random mod 1000 < $1 drop
				udp dport 4500 ip daddr 198.18.1.2 numgen random mod 1000 < $2 drop
				ip daddr 198.18.2.2 udp dport 4500 numgen random mod 1000 < $3 dup to 198.18.2.2 device "site2"
				ip daddr 198.18.1.2 udp dport 4500 numgen random mod 1000 < $3 dup to 198.18.1.2 device "site1"
			}
		}
	NFT
}
loses 300 100 100
start=$(now_ms)
lab_start
figure $(($(now_ms) - start)) -le 12000 "ms from start until up with 30 and 10 % loss and 10 % duplicates"
stream there host1 host2 10.2.0.10 500 8
stream back host2 host1 10.1.0.10 500 8
for way in there back; do
	streamed $way
	lost=$(result $way lost) share=30
	[ $way = there ] || share=10
	# 6 standard deviations more than the WAN loses
	figure "$lost" -le $((share * 40 + 180)) "packets lost $way of 4000 at $share % loss"
	is "$lost" -lt 2500 "packets lost $way of 4000"
	is "$(result $way duplicates)" = 0 "packets that came twice $way"
	figure "$(result $way gap_ms)" -lt 1000 "longest gap in ms $way"
done
is $(($(counter 1 esp_replay) + $(counter 2 esp_replay))) -ge 200 "duplicates that were dropped"
is $(($(counter 1 rekeys) + $(counter 2 rekeys))) -ge 2 "rekeys under loss"

loses 999 999 0
for n in 1 2; do
	wait_for 30 "gw$n notices" has_peers $n 0
done
out=$(lab_in host1 ping -c1 -W1 10.2.0.10 || true)
is "$(counter 1 no_session)" -ge 1 "gw1 no_session"
loses 0 0 0
start=$(now_ms)
wait_for 15 "back by themselves" lab_ping host1 10.2.0.10
say "back $(($(now_ms) - start)) ms after the WAN"
pings host2 fd00:1::10
