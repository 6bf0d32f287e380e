# SPDX-License-Identifier: GPL-2.0
# The table of scripts/run. Input lines:
#  MODE once|later NAME RSS VMPTE LEAST PTE PMD PUD PTE_NOW	kB, and numbers of tables
#  name NAME RATIO KB TITLE...			the module's aims at once, or -
#  counter COUNTER VALUE			of the module
# later=RATIO is the aim for its PTE tables later.

# PTE tables there over PTE tables needed: what the module can free today.
function ratio(key) {
	return pte_now[key] / pte[key]
}

# Tables of the upper levels that hold nothing.
function upper(key) {
	return vmpte[key] / 4 - pte_now[key] - pmd[key] - pud[key]
}

function missed(text) {
	print "MISSED: " text
	bad = 1
}

# What is needed differs a little from run to run.
function compare(when, name,    m, our, other) {
	our = "module" SUBSEP when SUBSEP name
	for (m = 1; m <= 2; m++) {
		other = modes[m] SUBSEP when SUBSEP name
		if (vmpte[our] > vmpte[other] &&
		    vmpte[our] / least[our] > vmpte[other] / least[other])
			missed(sprintf("%s, %s: %s is better, with %d kB", title[name],
				       label[when], modes[m], vmpte[other]))
	}
}

BEGIN {
	split("off builtin module", modes)
	split("once later", times)
	label["once"] = "at once"
	label["later"] = "5 s later"
}

$1 == "name" {
	names[++n] = $2
	most_ratio[$2] = $3
	most_kb[$2] = $4
	sub(/^name [^ ]+ [^ ]+ [^ ]+ /, "")
	title[names[n]] = $0
	next
}

$1 == "counter" {
	if ($3 > 0) {
		counters[++counted] = $2
		value[$2] = $3
	}
	next
}

{
	key = $1 SUBSEP $2 SUBSEP $3
	vmpte[key] = $5
	least[key] = $6
	pte[key] = $7
	pmd[key] = $8
	pud[key] = $9
	pte_now[key] = $10
}

END {
	printf "%-25s", ""
	for (m = 1; m <= 3; m++)
		printf " | %-22s", "reclaim " modes[m]
	printf "\n%-25s", "after giving memory back"
	for (m = 1; m <= 3; m++)
		printf " | %6s %6s %5s %2s", "VmPTE", "least", "ratio", "up"
	printf "\n-------------------------"
	for (m = 1; m <= 3; m++)
		printf "-|-----------------------"
	printf "\n"

	for (i = 1; i <= n; i++) {
		name = names[i]
		for (t = 1; t <= 2; t++) {
			printf "%-25s", t == 1 ? title[name] : "  " label[times[t]]
			for (m = 1; m <= 3; m++) {
				key = modes[m] SUBSEP times[t] SUBSEP name
				if (pte[key] <= 0) {
					printf " | %-22s", "no result"
					absent[name] = 1
					continue
				}
				r = ratio(key)
				printf " | %6d %6d %5.*f %2d", vmpte[key], least[key],
				       r < 99 ? 2 : 0, r, upper(key)
			}
			printf "\n"
		}
	}
	print ""
	print "VmPTE: page tables the process has, in kB; least: those for ranges that hold anything but"
	print "zero pages, with the upper tables these need. ratio: the same of PTE tables only. up: tables"
	print "of the upper levels (4 kB each) that hold nothing; only munmap() frees those."
	if ("loop2m" in title || "loop64k" in title)
		print "* touched: 16 pages of each 2 MiB, 32 in the loop by 64 KiB (emulation is slow)."

	if (counted) {
		print ""
		print "The module's counters that are not zero:"
		line = ""
		for (i = 1; i <= counted; i++) {
			item = sprintf("  %s %d", counters[i], value[counters[i]])
			if (length(line item) > 96) {
				print line
				line = ""
			}
			line = line item
		}
		print line
	}

	print ""
	for (i = 1; i <= n; i++) {
		name = names[i]
		if (name in absent) {
			missed(title[name] ": no result")
			continue
		}
		compare("once", name)
		compare("later", name)
		key = "module" SUBSEP "once" SUBSEP name
		r = vmpte[key] / least[key]
		if (most_ratio[name] != "-" && r > most_ratio[name])
			missed(sprintf("%s, at once: VmPTE / least %.3f, the aim is %s",
				       title[name], r, most_ratio[name]))
		if (most_kb[name] != "-" && vmpte[key] > most_kb[name])
			missed(sprintf("%s, at once: VmPTE %d kB, the aim is %s", title[name],
				       vmpte[key], most_kb[name]))
		key = "module" SUBSEP "later" SUBSEP name
		if (ratio(key) > later)
			missed(sprintf("%s, 5 s later: ratio %.3f, the aim is %s", title[name],
				       ratio(key), later))
	}
	if (!bad)
		print "The module is the best in every line, and every aim is met."
	exit bad
}
