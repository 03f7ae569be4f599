#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# $1 = drivers-config/install-deps: what it would install; nothing is installed here.
set -eu
script=$1

die() {
	echo "install_deps.sh: $*" >&2
	exit 1
}

# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "$ID $VERSION_ID")
list=$("$script" --list)
grep -qx libdpdk-dev <<<"$list" || die "no libdpdk-dev in: $list"
[ "$("$script" --run --dev --list)" = "$list" ] || die "not what --run and --dev give"
! grep -q '^gnuplot' <<<"$list" || die "--bench's packages without --bench"
two=$("$script" --ipsec-mb-2 --list)
grep -qx libipsec-mb2 <<<"$two" || die "no libipsec-mb2 in: $two"
! grep -qx libipsec-mb1 <<<"$two" || die "libipsec-mb1 in: $two"
grep -qx libipsec-mb-dev <<<"$two" || die "no libipsec-mb-dev in: $two"
case $release in
'debian 12')
	grep -qx libipsec-mb1 <<<"$list" || die "no libipsec-mb1 in: $list"
	[ "$("$script" --ipsec-mb-1 --list)" = "$list" ] || die "version 1 is not the release's own"
	# Of libipsec-mb-dev at least one version is missing.
	one=$("$script" --dev --ipsec-mb-1 --check || true)
	two=$("$script" --dev --ipsec-mb-2 --check || true)
	grep -qx libipsec-mb-dev <<<"$one"$'\n'"$two" || die "both versions are there: $one; $two"
	;;
'debian 13')
	if "$script" --ipsec-mb-1 --list 2>/dev/null; then
		die "version 1 on Debian 13"
	fi
	;;
esac
status=0
"$script" --nonsense 2>/dev/null || status=$?
[ "$status" = 2 ] || die "--nonsense: exit status $status"
