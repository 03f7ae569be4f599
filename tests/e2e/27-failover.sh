#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
# alone
# Two gateways with two WAN ports each. The path in use is cut again and again under 10,000 packets
# a second, both ways or one: traffic is back within 400 ms (median), 800 ms (worst), by the same
# session. LM_LONG=1: 20 cuts and not 6.
. "$(dirname "$0")/lib.sh"
need nft
cuts=6
[ -z "${LM_LONG:-}" ] || cuts=20
pps=${LM_PPS:-10000}

lab_keys
lab_network
for n in 1 2; do
	lab_veth "other$n" wan wan1-dev "gw$n"
	lab_in wan ip addr add "198.19.$n.1/24" dev "other$n"
	lab_in wan "$lab_top/drivers-config/prepare-af-packet" --peer "other$n"
	lab_in "gw$n" "$lab_top/drivers-config/prepare-af-packet" wan1-dev
	lab_gateway_config $n | sed '/^);$/i\
  , { name = "wan1"; role = "wan"; device = "net_af_packet2,iface=wan1-dev"; addresses = [ "198.19.'$n'.2/24" ]; gateways = [ "198.19.'$n'.1" ]; }' >"$lab_run/gw$n.conf"
done
lab_start
pings host1 10.2.0.10

# N: the addresses of both ends of gateway N's path: "own other"
path_of()
{
	ask "$1" peers "{'wan0': '198.18.$1.2', 'wan1': '198.19.$1.2'}[r[0]['port']] + ' ' + r[0]['endpoint'].split(':')[0]"
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
seconds=$((cuts * 5 + 4))
stream there host1 host2 10.2.0.10 "$pps" $seconds
sleep 3
for ((i = 0; i < cuts; i++)); do
	read -r own other < <(path_of 1)
	cut "$own" "$other"
	[ $((i % 3)) = 2 ] || cut "$other" "$own"
	sleep 1.5
	now=$(path_of 1)
	[ "$now" != "$own $other" ] || fail "gw1 still sends from $own to $other"
	lab_in wan nft flush chain ip cuts through
	sleep 3
done
streamed there
/usr/bin/python3 - "$cuts" "$lab_run/there.stream" <<'PY' || fail "outages are too long"
import json, statistics, sys
cuts, result = int(sys.argv[1]), json.load(open(sys.argv[2]))
# One outage for each cut; a machine that is busy elsewhere adds shorter ones.
gaps = sorted(result["gaps_ms"], reverse=True)[:cuts]
print(f"  {cuts} cuts: outage median {statistics.median(gaps)} ms, worst {max(gaps)} ms,"
      f" {result['lost']} packets lost")
sys.exit(not (len(gaps) == cuts and statistics.median(gaps) <= 400 and max(gaps) <= 800))
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
stream back host2 host1 10.1.0.10 1000 6
sleep 2
lab_in gw1 ip link set $dev down
streamed back
is "$(result back gap_ms)" -le 1500 "ms without traffic when gw1 loses a WAN port"
[ "$(path_of 1)" != "$own $other" ] || fail "gw1 still uses the port that is down"
