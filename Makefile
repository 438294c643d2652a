# The front door. `make` lists the targets; `make test` proves the library
# correct on every level: natively, and emulated where this machine lacks one.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

comma := ,
HOST  := $(shell go env GOHOSTARCH)

# The levels of this machine, which all tests run on. Those of REQUIRE must be
# among them.
NATIVE  := $(shell .ci/levels)
REQUIRE ?= $(NATIVE)

# How the others are tested.
MISSING      := $(filter-out $(subst $(comma), ,$(NATIVE)),avx2 avx512 neon)
WITHOUT_avx2 := under QEMU, the kernels alone (test-haswell)
WITHOUT_neon := under QEMU (test-arm64)
ifeq ($(HOST)$(filter avx512,$(MISSING)),amd64avx512)
BOCHS          := bochs bochs-term busybox-static isolinux syslinux-common xorriso
WITHOUT_avx512 := under Bochs, the kernels (roots without powers of two, ToFloat16 without ties) and a training run (test-avx512)
else
WITHOUT_avx512 := nowhere
endif

JOBS     ?= 2 # steps of `make test` at a time
FUZZTIME ?= 30s
ROUNDS   ?= 10 # times the usual number of calls that `make agree` compares
SOAK     ?= # flags, as in SOAK='-seconds 20'
COMPARE  ?= # flags, as in COMPARE='-match gemm'; none records a whole run
MCA      ?= # flags, as in MCA='-over 1.15'; none records the whole table
QUICK    ?= # 1 for a short study
STUDY    ?= # flags, as in STUDY='-tasks digits'

# Every package of the workspace's modules, and those whose results must be the
# same on all machines.
ALL     := github.com/adafisher-go/adafisher/...
NUMERIC := ./kernels ./internal/float ./kron ./optim ./nn/...

# Not from the cache, which does not know REQUIRE; emulators and busy machines
# are slow.
TEST    := go test -count=1 -timeout 30m

# ONNX Runtime, which exported models are checked with and predictions raced
# against. Without this file it is the one that the system has, if any.
ORT := $(CURDIR)/.ci/libonnxruntime.so.1
ifneq ($(wildcard $(ORT)),)
export ONNXRUNTIME ?= $(ORT)
endif

ARM64   := GOARCH=arm64 CGO_ENABLED=0
ifneq ($(HOST),arm64)
ON_ARM64 := qemu-aarch64-static
endif

.PHONY: help
help: ## Print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: ## Train a network on real handwritten digits
	go run ./examples/digits

.PHONY: soak
soak: ## Torment examples/service for two minutes, with 200 kills; SOAK=-help lists flags
	go run ./examples/service/soak $(SOAK)

# The steps of `make test`, the long ones first. Each is a target of its own.
STEPS := test-native test-arm64 test-race test-purego test-haswell test-nehalem vet digest check-generated check-format
STEPS := $(if $(BOCHS),test-avx512) $(STEPS)

.PHONY: test
test: deps check-levels ## Run every check below, at every level
	@$(MAKE) --no-print-directory -k -j$(JOBS) $(STEPS:%=step/%)
	@echo 'All checks passed. Levels run on this processor: $(NATIVE).'
	@$(foreach level,$(MISSING),echo 'NOT RUN NATIVELY: $(level) was tested $(WITHOUT_$(level)).';)
	@[ -n "$${ONNXRUNTIME-}" ] || echo 'NOT RUN: what other runtimes make of exported models. Run: make onnx'

.PHONY: $(STEPS:%=step/%)
$(STEPS:%=step/%): step/%:
	@.ci/step $* $(MAKE) --no-print-directory $*

.PHONY: test-native
test-native: ## Run the tests of all modules; REQUIRE=avx2,avx512 insists on levels
	ADAFISHER_REQUIRE=$(REQUIRE) $(TEST) $(ALL)

.PHONY: test-race
test-race: ## Run the library's tests under the race detector
	$(TEST) -race -short ./...

.PHONY: test-purego
test-purego: ## Run the library's tests without assembly
	$(TEST) -tags purego -short ./...

.PHONY: test-arm64
test-arm64: ## Run the tests on NEON, emulated unless this machine is ARM
	$(ARM64) ADAFISHER_REQUIRE=neon $(TEST) -short $(ON_ARM64:%=-exec %) $(NUMERIC) ./bench/roof

# What an emulated x86 runs: that the level is chosen and that every kernel's
# corpus passes. Longer tests are for the real processor, which has all x86 levels.
EMULATED := -short -skip TestLevelsAgree -run
CORPUS   := ^Fuzz|^Test.*Level

.PHONY: test-haswell
test-haswell: ## Run the kernels on an emulated x86 with AVX2 but no AVX-512
	GOARCH=amd64 CGO_ENABLED=0 ADAFISHER_REQUIRE=avx2 $(TEST) $(EMULATED) '$(CORPUS)' -exec 'qemu-x86_64-static -cpu Haswell' ./kernels

.PHONY: test-nehalem
test-nehalem: ## Run the kernels on an emulated x86 without AVX
	GOARCH=amd64 CGO_ENABLED=0 $(TEST) $(EMULATED) '$(CORPUS)' -exec 'qemu-x86_64-static -cpu Nehalem' ./kernels

# Large products besides: AVX-512 has tiles of its own.
AVX512    := GOARCH=amd64 CGO_ENABLED=0 $(LONG:%=BOCHS_LIMIT=5h)
ON_AVX512 := $(if $(LONG),-timeout 5h -short ./kernels,$(EMULATED) '$(CORPUS)|^TestLargeProducts' ./kernels)

.PHONY: test-avx512
test-avx512: .ci/vmlinuz ## Run the kernels and a training run on an emulated x86 with AVX-512; LONG=1 all of their short tests
	$(AVX512) ADAFISHER_REQUIRE=avx512 $(TEST) -exec $(CURDIR)/.ci/avx512 $(ON_AVX512)
	dir=$$(mktemp -d); trap 'rm -r $$dir' EXIT; \
	for program in $(DIGESTS); do \
		$(AVX512) go build -o $$dir/$$program ./examples/$$program; \
		got=$$(ADAFISHER_LEVEL=avx512 .ci/avx512 $$dir/$$program -digest); \
		want=$$(ADAFISHER_LEVEL=generic $$dir/$$program -digest); \
		printf '%s\n' "$$got" "$$want"; \
		[ "$$got" = "avx512 $${want#generic }" ] || { echo "The digests of $$program differ."; exit 1; }; \
	done

.ci/vmlinuz: # the Linux that .ci/avx512 boots
	dir=$$(mktemp -d); trap 'rm -r $$dir' EXIT; cd $$dir; \
	apt-get download -q $$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends:/ { print $$2 }'); \
	dpkg -x linux-image-*.deb .; \
	cp boot/vmlinuz-* $(CURDIR)/$@

.PHONY: vet
vet: ## Run go vet on each module by itself, for amd64 and arm64, and on the library for 386
	for dir in $$(go list -m -f '{{.Dir}}'); do \
		for arch in amd64 arm64; do GOWORK=off GOARCH=$$arch go -C $$dir vet ./...; done; \
	done
	GOWORK=off GOARCH=386 go vet ./...

.PHONY: check-format
check-format: ## Check that all Go files are formatted
	git ls-files -z --cached --others --exclude-standard '*.go' | xargs -0 gofmt -l | (! grep .)

.PHONY: check-levels
check-levels: # TestMain of the kernels prints the levels, or fails if one is missing
	@found=$$(ADAFISHER_TEST_PRINT_LEVELS=1 go -C kernels test -count=1 | sed -n '2{s/ //g;p}'); \
	[ "$$found" = '$(NATIVE)' ] || { echo "The library finds the levels $$found, the operating system reports $(NATIVE)."; exit 1; }; \
	ADAFISHER_REQUIRE=$(REQUIRE) $(TEST) -run '^$$' ./kernels >/dev/null || { \
		echo 'Not every level of $(REQUIRE) can be tested here: this machine has $(NATIVE).'; exit 1; }

.PHONY: check-generated
check-generated: ## Check that make generate would change nothing
	dir=$$(mktemp -d); trap 'rm -r $$dir' EXIT; \
	mkdir $$dir/asm $$dir/kernels; \
	go build -o $$dir/gen ./internal/gen; \
	(cd $$dir && ./gen); \
	diff <(cd $$dir && ls asm/* kernels/*) <(grep -El '^// Code generated by .*internal/gen' asm/* kernels/*); \
	for file in $$(cd $$dir && ls asm/* kernels/*); do diff -u $$file $$dir/$$file; done

.PHONY: generate
generate: ## Write the assembly and its dispatch anew
	go run ./internal/gen

# Short training runs of a perceptron, a convolutional network and a transformer;
# the weights of each have the same digest everywhere.
DIGESTS := digits fashion charlm

.PHONY: digest
digest: ## Check that training gives the same bits on every level and on ARM
	dir=$$(mktemp -d); trap 'rm -r $$dir' EXIT; \
	for program in $(DIGESTS); do \
		go build -o $$dir/native ./examples/$$program; \
		go build -o $$dir/purego -tags purego ./examples/$$program; \
		$(ARM64) go build -o $$dir/arm64 ./examples/$$program; \
		{ \
			for level in $(subst $(comma), ,$(NATIVE)); do ADAFISHER_LEVEL=$$level $$dir/native -digest; done; \
			$$dir/native -digest -workers 3; \
			$$dir/purego -digest; \
			ADAFISHER_LEVEL=neon $(ON_ARM64) $$dir/arm64 -digest; \
		} | tee $$dir/digests; \
		[ $$(cut -d ' ' -f 2 $$dir/digests | sort -u | wc -l) = 1 ] || { echo "The digests of $$program differ."; exit 1; }; \
	done

# The go command takes the end of the time for a failure now and then. A finding fails a
# second time, by its input, which lies in testdata then.
.PHONY: fuzz
fuzz: ## Fuzz each fuzz target for FUZZTIME=30s
	for package in $$(go list ./... ./examples/...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep ^Fuzz); do \
			once() { go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$package; }; \
			once || once; \
		done; \
	done

.PHONY: agree
agree: ## Compare a billion results of the kernels with the reference, bit for bit; ROUNDS=10 is the effort
	ADAFISHER_REQUIRE=$(REQUIRE) ADAFISHER_TEST_ROUNDS=$(ROUNDS) $(TEST) -v -run '^(TestLevelsAgree|TestSmallProducts)$$' ./kernels | grep -v '^=== \|^    --- PASS'

.PHONY: exhaustive
exhaustive: ## Measure the errors of functions for all 2^32 arguments, in some hours; make test takes a sample
	ADAFISHER_TEST_EXHAUSTIVE=1 go test -count=1 -timeout 24h -v -run '^TestErrors$$' ./kernels

.PHONY: onnx
onnx: $(ORT) ## Run exported models in ONNX Runtime, which npm brings, and compare what they predict
	ONNXRUNTIME=$(ORT) $(TEST) -v ./bench/ort

$(ORT): # from npm's package, which has it for these processors
	dir=$$(mktemp -d); trap 'rm -r $$dir' EXIT; cd $$dir; \
	npm pack --silent onnxruntime-node@1.30.0; \
	tar -xzf onnxruntime-node-*.tgz --strip-components 5 package/bin/napi-v6/linux/$(HOST:amd64=x64)/$(@F); \
	mv $(@F) $@

.PHONY: bench
bench: ## Measure the kernels and the optimizers on every level, and predictions of a service
	go test -run '^$$' -bench . ./kernels ./optim ./nn/serve

.PHONY: compare
compare: ## Measure kernels, training and predictions beside other libraries, into bench/results; COMPARE=-help lists flags
	go run ./bench/compare $(or $(strip $(COMPARE)),-record bench/results)

.PHONY: study
study: ## Compare the optimizers on six tasks, into bench/results/study; QUICK=1 takes minutes, STUDY=-help lists flags
	go run ./bench/cmd/study $(if $(QUICK),-quick) $(STUDY)

.PHONY: mca
mca: ## Estimate the NEON kernels' inner loops with llvm-mca (Debian: llvm-22), into bench/results; MCA=-help lists flags
	go run ./internal/gen/cmd/mca $(or $(strip $(MCA)),-record bench/results/mca.md)

.PHONY: deps
deps: ## Install from Debian what the tests need beside Go, git and make
	@missing=; \
	type qemu-aarch64-static qemu-x86_64-static &>/dev/null || missing+=' qemu-user-static'; \
	type gcc &>/dev/null || missing+=' gcc libc6-dev'; \
	for package in $(BOCHS); do dpkg -s $$package 2>/dev/null | grep -q 'ok installed' || missing+=" $$package"; done; \
	if [ -n "$$missing" ]; then \
		if [ $$(id -u) != 0 ]; then echo "The tests need Debian packages. Run: sudo apt-get install --no-install-recommends$$missing"; exit 1; fi; \
		apt-get update -q; \
		DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends $$missing; \
	fi
	$(if $(BOCHS),@$(MAKE) --no-print-directory -s .ci/vmlinuz)
