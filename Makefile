# milterscope. Two commands: `make run` (see it work) and `make check` (all tests); `make help` lists the others.
#
# BUILD=dir builds elsewhere; CC, CFLAGS, LDFLAGS as usual; SANITIZE=address,undefined or thread builds with sanitizers.

BUILD     ?= build
PREFIX    ?= /usr
DESTDIR   ?=
PYTHON    ?= /usr/bin/python3
PKGCONFIG ?= pkg-config
ifeq ($(origin CC),default)
CC = gcc
endif

WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wcast-qual \
           -Wwrite-strings -Wundef -Wvla -Werror
HARDENING = -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fPIE
HARDENING_LINK = -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed
ifneq ($(SANITIZE),)
# gcc takes the question of a sanitizer whether a format is null for a format that is.
HARDENING = -fPIE -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -Wno-format-truncation
HARDENING_LINK = -pie -fsanitize=$(SANITIZE)
endif
CFLAGS   ?= -O2 -g
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -I. $(WARNINGS) $(CFLAGS) $(HARDENING) -pthread -MMD -MP

hiredis       = $(shell $(PKGCONFIG) --libs hiredis)
libmicrohttpd = $(shell $(PKGCONFIG) --libs libmicrohttpd)
yaml          = $(shell $(PKGCONFIG) --libs yaml-0.1)
zlib          = $(shell $(PKGCONFIG) --libs zlib)
psl           = $(shell $(PKGCONFIG) --libs libpsl)
idn2          = $(shell $(PKGCONFIG) --libs libidn2)
jansson       = $(shell $(PKGCONFIG) --libs jansson)
gnutls        = $(shell $(PKGCONFIG) --libs gnutls)
systemd       = $(shell $(PKGCONFIG) --libs libsystemd)
cmocka        = $(shell $(PKGCONFIG) --libs cmocka)

# A folder is a program, and takes in what stands one folder up; the linker takes from conf/lib what a program uses, and no more.
PROGRAMS = milterscope milterscope-filter milterscope-pusher milterscope-exporter milterscope-collector
milterscope_FOLDER          = milter/supervisor
milterscope-filter_FOLDER   = milter/filter
milterscope-pusher_FOLDER   = milter/pusher
milterscope-exporter_FOLDER = exporter/serve
milterscope-collector_FOLDER = exporter/collect
milterscope_LIBS          = $(yaml) $(idn2)
milterscope-filter_LIBS   = -lmilter
milterscope-pusher_LIBS   = $(hiredis) $(psl) -lm
milterscope-exporter_LIBS = $(libmicrohttpd) $(hiredis) $(yaml) $(idn2) $(zlib) $(jansson) -lm
milterscope-collector_LIBS = $(yaml) $(idn2) $(psl) $(jansson) $(gnutls) $(systemd) -lm

TOOLS = kit/milter-load kit/mta-check kit/failing-calls.so kit/hasty-filter kit/hasty-pusher bench/bare-milter bench/queue-scan

object = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
CONF_LIB = $(BUILD)/libconf.a
UNIT_TESTS = $(patsubst tests/unit/test_%.c,$(BUILD)/unit/test_%,$(wildcard tests/unit/test_*.c))
FUZZERS = $(patsubst tests/fuzz/fuzz_%.c,$(BUILD)/fuzz/fuzz_%,$(wildcard tests/fuzz/fuzz_*.c))

.PHONY: all help run check check-only unit tools sanitize fuzz fuzzers mutate soak bench format lint fresh install clean
.DELETE_ON_ERROR:

all: $(addprefix $(BUILD)/,$(PROGRAMS))

help:
	@sed -n 's/^## //p' Makefile

## make run        see it work: private Postfix and Redis, sample messages, http://127.0.0.1:19154/; Ctrl-C ends it
run:
	scripts/install-dependencies build servers
	$(MAKE) all
	scripts/run

## make check      all tests; ends in a line that counts passed and failed
check:
	scripts/install-dependencies build servers check lint
	$(MAKE) all tools unit-tests fuzzers
	scripts/check

## make            build the programs into build/
$(CONF_LIB): $(call object,$(wildcard conf/lib/*.c))
	@rm -f $@
	$(AR) rcs $@ $^

define program
$(BUILD)/$(1): $$(call object,$$(wildcard $$($(1)_FOLDER)/*.c $$(dir $$($(1)_FOLDER))*.c)) $$(CONF_LIB)
	$$(CC) $$(HARDENING_LINK) $$(LDFLAGS) -pthread -o $$@ $$^ $$($(1)_LIBS)
endef
$(foreach name,$(PROGRAMS),$(eval $(call program,$(name))))

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

# The scripts stand in the object by .incbin, which the compiler's dependencies do not show.
$(BUILD)/obj/milter/pusher/scripts.o: $(wildcard milter/pusher/*.lua)

## make unit       the unit tests alone
unit: unit-tests
	@for test in $(UNIT_TESTS); do $$test || exit 1; done
.PHONY: unit-tests
unit-tests: $(UNIT_TESTS)

# A unit test links every module but the mains; what it replaces it includes.
MODULES = $(call object,$(filter-out %/main.c,$(wildcard milter/*.c milter/*/*.c exporter/*.c exporter/*/*.c)))
$(BUILD)/libmodules.a: $(MODULES)
	@rm -f $@
	$(AR) rcs $@ $^
ALL_LIBS = -lmilter $(hiredis) $(libmicrohttpd) $(yaml) $(idn2) $(zlib) $(psl) $(jansson) $(gnutls) $(systemd) -lm

$(BUILD)/unit/test_%: $(BUILD)/obj/tests/unit/test_%.o $(BUILD)/libmodules.a $(CONF_LIB)
	@mkdir -p $(@D)
	$(CC) $(HARDENING_LINK) $(LDFLAGS) -pthread -o $@ $^ $(ALL_LIBS) $(cmocka)

tools: $(addprefix $(BUILD)/,$(TOOLS))
KIT = tests/kit/mta.c tests/kit/macros.c tests/kit/wire.c $(wildcard tests/kit/load_*.c)
$(BUILD)/kit/milter-load: $(call object,tests/kit/milter_load.c $(KIT))
	@mkdir -p $(@D)
	$(CC) $(HARDENING_LINK) $(LDFLAGS) -pthread -o $@ $^ -lm
# The collector `mta` alone, a run whenever it is told to.
$(BUILD)/kit/mta-check: $(BUILD)/obj/tests/kit/mta_check.o $(BUILD)/libmodules.a $(CONF_LIB)
	@mkdir -p $(@D)
	$(CC) $(HARDENING_LINK) $(LDFLAGS) -pthread -o $@ $^ $(ALL_LIBS)
# Preloaded into our programs. Without sanitizers, which each have a program of their own.
$(BUILD)/kit/failing-calls.so: tests/kit/failing_calls.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE $(WARNINGS) $(CFLAGS) -fPIC -shared -pthread -o $@ $< -lfiu
# The filter, which knows after some seconds what libmilter has forgotten.
HASTY = $(BUILD)/obj/hasty/forgotten.o
$(HASTY): milter/filter/forgotten.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -DFORGOTTEN_LOOK_MS=500 -c -o $@ $<
$(BUILD)/kit/hasty-filter: $(filter-out %/forgotten.o,$(call object,$(wildcard milter/filter/*.c milter/*.c))) $(HASTY) $(CONF_LIB)
	@mkdir -p $(@D)
	$(CC) $(HARDENING_LINK) $(LDFLAGS) -pthread -o $@ $^ $(milterscope-filter_LIBS)
# The pusher, whose minute is half a second.
HASTY_HISTORY = $(BUILD)/obj/hasty/history.o
$(HASTY_HISTORY): milter/pusher/history.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -DHISTORY_EVERY_MS=500 -c -o $@ $<
$(BUILD)/kit/hasty-pusher: $(filter-out %/history.o,$(call object,$(wildcard milter/pusher/*.c milter/*.c))) $(HASTY_HISTORY) $(CONF_LIB)
	@mkdir -p $(@D)
	$(CC) $(HARDENING_LINK) $(LDFLAGS) -pthread -o $@ $^ $(milterscope-pusher_LIBS)
$(BUILD)/bench/bare-milter: $(call object,tests/bench/bare.c)
	@mkdir -p $(@D)
	$(CC) $(HARDENING_LINK) $(LDFLAGS) -pthread -o $@ $^ -lmilter

$(BUILD)/bench/queue-scan: $(call object,tests/bench/queue_scan.c) $(BUILD)/libmodules.a $(CONF_LIB)
	@mkdir -p $(@D)
	$(CC) $(HARDENING_LINK) $(LDFLAGS) -pthread -o $@ $^ $(ALL_LIBS)

## make sanitize   all tests with address and undefined-behaviour sanitizers, filter and pusher with the thread sanitizer
sanitize:
	scripts/install-dependencies build servers check lint
	scripts/sanitize

## make fuzz       every parser fuzzed for a minute (FUZZ_SECONDS)
fuzz: fuzzers
	scripts/fuzz $(FUZZERS)

# Fuzzers are built whole with clang and its sanitizers, apart from everything else.
fuzzers: $(FUZZERS)
FUZZ_CFLAGS = -std=gnu11 -D_GNU_SOURCE -I. $(WARNINGS) -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -pthread
$(BUILD)/fuzz/libfuzzed.a: $(patsubst %.c,$(BUILD)/fuzz/obj/%.o,$(wildcard conf/lib/*.c) $(filter-out %/main.c,$(wildcard milter/*.c milter/*/*.c exporter/*.c exporter/*/*.c)))
	@rm -f $@
	$(AR) rcs $@ $^
$(BUILD)/fuzz/obj/%.o: %.c
	@mkdir -p $(@D)
	clang $(subst fuzzer$(comma),fuzzer-no-link$(comma),$(FUZZ_CFLAGS)) -MMD -MP -c -o $@ $<
$(BUILD)/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(BUILD)/fuzz/libfuzzed.a
	@mkdir -p $(@D)
	clang $(FUZZ_CFLAGS) -o $@ $^ $(ALL_LIBS)
comma := ,

## make mutate     builds the filter wrongly, metric by metric, and without its safeguards, and shows that oracle and chaos see it
mutate:
	scripts/install-dependencies build servers check
	$(PYTHON) tests/system/mutate.py
	$(PYTHON) tests/system/mutate_spine.py

## make soak       chaos for SECONDS (600) from SEED (random): whatever can break breaks, and the counts must be right; then a flood of
##                 FLOOD (10000000; 0: none) distinct clients, half an hour to an hour: memory stays flat, the top lists are right
SECONDS ?= 600
SEED    ?= random
FLOOD   ?= 10000000
soak:
	scripts/install-dependencies build servers check
	$(MAKE) all tools
	scripts/unpack-servers postfix redis
	CHAOS_SECONDS=$(SECONDS) CHAOS_SEED=$(SEED) CHAOS_JUDGE=yes FLOOD=$(FLOOD) $(PYTHON) -m pytest -p no:cacheprovider -q \
		tests/system/test_chaos.py $(if $(filter-out 0,$(FLOOD)),tests/system/test_flood.py)

## make bench      figures: against no milter, against a milter that counts nothing, the price of each event, macro and header; ends
##                 with a judgement
bench:
	scripts/install-dependencies build servers check
	$(MAKE) all tools
	scripts/unpack-servers postfix redis pflogsumm mtail
	$(PYTHON) tests/bench/bench.py

## make fresh      both commands on a fresh minimal Debian 12 and 13
fresh:
	scripts/install-dependencies fresh
	scripts/fresh bookworm
	scripts/fresh trixie

## make format     clang-format over all C
C_FILES = $(wildcard conf/lib/*.[ch] milter/*.[ch] milter/*/*.[ch] exporter/*.[ch] exporter/*/*.[ch] tests/*/*.[ch])
format:
	clang-format -i $(C_FILES)

## make lint       format, clang's warnings, clang-tidy, cppcheck, shellcheck, manual pages
lint:
	scripts/install-dependencies build check lint
	scripts/lint

## make install    programs, manuals, configuration, units (DESTDIR, PREFIX)
install: all
	scripts/install-files $(BUILD) "$(DESTDIR)" "$(PREFIX)"

clean:
	rm -rf $(BUILD)/obj $(BUILD)/unit $(BUILD)/fuzz $(BUILD)/kit $(BUILD)/bench $(BUILD)/*.a $(addprefix $(BUILD)/,$(PROGRAMS))

-include $(shell find $(BUILD)/obj $(BUILD)/fuzz/obj -name "*.d" 2>/dev/null)
