// SPDX-License-Identifier: GPL-2.0

// Fills the heap with objects of many sizes, keeps one in 1000, and has the runtime
// give back what it can. Says "ready", and stays until its input ends.
package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
)

var kept [][]byte

func grow(bytes int) {
	var all [][]byte

	// 256 bytes to 64 KiB, as many bytes of each size.
	for sum, n := 0, 0; sum < bytes; n++ {
		size := 256 << (n % 9)
		for i := 0; i < 256>>(n%9); i++ {
			block := make([]byte, size)
			block[0] = 1
			all = append(all, block)
			sum += size
		}
	}
	for i := 0; i < len(all); i += 1000 {
		kept = append(kept, all[i])
	}
}

func main() {
	mib, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	grow(mib << 20)
	fmt.Println("grown")
	debug.FreeOSMemory()
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(kept)
}
