# SPDX-License-Identifier: GPL-2.0
"""What a console says of a schedule."""
import re
from collections import namedtuple

Result = namedtuple("Result", "wrong order turns counters")
MODES = ("off", "module")


def of_mode(text, mode):
    """The lines that the program printed, by what they are about; and page tables by when."""
    lines, tables = {}, {}
    for line in re.findall(rf"^{mode} (.*)$", text, re.M):
        about, _, what = line.partition(": ")
        if about.startswith("VmPTE "):
            tables[about] = [int(n) for n in re.findall(r"\d+", what)]
        elif not about.startswith("order "):
            lines[about] = what
    return lines, tables


def differences(text):
    """What is not the same with the module, or not as good."""
    (off, off_tables), (module, module_tables) = (of_mode(text, mode) for mode in MODES)
    if off.keys() != module.keys() or off_tables.keys() != module_tables.keys():
        return "one of the two runs has not told everything"
    for about, what in off.items():
        if module[about] != what:
            return f"{about}: {module[about]}, and {what} without reclaim"
    for when, numbers in module_tables.items():
        if numbers[0] > off_tables[when][0]:
            return f"{when}: {numbers[0]} kB, and {off_tables[when][0]} kB without reclaim"
    return None


def first_wrong(text, reports):
    """None, or the first thing that must not be there, or what is missing."""
    said = re.search(r"^.*WRONG: .*$", text, re.M)
    reported = reports.search(text.encode())
    if reported and (not said or reported.start() < said.start()):
        begin = text.encode().rfind(b"\n", 0, reported.start()) + 1
        line = text.encode()[begin:].split(b"\n")[0].decode()
        return "the kernel reports: " + re.sub(r"^\[[^\]]*\] ", "", line)
    if said:
        return said[0]
    for end in (*(f"{mode} done" for mode in MODES), "guest: over"):
        if not re.search(rf"^{end}$", text, re.M):
            return f"it ended before '{end}'"
    return differences(text)


def result(log, reports):
    text = log.decode(errors="replace")
    order = re.search(r"^module order (\w+), (\d+) turns", text, re.M)
    counters = {name: int(n) for name, n in re.findall(r"^counters (\w+)\W+(\d+)$", text, re.M)}
    return Result(first_wrong(text, reports), order and order[1], order and int(order[2]), counters)
