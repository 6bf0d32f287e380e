# SPDX-License-Identifier: GPL-2.0
"""Two kernels' outcomes of the same programs, by difference.

A subtest that is better or worse, gone or new with the module is a difference, and each difference needs a
reason: one of the file of known ones, or that the stock kernel differs from itself in the same way.
"""
import fnmatch
from collections import Counter, namedtuple

from ktap import ABSENT, OK, RANK

Known = namedtuple("Known", "program subtest stock module why")
FLAKY = "flaky"
# verdicts
SAME, KNOWN, WAVERS, WRONG = "same", "known", "wavers", "wrong"
Finding = namedtuple("Finding", "program subtest verdict says")


def known_differences(path):
    """PROGRAM | SUBTEST | on stock | with the module | why, the first two with wildcards."""
    entries = []
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            fields = [field.strip() for field in line.split("|", 4)]
            if len(fields) != 5 or not all(fields):
                raise SystemExit(f"{path}: not five fields: {line}")
            entries.append(Known(*fields))
    return entries


class Outcomes:
    """Of one kernel: for each program the outcomes of each of its runs."""

    def __init__(self):
        self.by_program = {}

    def add(self, runs):
        for program, found in runs:
            self.by_program.setdefault(program, []).append(found)

    def counts(self, program, subtest):
        runs = self.by_program.get(program, [{}])
        return Counter(run.get(subtest, ABSENT) for run in runs)


def subtests(program, *kernels):
    """Of any run on any kernel, in the order in which they first came."""
    names = {}
    for kernel in kernels:
        for run in kernel.by_program.get(program, []):
            names.update(dict.fromkeys(run))
    return list(names)


def says(counts):
    """How often what came out: "ok", or "ok 4 of 5, not ok 1 of 5"."""
    runs = counts.total()
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{outcome} {n} of {runs}" for outcome, n in counts.most_common())


def rank(outcome):
    return RANK.get(outcome, 0)


def matches(entry, program, subtest):
    return fnmatch.fnmatchcase(program, entry.program) and fnmatch.fnmatchcase(subtest, entry.subtest)


def is_known(known, program, subtest, stock, module):
    """The entry that says so. One called flaky wavers on stock, seldom; and what may be absent was not
    reached: with the module too both must come out well at times."""
    for entry in known:
        if not matches(entry, program, subtest):
            continue
        may_be = set(entry.module.split(" or "))
        well = max(map(rank, module)) >= max(map(rank, stock))
        if entry.stock == FLAKY:
            if well:
                return entry
        elif set(stock) == {entry.stock} and set(module) <= may_be and (well or ABSENT not in may_be):
            return entry
    return None


def judge(known, program, subtest, stock, module):
    """stock, module: Counters of outcomes."""
    if set(stock) == set(module) and len(stock) == 1:
        return Finding(program, subtest, SAME, "")
    what = f"{says(stock)} on stock; {says(module)} with the module"
    entry = is_known(known, program, subtest, stock, module)
    if entry:
        return Finding(program, subtest, KNOWN, f"{what}: {entry.why}")
    # Wavering is excused by nothing but the same on stock, and not if it never comes out well.
    if set(module) <= set(stock) and max(map(rank, module)) == max(map(rank, stock)):
        return Finding(program, subtest, WAVERS, what)
    return Finding(program, subtest, WRONG, what)


def findings(known, stock, module, program):
    """Of each subtest. A program that ran nowhere is wrong, too."""
    if not subtests(program, stock, module):
        return [Finding(program, "(all)", WRONG, "did not run")]
    return [judge(known, program, name, stock.counts(program, name), module.counts(program, name))
            for name in subtests(program, stock, module)]


def tally(outcomes, program):
    """In words, of its first run."""
    first = outcomes.by_program.get(program, [{}])[0]
    ranks = [rank(outcome) for name, outcome in first.items() if not name.startswith("(")]
    counts = (("ok", sum(r >= 2 for r in ranks)), ("skipped", ranks.count(1)), ("not ok", ranks.count(0)))
    return ", ".join(f"{n} {word}" for word, n in counts if n) or "nothing to tell but how it ended"
