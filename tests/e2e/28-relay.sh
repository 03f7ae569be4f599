#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Gateways 1 and 2 cannot reach each other; gateway 3 is a relay. Traffic flows at once, sealed from
# end to end; moves to the straight way when there is one, without loss, and back when that is cut;
# the relay sends no copy on, answers no stranger, keeps each member to its quota, and relays nothing
# for who is revoked (FAULTS rows 11, 20 and 21).
# alone
lab_sites="1 2 3"
. "$(dirname "$0")/lib.sh"
need nft iperf3 tcpdump
lab_authority
for n in 1 2; do lab_identity $n; done
lab_identity 3 --role relay
"$lab_build/app/lanemesh" revoke --authority "$lab_run/keys/authority.key" \
	--list "$lab_run/revoked" --mesh $lab_mesh >/dev/null
lab_network
for n in 1 2 3; do
	lab_gateway_config $n >"$lab_run/gw$n.conf"
	echo "revocation_list = \"$lab_run/revoked\";" >>"$lab_run/gw$n.conf"
done
echo 'relay = { enabled = true; rate_mbit = 0; };' >>"$lab_run/gw3.conf"

cut()
{
	lab_in wan nft -f - <<-NFT
		table inet cut {
			chain through {
				type filter hook forward priority 0;
				ip saddr 198.18.1.2 ip daddr 198.18.2.2 drop
				ip saddr 198.18.2.2 ip daddr 198.18.1.2 drop
			}
		}
	NFT
}

heal()
{
	lab_in wan nft delete table inet cut
}

# Does the traffic of both ends go through the relay, or straight?
endpoint_is()
{
	[ "$(ask 1 peers "[p['endpoint'] for p in r if p['name'] == 'gw2'][0]")" = "$1:4500" ] &&
		[ "$(ask 2 peers "[p['endpoint'] for p in r if p['name'] == 'gw1'][0]")" = "$2:4500" ]
}
relayed() { endpoint_is 198.18.3.2 198.18.3.2; }
straight() { endpoint_is 198.18.2.2 198.18.1.2; }

# ------------------------------------------------------- at once, and sealed ---

cut
start=$(now_ms)
lab_start
wait_for 15 "relayed" relayed
figure $(($(now_ms) - start)) -le 5000 "ms until all are up and relayed"
capture relay gw3 wan-dev udp port 4500
lab_in host1 ping -c50 -i0.01 -W2 -p 6c616e656d657368 10.2.0.10 >/dev/null || fail "ping through the relay"
captures relay 'udp[8:4] = 0 and udp[12] = 5' 200
capture_end relay
grep -qa lanemesh "$lab_run/relay.pcap" && fail "the relay sees what is inside"
in=$(tcpdump -nr "$lab_run/relay.pcap" 'dst host 198.18.3.2 and udp[12] = 5' 2>/dev/null | wc -l)
out=$(tcpdump -nr "$lab_run/relay.pcap" 'src host 198.18.3.2 and udp[12] = 5' 2>/dev/null | wc -l)
is "$out" -le "$in" "relayed datagrams out, of $in in"
for proto in "" -u; do
	# shellcheck disable=SC2086
	mbit=$(iperf host1 host2 10.2.0.10 -t 2 ${proto:+$proto -b 20M -l 1300})
	say "iperf3 ${proto:-TCP} through the relay: $mbit Mbit/s"
	figure "$mbit" -ge 15 "Mbit/s through the relay"
	is "$mbit" -ge 1 "Mbit/s through the relay"
done

# ----------------------------------------------- copies, strangers (20, 21) ---

capture copies wan site3 src host 198.18.1.2 and 'udp[8:4] = 0 and udp[12] = 5'
lab_in host1 ping -c200 -i0.005 -W2 10.2.0.10 >/dev/null || fail "ping through the relay"
sleep 0.3
capture_end copies
duplicates=$(counter 3 relay_duplicate)
replays=$(counter 2 esp_replay)
py wan >"$lab_run/replayed" <<-PY
	import socket
	import struct
	data = open("$lab_run/copies.pcap", "rb").read()
	s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
	s.bind(("site3", 0))
	at, n = 24, 0
	while at < len(data):
	    length = struct.unpack_from("<I", data, at + 8)[0]
	    s.send(data[at + 16:at + 16 + length])
	    at, n = at + 16 + length, n + 1
	print(n)
PY
is "$(cat "$lab_run/replayed")" -ge 200 "datagrams to replay"
counts_to 3 relay_duplicate $((duplicates + $(cat "$lab_run/replayed")))
is "$(counter 2 esp_replay)" = "$replays" "copies that the relay has sent on"

capture stranger coord eth0 src host 198.18.3.2 and udp
py coord <<-PY
	import os
	import socket
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	def control(kind, body):
	    return bytes(4) + bytes([kind, 0, 0, 0]) + body
	kinds = [b"\xff", b"x", os.urandom(40), b"\x80" + os.urandom(99),
	         bytes.fromhex("0001000c2112a442") + os.urandom(24),
	         *(control(k, os.urandom(n)) for k in range(8) for n in (8, 60, 1192)),
	         *(control(5, os.urandom(8) + control(k, os.urandom(60))) for k in range(6))]
	for k in kinds * 20:
	    s.sendto(k, ("198.18.3.2", 4500))
PY
sleep 0.5
capture_end stranger
is "$(captured stranger 'udp port 4500')" = 0 "answers to a stranger"
say "$(cat "$lab_run/replayed") copies dropped, nothing answered to strangers"

# --------------------------------------------------- there and back again ---

pps=1000 turns=1
[ -z "${LM_LONG:-}" ] || pps=10000 turns=5
heal
# An address that never answered is asked rarely (FAULTS row 14).
wait_for 75 "straight" straight
for turn in $(seq $turns); do
	stream "cut$turn" host1 host2 10.2.0.10 "$pps" 60
	flows 2 "$pps"
	cut
	wait_for 20 "relayed" relayed
	flows 2 "$pps"
	stream_end "cut$turn"
	is "$(result "cut$turn" duplicates)" = 0 "duplicates when the way is cut"
	figure "$(result "cut$turn" gap_ms)" -le 800 "ms without traffic when the way is cut"
	stream "heal$turn" host1 host2 10.2.0.10 500 90
	flows 2 500
	heal
	wait_for 60 "straight" straight
	flows 2 500
	stream_end "heal$turn"
	is "$(result "heal$turn" lost)" = 0 "packets lost on the way back to the straight way"
	is "$(result "heal$turn" duplicates)" = 0 "duplicates on the way back"
done

# -------------------------------------------------------------- the quota ---

cut
wait_for 20 "relayed" relayed
sed -i 's/rate_mbit = 0/rate_mbit = 10/' "$lab_run/gw3.conf"
lab_cli 3 reload >/dev/null || fail "reload"
lab_in host2 timeout 30 iperf3 -s -1 >/dev/null 2>&1 &
sleep 0.5
lab_in host1 timeout 30 iperf3 -u -c 10.2.0.10 -b 40M -l 1200 -t 9 >/dev/null 2>&1 &
sleep 2
begin=$(now_ms) bytes=$(ask 3 relays "sum(e['bytes'] for e in r if e['from'] == 'gw1')")
sleep 5
bytes=$(($(ask 3 relays "sum(e['bytes'] for e in r if e['from'] == 'gw1')") - bytes))
kbit=$((bytes * 8 / ($(now_ms) - begin)))
say "a member whose quota is 10 Mbit/s gets $kbit kbit/s"
figure $kbit -le 10500 "kbit/s"
figure $kbit -ge 9500 "kbit/s"
is $kbit -le 13000 "kbit/s"
is "$(counter 3 relay_quota)" -gt 1000 "datagrams over the quota"
wait || true

# ------------------------------------------------------------ not for all ---

"$lab_build/app/lanemesh" revoke --authority "$lab_run/keys/authority.key" \
	--list "$lab_run/revoked" --mesh $lab_mesh --node "$(cat "$lab_run/keys/gw2.pub")" >/dev/null
nothing_relayed() { [ "$(ask 3 relays "len(r)")" = 0 ]; }
wait_for 5 "the relay ends what a revoked member had" nothing_relayed
relayed=$(counter 3 relayed_packets)
lab_in host1 ping -c5 -i0.1 -W1 10.2.0.10 >/dev/null 2>&1 && fail "a revoked member is reached"
is "$(counter 3 relayed_packets)" = "$relayed" "datagrams relayed for a revoked member"
