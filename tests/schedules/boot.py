# SPDX-License-Identifier: GPL-2.0
"""A boot, of which everything is determined by its number."""
import importlib.machinery
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(REPO / "scripts"))
from guest_initramfs import BUSYBOX, assignments, cpio  # noqa: E402


def script(name):
    """scripts/guest as a module: what counts as a report of the kernel is known there."""
    loader = importlib.machinery.SourceFileLoader(name, str(REPO / "scripts" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


guest = script("guest")
CPUS = 3
# It ends by itself long before; only a guest that hangs gets there.
SECONDS = 3600


# So many schedules follow each other in a boot, which takes as long as two of them.
ROUNDS = 4


def boot_of(number):
    return (number - 1) // ROUNDS


def rounds(number):
    """The numbers that a boot has to run up to this one: those before it are its past."""
    return range(boot_of(number) * ROUNDS + 1, number + 1)


def shift(number):
    """An instruction takes 2^shift ns. A slow machine: while the kernel waits for time to pass, each
    turn of the loop is a turn for all CPUs, which takes QEMU a microsecond or more."""
    return 5 + boot_of(number) % 3


class Boots:
    """What all boots have in common."""

    def __init__(self, kernel="release", seeded=False):
        self.image = guest.kernel_image(kernel)
        self.debug = kernel == "debug"
        self.qemu = guest.tool("qemu", os.environ.get("SCHEDULES_QEMU", "new"))
        kind = ["seeded"] if seeded else []
        self.module = guest.tool("module", "build", kernel, *kind)
        self.program = guest.tool("../tests/schedules/build")

    def initrd(self, number, bugs):
        busybox = next(Path(path) for path in BUSYBOX if os.path.exists(path))
        files = {name: (0o40755, b"") for name in ("bin", "dev", "proc", "sys", "tmp")}
        for name, path in (("bin/busybox", busybox), ("init", HERE / "guest"),
                           ("schedule", self.program), ("ptreclaim.ko", self.module)):
            files[name] = (0o100755, path.read_bytes())
        settings = assignments({
            "NUMBERS": " ".join(map(str, rounds(number))), "SHIFT": str(shift(number)), "BUGS": bugs and str(bugs) or ""})
        files["settings"] = (0o100644, settings.encode())
        return cpio(files)

    def command(self, number, initrd, console):
        # No clock but the count of instructions, no device that the host has a say in.
        parameters = [
            "console=ttyS0", "loglevel=5", "printk.time=1", "panic=-1", "oops=panic", "no_timer_check",
            "rcupdate.rcu_cpu_stall_timeout=120", "random.trust_cpu=on", "pt_reclaim.mode=off",
        ]
        if self.debug:
            parameters.append("no5lvl")
        return [
            self.qemu, "-machine", "q35", "-accel", "tcg", "-cpu", "max,-erms,-fsrm",
            "-icount", f"shift={shift(number)},sleep=off", "-rtc", "base=2026-01-01,clock=vm",
            "-seed", str(boot_of(number) + 1), "-nic", "none", "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot", "-m", "1G" if self.debug else "192M",
            "-smp", f"{CPUS},sockets={CPUS}", "-kernel", self.image, "-initrd", initrd,
            "-append", " ".join(parameters), "-serial", f"file:{console}",
        ]

    def run(self, number, console, bugs=0):
        """Boots, and runs the schedules of this boot up to `number`; returns the console's text."""
        with tempfile.NamedTemporaryFile(prefix="ptreclaim-schedule-") as initrd:
            initrd.write(self.initrd(number, bugs))
            initrd.flush()
            with open(console.with_suffix(".qemu"), "wb") as errors:
                process = subprocess.Popen(
                    self.command(number, initrd.name, console), stdin=subprocess.DEVNULL,
                    stdout=errors, stderr=errors, preexec_fn=guest.die_with_parent)
                try:
                    process.wait(SECONDS)
                except subprocess.TimeoutExpired:
                    pass
                finally:
                    process.kill()
                    process.wait()
        return guest.read_log(console)[0]
