#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 1700
# No coordinator for a long time, many rekeys, traffic both ways (FAULTS row 15): nothing is lost, the
# gateways neither grow nor leak descriptors, and when it is back all are in step again. LM_LONG=1:
# for 24 minutes, rekeys every 2 s, and not for 14 s, every 6 s.
. "$(dirname "$0")/lib.sh"
# Without a successor a session ends after one and a half times this: a machine that stands still for
# a second must not end one.
lab_rekey=6
seconds=14 settle=2 slack=4096
[ -z "${LM_LONG:-}" ] || { lab_rekey=2 seconds=$((24 * 60)) settle=60 slack=0; }

# DAEMON: resident memory in kB, and open descriptors
rss()
{
	awk '/^VmRSS/ {print $2}' "/proc/$(cat "$lab_run/$1.pid")/status"
}
fds()
{
	find "/proc/$(cat "$lab_run/$1.pid")/fd" -mindepth 1 | wc -l
}
# What the daemon had is in rss_before and fds_before.
declare -A rss_before fds_before
note()
{
	rss_before[$1]=$(rss "$1")
	fds_before[$1]=$(fds "$1")
}
flat()
{
	local now
	now=$(rss "$1")
	say "$1: ${rss_before[$1]} to $now kB, ${fds_before[$1]} to $(fds "$1") descriptors"
	is "$now" -le $((rss_before[$1] * 101 / 100 + slack)) "kB of $1, ${rss_before[$1]} before"
	is "$(fds "$1")" -le "${fds_before[$1]}" "descriptors of $1"
}
coordinator()
{
	[ "$(ask "$1" status "r['coordinators'][0]['state']")" = "$2" ]
}
gone()
{
	! coordinator "$1" up
}
rekeys()
{
	echo $(($(counter 1 rekeys) + $(counter 2 rekeys)))
}
rekeyed()
{
	[ "$(rekeys)" -ge "$1" ]
}

up
pings host1 10.2.0.10
lab_stop coord KILL
for n in 1 2; do
	wait_for 20 "gw$n misses the coordinator" gone $n
done
stream there host1 host2 10.2.0.10 500 $((seconds + settle))
stream back host2 host1 fd00:1::10 500 $((seconds + settle))
sleep $settle
before=$(rekeys)
note gw1
note gw2
wait_for $((seconds + 60)) "a rekey each $lab_rekey s" rekeyed $((before + seconds * 2 / (3 * lab_rekey)))
for s in there back; do
	streamed $s
done
say "$(($(rekeys) - before)) rekeys without a coordinator in $seconds s"
is "$(($(result there lost) + $(result back lost)))" -le "$(unresolved)" "packets lost but for want of ARP and ND"
for s in there back; do
	is "$(result $s duplicates)" = 0 "packets that came twice $s"
done
for n in 1 2; do
	flat gw$n
	is "$(counter $n sessions_down)" = 0 "gw$n sessions_down"
done

start=$(now_ms)
lab_start_coord
for n in 1 2; do
	wait_for 30 "gw$n reconnects" coordinator $n up
done
figure $(($(now_ms) - start)) -le 10000 "ms until both are connected again"
