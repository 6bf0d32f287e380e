# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Sourced by the other scripts: the cache folder, long steps with progress, and
# steps done once. Messages go to standard error; standard output is for results.

set -euo pipefail
shopt -s inherit_errexit

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/ptreclaim
mkdir -p "$CACHE"/{log,lock}
CACHE=$(cd "$CACHE" && pwd -P)

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }

elapsed() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# long NAME WHAT FAR COMMAND...: run COMMAND with its output in log/NAME.log
# and show WHAT, how far it is (the output of FAR, or - for nothing to tell) and
# how long it has taken: one line kept up to date, or one line every 20 seconds.
long() {
	local name=$1 what=$2 far=$3 log=$CACHE/log/$1.log
	local start=$SECONDS next=20 took=0 status=0 job line pause=1
	[ ! -t 2 ] || pause=0.3
	shift 3
	# Of its own process group, so that an interrupted run leaves nothing behind.
	set -m
	("$@") >"$log" 2>&1 </dev/null &
	job=$!
	set +m
	trap 'kill -TERM -- -'"$job"' 2>/dev/null; trap - EXIT; exit 130' INT TERM HUP
	trap 'kill -TERM -- -'"$job"' 2>/dev/null' EXIT
	while kill -0 "$job" 2>/dev/null; do
		took=$((SECONDS - start))
		# Many wait at a time, and each step of looking is a process: seldom, if nobody looks.
		if [ -t 2 ] || [ $took -ge $next ]; then
			line="$what"
			# What cannot be told yet is no failure of the step.
			[ "$far" = - ] || line="$line: $($far "$log" 2>/dev/null || echo begins)"
		fi
		if [ -t 2 ]; then
			printf '\r\033[K%s  [%s]' "$line" "$(elapsed $took)" >&2
		elif [ $took -ge $next ]; then
			say "$line  [$(elapsed $took)]"
			next=$((took + 20))
		fi
		sleep "$pause"
	done
	trap - INT TERM HUP EXIT
	[ -t 2 ] && printf '\r\033[K' >&2
	wait "$job" || status=$?
	if [ $status != 0 ]; then
		say "$what: failed (status $status) after $(elapsed $took). The last lines of $log:"
		tail -n 30 "$log" >&2
		return 1
	fi
	[ $took -lt 2 ] || say "$what: done  [$(elapsed $took)]"
}

# once ENTRY COMMAND...: run COMMAND, under a lock, until it has succeeded once
# for this cache entry (a folder). What an interrupted run left is built upon.
# Not to be called where a failure is looked at (|| or if): there bash goes on
# after errors inside COMMAND.
once() {
	local entry=$1 lock
	shift
	[ ! -e "$entry/.done" ] || return 0
	lock_entry "${entry##*/}"
	if [ ! -e "$entry/.done" ]; then
		mkdir -p "$entry"
		"$@"
		touch "$entry/.done"
	fi
	unlock_entry
}

# The caller has "local lock".
lock_entry() {
	exec {lock}>"$CACHE/lock/$1"
	flock -n "$lock" || { say "waiting for another run ($1)"; flock "$lock"; }
}

unlock_entry() { exec {lock}>&-; }

# variant NAME COLUMN: of kunit/variants; variant names all that there are.
variant() {
	awk -F ' *[|] *' -v name="$1" -v column="${2:-}" '
		$1 == "# name" { for (i = 1; i <= NF; i++) nth[$i] = i }
		/^(#|$)/ { next }
		name == "names" { print $1; found = 1 }
		$1 == name { print $nth[column]; found = 1 }
		END { exit !found }' "$REPO/kunit/variants" || {
		say "there is no kernel variant '$1': kunit/variants has them"
		return 1
	}
}

hash_of() { sha256sum | cut -c1-12; }

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# can_be_root: without a password, that is.
can_be_root() { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }

version_at_least() { # HAVE WANT
	[ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}
