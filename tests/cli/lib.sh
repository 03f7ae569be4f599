# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# For the scripts of this folder: $1 = the lanemesh binary. Works in a folder of
# its own, removed at the end. A failed check says its line and ends the script.
set -eu
lanemesh=$(realpath "$1")
work=$(mktemp -d /tmp/lm-test-cli-XXXXXX)
trap 'rm -rf "$work"' EXIT
cd "$work"

die() {
	local frame=0
	# The line in the script, not in a function of this file.
	while [ "${BASH_SOURCE[$frame + 1]##*/}" = lib.sh ]; do frame=$((frame + 1)); done
	echo "${BASH_SOURCE[$frame + 1]##*/}:${BASH_LINENO[$frame]}: $*" >&2
	exit 1
}

# run STATUS ARG...: the command must end so; its output is in the files out and err.
run() {
	local want=$1 got=0
	shift
	"$lanemesh" "$@" >out 2>err || got=$?
	[ "$got" = "$want" ] ||
		die "lanemesh $*: exit status $got, expected $want: $(cat err out)"
	# Success is silent on stderr; failure explains itself there in one or two lines.
	if [ "$want" = 0 ]; then
		[ ! -s err ] || die "lanemesh $*: wrote to stderr: $(cat err)"
	else
		[ -s err ] || die "lanemesh $*: no message"
		[ "$(wc -l <err)" -le 2 ] || die "lanemesh $*: $(cat err)"
	fi
}

# The same for a command that prints its result, and fails because of it.
run_bad() {
	local got=0
	"$lanemesh" "$@" >out 2>err || got=$?
	[ "$got" = 1 ] || die "lanemesh $*: exit status $got, expected 1: $(cat err out)"
	[ -s out ] || die "lanemesh $*: no output"
}

# out_has / err_has TEXT: the last output or message contains it.
out_has() {
	grep -qF -- "$1" out || die "no \"$1\" in: $(cat out)"
}
err_has() {
	grep -qF -- "$1" err || die "no \"$1\" in: $(cat err)"
}
out_lacks() {
	! grep -qF -- "$1" out || die "\"$1\" in: $(cat out)"
}

# json KEY: a member of the last output, which must be a JSON object.
json() {
	python3 -c 'import json, sys
v = json.load(open("out"))[sys.argv[1]]
print(*v if isinstance(v, list) else [v])' "$1"
}

# same A B
same() {
	[ "$1" = "$2" ] || die "\"$1\" is not \"$2\""
}
