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
    # How many are needed may differ: a huge page comes in one run and not in the other.
    for when in module_tables:
        over, over_off = (now - least for _, _, now, least in (module_tables[when], off_tables[when]))
        if over > over_off:
            return f"{when}: {over} PTE tables more than needed, and {over_off} without reclaim"
    return None


def first_wrong(text, number, reports):
    """None, or the first thing that must not be there, or what is missing."""
    said = re.search(r"^.*WRONG: .*$", text, re.M)
    reported = reports.search(text.encode())
    if reported and (not said or reported.start() < said.start()):
        begin = text.encode().rfind(b"\n", 0, reported.start()) + 1
        line = text.encode()[begin:].split(b"\n")[0].decode()
        return "the kernel reports: " + re.sub(r"^\[[^\]]*\] ", "", line)
    if said:
        return said[0]
    for end in (*(f"{mode} done" for mode in MODES), f"over {number}"):
        if not re.search(rf"^{end}$", text, re.M):
            return f"it ended before '{end}'"
    return differences(text)


def of_number(text, number):
    """What was printed between the line that begins this schedule and the next one's."""
    begin = re.search(rf"^schedule {number}$", text, re.M)
    if not begin:
        return ""
    end = re.search(r"^schedule \d+$", text[begin.end():], re.M)
    return text[begin.start():begin.end() + end.start()] if end else text[begin.start():]


def result(log, number, reports):
    text = log.decode(errors="replace")
    # What is wrong before any schedule begins is wrong with the first one.
    part = of_number(text, number) or text
    order = re.search(r"^module order (\w+), (\d+) turns", part, re.M)
    counters = {name: int(n) for name, n in re.findall(r"^counters (\w+)\W+(\d+)$", part, re.M)}
    wrong = first_wrong(part, number, reports)
    return Result(wrong, order and order[1], order and int(order[2]), counters)
