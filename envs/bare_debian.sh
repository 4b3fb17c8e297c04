#!/usr/bin/env bash
# Try the two commands on a bare Debian: its own Python, and nothing else that is not named here.
#
#   envs/bare_debian.sh FOLDER [TARGET ...]    as root; targets of make, by default: demo test
#
# RELEASE: bookworm (Debian 12, the default) or trixie (13). ACCOUNT: root, or the name of a user who is made there.
# Makes the system in FOLDER (8 GB in the end) if it is not there yet, clones the last commit of this checkout into it,
# runs `make TARGET` for each, and prints one line for each. Logs: FOLDER/logs/TARGET.log. pip finds what it finds here:
# its configuration goes along, and so do folders on disk that it names. MIRROR: of Debian; by default debootstrap's own.
set -euo pipefail

readonly RELEASE=${RELEASE:-bookworm}
readonly ACCOUNT=${ACCOUNT:-root}
readonly PACKAGES=ca-certificates,git,make,python3,python3-venv
if [ "$ACCOUNT" = root ]; then PLACE=/root; else PLACE=/home/$ACCOUNT; fi
readonly PLACE CHECKOUT=$PLACE/avpretext

fail() {
	echo "$1" >&2
	exit 1
}

make_system() {
	if ! command -v debootstrap >/dev/null; then
		apt-get -qq update
		DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends debootstrap >/dev/null
	fi
	echo "Making Debian $RELEASE in $root ..."
	mkdir -p "$root"
	debootstrap --variant=minbase --include="$PACKAGES" "$RELEASE" "$root" ${MIRROR:+"$MIRROR"} >"$logs/debootstrap.log" ||
		fail "debootstrap failed: $logs/debootstrap.log"
	touch "$root/.complete"
}

clone_checkout() {
	rm -rf "${root:?}$CHECKOUT"
	git -c safe.directory='*' clone --quiet --no-hardlinks "$(git -C "$(dirname "$0")" rev-parse --show-toplevel)" "$root$CHECKOUT"
	[ "$ACCOUNT" = root ] || chroot "$root" chown -R "$ACCOUNT:" "$PLACE"
}

make_account() {
	[ "$ACCOUNT" = root ] || chroot "$root" id "$ACCOUNT" >/dev/null 2>&1 ||
		chroot "$root" useradd --create-home "$ACCOUNT"
}

# Files of this machine that are needed to reach the network, and pip's configuration, at the same places.
copy_settings() {
	local file
	for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt /etc/pip.conf /etc/xdg/pip \
		"$HOME/.config/pip" "$HOME/.pip"; do
		[ -e "$file" ] || continue
		local place=$root${file/#$HOME/$PLACE}
		mkdir -p "$(dirname "$place")"
		rm -rf "$place"
		cp -rL "$file" "$place"
	done
}

# Folders on disk that pip looks for packages in, one a line; the files of an index lie beside its folder `simple`.
package_folders() {
	{
		python3 -m pip config list 2>/dev/null || true
		env | grep '^PIP_' || true
	} | grep -oE "(file://)?/[^' ]+" | sed -E 's,^file://,,; s,/simple/?$,,' | sort -u | while read -r path; do
		if [ -d "$path" ]; then echo "$path"; fi
	done
}

# Names of the settings that are handed on: of pip, proxies and certificates.
settings() {
	env -0 | tr '\0' '\n' | grep -iE '^(PIP_[A-Z_]+|(http|https|no|all)_proxy|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE)=' || true
}

# In a mount and process namespace of its own: whatever happens, nothing stays mounted or running.
enter() {
	mount --make-rprivate /
	mount -t proc proc "$root/proc"
	mount --rbind /sys "$root/sys"
	mount --rbind /dev "$root/dev"
	local folder
	for folder in $(package_folders); do
		mkdir -p "$root$folder"
		mount --bind -o ro "$folder" "$root$folder"
	done
	local given
	mapfile -t given < <(settings)
	exec chroot --userspec="$ACCOUNT:$ACCOUNT" "$root" /usr/bin/env -i HOME="$PLACE" LANG=C.UTF-8 TERM=dumb \
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${given[@]}" \
		make --directory "$CHECKOUT" "$1"
}

try() {
	local start=$SECONDS verdict=passed
	echo "make $1: $logs/$1.log"
	unshare --mount --pid --fork --kill-child "$0" "$folder" --enter "$1" >"$logs/$1.log" 2>&1 || verdict=FAILED
	echo "make $1 by $ACCOUNT on Debian $(cat "$root/etc/debian_version"), $(chroot "$root" python3 --version): $verdict after" \
		"$(((SECONDS - start) / 60)) min; $(grep -v '^make: ' "$logs/$1.log" | tail -n 1)"
	[ $verdict = passed ]
}

main() {
	[ $# -ge 1 ] || fail "$(sed -n '2,10s/^# \{0,1\}//p' "$0")"
	[ "$(id -u)" = 0 ] || fail "as root: debootstrap and chroot need it"
	folder=$(realpath -m "$1")
	root=$folder/system logs=$folder/logs
	if [ "${2-}" = --enter ]; then
		enter "$3"
	fi
	mkdir -p "$logs"
	[ -e "$root/.complete" ] || make_system
	make_account
	copy_settings
	clone_checkout
	shift
	[ $# -gt 0 ] || set -- demo test
	status=0
	for target in "$@"; do
		try "$target" || status=1
	done
	return $status
}

# Read as a whole before it runs for an hour, whatever becomes of this file meanwhile.
main "$@"; exit
