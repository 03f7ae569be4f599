#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A broken config: a running gateway keeps the old one and says file, line and cure; a start is
# refused. A good one is taken over whole by SIGHUP or `lanemesh reload` (FAULTS row 29).
. "$(dirname "$0")/lib.sh"
up
conf=$lab_run/gw1.conf
cp "$conf" "$lab_run/good"

# COMMAND TEXT: the config is changed by the sed COMMAND; the reload is refused with the TEXT
refuses()
{
	local out status=0 line
	sed "$1" "$lab_run/good" >"$conf"
	cmp -s "$conf" "$lab_run/good" && fail "nothing to refuse: $1"
	out=$(lab_cli 1 reload 2>&1) || status=$?
	is $status = 1 "status of reload with $1: $out"
	grep -q "gw1.conf:[0-9]*: .*$2\|gw1.conf: .*$2" <<<"$out" || fail "$1: no '$2' with file in: $out"
	# SIGHUP: the same, in the log
	line=$(wc -l <"$lab_run/gw1.log")
	kill -HUP "$(gw_pid 1)"
	wait_for 5 "log of the refusal: $2" sh -c "tail -n +$((line + 1)) $lab_run/gw1.log | grep -q 'reload refused.*$2'"
	# And it does not start with it, nor pass the check.
	status=0
	out=$("$lab_build/app/lanemeshd" -i "${lab_inst}gw1" -c "$conf" --check 2>&1) || status=$?
	[ "${3:-}" = restart ] || is $status = 1 "status of --check with $1: $out"
}
refuses 's/^mesh = .*/mesh = ;/' 'syntax'
refuses 's/^mesh =/meshh =/' 'meshh'
refuses 's/role = "lan"/role = "lam"/' 'role'
refuses 's/role = "lan"/role = 7/' 'role'
refuses 's/rekey_s = [0-9]*/rekey_s = 0/' 'rekey_s'
refuses 's/"10.1.0.1\/24"/"10.1.0.1\/33"/' 'addresses'
refuses 's/^authorities.*/authorities = [ "12" ];/' 'authorities'
refuses '/^identity/d' 'identity'
refuses 's/count = 1/count = 2/' 'workers.count' restart
refuses '$ a prefixes = [ "10.9.0.0/24" ];' '10.9.0.0/24' restart
head -c 200 "$lab_run/good" >"$conf"
lab_cli 1 reload >/dev/null 2>&1 && fail "a half-written config was taken"
rm "$conf"
lab_cli 1 reload >/dev/null 2>&1 && fail "a missing config was taken"
head -c 100000 /dev/urandom >"$conf"
lab_cli 1 reload >/dev/null 2>&1 && fail "noise was taken for a config"
status=0
timeout 60 ip netns exec "${lab_ns}gw1" "$lab_build/app/lanemeshd" -i "${lab_inst}x" -c "$conf" \
	>"$lab_run/start.txt" 2>&1 || status=$?
is $status = 1 "status of a start with noise for a config"
grep -q 'gw1.conf:[0-9]*: ' "$lab_run/start.txt" || fail "no file and line in: $(cat "$lab_run/start.txt")"
pings host1 10.2.0.10
is "$(counter 1 sessions_down)" = 0 "gw1 sessions_down"

# Live options
sed 's/allow_key_export = true/allow_key_export = false/; $ a log_level = "debug";\nprefixes = [ "10.1.0.0/24" ];' \
	"$lab_run/good" >"$conf"
kill -HUP "$(gw_pid 1)"
wait_for 5 "reload by SIGHUP" logged 1 "config reloaded"
lab_cli 1 sa --wireshark >/dev/null 2>&1 && fail "allow_key_export was not taken over"
no_v6()
{
	[ "$(ask 2 routes "[x for x in r if x['prefix'] == 'fd00:1::/64']")" = "[]" ]
}
wait_for 10 "gw2 hears that fd00:1::/64 is not announced any more" no_v6
pings host2 10.1.0.10
lab_in host2 ping -c1 -W1 fd00:1::10 >/dev/null && fail "fd00:1::/64 is reached though not announced"
cp "$lab_run/good" "$conf"
lab_cli 1 reload >/dev/null || fail "reload of the good config"
wait_for 10 "fd00:1::/64 is back" lab_ping host2 fd00:1::10

# A renewed certificate, with one more network: taken at a reload, no session ends. One of another
# node is refused, and the one in force stays.
lab_sign 1 --prefix 10.11.0.0/24
lab_cli 1 reload >/dev/null || fail "reload with a renewed certificate"
renewed()
{
	[ "$(ask 2 routes "[x['peer'] for x in r if x['prefix'] == '10.11.0.0/24']")" = "['gw1']" ]
}
wait_for 10 "gw2 has the renewed certificate's network" renewed
cp "$lab_run/keys/gw1.crt" "$lab_run/gw1.crt"
cp "$lab_run/keys/gw2.crt" "$lab_run/keys/gw1.crt"
lab_cli 1 reload >/dev/null 2>&1 && fail "another node's certificate was taken"
cp "$lab_run/gw1.crt" "$lab_run/keys/gw1.crt"
lab_cli 1 reload >/dev/null || fail "reload with the right certificate again"
pings host2 10.1.0.10
is "$(counter 1 sessions_down)" = 0 "gw1 sessions_down after renewal"

# A second one of the same name does not start beside it.
status=0
timeout 60 ip netns exec "${lab_ns}gw1" "$lab_build/app/lanemeshd" -i "${lab_inst}gw1" -c "$conf" \
	>"$lab_run/start.txt" 2>&1 || status=$?
is $status = 1 "status of a second gateway of the same name"
grep -q 'running already' "$lab_run/start.txt" || fail "no reason in: $(cat "$lab_run/start.txt")"
pings host1 10.2.0.10
