# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Packages from Debian's trixie-backports without touching the system's apt: a
# private state in the cache, pointed at the mirror this machine already uses.

ARCHIVE=$CACHE/apt

# The mirror of the main archive: not security, not somebody else's packages.
mirror() {
	apt-get indextargets 'Created-By: Packages' --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' |
		awk -F'|' '$1 == "Debian" && $2 == "Debian" { print $3; exit }'
}

private() { # apt-get|apt-cache ARG...
	local tool=$1
	shift
	"$tool" -o Dir::Etc::SourceList="$ARCHIVE/sources.list" -o Dir::Etc::SourceParts=- \
		-o Dir::State::Lists="$ARCHIVE/lists" -o Dir::Cache="$ARCHIVE/cache" \
		-o Dir::Cache::archives="$ARCHIVE/archives" -o APT::Sandbox::User=root "$@"
}

archive_update() {
	local uri keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	uri=$(mirror)
	if [ -z "$uri" ]; then
		as_root apt-get update
		uri=$(mirror)
	fi
	[ "$uri" ] || { echo "apt knows no Debian mirror: check /etc/apt/sources.list"; return 1; }
	mkdir -p "$ARCHIVE"/{lists,cache,archives}/partial
	echo "deb [signed-by=$keyring] $uri trixie-backports main" >"$ARCHIVE/sources.list"
	private apt-get update
	touch "$ARCHIVE/.updated"
}

# Fresh for a day: the archive moves slowly.
archive_is_fresh() { [ "$(find "$ARCHIVE/.updated" -mmin -1440 2>/dev/null)" ]; }

archive_ready() {
	local lock
	! archive_is_fresh || return 0
	lock_entry apt
	archive_is_fresh || long apt "reading the package lists of trixie-backports" - archive_update
	unlock_entry
}

# archive_versions PACKAGE: newest first.
archive_versions() {
	private apt-cache madison "$1" | awk -F'|' '{ gsub(/ /, "", $2); print $2 }' | sort -ruV
}

downloaded() { # LOG
	find "$ARCHIVE/debs" -type f -printf '%s\n' | awk '{ n += $1 } END { printf "%d MB", n / 1e6 }'
}

# archive_unpack PACKAGE VERSION FOLDER: fetched and unpacked, not installed.
archive_unpack() {
	local folder=$3
	mkdir -p "$ARCHIVE/debs"
	(cd "$ARCHIVE/debs" && private apt-get download "$1=$2")
	dpkg-deb -x "$ARCHIVE/debs/$1_$(printf %s "$2" | sed 's/:/%3a/')"_*.deb "$folder"
	rm "$ARCHIVE/debs/$1"_*.deb
}
