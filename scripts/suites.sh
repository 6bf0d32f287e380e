# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Sourced by scripts/test, scripts/test-long and some suites: what an output says.

# count LOG: its cases that passed and failed, as kunit.py, cargo and our suites count
# them; nothing if it counts none.
count() {
	awk '
	/Ran [0-9]+ tests:/ {
		known = 1
		for (i = 1; i < NF; i++) {
			if ($i == "passed:") ok += $(i + 1)
			if ($i == "failed:" || $i == "crashed:" || $i == "errors:") bad += $(i + 1)
		}
	}
	/^test result:/ { known = 1; ok += $4; bad += $6 }
	END { if (known) print ok + 0, bad + 0 }' "$1"
}

# what_failed LOG: the lines that say so, for the end of a long output, each with the remarks
# that its case made before.
what_failed() {
	awk '
	function tell(line) { if (told++ < 40) print "    " line }
	/^# FAILED/ || /^(guest: |FAILED|error|test .* FAILED)|panicked at|: FAIL/ { tell($0); next }
	/^not ok/ { for (i = 0; i < n; i++) tell(said[i]); tell($0) }
	/^(not )?ok/ { n = 0; next }
	/^#/ { if (n < 8) said[n++] = $0 }' "$1"
}

# cases STATUS LOG: sets ok and bad. A suite that counts nothing is one case, and one that
# ends with an error has a case that failed.
cases() {
	read -r ok bad <<<"$(count "$2")"
	if [ -z "${ok:-}" ]; then ok=$(($1 == 0)) bad=$(($1 != 0)); fi
	[ "$1" = 0 ] || [ "$bad" != 0 ] || bad=1
}

# ktap STATUS LOG WHAT: sets ok and bad from one run of a program with a plan. No plan,
# cases missing, or a report of the kernel after them all is a case that failed.
ktap() {
	local planned
	ok=$(grep -c '^ok ' "$2") || true # which fails if there is none
	bad=$(grep -c '^not ok ' "$2") || true
	planned=$(sed -n 's/^1\.\.//p' "$2")
	if [ "$((ok + bad))" != "${planned:-none}" ] || { [ "$1" != 0 ] && [ "$bad" = 0 ]; }; then
		say "$3: ended with $1 after $((ok + bad)) of ${planned:-no} cases"
		bad=$((bad + 1))
	fi
}
