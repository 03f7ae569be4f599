#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Help, version, global options, and what is no command.
. "$(dirname "$0")/lib.sh"

run 0 --version
[[ $(cat out) =~ ^lanemesh\ [0-9]+\.[0-9]+\.[0-9]+$ ]] || die "version: $(cat out)"
run 0 --help
cp out help
run 0 -h
cmp out help
run 0 -i gw1 --json --help

# The commands that the help lists: each has whole help of its own, at most 80 columns wide.
commands=$(sed -n '/^COMMANDS/,/^$/s/^    \([a-z-]*\( [a-z-]*\)\{0,1\}\)  .*/\1/p' help)
[ "$(wc -l <<<"$commands")" -ge 5 ] || die "commands: $commands"
while read -r command; do
	run 0 $command --help
	for section in NAME SYNOPSIS DESCRIPTION "GLOBAL OPTIONS" "EXIT STATUS" EXAMPLES; do
		grep -qx "$section" out || die "$command --help has no $section"
	done
	out_has "lanemesh $command - "
	[ "$(wc -L <out)" -le 86 ] || die "$command --help is too wide"
	cp out help.$$
	run 0 $command -h --nonsense
	cmp out help.$$
	run 0 $command --version
	run 2 $command --nonsense
	err_has "no option --nonsense"
	err_has "lanemesh $command --help"
	run 2 $command -Z
	err_has "no option -Z"
done <<<"$commands"

run 2
err_has "a command is missing"
run 2 nonsense
err_has "nonsense"
err_has "lanemesh --help"
run 2 authority
err_has "authority create"
run 2 authority nonsense
run 2 --nonsense
err_has "--nonsense"
run 2 -Z
run 2 --json=1 keygen
err_has "takes no value"
run 2 --help=1
run 2 -i
err_has "NAME is missing"
for name in "" .. a/b "a b" $(printf 'x%.0s' $(seq 33)); do
	run 2 -i "$name" keygen --show key
	err_has "--instance"
done

# Global options stand before or after the command.
run 0 keygen -o key
for order in "--json keygen --show key" "keygen --json --show key" "keygen --show key --json" \
	"-i gw1 --json keygen --show key" "keygen --show key --instance=gw1 --json --json"; do
	run 0 $order
	out_has '"public_key"'
done
