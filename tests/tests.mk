# Tests: every tests/unit/**/test_*.c and tests/process|e2e/test_*.c is one cmocka program; every
# executable tests/process|e2e/test_*.py|sh is one too. tests/run runs them all and sums up.
TEST_SOURCES := $(sort $(shell find tests/unit tests/process tests/e2e -name 'test_*.c'))
TEST_BINS    := $(TEST_SOURCES:%.c=$(B)/%)
TEST_LIBS    := $(call archives,tests/support router session supervisor datastore cm-client cli/xmpp \
		cli/common ipc xmpp proc net base)

$(TEST_BINS): $(B)/tests/%: $(B)/tests/%.o $(TEST_LIBS)
	$(CC) $(LDFLAGS) -o $@ $< -Wl,--start-group $(TEST_LIBS) -Wl,--end-group \
		$(shell pkg-config --libs $(PKGS.test))

tests: programs $(TEST_PROGRAMS:%=$(B)/bin/%) $(TEST_BINS)
check: deps
	@$(MAKE) --no-print-directory tests
	@BIN=$(abspath $(B)/bin) V=$(V) tests/run $(TEST_BINS) $(sort $(wildcard tests/process/test_*.py \
		tests/process/test_*.sh tests/e2e/test_*.py tests/e2e/test_*.sh))

# libFuzzer: tests/fuzz/fuzz_*.c with clang; `make fuzz SECONDS=60` runs each on its corpus.
FUZZ_SOURCES := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_BINS    := $(FUZZ_SOURCES:tests/fuzz/%.c=$(O)/fuzz/%)
FUZZ_DEPS    := $(wildcard lib/base/*.c lib/xmpp/*.c lib/ipc/codec.c lib/ipc/link.c lib/ipc/db_pack.c)
SECONDS ?= 30
$(O)/fuzz/%: tests/fuzz/%.c $(FUZZ_DEPS)
	@mkdir -p $(@D)
	clang $(CPPFLAGS) $(PKG_CFLAGS) -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -o $@ $^ \
		$(shell pkg-config --libs libxml-2.0 libidn)
fuzz: deps
	@$(MAKE) --no-print-directory $(FUZZ_BINS)
	@for f in $(FUZZ_BINS); do tests/fuzz/run $$f $(SECONDS) || exit 1; done
