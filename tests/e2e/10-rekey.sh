#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
# Rekeys every few seconds lose, double and reorder nothing under load. LM_LONG=1: every 2 s, for two
# minutes.
. "$(dirname "$0")/lib.sh"
need iperf3
# Without a successor a session ends after one and a half times this: a machine that stands still for
# a second must not end one.
lab_rekey=6
# The rings of the ports hold 2,000 frames, so that a machine that stands still for some seconds
# loses none of so few.
seconds=20 pps=500
[ -z "${LM_LONG:-}" ] || { lab_rekey=2 seconds=120 pps=2000; }
up
pings host1 10.2.0.10
pings host2 fd00:1::10

before=$(($(counter 1 rekeys) + $(counter 2 rekeys)))
stream there host1 host2 10.2.0.10 $pps $seconds 4
stream back host2 host1 fd00:1::10 $pps $seconds 4
for s in there back; do
	streamed $s
done
rekeys=$(($(counter 1 rekeys) + $(counter 2 rekeys) - before))
say "$rekeys rekeys"
is "$(($(result there lost) + $(result back lost)))" -le "$(unresolved)" "packets lost but for want of ARP and ND"
for s in there back; do
	is "$(result $s duplicates)" = 0 "packets that came twice $s"
	figure "$(result $s reordered)" = 0 "packets out of order $s"
done
is $rekeys -ge $((seconds * 2 / (3 * lab_rekey))) "rekeys in $seconds s at a rekey time of $lab_rekey s"
for n in 1 2; do
	is "$(counter $n no_session)" = 0 "gw$n no_session"
	is "$(counter $n esp_unknown_spi)" = 0 "gw$n esp_unknown_spi"
	is "$(counter $n sessions_down)" = 0 "gw$n sessions_down"
done
