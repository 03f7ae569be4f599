#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Wrong clocks (FAULTS row 16): an hour early or late, 1970 at boot, 2100 and back. No tunnel depends
# on the time of day; certificates are judged with an hour of grace, and never by a clock that is
# before the certificate's own begin.
. "$(dirname "$0")/lib.sh"
faketime=$(e2e_faketime)
[ -n "$faketime" ] || skip "no libfaketime (Debian package faketime)"
clock=$lab_run/clock

lab_keys
lab_network
lab_start_coord
lab_start_gateway 1

# OFFSET: gateway 2 starts with a clock that says so, and gets its tunnel
starts_at()
{
	echo "$1" >"$clock"
	lab_env="LD_PRELOAD=$faketime FAKETIME_TIMESTAMP_FILE=$clock FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1" \
		lab_start_gateway 2
	wait_for 15 "tunnel of gw2 with the clock at $1" lab_ping host2 10.1.0.10
	pings host1 fd00:2::10
}
for skew in -3590 +3590; do
	starts_at "$skew"
	lab_stop gw2
done
starts_at '@1970-01-01 00:00:10'
lab_stop gw2
starts_at +0

# It jumps to 2100 while running: certificates have ended there. And back.
echo '@2100-01-01 00:00:00' >"$clock"
wait_for 70 "gw2 sees that certificates are over" has_peers 2 0
echo +0 >"$clock"
start=$(now_ms)
wait_for 10 "tunnel after the clock is back" lab_ping host2 10.1.0.10
say "tunnel $(($(now_ms) - start)) ms after the clock is back"
lab_stop gw2

# At a start in 2100 it refuses, says why, and leaves nothing that hinders the next start.
status=0
timeout 60 ip netns exec "${lab_ns}gw2" env LD_PRELOAD="$faketime" FAKETIME='@2100-01-01 00:00:00' \
	FAKETIME_DONT_FAKE_MONOTONIC=1 "$lab_build/app/lanemeshd" -i "${lab_inst}gw2" -c "$lab_run/gw2.conf" \
	>"$lab_run/start.txt" 2>&1 || status=$?
is $status = 1 "status of a start in 2100: $(cat "$lab_run/start.txt")"
grep -q 'expired' "$lab_run/start.txt" || fail "no reason: $(cat "$lab_run/start.txt")"
start=$(now_ms)
lab_start_gateway 2
wait_for 10 "tunnel after a start with the right clock" lab_ping host2 10.1.0.10
say "tunnel $(($(now_ms) - start)) ms after a start with the right clock"
