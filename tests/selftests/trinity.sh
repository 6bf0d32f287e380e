# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced in the guest: trinity as a user without privileges. The cache may be root's alone, so it runs from a copy.

# What maps, unmaps, moves, protects, discards, fills and walks memory, and what copies it.
SYSCALLS="mmap munmap mremap mprotect pkey_mprotect madvise process_madvise userfaultfd mincore msync
	mlock mlock2 munlock munlockall mbind move_pages migrate_pages remap_file_pages shmget shmat shmdt
	memfd_create memfd_secret process_vm_readv process_vm_writev vmsplice fallocate ftruncate membarrier"

trinity_install() { # FOLDER, of tests/selftests/fetch
	mkdir -m 755 /tmp/bin &&
		cp -L "$1"/usr/lib/x86_64-linux-gnu/{ld-linux-x86-64.so.2,libc.so.6} "$1/usr/bin/trinity" /tmp/bin &&
		# Or nobody could have any.
		echo 1 >/proc/sys/vm/unprivileged_userfaultfd
}

# In a folder to be thrown away, with no files but those in it.
trinity_calls() { # SEED CALLS SECONDS
	local here=/tmp/seed-$1
	mkdir -m 777 "$here" "$here/files" && cd "$here" || return
	head -c 65536 /dev/zero >files/zeroes
	chmod 666 files/zeroes
	# shellcheck disable=SC2046
	exec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs \
		timeout -k 10 "$3" /tmp/bin/ld-linux-x86-64.so.2 --library-path /tmp/bin /tmp/bin/trinity \
		-q -l off -C 2 -N "$2" -s "$1" -V "$here/files" $(printf -- '-c %s,64 ' $SYSCALLS)
}
