// SPDX-License-Identifier: GPL-2.0
import java.util.ArrayList;
import java.util.List;

/*
 * Fills the heap with MIB of objects of many sizes, keeps one in 1000, waits
 * until the collector has given back what it will, says "ready", and stays
 * until its input ends. With a second argument, SECONDS, it does so again and
 * again, checks what it keeps, and ends.
 */
public class Grow {
	static List<Object> kept = new ArrayList<>();

	static void grow(long bytes) {
		List<byte[]> all = new ArrayList<>();
		int n = 0;

		for (long sum = 0; sum < bytes; n++) {
			/* 256 bytes to 64 KiB, as many bytes of each size. */
			int size = 256 << n % 9;
			for (int i = 0; i < 256 >> n % 9; i++, sum += size) {
				byte[] block = new byte[size];
				block[0] = 1;
				all.add(block);
			}
		}
		for (int i = 0; i < all.size(); i += 1000)
			kept.add(all.get(i));
	}

	/* Every byte of a block that is kept. */
	static byte content(int id, int at) {
		return (byte)(id * 31 + at * 7 + (at >> 8));
	}

	static void check() {
		for (int id = 0; id < kept.size(); id++) {
			byte[] block = (byte[])kept.get(id);
			for (int i = 0; i < block.length; i++)
				if (block[i] != content(id, i))
					throw new AssertionError("block " + id + " +" + i +
						" holds " + block[i] + ", not " + content(id, i));
		}
	}

	static void rounds(long bytes, long seconds) throws Exception {
		long end = System.nanoTime() + seconds * 1000000000L;
		int n = 0;

		do {
			/* As many are kept for a few rounds, then all are new. */
			if (n % 4 == 0)
				kept.clear();
			int first = kept.size();
			grow(bytes);
			for (int id = first; id < kept.size(); id++) {
				byte[] block = (byte[])kept.get(id);
				for (int i = 0; i < block.length; i++)
					block[i] = content(id, i);
			}
			System.gc();
			Thread.sleep(200);
			check();
			System.out.println(++n + " rounds");
		} while (System.nanoTime() < end);
	}

	public static void main(String[] args) throws Exception {
		Runtime heap = Runtime.getRuntime();
		long least = Long.MAX_VALUE;

		if (args.length > 1) {
			rounds(Long.parseLong(args[0]) << 20, Long.parseLong(args[1]));
			return;
		}
		grow(Long.parseLong(args[0]) << 20);
		System.out.println("grown " + (heap.totalMemory() >> 20));
		/* Until it has not shrunk for three seconds. */
		for (int still = 0, i = 0; still < 3 && i < 40; still++, i++) {
			if (i % 4 == 0)
				System.gc();
			Thread.sleep(1000);
			if (heap.totalMemory() < least) {
				least = heap.totalMemory();
				still = 0;
			}
		}
		System.out.println("ready " + (heap.totalMemory() >> 20));
		System.in.read();
	}
}
