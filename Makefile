# snakefish. `make help` lists the targets.
#
#   PYTHON=python3.12        the interpreter to build for and to test with (default: Debian's)
#   SAN=address,undefined    build with sanitizers and asserts, under build/san-<names>/
#   ASSERTS=yes              build with asserts, under build/asserts/
#   JOBS=1                   for test and stress: run one suite or part at a time, not three
#   TRIES=1                  for test: what has failed is not tried a second time, alone
#   V=1                      show the commands
#   DEPS=no                  do not look for packages to install
#   RESUME=1                 for bench-full: continue the session that was interrupted

PYTHON ?= /usr/bin/python3
CC     ?= gcc
SAN    ?=
ASSERTS ?=
JOBS   ?= 3
TRIES  ?= 2
V      ?=
comma  := ,

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s %s\n' '$(1)' '$(2)')

# Release builds have no asserts (-DNDEBUG): this is what users install and what the bench measures. Asserts are live in
# the C tests, in the fuzzers, in builds with sanitizers and, under `make test`, in the suites py and tracer. The other
# suites test the release build. So `make test` compiles everything twice, in two directories, because an object file
# with asserts must not be linked into a release. The second compilation takes 14 s of CPU time.
LIVE := $(if $(SAN),yes,$(filter yes,$(ASSERTS)))
B := build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)),$(if $(LIVE),/asserts))

# A warning is an error in continuous integration only: a user's compiler may know warnings that ours does not.
WARN   := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla $(if $(filter true 1,$(CI)),-Werror)
CFLAGS ?= -O2 -g
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)
NDEBUG := $(if $(LIVE),,-DNDEBUG)
ALLFLAGS := -std=gnu11 $(WARN) $(CFLAGS) $(NDEBUG) $(SANFLAGS) -fvisibility=hidden -fPIC -pthread -Iext -D_GNU_SOURCE -MMD -MP

CORE_SRC   := $(wildcard ext/core/*/*.c)
PY_SRC     := $(wildcard ext/py/*.c ext/py/*/*.c)
PKG_SRC    := $(wildcard ext/snakefish/*.py ext/snakefish/*.pyi ext/snakefish/py.typed ext/snakefish/entry/*.py)
# The kernel's view needs clang, bpftool and libbpf. Without them kernel_missing.c is built instead: it says what is
# missing when somebody asks for the view. Debian has bpftool where only root's PATH leads.
BPF_SRC    := $(wildcard tracer/kernel/*.bpf.c)
KERNEL_SRC := tracer/kernel/kernel.c tracer/kernel/kernel_probe.c tracer/kernel/kernel_cost.c
BPFTOOL := $(shell PATH="$$PATH:/usr/sbin:/sbin" command -v bpftool)
KERNEL_MISSING := $(shell command -v clang >/dev/null || echo clang; $(if $(BPFTOOL),,echo bpftool;) \
    printf '%s\n' '\#include <bpf/libbpf.h>' '\#include <bpf/bpf_helpers.h>' | $(CC) -E -xc - >/dev/null 2>&1 || echo libbpf)
TRACER_SRC := $(filter-out $(BPF_SRC) $(if $(KERNEL_MISSING),$(KERNEL_SRC),tracer/kernel/kernel_missing.c),$(wildcard tracer/*/*.c))
TRACER_LIBS := -lsqlite3 -lm $(if $(KERNEL_MISSING),,-lbpf)
CORE_TESTS   := $(patsubst tests/core/%.c,$(B)/tests/core/%,$(wildcard tests/core/*/test_*.c))
TRACER_TESTS := $(patsubst tests/tracer/%.c,$(B)/tests/tracer/%,$(wildcard tests/tracer/*/test_*.c))
FUZZERS      := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

TRACER_SQL := $(patsubst tracer/%.sql,$(B)/gen/%.inc,$(wildcard tracer/*/*.sql))
CORE_OBJ   := $(CORE_SRC:%.c=$(B)/obj/%.o)
TRACER_OBJ := $(TRACER_SRC:%.c=$(B)/obj/%.o)
TRACER     := $(B)/bin/snakefish-trace
FLOOR      := $(B)/bin/bench-floor $(B)/bin/bench-events $(B)/bin/bench-counting.so
BENCH_COLLECT := $(B)/bin/bench-collect
PKG        := $(B)/lib/snakefish

# The interpreter is asked once for its paths, and only if a target needs them.
NEEDS_PY := $(filter-out deps test stress figures fuzz test-all-pythons test-peers bench bench-full report report-full format lint docs clean help tracer bench-floor core-tests tracer-tests fuzzers,$(or $(MAKECMDGOALS),all))
ifneq ($(wildcard $(shell command -v $(PYTHON))),)
ifneq ($(NEEDS_PY),)
PYVARS := $(shell $(PYTHON) -c 'import sysconfig as s; print(s.get_path("include"), s.get_config_var("EXT_SUFFIX"))')
PY_INCLUDE := $(word 1,$(PYVARS))
PY_SUFFIX  := $(word 2,$(PYVARS))
endif
endif

# Without this check the compiler says the same once for each file.
NEEDS_CC := $(filter-out deps test stress figures fuzz test-all-pythons test-peers bench bench-full report report-full format lint docs clean help compile_commands.json,$(or $(MAKECMDGOALS),all))
ifneq ($(NEEDS_CC),)
MISSING := $(shell sh .ci/missing '$(CC)' $(if $(NEEDS_PY),'$(PYTHON)' '$(PY_INCLUDE)'))
ifneq ($(MISSING),)
$(error snakefish cannot be built without $(MISSING). On Debian, as root: make deps, or apt-get install gcc libc6-dev libsqlite3-dev python3-dev)
endif
endif

PY_OBJ := $(PY_SRC:%.c=$(B)/obj/py$(PY_SUFFIX)/%.o)
EXT    := $(PKG)/_snakefish$(PY_SUFFIX)
BYTECODE := $(B)/obj/py$(PY_SUFFIX)/bytecode

.DEFAULT_GOAL := all
.PHONY: all ext tracer bench-floor core-tests tracer-tests fuzzers deps test stress figures fuzz test-all-pythons test-peers bench bench-full report report-full format lint compile_commands.json docs help clean asserts-tests
.DELETE_ON_ERROR:

all: ext tracer bench-floor     ## build the extension, the collector and the bench's floor (needs the packages: make deps)

ext: $(EXT) $(BYTECODE)         ## build the Python package: build/lib/snakefish

tracer: $(TRACER)               ## build the collector: build/bin/snakefish-trace

bench-floor: $(FLOOR) $(BENCH_COLLECT)  ## build the bench's C programs, which measure the machine and the collector

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALLFLAGS) -c $< -o $@

$(B)/obj/py$(PY_SUFFIX)/ext/py/%.o: ext/py/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALLFLAGS) -I$(PY_INCLUDE) -c $< -o $@

$(EXT): $(PY_OBJ) $(CORE_OBJ)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -shared -Wl,-z,now -Wl,-z,relro $(SANFLAGS) -pthread $^ -o $@

$(PKG)/%: ext/snakefish/%
	@mkdir -p $(@D)
	$(Q)cp $< $@

# Compiled here, as pip does, because not every user of build/lib may write there: to compile at each import takes longer
# than all the rest of it.
$(BYTECODE): $(PKG_SRC:ext/snakefish/%=$(PKG)/%)
	@mkdir -p $(@D)
	$(Q)$(PYTHON) -m compileall -q $(PKG)
	$(Q)touch $@

# The eBPF programs: clang compiles them, bpftool turns the object file into a header that contains it.
BPF_ARCH := $(if $(filter aarch64%,$(shell $(CC) -dumpmachine)),arm64,x86)
$(B)/gen/%.bpf.o: tracer/%.bpf.c $(wildcard tracer/kernel/*.bpf.h tracer/kernel/kernel_record.h)
	@mkdir -p $(@D)
	$(call say,BPF,$<)
	$(Q)clang -g -O2 -Wall -Wextra -Wno-unused-parameter $(filter -Werror,$(WARN)) -target bpf -D__TARGET_ARCH_$(BPF_ARCH) -Itracer -I/usr/include/$(shell $(CC) -print-multiarch) -c $< -o $@

$(B)/gen/%.skel.h: $(B)/gen/%.bpf.o
	$(Q)$(BPFTOOL) gen skeleton $< name $(notdir $*)_bpf > $@

.SECONDARY: $(BPF_SRC:tracer/%.c=$(B)/gen/%.o)
$(if $(KERNEL_MISSING),,$(KERNEL_SRC:%.c=$(B)/obj/%.o)): $(B)/gen/kernel/kernel.skel.h
$(B)/obj/tracer/kernel/kernel_missing.o: ALLFLAGS += -DKERNEL_MISSING='"$(KERNEL_MISSING)"'

# In the .sql files EVENT_SEND stands for the id of SEND in events.def, and so on. What comes of it becomes a C string.
$(B)/gen/events.sed: ext/abi/events.def
	@mkdir -p $(@D)
	$(Q)sed -n 's/^X(\([0-9]*\), \([A-Z_]*\),.*/s|\\bEVENT_\2\\b|\1|g/p' $< > $@

$(B)/gen/%.sql: tracer/%.sql $(B)/gen/events.sed
	@mkdir -p $(@D)
	$(Q)sed -f $(B)/gen/events.sed $< > $@
	$(Q)! sed 's/--.*//' $@ | grep EVENT_ # no event is called that

.PRECIOUS: $(B)/gen/%.sql
$(B)/gen/%.inc: $(B)/gen/%.sql
	$(Q)sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/"/' -e 's/$$/\\n"/' $< > $@

$(B)/obj/tracer/%.o: ALLFLAGS += -Itracer -I$(B)/gen
$(TRACER_OBJ): $(TRACER_SQL)

$(TRACER): $(TRACER_OBJ)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SANFLAGS) -pthread $^ $(TRACER_LIBS) -o $@

# Never with sanitizers or asserts, because these programs measure what the machine can do.
$(B)/bin/bench-floor: bench/floor/main.c
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -std=gnu11 $(WARN) $(CFLAGS) -DNDEBUG -D_GNU_SOURCE $< -o $@

$(B)/bin/bench-events: bench/floor/events.c tracer/collect/spares.c tracer/collect/room.c tracer/base/file.c tracer/base/lease.c tracer/base/liveness.c tracer/base/clock.c $(CORE_SRC) $(wildcard ext/core/*/*.h ext/abi/* tracer/collect/spares.h tracer/collect/room.h tracer/base/file.h tracer/base/lease.h tracer/base/liveness.h tracer/base/clock.h)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -std=gnu11 $(WARN) $(CFLAGS) -DNDEBUG -D_GNU_SOURCE -Iext -Itracer -pthread $(filter %.c,$^) -lm -o $@

# Tells valgrind what to count in a sample of the bench; works only where valgrind's header is there.
$(B)/bin/bench-counting.so: bench/floor/counting.c $(wildcard /usr/include/valgrind/callgrind.h)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -std=gnu11 $(WARN) $(CFLAGS) -DNDEBUG -fPIC -shared -fvisibility=hidden -pthread $< -o $@

# Measures the collector: its parts and the log's writer in one program.
$(B)/obj/bench/floor/collect.o: ALLFLAGS += -Itracer
$(BENCH_COLLECT): $(B)/obj/bench/floor/collect.o $(filter-out %/main.o,$(TRACER_OBJ)) $(CORE_OBJ)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SANFLAGS) -pthread $^ $(TRACER_LIBS) -o $@

# Each C test file is one program, linked with the objects of its part.
$(B)/tests/core/%: tests/core/%.c tests/harness.h $(CORE_OBJ)
	@mkdir -p $(@D)
	$(call say,TEST,$<)
	$(Q)$(CC) $(ALLFLAGS) -Itests $< $(CORE_OBJ) -o $@

$(B)/tests/tracer/%: tests/tracer/%.c tests/harness.h $(TRACER_OBJ)
	@mkdir -p $(@D)
	$(call say,TEST,$<)
	$(Q)$(CC) $(ALLFLAGS) -Itests -Itracer -I$(B)/gen $(filter %.c %.o,$(filter-out %/main.o,$^)) $(TRACER_LIBS) -o $@
$(B)/tests/tracer/collect/test_spares $(B)/tests/tracer/collect/test_author: $(CORE_OBJ) # their logs are written by the extension's own code

# The program that tests/stress/flood.py traces.
$(B)/tests/stress/writers: tests/stress/writers.c $(CORE_OBJ)
	@mkdir -p $(@D)
	$(call say,TEST,$<)
	$(Q)$(CC) $(ALLFLAGS) $< $(CORE_OBJ) -o $@

TRACED := $(B)/tests/stress/writers $(B)/tests/tracer/program # programs that tests trace
tracer-tests: $(TRACED)
ifeq ($(LIVE),)
core-tests tracer-tests: asserts-tests
asserts-tests:
	$(Q)$(MAKE) --no-print-directory ASSERTS=yes B=$(B)/asserts $(filter core-tests tracer-tests,$(MAKECMDGOALS))
else
core-tests: $(CORE_TESTS)
tracer-tests: $(TRACER_TESTS)
endif

# Fuzzers (libFuzzer). The code under test is compiled with them, because libFuzzer needs clang's instrumentation.
$(B)/fuzz/%: tests/fuzz/%.c $(CORE_SRC) $(wildcard ext/core/*/*.h ext/abi/*)
	@mkdir -p $(@D)
	$(call say,FUZZ,$<)
	$(Q)clang -std=gnu11 -O1 -g -fsanitize=fuzzer,address,undefined -pthread -Iext -Itests -D_GNU_SOURCE $< $(CORE_SRC) -o $@

# Those that fuzz the tracer are linked with all of it, without the kernel's view.
TRACER_FUZZERS  := fuzz_log fuzz_session fuzz_database
FUZZ_TRACER_OBJ := $(patsubst %.c,$(B)/fuzz/obj/%.o,$(sort tracer/kernel/kernel_missing.c $(filter-out $(KERNEL_SRC) tracer/commands/main.c,$(TRACER_SRC))))
FUZZ_FLAGS := -std=gnu11 -O1 -g -fno-sanitize-recover=all -pthread -Iext -Itracer -I$(B)/gen -D_GNU_SOURCE -DKERNEL_MISSING='"the fuzzer"' -MMD -MP
$(B)/fuzz/obj/%.o: %.c
	@mkdir -p $(@D)
	$(Q)clang $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link,address,undefined -c $< -o $@
$(FUZZ_TRACER_OBJ): $(TRACER_SQL)

$(TRACER_FUZZERS:%=$(B)/fuzz/%): $(B)/fuzz/%: tests/fuzz/%.c $(FUZZ_TRACER_OBJ) $(wildcard tests/fuzz/*.h)
	@mkdir -p $(@D)
	$(call say,FUZZ,$<)
	$(Q)clang $(FUZZ_FLAGS) -fsanitize=fuzzer,address,undefined -Itests/fuzz -DREPORT_SQL='"$(CURDIR)/analysis/trace.sql"' $(FUZZ_LINK) $(filter %.c %.o,$^) -lsqlite3 -lm -o $@
$(B)/fuzz/fuzz_session $(B)/fuzz/fuzz_database: FUZZ_LINK := -Wl,--wrap=event_cost_measure

fuzzers: $(FUZZERS)

deps:                           ## install what is missing (Debian; DEPS=no skips it)
	$(Q)$(if $(filter no,$(DEPS)),true,sh .ci/install)

build-all = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$$(nproc))

test: deps                      ## build everything and run all tests
	$(Q)$(build-all) all $(TRACED) fuzzers
	$(Q)$(build-all) ASSERTS=yes B=$(B)/asserts ext tracer core-tests tracer-tests
	$(Q)$(build-all) SAN=address,undefined core-tests
	$(Q)$(PYTHON) tests/run.py --build $(B) --asserts --jobs $(JOBS) --tries $(TRIES)

test-all-pythons:               ## run tests/py on every Python that is found: PATH, Debian's, a version manager's
	$(Q)$(PYTHON) tests/pythons.py --build $(B)

test-peers: deps                ## run CPython's tests of multiprocessing and executors, and joblib's, plain and traced: same results?
	$(Q)$(MAKE) --no-print-directory all
	$(Q)nice -n 19 env SF_BUILD=$(B) $(PYTHON) tests/stress/peers.py
	$(Q)nice -n 19 env SF_BUILD=$(B) $(PYTHON) tests/stress/peers_joblib.py

stress: deps                    ## the long tests, thousands of faults, ten million events, the fuzzers, the figures: hours
	$(Q)$(MAKE) --no-print-directory all core-tests tracer-tests fuzzers compile_commands.json
	$(Q)$(MAKE) --no-print-directory SAN=address,undefined tracer
	$(Q)$(MAKE) --no-print-directory ASSERTS=yes B=$(B)/asserts ext tracer
	$(Q)$(MAKE) --no-print-directory SAN=thread CC=clang core-tests
	$(Q)nice -n 19 $(PYTHON) tests/stress/soak.py --build $(B) --jobs $(JOBS)

figures: deps                   ## what READMEs state of the tracer's truth and costs, measured again, on an idle machine
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(PYTHON) tests/stress/soak.py --build $(B) --figures

fuzz: deps                      ## run each fuzzer for FUZZ_SECONDS (60); its findings are kept in build/fuzz
	$(Q)$(MAKE) --no-print-directory fuzzers
	$(Q)nice -n 19 $(PYTHON) tests/stress/soak.py --build $(B) --part fuzz

# Traces of the programs whose time the report explains, under snakefish and multiprocessing:
# $(call traces,directory,options). Traces of an earlier bench are deleted, because the report reads all in the directory.
define traces
	$(Q)rm -rf $(1)
	$(Q)$(PYTHON) -m bench trace -o $(1) $(2) $(if $(filter 0,$(shell id -u)),--kernel) >/dev/null
endef
beside = $(patsubst %,--beside %,$(wildcard $(1)/*.db))

bench: deps                     ## run the bench (some 8 minutes on 2 cores) and write its report
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(PYTHON) -m bench run -o $(B)/bench.db --trace $(B)/trace.db
	$(call traces,$(B)/traces)
	$(Q)$(MAKE) --no-print-directory report
	$(Q)$(PYTHON) -m bench show $(B)/bench.db # once more, because the report comes after it

bench-full: deps                ## compare everything: over an hour on 2 cores (BLOCKS=6: fewer blocks; RESUME=1: continue)
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(PYTHON) -m bench run $(if $(RESUME),--resume,--full $(if $(BLOCKS),--blocks $(BLOCKS))) -o $(B)/bench-full.db --trace $(B)/trace-full.db
	$(call traces,$(B)/traces-full,--full)
	$(Q)$(MAKE) --no-print-directory report-full
	$(Q)$(PYTHON) -m bench show --all $(B)/bench-full.db

report: $(TRACER)               ## write build/report/index.html from what make bench left in build/
	$(Q)$(TRACER) analyze $(B)/trace.db >/dev/null
	$(Q)Rscript analysis/report.R --bench $(B)/bench.db --trace $(B)/trace.db $(call beside,$(B)/traces) -o $(B)/report

report-full: $(TRACER)          ## write build/report-full/index.html from what make bench-full left in build/
	$(Q)$(TRACER) analyze $(B)/trace-full.db >/dev/null
	$(Q)Rscript analysis/report.R --bench $(B)/bench-full.db --trace $(B)/trace-full.db $(call beside,$(B)/traces-full) -o $(B)/report-full

# Only C is formatted by a tool. Debian's formatters for Python and R (black, styler) have a fixed style that differs from
# this project's; flake8 and lintr check these languages.
C_FILES = $(shell find ext tracer bench tests -name '*.[ch]')

format:                         ## format all C files with clang-format
	$(Q)clang-format -i $(C_FILES)

lint: deps                      ## check format and frequent mistakes: C, Python, shell, R
	$(Q)$(build-all) all compile_commands.json
	$(Q)$(PYTHON) tests/lint.py

# For editors and for clang-tidy. Without NDEBUG: asserts tell the analyzer what must hold.
# $(call commands,sources,more flags) appends one line for each source.
tidy_flags = $(filter-out -MMD -MP -DNDEBUG -Werror,$(ALLFLAGS))
quoted = "$(subst ",\",$(1))"
commands = $(foreach file,$(1),$(file >>$@.new,{"directory": "$(CURDIR)"$(comma) "file": "$(file)"$(comma) \
    "command": $(call quoted,$(CC) $(tidy_flags) $(2) -c $(file))},))
compile_commands.json:          ## say how each C file is compiled, for editors
	$(file >$@.new,[)$(call commands,$(CORE_SRC),)$(call commands,$(PY_SRC),-I$(PY_INCLUDE))
	$(call commands,$(TRACER_SRC),-Itracer -isystem $(B)/gen -DKERNEL_MISSING='"$(KERNEL_MISSING)"')
	$(call commands,$(wildcard bench/floor/*.c),-Itracer)$(call commands,$(wildcard tests/core/*/*.c tests/stress/*.c),-Itests)
	$(call commands,$(wildcard tests/tracer/*.c tests/tracer/*/*.c tests/fuzz/*.c),-Itests -Itracer -I$(B)/gen)
	$(Q)sed '$$s/,$$//' $@.new >$@ && echo ']' >>$@ && rm $@.new

docs: report                    ## refresh README's pictures and table of events from the last bench
	$(Q)mkdir -p analysis/gallery
	$(Q)cp $(B)/report/speedup.svg $(B)/report/timeline.svg analysis/gallery/
	$(Q)$(PYTHON) tests/readme.py --update

help:                           ## this list
	@sed -n 's/^\([a-z][a-z_.-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 30

clean:                          ## remove build/
	$(Q)rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
