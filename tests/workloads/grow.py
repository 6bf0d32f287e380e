# SPDX-License-Identifier: GPL-2.0
"""Fill and empty an allocator as a service does, then wait for its decay.

Says "ready", and stays until its input ends. Run with PYTHONMALLOC=malloc, so
that every object is the allocator's. With a second argument, MIB, it fills and
empties so much again and again for so many seconds, checks it, and ends.
"""
import sys
import time
import zlib

SIZES = [100, 300, 700, 1500, 3000, 6000, 12000, 25000, 50000, 100000]


def blocks(size):
    """Objects of all sizes, as many bytes of each, `size` bytes in all."""
    made, i = [], 0
    while size > 0:
        n = SIZES[i % len(SIZES)]
        made += [b"%c" % (i % 256) * n for _ in range(100000 // n)]
        size -= 100000 // n * n
        i += 1
    return made


def checksum(made):
    crc = 0
    for block in made:
        crc = zlib.crc32(block, crc)
    return crc


def rounds(seconds, size):
    end, n, kept, known = time.monotonic() + seconds, 0, [], 0
    while n == 0 or time.monotonic() < end:
        new = blocks(size)
        for block in new:
            if block.count(block[:1]) != len(block):
                sys.exit(f"a block of {len(block)} is not all {block[:1]}")
        if checksum(kept) != known:
            sys.exit(f"round {n}: what was kept has changed")
        kept = new[n % 7 :: len(new) // 10]
        known = checksum(kept)
        del new[::3]
        while new:
            new.pop()
        n += 1
        print(n, "rounds", flush=True)
        time.sleep(0.2)
    if checksum(kept) != known:
        sys.exit("in the end: what was kept has changed")


if len(sys.argv) > 2:
    rounds(float(sys.argv[1]), int(sys.argv[2]) << 20)
    sys.exit()

new = []
for step in range(4):
    new += blocks(64 << 20)
    print("grown", 64 * (step + 1), flush=True)

# Nearly all of it goes: every third first, then from the end.
kept = new[:: len(new) // 10]
del new[::3]
while new:
    new.pop()

# An allocator decays when it is used: some requests now and then.
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    request = blocks(1 << 20)
    del request
    time.sleep(0.2)

print("ready", flush=True)
sys.stdin.read()
