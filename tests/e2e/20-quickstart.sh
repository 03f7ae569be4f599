#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# app/quickstart as a newcomer uses it: up twice, what the README says to try, down twice, and then
# no trace of it. Its names are fixed, so this is not done where one is up already.
# alone
. "$(dirname "$0")/lib.sh"
[ ! -e /run/netns/lm-wan ] || skip "a quickstart mesh is up here"
quickstart=$lab_top/app/quickstart
export LANEMESH_BUILD=$lab_build
cli=$lab_build/app/lanemesh

down()
{
	"$quickstart" down >/dev/null 2>&1 || true
	e2e_end
}
trap down EXIT

# Everything that it could leave behind
traces()
{
	ip netns list | grep -o '^lm-[a-z0-9]*' || true
	find /run /dev/hugepages -maxdepth 2 -not -path '*/lanemesh-e2e.*' '(' -name 'gw[123]*' -o -name 'lanemesh-gw[123]*' -o \
		-name 'lanemesh-quickstart' ')' || true
	pgrep -af 'lanemesh(d|-coord) -i (gw[123]|coord) ' || true
	cat /proc/sys/vm/nr_hugepages
	grep -c hugetlbfs /proc/mounts || true
	ip -o link show | awk '{print $2}'
}
before=$(traces)

grep -q 'sudo app/quickstart' <<<"$("$quickstart" --help)" || fail "--help says nothing"
"$quickstart" sideways >/dev/null 2>&1 && fail "an unknown command is accepted"
"$quickstart" check >/dev/null 2>&1 && fail "check without a mesh"

start=$(now_ms)
"$quickstart" up >"$lab_run/up.log" 2>&1 || fail "up: $(cat "$lab_run/up.log")"
ip netns exec lm-host1 ping -c1 -W2 10.3.0.10 >/dev/null || fail "first ping"
figure $(($(now_ms) - start)) -lt 20000 "ms from a built tree to the first ping"
"$quickstart" up >"$lab_run/up.log" 2>&1 || fail "up again: $(cat "$lab_run/up.log")"
grep -q 'up already' "$lab_run/up.log" || fail "up again started anew"

# What the README and the last lines of `up` tell to try
ip netns exec lm-host1 ping -c3 -i0.1 10.3.0.10 >/dev/null || fail "ping 10.3.0.10"
ip netns exec lm-host2 ping -6 -c3 -i0.1 fd00:1::10 >/dev/null || fail "ping fd00:1::10"
for ns in lm-host{1,2,3} lm-gw{1,2,3} lm-wan lm-coord; do
	[ -e "/run/netns/$ns" ] || fail "no namespace $ns"
done
"$cli" -i gw1 status >"$lab_run/out" || fail "status"
[ "$(awk '{ if (length > n) n = length } END { print n }' "$lab_run/out")" -le 100 ] ||
	fail "status is wider than 100 columns: $(cat "$lab_run/out")"
"$cli" -i gw1 peers --json | /usr/bin/python3 -c 'import json, sys
peers = json.load(sys.stdin)
assert sorted(p["name"] for p in peers if p["state"] == "up") == ["gw2", "gw3"], peers' || fail "peers --json"
for c in peers routes sa drops; do
	"$cli" -i gw1 $c >"$lab_run/out" || fail "lanemesh -i gw1 $c"
	[ "$(awk '{ if (length > n) n = length } END { print n }' "$lab_run/out")" -le 100 ] ||
		fail "$c is wider than 100 columns: $(cat "$lab_run/out")"
done
grep -q '3 sent, 3 answered' <<<"$("$cli" -i gw1 ping gw2)" || fail "lanemesh ping gw2"
"$cli" -i nobody status >/dev/null 2>"$lab_run/out" && fail "status of nobody"
grep -q "no gateway 'nobody'" "$lab_run/out" || fail "status of nobody: $(cat "$lab_run/out")"
"$quickstart" check >"$lab_run/check.log" 2>&1 || fail "check: $(cat "$lab_run/check.log")"
sed -n '/RTT/,$p' "$lab_run/check.log"

"$quickstart" down >"$lab_run/down.log" 2>&1 || fail "down: $(cat "$lab_run/down.log")"
is "$(traces)" = "$before" "what is there after down"
"$quickstart" down >"$lab_run/down.log" 2>&1 || fail "down again: $(cat "$lab_run/down.log")"
is "$(traces)" = "$before" "what is there after down twice"

# Interrupted in the middle, then down: no trace either.
"$quickstart" up >"$lab_run/up.log" 2>&1 &
pid=$!
wait_for 10 "quickstart makes namespaces" test -e /run/netns/lm-gw2
kill -INT $pid 2>/dev/null || true
kill -TERM $pid 2>/dev/null || true
wait $pid 2>/dev/null || true
"$quickstart" down >"$lab_run/down.log" 2>&1 || fail "down after a broken up: $(cat "$lab_run/down.log")"
is "$(traces)" = "$before" "what is there after a broken up and down"
