# SPDX-License-Identifier: GPL-2.0
"""Stops single CPUs of the guest at chosen places, while the others run on, as the program in the
guest wants it (tests/races/stop.c): it calls a function with a breakpoint, race_marker(), whose
argument is the physical address of a page with what it wants; the answer goes into the same page.

    stop CPU ADDRESS own|any REGISTER LOW HIGH  freeze that CPU when it comes there; own: only in
                            the address space that asks, LOW to HIGH: only if that argument is
    leave CPU ADDRESS own|any REGISTER LOW HIGH  the same, but the function returns at once, each time
    go CPU                  let it go on
    spin ADDRESS LENGTH     there a CPU waits for another one
    table ADDRESS           remember where the page table of that address is
    word                    what its first word holds now
    clear                   a race has ended: forget all that was wanted, let all go on

Again and again a CPU that stands handles its interrupts, and stops at the same place, as a
preempted thread would. Nobody in the guest has to ask for it: who asks may himself wait for one
who waits for an answer of that CPU (a fault for a fork, and that for a flush).
"""
import re
import struct
import time
from collections import namedtuple

from rsp import Gone

TEXT, ANSWER, FROZEN, WAITED, WORD = 0, 256, 260, 264, 280
DONE, REFUSED = 1, 2
# A guest in which nothing was asked for so long while a CPU stands still is held up.
PATIENCE = 600
# Then the trace says where all are.
LOOK_S = 20
# How often those who stand handle their interrupts.
ANSWERS_S = 0.04

WANTED = r"\d+ [0-9a-f]+ (own|any) (rsi|rdx) [0-9a-f]+ [0-9a-f]+"

Frozen = namedtuple("Frozen", "addr rsp")


class Stop:
    def __init__(self, cpu, addr, cr3, register, values):
        self.cpu, self.addr, self.cr3 = cpu, addr, cr3
        self.register, self.values = register, values

    def fits(self, cpu, regs):
        if cpu != self.cpu or regs["rip"] != self.addr:
            return False
        if self.cr3 is not None and self.cr3 != regs["cr3"]:
            return False
        return regs[self.register] in self.values


class Freezer:
    def __init__(self, stub, marker, cpus, trace=None):
        self.stub, self.marker, self.trace = stub, marker, trace or (lambda text: None)
        self.cpus = set(range(cpus))
        self.stops, self.leaves, self.frozen, self.answering = [], [], {}, set()
        self.breakpoints, self.page, self.table = set(), None, 0
        self.spins, self.waited = [], [0] * cpus
        # Which race it is, and which one has failed: nobody waits for that any more. Who reads what the
        # guest says sets it, maybe late, when the next race is on.
        self.race, self.failed = 0, None
        self.asked = self.answers = self.looked = time.monotonic()
        self.place()

    def place(self):
        """Breakpoints at the marker, where a stop is wanted, and where a CPU is to come back to."""
        want = {self.marker} | {stop.addr for stop in self.stops + self.leaves}
        want |= {frozen.addr for frozen in self.frozen.values()}
        for addr in self.breakpoints - want:
            self.stub.breakpoint(addr, False)
        for addr in want - self.breakpoints:
            self.stub.breakpoint(addr, True)
        self.breakpoints = want

    def tell(self):
        if self.page is not None:
            mask = sum(1 << cpu for cpu in self.frozen)
            self.stub.write(self.page + FROZEN, struct.pack("<I", mask))

    def run(self):
        """Until QEMU ends."""
        try:
            while True:
                self.turn()
        except Gone:
            pass

    def turn(self):
        now = time.monotonic()
        if self.frozen and (self.failed == self.race or now - self.asked > PATIENCE):
            self.trace("all go on")
            self.clear()
            self.tell()
        elif self.frozen and now > self.asked + LOOK_S and self.looked < self.asked:
            self.looked = now
            for cpu in sorted(self.cpus):
                self.trace(f"CPU {cpu} is at {self.stub.registers(cpu)['rip']:#x}")
        elif self.frozen and not self.answering and now >= self.answers + ANSWERS_S:
            self.answers = now
            self.look_who_waits()
            self.answering |= set(self.frozen)
        self.stub.resume(self.cpus - (set(self.frozen) - self.answering))
        while (cpu := self.stub.wait(ANSWERS_S)) is None:
            if self.frozen:
                # What comes to a breakpoint at this moment does so again.
                self.stub.interrupt()
                return
        regs = self.stub.registers(cpu)
        if regs["rip"] == self.marker:
            self.page, self.asked = regs["rdi"], time.monotonic()
            self.obey(regs)
            self.stub.step(cpu)
        else:
            self.arrive(cpu, regs)
        self.tell()

    def look_who_waits(self):
        for cpu in self.cpus - set(self.frozen):
            rip = self.stub.registers(cpu)["rip"]
            waits = self.stub.halted(cpu) or any(rip in spin for spin in self.spins)
            self.waited[cpu] = self.waited[cpu] + 1 if waits else 0
        self.stub.write(self.page + WAITED, struct.pack(f"<{len(self.waited)}I", *self.waited))

    def arrive(self, cpu, regs):
        here = Frozen(regs["rip"], regs["rsp"])
        if self.frozen.get(cpu) == here:
            self.answering.discard(cpu)
            return
        for stop in self.stops:
            if cpu not in self.frozen and stop.fits(cpu, regs):
                self.stops.remove(stop)
                self.frozen[cpu] = here
                self.trace(f"CPU {cpu} stands at {here.addr:#x}")
                self.place()
                return
        if any(leave.fits(cpu, regs) for leave in self.leaves):
            self.trace(f"CPU {cpu} leaves {here.addr:#x}")
            self.stub.leave_function(cpu, regs)
        elif regs["rip"] in self.breakpoints:
            self.stub.step(cpu)

    def obey(self, regs):
        text = self.stub.read(self.page, ANSWER - TEXT).split(b"\0")[0].decode()
        self.trace(text)
        word, *args = text.split()
        answer = DONE
        if word in ("stop", "leave") and re.fullmatch(WANTED, " ".join(args)):
            cr3 = regs["cr3"] if args[2] == "own" else None
            values = range(int(args[4], 16), int(args[5], 16) + 1)
            wanted = self.stops if word == "stop" else self.leaves
            wanted.append(Stop(int(args[0]), int(args[1], 16), cr3, args[3], values))
            self.place()
        elif word == "go" and len(args) == 1 and int(args[0]) in self.frozen:
            self.thaw(int(args[0]))
        elif word == "spin" and len(args) == 2:
            self.spins.append(range(int(args[0], 16), int(args[0], 16) + int(args[1], 16)))
        elif word == "table" and len(args) == 1:
            self.table = self.stub.pte_table(regs, int(args[0], 16))
        elif word == "word":
            self.stub.write(self.page + WORD, self.stub.read(self.table, 8))
        elif word == "clear":
            self.clear()
            self.race += 1
        elif word != "hello":
            answer = REFUSED
        self.stub.write(self.page + ANSWER, struct.pack("<I", answer))

    def thaw(self, cpu):
        """From the place where it stands; or it is answering, and is on its way already."""
        standing = cpu not in self.answering
        del self.frozen[cpu]
        self.answering.discard(cpu)
        self.place()
        if standing:
            self.stub.step(cpu)

    def clear(self):
        self.stops.clear()
        self.leaves.clear()
        for cpu in list(self.frozen):
            self.thaw(cpu)
        self.place()
