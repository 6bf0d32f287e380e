# SPDX-License-Identifier: GPL-2.0
"""One boot of the guest with races in it: QEMU with a gdb stub, the freezer on it."""
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections import namedtuple
from pathlib import Path

from freezer import Freezer
from rsp import Gone, Stub

HERE = Path(__file__).resolve().parent
REPO = HERE.parent.parent
CPUS = 4

# ok: whether; why: what it said; times are those of all runs of the race, in order.
Run = namedtuple("Run", "name ok why")


def tool(*command):
    run = subprocess.run([REPO / command[0], *command[1:]], stdout=subprocess.PIPE, text=True)
    if run.returncode:
        sys.exit(f"{command[0]} failed")
    return run.stdout.split()[-1]


def programs():
    return Path(tool("tests/races/build"))


def marker(program):
    symbols = subprocess.run(["nm", program], stdout=subprocess.PIPE, text=True, check=True).stdout
    return int(re.search(r"^([0-9a-f]+) T race_marker$", symbols, re.M)[1], 16)


class Boot:
    """Runs the program in a guest; each race that ends is given to `each`. `options` are of
    scripts/guest."""

    def __init__(self, kernel, words, each, module=None, params=(), seconds=3600, trace=None,
                 options=()):
        self.each, self.trace, self.freezer = each, trace, None
        self.program = programs() / "races"
        mode = "builtin" if kernel == "stock" else "module"
        with tempfile.TemporaryDirectory(prefix="ptreclaim-races-") as folder:
            path = Path(folder) / "gdb"
            command = [REPO / "scripts/guest", "--kernel", kernel, "--qemu", "new",
                       "--cpus", str(CPUS), "--memory", "1536M", "--timeout", str(seconds),
                       "--append", "numa=fake=2", *options,
                       *(f"--qemu-arg={word}" for word in (
                           "-chardev", f"socket,id=gdb,path={path},server=on,wait=off",
                           "-gdb", "chardev:gdb"))]
            if module:
                command += ["--module", module]
            if kernel != "stock":
                for param in ("refill_ms=0", *params):
                    command += ["--param", param]
            command += ["--", self.program, "--mode", mode, *words]
            guest = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace")
            reader = threading.Thread(target=self.read, args=(guest.stdout,), daemon=True)
            reader.start()
            self.freeze(guest, path)
            reader.join()
            self.status = guest.wait()

    def freeze(self, guest, path):
        """Until QEMU ends; it may end, or never begin, without a stub to talk to."""
        while guest.poll() is None:
            try:
                stub = Stub(path, seconds=1)
            except Gone:
                continue
            self.freezer = Freezer(stub, marker(self.program), CPUS, self.trace)
            self.freezer.run()

    def read(self, lines):
        why, race = "", 0
        for line in lines:
            line = line.rstrip("\n")
            failed = re.match(r"# FAILED at \S+: (.*)", line)
            if failed:
                why = why or failed[1]
                if self.freezer:
                    self.freezer.failed = race
            ended = re.match(r"(ok|not ok) (\S+)$", line)
            if ended:
                ok = ended[1] == "ok"
                self.each(Run(ended[2], ok, "" if ok else why or "it went down"))
                why = ""
                race += 1
            elif os.environ.get("RACES_VERBOSE"):
                print(line, flush=True)
