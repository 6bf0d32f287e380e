# SPDX-License-Identifier: GPL-2.0
"""The initramfs of scripts/guest: busybox, scripts/guest-init and the job."""
import os
import shlex
import sys
from pathlib import Path

BUSYBOX = ("/bin/busybox", "/usr/bin/busybox")


def cpio(files):
    """A newc archive of {name: (mode, bytes)}."""
    out = bytearray()
    for ino, (name, (mode, data)) in enumerate([*files.items(), ("TRAILER!!!", (0, b""))], 1):
        name = name.encode() + b"\0"
        fields = (ino, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
        out += b"070701" + b"".join(b"%08x" % field for field in fields) + name
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return bytes(out)


def assignments(values, prefix=""):
    return "".join(f"{prefix}{key}={shlex.quote(value)}\n" for key, value in values.items())


def job(args, ko):
    """The script that becomes the command, in the environment of a plain root shell."""
    text = assignments({
        "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root", "USER": "root", "LANG": "C.UTF-8",
        "TERM": os.environ.get("TERM", "dumb"),
        "PTRECLAIM_KO": ko, "PTRECLAIM_MODE": args.reclaim,
    }, "export ")
    if args.interactive and sys.stdin.isatty():
        columns, rows = os.get_terminal_size(0)
        text += f"stty rows {rows} columns {columns}\n"
    return text + f"cd {shlex.quote(os.getcwd())} || exit 125\nexec {shlex.join(args.command)}\n"


def initramfs(args, module, trailer, shown):
    """shown: paths to see in the guest although a private tmpfs covers them."""
    busybox = next((Path(path) for path in BUSYBOX if os.path.exists(path)), None)
    if not busybox:
        sys.exit("guest: busybox-static is missing: run make doctor")
    ko = "/run/guest/ptreclaim.ko" if module else ""
    insmod = module and args.reclaim == "module" and not args.no_insmod
    settings = assignments({
        "TRAILER": trailer.decode(), "BINDS": shlex.join(shown), "MODULE": ko,
        "PARAMS": shlex.join(args.param), "CPUS": str(args.cpus),
        "INSMOD": "y" if insmod else "", "INTERACTIVE": "y" if args.interactive else "",
    })
    files = {
        "bin": (0o40755, b""), "dev": (0o40755, b""),
        "bin/busybox": (0o100755, busybox.read_bytes()),
        "init": (0o100755, (Path(__file__).parent / "guest-init").read_bytes()),
        "guest.conf": (0o100644, os.fsencode(settings)),
        "job": (0o100644, os.fsencode(job(args, ko))),
    }
    if module:
        files["ptreclaim.ko"] = (0o100644, module.read_bytes())
    return cpio(files)
