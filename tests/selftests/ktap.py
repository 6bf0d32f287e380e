# SPDX-License-Identifier: GPL-2.0
"""What a kernel selftest printed, as outcomes by the names of its subtests.

The kernel's own kunit_parser.py does not do: it gives "ok 3 # SKIP name" no name, knows no XFAIL, and stops
at the first program. Here names are what two runs are compared by, so each has to have one.
"""
import re

OK, SKIP, XFAIL, XPASS, NOT_OK = "ok", "skip", "xfail", "xpass", "not ok"
ABSENT = "absent"
# From good to bad; what is not named is as bad as NOT_OK.
RANK = {OK: 3, XPASS: 3, XFAIL: 2, SKIP: 1, ABSENT: -1}
# What is no subtest, but can differ too.
EXIT, PLAN = "(exit)", "(plan)"

RESULT = re.compile(r"^\s*(not ok|ok)\s+(?:\d+\s*)?(?:- )?(.*)$")
DIRECTIVE = re.compile(r"^(.*?)\s*#\s*(SKIP|XFAIL|XPASS|TODO|error)\b:?\s*(.*)$", re.I)
PLANNED = re.compile(r"^1\.\.(\d+)")
# stress-ng's last words, by stressor.
SAYS = re.compile(r"stress-ng: \w+: +\[\d+\] (passed|failed|skipped): \d+: (.*)")
SAID = {"passed": OK, "failed": NOT_OK, "skipped": SKIP}
# The guest's line, which is no title of hmm-tests' own ("=== Small Buffer (0.5 MB) ===").
ENDED = re.compile(r"^=== (\d+)$")
ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
# What pagemap_ioctl has counted.
COUNTED = re.compile(r"(Extra pages|extra thread faults) [\d.]+( \([\d.]+%\))?")


def result(line):
    """(name, outcome), or None if the line is none."""
    found = RESULT.match(line)
    if not found:
        return None
    outcome, name = found[1], found[2].strip()
    directive = DIRECTIVE.match(name)
    if directive:
        # The name comes before it or after, as the program likes.
        name = directive[1].strip() or directive[3].strip()
        word = directive[2].lower()
        if outcome == OK:
            outcome = {"todo": XFAIL}.get(word, word)
    else:
        # "name #  message" is kselftest.h's.
        name = name.split(" #  ")[0].strip()
    return COUNTED.sub(r"\1 *", ADDRESS.sub("0x*", name)), outcome


def numbered(name, taken):
    """A name that comes again is told by how often it came."""
    if name not in taken:
        return name
    number = 2
    while f"{name} [{number}]" in taken:
        number += 1
    return f"{name} [{number}]"


def ended(status):
    """The exit status as an outcome. 4 is kselftest.h's for skipped, 124 and 137 timeout's."""
    names = {0: OK, 4: SKIP, 124: "time is up", 137: "time is up"}
    if status in names:
        return names[status]
    return f"signal {status - 128}" if status > 128 else f"exit {status}"


def outcomes(lines, status):
    """Outcomes by subtest, with how it ended and whether all that was planned was run."""
    found, planned = {}, None
    for line in lines:
        plan = PLANNED.match(line)
        if plan:
            planned = int(plan[1])
        one = result(line)
        if one:
            found[numbered(one[0], found)] = one[1]
    if planned is not None:
        found[PLAN] = OK if len(found) == planned else "not all"
    found[EXIT] = ended(status)
    return found


def stress_ng(lines, status):
    """Of a run of stress-ng: what it says of each stressor, and how it ended (4 is its skipped, too)."""
    found = {}
    for line in lines:
        says = SAYS.match(line)
        if says:
            found.update((name, SAID[says[1]]) for name in re.findall(r"([\w-]+) \(\d+\)", says[2]))
    found[EXIT] = ended(status)
    return found


def programs(text, reader=outcomes):
    """The output of tests/selftests/guest: for each time a program ran its name and its outcomes."""
    runs, name, lines = [], None, []
    for line in text.splitlines():
        if line.startswith("== "):
            name, lines = line[3:], []
        elif name and (end := ENDED.match(line)):
            runs.append((name, reader(lines, int(end[1]))))
            name = None
        elif name:
            lines.append(line)
    if name:
        # The guest ended first.
        runs.append((name, {**reader(lines, 0), EXIT: ABSENT}))
    return runs
