# SPDX-License-Identifier: GPL-2.0
"""The same programs on two kernels, stock and with the module at its most aggressive, and the report."""
import argparse
import fnmatch
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import compare

HERE = Path(__file__).resolve().parent
REPO = HERE.parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ptreclaim"
AGGRESSIVE = ("scan=Y", "scan_interval_ms=10", "scan_age_ms=0", "scan_budget_us=60000000",
              "zero_pages=Y", "refill_ms=0")
# How often what differs is run again: what wavers on stock less often than that needs an entry in "known".
AGAIN = 5
# Seconds after which a program hangs, however slow the machine; and for which a guest may run, for each of its programs.
LIMIT = 600
EACH = 120
FREED = ("freed", "scan_freed", "scan_freed_zero")


def tool(*command):
    run = subprocess.run([HERE / command[0], *command[1:]], stdout=subprocess.PIPE, text=True)
    if run.returncode:
        sys.exit(f"{command[0]} failed")
    return run.stdout.split()[-1]


def listed(path, kind, pattern):
    """Commands by name, of a file of lines "NAME ci|long COMMAND"."""
    lines = {}
    for line in path.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        name, when, command = line.split(None, 2)
        if when not in ("ci", "long") or name in lines:
            sys.exit(f"{path}: ci or long, and each name once: {line}")
        if (when == "ci" or kind == "long") and fnmatch.fnmatchcase(name, pattern):
            lines[name] = command
    return lines


def arguments(doc):
    p = argparse.ArgumentParser(description=doc)
    p.add_argument("kind", nargs="?", choices=("ci", "long"), default="ci")
    p.add_argument("--only", default="*", metavar="PATTERN")
    p.add_argument("--baseline", default="stock", metavar="KERNEL",
                   help="stock, or release: the same without the module")
    p.add_argument("--kernel", default="release", help="that has the module")
    p.add_argument("--said", type=Path, metavar="LOG", help="what the baseline said in an earlier run of the same list")
    p.add_argument("--itself", action="store_true", help="the baseline twice: what wavers without the module")
    p.add_argument("--again", type=int, default=AGAIN, metavar="TIMES", help="how often what differs is run again")
    p.add_argument("--module", metavar="KO", help="this module instead of the built one")
    p.add_argument("--param", action="append", default=[], metavar="NAME=VALUE",
                   help="of the module, besides the aggressive ones")
    return p.parse_args()


def cpu():
    """Seconds of a CPU of all that has been run and has ended: what is beside it hardly matters."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Kernel:
    """One of the two: how it is started, and what came of it so far."""

    def __init__(self, name, options, reader, log):
        self.name, self.options, self.reader, self.log = name, options, reader, log
        self.outcomes = compare.Outcomes()
        self.counters = {}

    def run(self, command, lines, times):
        """Why the guest failed, or None. LINES: commands by name."""
        self.log.mkdir(parents=True, exist_ok=True)
        log = self.log / f"{time.strftime('%Y%m%d-%H%M%S')}-{self.name}"
        log.with_suffix(".list").write_text("".join(f"{name} {line}\n" for name, line in lines.items()))
        seconds = LIMIT + EACH * len(lines) * times
        words = [REPO / "scripts/guest", *self.options, "--timeout", str(seconds), "--",
                 *command, str(LIMIT), str(times), log.with_suffix(".list")]
        before = cpu()
        with open(log.with_suffix(".log"), "wb") as out:
            status = subprocess.run(words, stdout=out).returncode
        print(f"# {self.name}: {log}.log, CPU {cpu() - before:.0f} s", flush=True)
        return self.read(log.with_suffix(".log"), status)

    def read(self, log, status=0):
        """Why the guest failed whose output this is, or None."""
        text = log.read_text(errors="replace")
        self.outcomes.add(self.reader(text))
        for line in text.splitlines():
            if line.startswith("# counter "):
                name, value = line.split()[2:4]
                name = name.rstrip(":")
                self.counters[name] = self.counters.get(name, 0) + int(value)
        if status or not text.rstrip().endswith("# the end"):
            return f"{self.name}: the guest ended with {status}"
        return None


def run_both(kernels, known, command, lines, args):
    """What failed of the guests. What differs is run again."""
    first, times = kernels[0], args.again
    failures = [first.read(args.said) if args.said else first.run(command, lines, 1), kernels[1].run(command, lines, 1)]
    stock, module = (kernel.outcomes for kernel in kernels)
    again = [name for name in lines if any(
        f.verdict in (compare.WRONG, compare.WAVERS)
        for f in compare.findings(known, stock, module, name))]
    if again and times and not any(failures):
        print(f"# differ, so {times} times more: {' '.join(again)}", flush=True)
        failures += [kernel.run(command, {name: lines[name] for name in again}, times) for kernel in kernels]
    return [failure for failure in failures if failure]


def report(kernels, known, names, failures):
    """A line for each program, then each difference. Returns how many passed and failed."""
    stock, module = (kernel.outcomes for kernel in kernels)
    found = {name: compare.findings(known, stock, module, name) for name in names}
    everything = [f for name in names for f in found[name]]
    wrong = {f.program for f in everything if f.verdict == compare.WRONG}
    for name in names:
        if name in wrong:
            print(f"not ok {name}: differs")
        else:
            print(f"ok {name}: as on stock: {compare.tally(stock, name)}")
    for verdict in (compare.KNOWN, compare.WAVERS, compare.WRONG):
        for f in everything:
            if f.verdict == verdict:
                print(f"# {verdict}: {f.program}: {f.subtest}: {f.says}")
    for failure in failures:
        print(f"not ok {failure}")
    freed = sum(kernels[1].counters.get(name, 0) for name in FREED)
    print(f"{'ok' if freed else 'not ok'} the module has freed tables meanwhile: {freed}")
    counts = [sum(f.verdict == verdict for f in everything)
              for verdict in (compare.SAME, compare.KNOWN, compare.WAVERS, compare.WRONG)]
    print("# {} subtests: {} the same, {} known to differ, {} waver on stock, {} wrong".format(
        len(everything), *counts))
    failed = len(wrong) + len(failures) + (not freed)
    return len(names) - len(wrong) + bool(freed), failed


def main(args, lines, command, reader, guest):
    """The suite: prints all, exits."""
    if not lines:
        sys.exit(f"nothing is called {args.only}")
    known = compare.known_differences(HERE / "known")
    with_module = [word for parameter in (*AGGRESSIVE, *args.param) for word in ("--param", parameter)]
    if args.module:
        with_module += ["--module", args.module]
    log = CACHE / "log/selftests"
    stock = ("--kernel", args.baseline, "--reclaim", "builtin", *guest)
    module = stock if args.itself else ("--kernel", args.kernel, *with_module, *guest)
    kernels = Kernel("stock", stock, reader, log), Kernel("module", module, reader, log)
    failures = run_both(kernels, known, command, lines, args)
    passed, failed = report(kernels, known, lines, failures)
    print(f"Ran {passed + failed} tests: passed: {passed}, failed: {failed}")
    sys.exit(failed > 0)
