# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Packages from another Debian suite, trixie-backports unless one is named, without
# touching the system's apt: a private state in the cache for each suite, pointed at
# the mirror this machine already uses.

ARCHIVE=$CACHE/apt
BACKPORTS=trixie-backports

# The mirror of the main archive: not security, not somebody else's packages.
mirror() {
	apt-get indextargets 'Created-By: Packages' --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' |
		awk -F'|' '$1 == "Debian" && $2 == "Debian" { print $3; exit }'
}

private() { # SUITE apt-get|apt-cache ARG...
	local state=$ARCHIVE/$1 tool=$2
	shift 2
	"$tool" -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts=- \
		-o Dir::State::Lists="$state/lists" -o Dir::Cache="$state/cache" \
		-o Dir::Cache::archives="$state/archives" -o APT::Sandbox::User=root "$@"
}

archive_update() { # SUITE
	local state=$ARCHIVE/$1 uri keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	uri=$(mirror)
	if [ -z "$uri" ]; then
		as_root apt-get update
		uri=$(mirror)
	fi
	[ "$uri" ] || { echo "apt knows no Debian mirror: check /etc/apt/sources.list"; return 1; }
	mkdir -p "$state"/{lists,cache,archives}/partial
	echo "deb [signed-by=$keyring] $uri $1 main" >"$state/sources.list"
	private "$1" apt-get update
	touch "$state/.updated"
}

# Fresh for a day: the archive moves slowly.
archive_is_fresh() { [ "$(find "$ARCHIVE/$1/.updated" -mmin -1440 2>/dev/null)" ]; }

archive_ready() { # [SUITE]
	local suite=${1:-$BACKPORTS} lock
	! archive_is_fresh "$suite" || return 0
	lock_entry "apt-$suite"
	archive_is_fresh "$suite" ||
		long "apt-$suite" "reading the package lists of $suite" - archive_update "$suite"
	unlock_entry
}

# archive_versions PACKAGE [SUITE]: newest first.
archive_versions() {
	private "${2:-$BACKPORTS}" apt-cache madison "$1" | awk -F'|' '{ gsub(/ /, "", $2); print $2 }' | sort -ruV
}

downloaded() { # LOG
	find "$ARCHIVE/debs" -type f -printf '%s\n' | awk '{ n += $1 } END { printf "%d MB", n / 1e6 }'
}

# archive_unpack PACKAGE VERSION FOLDER [SUITE]: fetched and unpacked, not installed.
archive_unpack() {
	local folder=$3
	mkdir -p "$ARCHIVE/debs"
	(cd "$ARCHIVE/debs" && private "${4:-$BACKPORTS}" apt-get download "$1=$2")
	dpkg-deb -x "$ARCHIVE/debs/$1_$(printf %s "$2" | sed 's/:/%3a/')"_*.deb "$folder"
	rm "$ARCHIVE/debs/$1"_*.deb
}
