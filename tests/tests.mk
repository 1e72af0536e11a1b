# Tests: every tests/unit/**/test_*.c and tests/process|e2e/test_*.c is one cmocka program; every
# executable tests/process|e2e|hostile|matrix|acceptance/test_*.py|sh is one too. tests/run runs them all and
# sums up.
TEST_SOURCES := $(sort $(shell find tests/unit tests/process tests/e2e -name 'test_*.c'))
TEST_BINS    := $(TEST_SOURCES:%.c=$(B)/%)
# What a unit test links follows its folder; every other test links everything.
TEST_USES.base       := base
TEST_USES.bench      := bench base
TEST_USES.ledger     := tests/ledger bench base
TEST_USES.net        := net base
TEST_USES.ipc        := ipc net base
TEST_USES.scram      := scram ipc net base
TEST_USES.xmpp       := xmpp ipc net base
TEST_USES.proc       := proc net base
TEST_USES.supervisor := supervisor proc net base
TEST_USES.router     := router session ipc xmpp proc net base
TEST_USES.session    := session ipc xmpp net base
TEST_USES.datastore  := datastore scram ipc proc net base
TEST_USES.cm         := cm xmpp ipc proc net base
TEST_USES.cm-client  := cm-client cm xmpp ipc proc net base
TEST_USES.cm-component := cm-component cm xmpp ipc proc net base
TEST_USES.callbridge := callbridge cli/common scram ipc xmpp proc net base
TEST_USES.cli        := cli/xmpp cli/pki cli/dns cli/common scram ipc xmpp proc net base
TEST_USES.all        := router session supervisor datastore cm-client cm-component cm cli/common scram ipc xmpp proc net base
test_folder = $(word 2,$(subst /, ,$(patsubst $(B)/tests/unit/%,unit/%,$(1))))
test_libs   = $(call archives,tests/support $(or $(TEST_USES.$(test_folder)),$(TEST_USES.all)))

.SECONDEXPANSION:
$(TEST_BINS): $(B)/tests/%: $(B)/tests/%.o $$(call test_libs,$$@)
	@echo "  LD $@"
	$(Q)$(CC) $(LDFLAGS) -fno-lto -o $@ $< -Wl,--start-group $(call test_libs,$@) -Wl,--end-group \
		$(shell pkg-config --libs $(PKGS.test))

tests: programs $(TEST_PROGRAMS:%=$(B)/bin/%) $(TEST_BINS)
check: deps
	@$(MAKE) --no-print-directory tests
	@BIN=$(abspath $(B)/bin) V=$(V) tests/run $(TEST_BINS) $(sort $(wildcard tests/process/test_*.py \
		tests/process/test_*.sh tests/e2e/test_*.py tests/e2e/test_*.sh tests/hostile/test_*.py \
		tests/matrix/test_*.py tests/acceptance/test_*.py))

# libFuzzer: tests/fuzz/fuzz_*.c with clang; `make fuzz SECONDS=60` runs each on its corpus.
FUZZ_SOURCES := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_BINS    := $(FUZZ_SOURCES:tests/fuzz/%.c=$(O)/fuzz/%)
FUZZ_DEPS    := $(wildcard lib/base/*.c lib/xmpp/*.c lib/ipc/codec.c lib/ipc/link.c lib/ipc/db_pack.c \
	lib/ipc/db_archive.c)
FUZZ_DEPS.fuzz_sup_message  := lib/proc/message.c
FUZZ_DEPS.fuzz_shell_line   := cli/xmpp/shell_line.c cli/xmpp/shell_words.c
FUZZ_DEPS.fuzz_event_rule   := supervisor/event_rule.c lib/proc/event_line.c
FUZZ_DEPS.fuzz_session_blob := $(wildcard session/*.c)
FUZZ_DEPS.fuzz_bridge_frame := callbridge/bridge_frame.c callbridge/bridge_echo.c
FUZZ_DEPS.fuzz_tls_pem      := lib/net/tls_pem.c lib/net/tls_chain.c lib/net/tls_name.c
FUZZ_DEPS.fuzz_pki_request  := cli/pki/pki_request.c cli/pki/pki_names.c cli/pki/pki_cert.c
FUZZ_DEPS.fuzz_shelf_rows   := $(wildcard router/custody*.c) router/endpoint.c router/shelf.c
SECONDS ?= 30
$(O)/fuzz/%: tests/fuzz/%.c $(FUZZ_DEPS) $$(FUZZ_DEPS.$$*)
	@mkdir -p $(@D)
	@echo "  FUZZ $@"
	$(Q)clang $(CPPFLAGS) $(PKG_CFLAGS) -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -o $@ $^ \
		$(shell pkg-config --libs libxml-2.0 libidn libcrypto)
fuzz:
	@packaging/deps fuzz
	@$(MAKE) --no-print-directory $(FUZZ_BINS)
	@for f in $(FUZZ_BINS); do tests/fuzz/run $$f $(SECONDS) || exit 1; done
