# Roundhouse. One folder per program beside lib/ (layers); each folder is one archive.
#   make  check  run  deps  bench  fuzz  lint  format  clean       V=release|debug|asan|tsan
V ?= release
O ?= build
B := $(O)/$(V)

# Who may use whom: a layer that is not named here is not linked (STYLE.md 2, ARCHITECTURE.md).
USES.supervisor    := supervisor proc net base
USES.router        := router session ipc xmpp proc net base
USES.datastore     := datastore scram ipc proc net base
USES.cm-client     := cm-client cm xmpp ipc proc net base
USES.cm-component  := cm-component cm xmpp ipc proc net base
USES.callbridge    := callbridge cli/common scram ipc xmpp proc net base
USES.dns           := cli/dns cli/common scram ipc xmpp proc net base
USES.xmpp          := cli/xmpp cli/common scram ipc xmpp proc net base
USES.pki           := cli/pki cli/common scram ipc xmpp proc net base
USES.echo          := tests/support/echo ipc proc net base
USES.dummy         := tests/support/dummy proc net base
PKGS.supervisor    := libconfig libuv
PKGS.router        := libconfig libuv libzmq libxml-2.0 libidn
PKGS.datastore     := libconfig libuv libzmq sqlite3 libidn openssl
PKGS.cm-client     := libconfig libuv libzmq libxml-2.0 libidn openssl libgsasl
PKGS.cm-component  := libconfig libuv libzmq libxml-2.0 libidn openssl
PKGS.callbridge    := libconfig libuv libzmq libxml-2.0 libidn openssl libgsasl libunbound
PKGS.dns           := libconfig libuv libzmq libxml-2.0 libidn openssl libgsasl libunbound
PKGS.xmpp          := libconfig libuv libzmq libxml-2.0 libidn openssl libgsasl libedit
PKGS.pki           := libconfig libuv libzmq libxml-2.0 libidn openssl libgsasl
PKGS.echo          := libconfig libuv libzmq
PKGS.dummy         := libconfig libuv
PKGS.xmpp-load     := openssl
PKGS.test          := libconfig libuv libzmq libxml-2.0 libidn openssl libgsasl sqlite3 cmocka libstrophe libunbound libedit
PROGRAMS           := supervisor router datastore cm-client cm-component callbridge xmpp pki dns
USES.xmpp-load     := bench base
USES.relay         := tests/support/relay ipc net base
PKGS.relay         := libuv libzmq openssl libidn
USES.ledger        := tests/ledger bench base
PKGS.ledger        := openssl
USES.strophe-client := tests/matrix/strophe cli/common base
PKGS.strophe-client := libstrophe
TEST_PROGRAMS      := echo dummy xmpp-load relay ledger strophe-client

DIRS := lib/base lib/net lib/xmpp lib/ipc lib/scram lib/proc lib/cm supervisor router session datastore cm-client \
	cm-component callbridge cli/common cli/xmpp cli/pki cli/dns tests/support tests/support/echo tests/support/dummy tests/support/relay tests/ledger \
	tests/matrix/strophe bench

CC       := gcc
Q        := $(if $(VERBOSE),,@)
WARN     := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	    -Wwrite-strings -Wpointer-arith -Wundef -Wformat=2 -Wimplicit-fallthrough
# Programs are optimised as a whole (a twelfth less CPU for a message); tests link the same objects as
# they are, which is quicker.
LTO.release    := -flto=auto
CFLAGS.release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong $(LTO.release) -ffat-lto-objects
CFLAGS.debug   := -O0 -g3
CFLAGS.asan    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined -DROUNDHOUSE_SANITIZED
CFLAGS.tsan    := -O1 -g -fno-omit-frame-pointer -fsanitize=thread -DROUNDHOUSE_SANITIZED
CPPFLAGS := -D_GNU_SOURCE -Ilib -I. -include lib/base/banned.h
CFLAGS   := -std=gnu11 $(WARN) $(CFLAGS.$(V)) -fno-common -pthread
LDFLAGS  := -rdynamic -pthread -Wl,-z,relro,-z,now $(filter -fsanitize=% -O%,$(CFLAGS.$(V)))
PKG_CFLAGS := $(patsubst -I%,-isystem %,$(shell pkg-config --silence-errors --cflags $(PKGS.test) 2>/dev/null))

.PHONY: all check run deps bench soak fuzz lint format clean tests programs man install
.DEFAULT_GOAL := all
all: programs
programs: $(PROGRAMS:%=$(B)/bin/%) $(O)/bin

# build/bin is what README names: the binaries of the last variant built.
$(O)/bin: FORCE
	@mkdir -p $(B)/bin && ln -sfn $(V)/bin $@
FORCE:

$(B)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $<"
	$(Q)$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

objects = $(patsubst %.c,$(B)/%.o,$(filter-out %/main.c,$(wildcard $(1)/*.c)))
define archive_rule
$(B)/lib/$(subst /,_,$(patsubst lib/%,%,$(1))).a: $(call objects,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach d,$(DIRS),$(eval $(call archive_rule,$(d))))
archives = $(foreach u,$(1),$(B)/lib/$(subst /,_,$(u)).a)

define program_rule
$(B)/bin/$(1): $(B)/$(firstword $(USES.$(1)))/main.o $(call archives,$(USES.$(1)))
	@mkdir -p $$(@D)
	@echo "  LD $$@"
	$(Q)$(CC) $(LDFLAGS) $(LTO.$(V)) -o $$@ $$^ $$(shell pkg-config --libs $(PKGS.$(1)))
endef
$(foreach p,$(PROGRAMS) $(TEST_PROGRAMS),$(eval $(call program_rule,$(p))))

include tests/tests.mk
-include $(shell find $(B) -name '*.d' 2>/dev/null)

# The man pages, made from what each program says of itself.
man: programs
	@packaging/man/make-man $(B)/bin $(O)/man
# make install PREFIX=/usr/local [DESTDIR=...]: programs, man pages, completion.
PREFIX ?= /usr/local
install: man
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin share/man/man1 share/man/man5 \
		share/bash-completion/completions)
	install -m 755 $(PROGRAMS:%=$(B)/bin/%) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(O)/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 $(O)/man/*.5 $(DESTDIR)$(PREFIX)/share/man/man5
	for p in xmpp pki dns callbridge supervisor; do install -m 644 packaging/completion/roundhouse.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$p; done

deps:
	@packaging/deps
run: deps
	@$(MAKE) --no-print-directory all
	@packaging/run $(O)/bin
# Always measured without sanitizers and with optimisation, beside Prosody, ejabberd and jabberd2.
# `make bench ARGS=--quick`, or whatever else bench/run takes, instead.
bench: ARGS ?= --peers --markdown --json $(O)/bench.json
bench: deps
	@packaging/deps bench
	@$(MAKE) --no-print-directory V=release programs $(O)/release/bin/xmpp-load \
		$(O)/release/bin/relay
	@BIN=$(abspath $(O)/release/bin) bench/run $(ARGS)
# The long ledger: 10 minutes of kills at 2,000 messages a second, with carbons, blocking, archive and
# components (tests/ledger/README.md).
soak: deps
	@$(MAKE) --no-print-directory V=release programs $(O)/release/bin/ledger
	@BIN=$(abspath $(O)/release/bin) tests/ledger/drive.py --seconds 600 --kills 60 --rate 2000 \
		--carbons 0.7 --block 0.2 --archive --components 4 --bridges 4 --shared 2 --callbridge \
		--keep $(O)/soak-logs $(ARGS)
clean:
	rm -rf $(O)
format:
	clang-format -i $$(git ls-files '*.c' '*.h')
lint:
	@packaging/deps lint
	@tests/lint
