# SPDX-License-Identifier: GPL-2.0
# The front end. What does the work is in scripts/; `make help` lists the targets.

# A kernel of one's own: KDIR, built and patched; KSRC, an unpacked 7.2 tree.
KDIR ?= /lib/modules/$(shell uname -r)/build

help:
	@sed -n 's/^#: //p' $(MAKEFILE_LIST)

#: make run              real programs with and without the module, and one table
#: make test             every test there is
#: make bench            what the module costs, in instructions
#: make shell            a shell in the guest
#: make doctor           what is there and what is missing
#:
#: make modules          the module for a kernel of yours   [KDIR=built tree]
#: make modules_install  install it                         [KDIR=, INSTALL_MOD_PATH=]
#: make clean            remove what these two built
#:
#: make lint             rustfmt, clippy, checkpatch, rustdoc
#: make kernel           only build the guest's kernel      [KSRC=7.2 tree]
#: make kunit            the KUnit suites, built into a kernel by kunit.py

run test bench doctor lint:
	@scripts/$@

shell:
	@scripts/setup
	@scripts/guest --interactive

kernel:
	@scripts/setup
	@scripts/kernel build release

kunit:
	@scripts/setup
	@scripts/test kunit-builtin

modules:
	+@scripts/module make $(KDIR) $@

modules_install: modules
	+@scripts/module make $(KDIR) $@

# Without KDIR, which may be gone by now.
BUILT := *.o *.ko *.mod *.mod.c .*.cmd .*.d *.rmeta modules.order Module.symvers bindings_generated.rs
clean:
	@find . -path ./.git -prune -o -type f \( -false $(BUILT:%=-o -name '%') \) -exec rm {} +

export KSRC
ifeq ($(origin KDIR),command line)
export KDIR
endif

.PHONY: help run test bench doctor lint shell kernel kunit modules modules_install clean
