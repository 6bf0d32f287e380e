# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Finds the compilers (scripts/setup installs them) and exports what the
# kernel's build wants to know: LLVM, LIBCLANG_PATH, RUST_LIB_SRC and PATH.

LLVM_VERSION=19
RUSTC_LEAST=1.85.0
BINDGEN_LEAST=0.71.1
BINDGEN_VERSION=0.72.1

export LLVM=-$LLVM_VERSION
export LIBCLANG_PATH=/usr/lib/llvm-$LLVM_VERSION/lib
export PATH=$PATH:$CACHE/bindgen/bin
# A bindgen of the machine's own that is too old must not win.
own_bindgen=$(PATH=${PATH%:*} bindgen --version 2>/dev/null | awk '{ print $2 }') || own_bindgen=
if [ "$own_bindgen" ] && ! version_at_least "$own_bindgen" $BINDGEN_LEAST; then
	export PATH=$CACHE/bindgen/bin:$PATH
fi

rustc_version() { rustc --version 2>/dev/null | awk '{ print $2 }'; }
bindgen_version() { bindgen --version 2>/dev/null | awk '{ print $2 }'; }

# The source of Rust's core library, of exactly the compiler's version.
find_rust_library() {
	local version folder
	version=$(rustc_version)
	for folder in "${RUST_LIB_SRC:-}" \
		"$(rustc --print sysroot)/lib/rustlib/src/rust/library" \
		"/usr/src/rustc-$version/library" \
		"$CACHE/rust-src-$version/usr/src/rustc-$version/library"; do
		if [ -e "$folder/core/src/lib.rs" ]; then
			echo "$folder"
			return
		fi
	done
	return 1
}

# What identifies the compilers in the key of a build.
toolchain_key() {
	clang$LLVM --version | head -n 1
	rustc --version
	bindgen --version
}

use_toolchain() {
	RUST_LIB_SRC=$(find_rust_library) && toolchain_key >/dev/null ||
		die "the toolchain is not complete: run make doctor"
	export RUST_LIB_SRC
}

# make_variables VARIANT: what make is told there beside the configuration, one a line.
#
# Kbuild has KCSAN's instrumentation for C only. Rust's compiler does the same if the target says
# that it may: scripts/target.json, which every build makes by this command.
make_variables() {
	local flags='-Zsanitizer=thread -Cllvm-args=-tsan-distinguish-volatile=1'
	[ "$1" = kcsan ] || return 0
	echo 'filechk_rust_target=$< < include/config/auto.conf | sed "s/\"kernel-address\"/&, \"thread\"/"'
	echo "KRUSTFLAGS=$flags -Cllvm-args=-tsan-compound-read-before-write=1 -Cllvm-args=-tsan-instrument-func-entry-exit=0"
}
