# SPDX-License-Identifier: GPL-2.0
# The front end. What does the work is in scripts/; `make help` lists the targets.

# A kernel of one's own: KDIR, built and patched; KSRC, an unpacked 7.2 tree.
KDIR ?= /lib/modules/$(shell uname -r)/build

help:
	@sed -n 's/^#: //p' $(MAKEFILE_LIST)

#: make run              real programs with and without the module, and one table
#: make test             every test there is
#: make test-long        other kernels, and the long forms of the tests: hours
#: make test-life        mixed load on the debug kernel, 20 minutes [FOR=seconds]
#: make bench            what it costs and what it gives: build/bench/report.md
#: make performance      the pictures and numbers of Documentation/performance, from the report.json
#:                       there, or from another that is then kept there [FROM=report.json]
#: make bench-compare    the same for another revision, a verdict for each row [BASE=revision]
#: make shell            a shell in the guest
#: make doctor           what is there and what is missing
#:
#: make modules          the module for a kernel of yours   [KDIR=built tree]
#: make modules_install  install it                         [KDIR=, INSTALL_MOD_PATH=]
#: make clean            remove what these two built
#:
#: make command          the command ptreclaim, its man pages and completions
#: make install-command  install them                       [PREFIX=/usr/local, DESTDIR=]
#:
#: make lint             rustfmt, clippy, checkpatch, rustdoc
#: make kernel           only build the guest's kernel      [KSRC=7.2 tree]
#: make kunit            the KUnit suites, built into a kernel by kunit.py

run test test-long bench doctor lint:
	@scripts/$@

performance:
	@$$(tools/bench/build) performance Documentation/performance $(FROM:%=--from %)

bench-compare:
	@scripts/bench --base $(or $(BASE),$(error BASE= names a revision))

test-life:
	@tests/module/life $(FOR)

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

# Built in the cache of whoever says sudo: root need not have cargo.
PREFIX ?= /usr/local
BUILDER_HOME := $(if $(SUDO_USER),$(shell getent passwd $(SUDO_USER) | cut -d: -f6),$(HOME))
COMMAND := $(or $(XDG_CACHE_HOME),$(BUILDER_HOME)/.cache)/ptreclaim/command
command:
	@CARGO_TARGET_DIR=$(COMMAND) cargo build --release --manifest-path tools/ptreclaim/Cargo.toml
	@$(COMMAND)/release/ptreclaim generate $(COMMAND)/share
	@echo "built $(COMMAND)/release/ptreclaim"

$(COMMAND)/release/ptreclaim:
	@$(MAKE) command

# What was built last.
install-command: $(COMMAND)/release/ptreclaim
	install -D -m 755 $(COMMAND)/release/ptreclaim $(DESTDIR)$(PREFIX)/bin/ptreclaim
	install -d $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 $(COMMAND)/share/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -D -m 644 $(COMMAND)/share/completions/ptreclaim.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/ptreclaim
	install -D -m 644 $(COMMAND)/share/completions/_ptreclaim \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_ptreclaim
	install -D -m 644 $(COMMAND)/share/completions/ptreclaim.fish \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/ptreclaim.fish

export KSRC
ifeq ($(origin KDIR),command line)
export KDIR
endif

.PHONY: help run test test-long test-life bench performance bench-compare doctor lint shell kernel kunit modules modules_install clean \
	command install-command
