# SPDX-License-Identifier: GPL-2.0
"""The remote protocol of gdb, as much of it as it takes to stop and resume the CPUs of a QEMU
one by one: packets over a socket, breakpoints, registers, and physical memory."""
import socket
import struct
import time

# Where they are in the answer to "g" for x86-64: 16 registers of 8 bytes, rip, eflags, six
# segments of 4 bytes, three segment bases, and then cr0, cr2, cr3, cr4.
GENERAL = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp",
           "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip")
CR3 = 17 * 8 + 7 * 4 + 3 * 8 + 2 * 8
LA57 = 1 << 12


class Gone(Exception):
    """QEMU has ended."""


class Stub:
    """QEMU's stub. All CPUs stand whenever no wait() is under way."""

    def __init__(self, path, seconds=30):
        self.socket = self.connect(path, seconds)
        self.held = b""
        self.ask("qSupported:multiprocess+;vContSupported+;xmlRegisters=i386")
        # It gives all registers only to those who have seen which there are.
        self.ask("qXfer:features:read:target.xml:0,ffb")
        self.expect("Qqemu.PhyMemMode:1")

    @staticmethod
    def connect(path, seconds):
        until = time.monotonic() + seconds
        while True:
            stream = socket.socket(socket.AF_UNIX)
            try:
                stream.connect(str(path))
                return stream
            except OSError:
                stream.close()
                if time.monotonic() > until:
                    raise Gone("no stub to connect to") from None
                time.sleep(0.05)

    def receive(self, seconds):
        """More bytes; False if none came in time."""
        self.socket.settimeout(seconds)
        try:
            more = self.socket.recv(1 << 16)
        except socket.timeout:
            return False
        except OSError:
            more = b""
        if not more:
            raise Gone("the stub has closed")
        self.held += more
        return True

    def packet(self, seconds):
        """The next packet's content, acknowledged; None if none came in time."""
        until = time.monotonic() + seconds
        while True:
            start = self.held.find(b"$")
            end = self.held.find(b"#", start) if start >= 0 else -1
            if end >= 0 and len(self.held) >= end + 3:
                content = self.held[start + 1:end]
                self.held = self.held[end + 3:]
                self.send_raw(b"+")
                return content.decode("latin-1")
            left = until - time.monotonic()
            if left <= 0 or not self.receive(left):
                return None

    def send_raw(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            raise Gone("the stub has closed") from None

    def send(self, text):
        data = text.encode()
        self.send_raw(b"$" + data + b"#%02x" % (sum(data) & 0xff))

    def ask(self, text, seconds=30):
        self.send(text)
        answer = self.packet(seconds)
        if answer is None:
            raise Gone(f"no answer to {text}")
        return answer

    def expect(self, text):
        answer = self.ask(text)
        if answer != "OK":
            raise RuntimeError(f"the stub answers '{answer}' to {text}")

    # CPUs are numbered from 0, the stub's threads from 1.

    def resume(self, cpus):
        """Only these run on."""
        self.send("vCont;" + ";".join(f"c:p1.{cpu + 1:x}" for cpu in sorted(cpus)))

    def step(self, cpu):
        """One instruction of one CPU, without its interrupts. Another CPU that came to a breakpoint
        at the same time as the last one reports now, and then nothing has been stepped yet."""
        before = self.registers(cpu)["rip"]
        while self.registers(cpu)["rip"] == before:
            self.send(f"vCont;s:p1.{cpu + 1:x}")
            if self.wait(30) is None:
                raise Gone("a step without an end")

    def wait(self, seconds):
        """The CPU that came to a breakpoint; None if none has in time, and all run on."""
        while (answer := self.packet(seconds)) is not None:
            if answer[:1] in ("W", "X"):
                raise Gone("the guest has ended")
            if answer[:1] == "T":
                for field in answer[3:].split(";"):
                    if field.startswith("thread:"):
                        return int(field.split(":")[1].split(".")[-1], 16) - 1
        return None

    def interrupt(self):
        """Stops all CPUs."""
        self.send_raw(b"\x03")
        if self.wait(30) is None:
            raise Gone("it does not stop")

    def registers(self, cpu):
        self.expect(f"Hgp1.{cpu + 1:x}")
        data = bytes.fromhex(self.ask("g").replace("x", "0"))
        values = dict(zip(GENERAL, struct.unpack_from("<17Q", data)))
        cr3, cr4 = struct.unpack_from("<2Q", data, CR3)
        values["cr3"], values["levels"] = cr3 & ~0xfff, 5 if cr4 & LA57 else 4
        return values

    def halted(self, cpu):
        return b"halted" in bytes.fromhex(self.ask(f"qThreadExtraInfo,p1.{cpu + 1:x}"))

    def leave_function(self, cpu, regs):
        """Back to the caller, from its first instruction: as if it did nothing."""
        self.expect(f"Hgp1.{cpu + 1:x}")
        self.expect("Qqemu.PhyMemMode:0")
        back = self.read(regs["rsp"], 8)
        self.expect("Qqemu.PhyMemMode:1")
        self.expect(f"P10={back.hex()}")
        self.expect(f"P7={struct.pack('<Q', regs['rsp'] + 8).hex()}")

    def breakpoint(self, addr, there):
        self.expect(f"{'Z' if there else 'z'}1,{addr:x},1")

    def pte_table(self, regs, addr):
        """The physical address of the table that maps addr."""
        table = regs["cr3"]
        for level in range(regs["levels"], 1, -1):
            slot = table + (addr >> 12 + 9 * (level - 1) & 511) * 8
            table = struct.unpack("<Q", self.read(slot, 8))[0] & 0xffffffffff000
        return table

    def read(self, physical, length):
        return bytes.fromhex(self.ask(f"m{physical:x},{length:x}"))

    def write(self, physical, data):
        self.expect(f"M{physical:x},{len(data):x}:{data.hex()}")
