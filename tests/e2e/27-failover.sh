#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
# Two gateways with two WAN ports each. The path in use is cut again and again under traffic, both
# ways, there or back: it goes on over another path, by the same session. LM_LONG=1: 20 cuts under
# 10,000 packets a second, and the figures hold: 400 ms (median), 800 ms (worst) without traffic.
. "$(dirname "$0")/lib.sh"
need nft
# Every handshake counts below: none is due for its age, however slow the machine.
lab_rekey=900
cuts=6 pps=2000
[ -z "${LM_LONG:-}" ] || cuts=20 pps=10000

lab_keys
lab_network
for n in 1 2; do
	second_wan $n
done
lab_start
pings host1 10.2.0.10

# N: the addresses of both ends of gateway N's path: "own other"
path_of()
{
	ask "$1" peers "{'wan0': '198.18.$1.2', 'wan1': '198.19.$1.2'}[r[0]['port']] + ' ' + r[0]['endpoint'].split(':')[0]"
}

left()
{
	[ "$(path_of 1)" != "$1" ]
}

# FROM TO: nothing gets through
cut()
{
	lab_in wan nft add rule ip cuts through ip saddr "$1" ip daddr "$2" drop
}
lab_in wan nft -f - <<-NFT
	table ip cuts {
		chain through { type filter hook forward priority filter; }
	}
NFT

handshakes=$(($(counter 1 handshakes_started) + $(counter 2 handshakes_started)))
stream there host1 host2 10.2.0.10 $pps 200
flows 2 $pps
for ((i = 0; i < cuts; i++)); do
	wait_for 30 "all paths of gw1" paths_alive 1 gw2 4
	wait_for 30 "all paths of gw2" paths_alive 2 gw1 4
	read -r own other < <(path_of 1)
	[ $((i % 4)) = 3 ] || cut "$own" "$other"
	[ $((i % 4)) = 1 ] || cut "$other" "$own"
	wait_for 20 "gw1 leaves the path from $own to $other" left "$own $other"
	flows 2 $pps
	lab_in wan nft flush chain ip cuts through
done
stream_end there
/usr/bin/python3 - "$cuts" "$lab_run/there.stream" "${LM_LONG:+hard}" <<'PY' || fail "outages are too long"
import json, statistics, sys
cuts, result = int(sys.argv[1]), json.load(open(sys.argv[2]))
# An outage for each cut but those of the way back; a busy machine adds shorter ones.
gaps = sorted(result["gaps_ms"], reverse=True)[:cuts - cuts // 4]
median, worst = statistics.median(gaps or [0]), max(gaps, default=0)
print(f"  {cuts} cuts: outage median {median} ms, worst {worst} ms, {result['lost']} packets lost")
sys.exit(sys.argv[3] == "hard" and not (median <= 400 and worst <= 800))
PY
is "$(result there duplicates)" = 0 "packets that came twice"
is "$(($(counter 1 handshakes_started) + $(counter 2 handshakes_started)))" = "$handshakes" "handshakes in all"
is "$(counter 1 failovers)" -ge 1 "failovers of gw1"
for n in 1 2; do
	is "$(counter $n sessions_down)" = 0 "gw$n sessions_down"
done

# A WAN port loses its link: its paths are left at once.
read -r own other < <(path_of 1)
dev=wan-dev
[ "$own" = 198.18.1.2 ] || dev=wan1-dev
stream back host2 host1 10.1.0.10 1000 60
flows 1 1000
lab_in gw1 ip link set $dev down
wait_for 20 "gw1 leaves the port that is down" left "$own $other"
flows 1 1000
stream_end back
figure "$(result back gap_ms)" -le 800 "ms without traffic when gw1 loses a WAN port"
is "$(counter 1 sessions_down)" = 0 "gw1 sessions_down"
