# SPDX-License-Identifier: GPL-2.0
# The table of scripts/run. Input lines:
#  MODE NAME RSS VMPTE LEAST PTE PMD PUD		kB, and numbers of tables
#  name NAME RATIO KB TITLE...			the module's aims, or -
#  counter COUNTER VALUE			of the module

function ratio(mode, name) {
	return vmpte[mode, name] / least[mode, name]
}

function missed(text) {
	print "MISSED: " text
	bad = 1
}

BEGIN {
	split("off builtin module", modes)
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
	rss[$1, $2] = $3
	vmpte[$1, $2] = $4
	least[$1, $2] = $5
}

END {
	printf "%-27s", ""
	for (m = 1; m <= 3; m++)
		printf " | %-26s", "reclaim " modes[m]
	printf "\n%-27s", "after giving memory back"
	for (m = 1; m <= 3; m++)
		printf " | %5s %7s %6s %5s", "RSS", "VmPTE", "least", "ratio"
	printf "\n%-27s", "---------------------------"
	for (m = 1; m <= 3; m++)
		printf "-|---------------------------"
	printf "\n"

	for (i = 1; i <= n; i++) {
		name = names[i]
		printf "%-27s", title[name]
		for (m = 1; m <= 3; m++) {
			mode = modes[m]
			if (!((mode, name) in vmpte) || least[mode, name] <= 0) {
				printf " | %-26s", "no result"
				absent[name] = 1
				continue
			}
			r = ratio(mode, name)
			printf " | %4.1fM %6dk %5dk %5.*f", rss[mode, name] / 1024,
			       vmpte[mode, name], least[mode, name], r < 99 ? 2 : 0, r
		}
		printf "\n"
	}
	print ""
	print "VmPTE: page tables the process has; least: those for ranges that hold anything,"
	print "with the upper tables these need. ratio: VmPTE / least."
	if ("loop2m" in title || "loop64k" in title) {
		print "* touched: 16 pages of each 2 MiB, 32 in the loop by 64 KiB (emulation is slow)."
		print "  What the module leaves is 50 PMD tables, which only munmap() frees."
	}

	if (counted) {
		print ""
		print "The module's counters that are not zero; each table zapped is in one of them:"
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
		for (m = 1; m <= 2; m++)
			# What is needed differs a little from run to run.
			if (vmpte["module", name] > vmpte[modes[m], name] &&
			    ratio("module", name) > ratio(modes[m], name))
				missed(sprintf("%s: %s is better, with %d kB", title[name],
					       modes[m], vmpte[modes[m], name]))
		if (most_ratio[name] != "-" && ratio("module", name) > most_ratio[name])
			missed(sprintf("%s: ratio %.3f, the aim is %s", title[name],
				       ratio("module", name), most_ratio[name]))
		if (most_kb[name] != "-" && vmpte["module", name] > most_kb[name])
			missed(sprintf("%s: VmPTE %d kB, the aim is %s", title[name],
				       vmpte["module", name], most_kb[name]))
	}
	if (!bad)
		print "The module is the best in every line, and every aim is met."
	exit bad
}
