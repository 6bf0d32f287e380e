// SPDX-License-Identifier: GPL-2.0
//
// Fills the heap with objects and buffers of many sizes, keeps one in 1000, and
// collects. Says "ready", and stays until its input ends. Wants --expose-gc.
"use strict";

let kept = [];

function grow(bytes) {
	const all = [];

	// 256 bytes to 64 KiB, as many bytes of each size; every other one a string.
	for (let sum = 0, n = 0; sum < bytes; n++) {
		const size = 256 << n % 9;

		for (let i = 0; i < 256 >> n % 9; i++, sum += size) {
			if (i % 2)
				all.push(Buffer.alloc(size, 1));
			else
				all.push({ size, text: "x".repeat(size - 1) + String.fromCharCode(97 + i % 26), list: [i, n] });
		}
	}
	kept = all.filter((_, i) => i % 1000 === 0);
}

grow(Number(process.argv[2]) * 2 ** 20);
console.log("grown");
let rounds = 0;
const timer = setInterval(() => {
	global.gc();
	if (++rounds === 10) {
		clearInterval(timer);
		console.log("ready");
		process.stdin.resume();
		process.stdin.on("end", () => process.exit());
	}
}, 300);
