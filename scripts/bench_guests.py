# SPDX-License-Identifier: GPL-2.0
"""The guests of the bench: each mode in one, its rows and counts in files of that name."""
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
REPO = SCRIPTS.parent
PROGRAM = Path(sys.argv[0]).name
# Background scans come when they come: what they cost has a row of its own. Theirs does not stop halfway, though
# the time that it may take is soon over for a guest that counts.
QUIET = ("--param", "scan=N", "--param", "scan_budget_us=60000000")
MODES = {
    "stock": ("--kernel", "stock"),
    "patched": ("--reclaim", "builtin"),
    "loaded": ("--param", "enabled=N", *QUIET),
    "on": QUIET,
    "off": ("--reclaim", "off"),
}
# Rows that one mode says as well as another: how long a call takes is told of Linux, of the module and without reclaim.
BUT = {"patched": ("--but", "latency.*"), "loaded": ("--but", "latency.*")}
# Of a guest: what it has, and what QEMU needs beside it.
MEMORY_GIB, NEEDED_GIB = 3, 4
# After so long a guest hangs.
SECONDS = 3600
# Runs the bench; then says what the kernel is called and where the module's functions are.
INSIDE = """
"$0" "$@" || exit
echo "kernel $(uname -r)"
awk '$4 == "[ptreclaim]" { print "symbol", $1, $3 }' /proc/kallsyms
"""


def say(text):
    print(text, file=sys.stderr, flush=True)


def output(*command):
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if run.returncode:
        sys.exit(f"{PROGRAM}: {Path(command[0]).name} failed")
    return run.stdout.strip()


def script(*command):
    """The last word of what one of our scripts prints."""
    return output(REPO / command[0], *command[1:]).split()[-1]


class Boot:
    """One mode in one guest: its rows and counts go to files of that name."""

    def __init__(self, mode, command, raw, options):
        self.mode, self.done = mode, 0
        self.rows, counts = raw / f"{mode}.rows", raw / f"{mode}.counts"
        self.guest = subprocess.Popen(
            [SCRIPTS / "guest", "--count", counts, "--cpus", "4", "--memory", f"{MEMORY_GIB}G",
             "--timeout", str(SECONDS), *MODES[mode], *options, "--", "sh", "-c", INSIDE, *command, *BUT.get(mode, ())],
            stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        with open(self.rows, "w") as rows:
            for line in self.guest.stdout:
                rows.write(line)
                self.done += line.startswith(("row ", "latency "))

    def running(self):
        return self.guest.poll() is None

    def stop(self):
        self.guest.terminate()
        self.guest.wait()


class Beside:
    """Another command, at work meanwhile. Guests that are counted do not mind: an instruction is an instruction."""

    def __init__(self, *command):
        self.said = ""
        self.command = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.command.stderr:
            self.said = line.strip()

    def running(self):
        return self.command.poll() is None

    def stop(self):
        self.command.terminate()
        self.command.wait()


def at_once():
    available = int(re.search(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text())[1])
    return max(1, min(os.cpu_count(), available // (NEEDED_GIB << 20)))


class Progress:
    """One line kept up to date, or one every 20 seconds."""

    def __init__(self, total):
        self.total, self.begin, self.next = total, time.monotonic(), 20

    def show(self, boots, waiting, beside):
        took = time.monotonic() - self.begin
        words = [f"{boot.mode} {boot.done} of {self.total}" for boot in boots if boot.running()]
        line = f"counting: {', '.join(words)}" if words else "counted"
        line += f"; then {', '.join(waiting)}" if waiting else ""
        line += f"; {beside.said}" if beside and beside.running() else ""
        line += f"  [{int(took) // 60}:{int(took) % 60:02}]"
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\033[K{line}")
            sys.stderr.flush()
        elif took >= self.next:
            say(line)
            self.next = took + 20


def count(modes, command, raw, options, most=None, beside=None):
    """Boots all modes, as many at once as there is room for, and no more than MOST. BESIDE: a command that is to be
    run meanwhile."""
    # So that the guests are stopped, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Nothing of an earlier run is to be in the report.
    shutil.rmtree(raw, ignore_errors=True)
    raw.mkdir(parents=True)
    total = len(output(*command, "--list").splitlines())
    progress, boots, waiting = Progress(total), [], list(modes)
    beside = beside and Beside(*beside)
    try:
        while waiting or any(job.running() for job in [*boots, *filter(None, [beside])]):
            if waiting and sum(boot.running() for boot in boots) < min(at_once(), most or len(MODES)):
                mode = waiting.pop(0)
                boots.append(Boot(mode, command, raw, options.get(mode, ())))
            for boot in boots:
                if not boot.running() and boot.guest.returncode:
                    sys.exit(f"{PROGRAM}: the guest of mode {boot.mode} ended with {boot.guest.returncode}")
            progress.show(boots, waiting, beside)
            time.sleep(0.5)
        if beside and beside.command.returncode:
            say(beside.said)
    finally:
        for job in [*boots, *filter(None, [beside])]:
            job.stop()
            job.reader.join()
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K")
