# SPDX-License-Identifier: GPL-2.0
"""Fill and empty an allocator as a service does, then wait for its decay.

Says "ready", and stays until its input ends. Run with PYTHONMALLOC=malloc, so
that every object is the allocator's.
"""
import sys
import time

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
