#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What reads and compares the outcomes: every difference must be seen."""
import unittest
from collections import Counter
from pathlib import Path
from tempfile import NamedTemporaryFile

import compare
import ktap

GUEST = """\
== guard-regions
TAP version 13
1..3
#  RUN           guard_regions.anon.basic ...
#            OK  guard_regions.anon.basic
ok 1 guard_regions.anon.basic
not ok 2 guard_regions.anon.fork
ok 3 guard_regions.file.hole_punch # SKIP no such file
# took 12 ms
=== 1
== cow
1..2
ok 1 basic COW after fork() with memory at 0x7f00aa
ok 2 # SKIP vmsplice() with hugetlb
=== 4
# counter freed 12
# the end
"""


def read(*lines, status=0):
    return ktap.outcomes(lines, status)


class Reading(unittest.TestCase):
    def test_programs(self):
        (first, guard), (second, cow) = ktap.programs(GUEST)
        self.assertEqual((first, second), ("guard-regions", "cow"))
        self.assertEqual(guard, {
            "guard_regions.anon.basic": "ok", "guard_regions.anon.fork": "not ok",
            "guard_regions.file.hole_punch": "skip", ktap.PLAN: "ok", ktap.EXIT: "exit 1"})
        self.assertEqual(cow, {
            "basic COW after fork() with memory at 0x*": "ok",
            "vmsplice() with hugetlb": "skip", ktap.PLAN: "ok", ktap.EXIT: "skip"})

    def test_result_lines(self):
        for line, name, outcome in (
                ("ok 1 a", "a", "ok"), ("not ok 12 - a b", "a b", "not ok"), ("  ok 3 a", "a", "ok"),
                ("ok 4 # XFAIL a", "a", "xfail"), ("ok 5 a # XFAIL why", "a", "xfail"),
                ("ok 6 a # SKIP", "a", "skip"), ("ok 7 # XPASS a", "a", "xpass"), ("ok 8 a # TODO b", "a", "xfail"),
                ("not ok 9 # error a", "a", "not ok"), ("not ok 1 a # SKIP b", "a", "not ok"),
                ("ok 2 a #  said", "a", "ok"), ("ok a", "a", "ok")):
            self.assertEqual(ktap.result(line), (name, outcome), line)

    def test_no_result_lines(self):
        for line in ("# ok 1 a", "okay", "1..3", "#            OK  a.b", "notok 1 a", ""):
            self.assertIsNone(ktap.result(line), line)

    def test_the_same_name_twice(self):
        self.assertEqual(read("ok 1 a", "not ok 2 a", "ok 3 a"),
                         {"a": "ok", "a [2]": "not ok", "a [3]": "ok", ktap.EXIT: "ok"})

    def test_a_plan_that_is_not_kept(self):
        self.assertEqual(read("1..3", "ok 1 a", "ok 2 b")[ktap.PLAN], "not all")

    def test_how_it_ended(self):
        for status, outcome in ((0, "ok"), (4, "skip"), (1, "exit 1"), (124, "time is up"), (137, "time is up"),
                                (139, "signal 11")):
            self.assertEqual(read(status=status)[ktap.EXIT], outcome)

    def test_the_guest_ends_first(self):
        runs = ktap.programs("== a\nok 1 b\n")
        self.assertEqual(runs, [("a", {"b": "ok", ktap.EXIT: "absent"})])

    def test_a_title_that_looks_like_the_end(self):
        runs = ktap.programs("== a\n=== Small Buffer (0.5 MB) ===\nok 1 b\n=== 0\n")
        self.assertEqual(runs, [("a", {"b": "ok", ktap.EXIT: "ok"})])

    def test_stress_ng(self):
        lines = ("stress-ng: info:  [7] dispatching hogs: 2 mmap, 1 vm-rw, 1 swap", "stress-ng: info:  [7] skipped: 1: swap (1)",
                 "stress-ng: info:  [7] passed: 2: mmap (2)", "stress-ng: warn:  [7] failed: 1: vm-rw (1)",
                 "stress-ng: info:  [7] metrics untrustworthy: 0")
        self.assertEqual(ktap.stress_ng(lines, 2),
                         {"mmap": "ok", "vm-rw": "not ok", "swap": "skip", ktap.EXIT: "exit 2"})


class Comparing(unittest.TestCase):
    def judge(self, stock, module, known=()):
        return compare.judge(known, "program", "subtest", Counter(stock), Counter(module)).verdict

    def entry(self, stock, module, subtest="subtest"):
        return [compare.Known("program", subtest, stock, module, "a reason")]

    def verdicts(self, stock, module):
        kernels = []
        for lines in (stock, module):
            kernels.append(compare.Outcomes())
            kernels[-1].add([("program", read(*lines))])
        return {f.subtest: f.verdict for f in compare.findings([], *kernels, "program")}

    def test_the_same(self):
        for outcome in ("ok", "not ok", "skip", "absent"):
            self.assertEqual(self.judge([outcome], [outcome] * 6), compare.SAME)

    def test_worse_and_better(self):
        for stock, module in (("ok", "not ok"), ("ok", "skip"), ("ok", "absent"), ("not ok", "ok"), ("skip", "not ok"),
                              ("absent", "ok"), ("exit 1", "signal 11"), ("ok", "xfail")):
            self.assertEqual(self.judge([stock], [module]), compare.WRONG, (stock, module))

    def test_a_vanished_subtest(self):
        self.assertEqual(self.verdicts(["ok 1 a", "ok 2 b"], ["ok 1 a"]),
                         {"a": compare.SAME, "b": compare.WRONG, ktap.EXIT: compare.SAME})

    def test_a_new_subtest(self):
        self.assertEqual(self.verdicts(["ok 1 a"], ["ok 1 a", "ok 2 b"])["b"], compare.WRONG)

    def test_a_program_that_did_not_run(self):
        stock, module = compare.Outcomes(), compare.Outcomes()
        stock.add([("program", read("ok 1 a"))])
        found = compare.findings([], stock, module, "program")
        self.assertEqual({f.verdict for f in found}, {compare.WRONG})
        found = compare.findings([], module, module, "program")
        self.assertEqual({f.verdict for f in found}, {compare.WRONG})

    def test_wavering(self):
        some, all_ok = ["ok"] * 4 + ["not ok"] * 2, ["ok"] * 6
        self.assertEqual(self.judge(all_ok, some), compare.WRONG)
        self.assertEqual(self.judge(some, some), compare.WAVERS)
        self.assertEqual(self.judge(some, all_ok), compare.WAVERS)
        self.assertEqual(self.judge(some, ["not ok"] * 6), compare.WRONG)
        self.assertEqual(self.judge(some, ["ok"] * 5 + ["signal 11"]), compare.WRONG)

    def test_known(self):
        known = self.entry("not ok", "ok")
        self.assertEqual(self.judge(["not ok"], ["ok"], known), compare.KNOWN)
        self.assertEqual(self.judge(["ok"], ["not ok"], known), compare.WRONG)
        self.assertEqual(self.judge(["not ok"], ["ok"] * 5 + ["skip"], known), compare.WRONG)
        self.assertEqual(self.judge(["ok"], ["ok", "not ok"], self.entry("ok", "ok or not ok")), compare.KNOWN)
        self.assertEqual(self.judge(["ok"], ["ok", "skip"], self.entry("ok", "ok or not ok")), compare.WRONG)
        self.assertEqual(self.judge(["ok", "not ok"], ["not ok"], self.entry("ok", "ok or not ok")), compare.WRONG)
        self.assertEqual(self.judge(["not ok"], ["ok"], self.entry("not ok", "ok", "other")), compare.WRONG)
        self.assertEqual(self.judge(["not ok"], ["ok"], self.entry("not ok", "ok", "sub*")), compare.KNOWN)

    def test_known_to_waver(self):
        known = self.entry("flaky", "flaky")
        self.assertEqual(self.judge(["ok"] * 6, ["ok"] * 5 + ["not ok"], known), compare.KNOWN)
        self.assertEqual(self.judge(["ok"] * 6, ["not ok"] * 6, known), compare.WRONG)

    def test_known_not_to_be_reached_at_times(self):
        known = self.entry("ok", "ok or absent")
        self.assertEqual(self.judge(["ok"] * 6, ["absent"] + ["ok"] * 5, known), compare.KNOWN)
        self.assertEqual(self.judge(["ok"], ["absent"], known), compare.WRONG)
        self.assertEqual(self.judge(["ok"] * 6, ["absent", "not ok"] + ["ok"] * 4, known), compare.WRONG)

    def test_the_file_of_known_ones(self):
        with NamedTemporaryFile("w") as file:
            file.write("# no entry\n\na | b: c | ok | not ok | because | so\n")
            file.flush()
            self.assertEqual(compare.known_differences(Path(file.name)),
                             [compare.Known("a", "b: c", "ok", "not ok", "because | so")])
            file.write("a | b | ok | not ok |\n")
            file.flush()
            with self.assertRaises(SystemExit):
                compare.known_differences(Path(file.name))


if __name__ == "__main__":
    unittest.main()
