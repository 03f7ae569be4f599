#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 900
# Two gateways with two WAN ports each, and every path loses 5 % of what it carries, each way, while
# both sites send: no path is taken for dead. LM_LONG=1: for ten minutes.
. "$(dirname "$0")/lib.sh"
need nft
lab_rekey=900
seconds=15
[ -z "${LM_LONG:-}" ] || seconds=600
lab_keys
lab_network
for n in 1 2; do
	second_wan $n
done
lab_start
pings host1 10.2.0.10
for n in 1 2; do
	wait_for 60 "all paths of gw$n" paths_alive $n gw$((3 - n)) 4
done
lab_in wan nft -f - <<-NFT
	table ip loss {
		chain through {
			type filter hook forward priority filter;
			udp dport 4500 numgen random mod 100 < 5 drop
		}
	}
NFT
failovers=$(in_all failovers)
handshakes=$(in_all handshakes_started)
stream there host1 host2 10.2.0.10 500 $seconds
stream back host2 host1 10.1.0.10 500 $seconds
for way in there back; do
	streamed $way
	is "$(result $way duplicates)" = 0 "packets that came twice $way"
	# A twentieth, and 6 standard deviations
	sent=$(result $way sent)
	is "$(result $way lost)" -ge $((sent / 40)) "packets lost $way"
	figure "$(result $way lost)" -le $((sent / 20 + sent / 100)) "packets lost $way"
done
# A machine that stands still for a while may make a path look dead; more than that is ours.
figure $(($(in_all failovers) - failovers)) = 0 "failovers in $seconds s of 5 % loss each way"
is $(($(in_all failovers) - failovers)) -le 4 "failovers in $seconds s of 5 % loss each way"
is "$(in_all handshakes_started)" = "$handshakes" "handshakes in all"
is "$(in_all sessions_down)" = 0 "sessions_down"
say "$(in_all moves) moves in all"
