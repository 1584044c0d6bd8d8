CARGO ?= cargo
RUNS ?= 200
PARALLEL ?= 2
ARTIFACTS ?= 2000
SCALE ?= 1

# A program of tools/, and the replicator that it starts. The example brings the features that tests and quickstart
# have, or cargo would build what depends on them once more.
BUILD_TOOL = $(CARGO) build --release --locked -p dockerimage-replication --bin replicator --example quickstart \
	-p replicator-tools
RUN_TOOL = $(or $(CARGO_TARGET_DIR),.target)/release

.DEFAULT_GOAL := help
.PHONY: bundle-check help docs-check man render-cases corpus-check closure-check test lint module-lint bundle dist release-check ci interop quickstart chaos load fuzz render-hostile fan-out growth bench advisories

help: ## Lists these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

test: ## All tests; no network but loopback, no AWS account
	$(CARGO) test --workspace --exclude replicator-tools --locked

lint: ## Formatting, clippy, and with cargo-deny bans, licences and sources
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	bash .ci/cargo-deny --locked check --hide-inclusion-graph bans licenses sources
	@$(MAKE) --no-print-directory module-lint

module-lint: ## What Seed-Farmer reads: deployspec, scripts, template and its permissions
	bash tests/module/run.sh

interop: ## Against other registries, clients, Helm, cosign and the Seed-Farmer CLI, which it installs
	bash tests/interop/all.sh

CASES ?= 20000
SEED ?=

render-cases: ## Charts of our own with mutated values, rendered by Helm and by us; CASES=20000, SEED=…
	bash tests/interop/render/run.sh --sets '' --cases $(CASES) --seed $(or $(SEED),$(shell date +%s)) tests/interop/render/charts

corpus-check: ## Charts of others in CHARTS=DIR, rendered by Helm and by us with five sets of values
	@if [ -z "$(CHARTS)" ]; then \
		echo "corpus-check: skipped, no folder of charts is named: CHARTS=DIR" >&2; \
	else \
		bash tests/interop/render/run.sh --sets default,on,off,m1,m2 --seed $(or $(SEED),1) $(CHARTS); \
	fi

closure-check: ## What our data publishes against the images that Helm renders from charts in CHARTS=DIR; ARGS="--closure complete"
	@if [ -z "$(CHARTS)" ]; then \
		echo "closure-check: skipped, no folder of charts is named: CHARTS=DIR" >&2; \
	else \
		CHARTS="$(CHARTS)" bash tests/interop/closure/run.sh $(ARGS); \
	fi

discover-check: ## Discovers the images of real charts in CHARTS=DIR, and compares with our data files
	@if [ -z "$(CHARTS)" ]; then \
		echo "discover-check: skipped, no folder of charts is named: CHARTS=DIR" >&2; \
	else \
		$(RUN_TOOL) --bin discover-check -- $(CHARTS); \
	fi

man: ## The man pages, into .target/man
	$(CARGO) run --locked -p replicator-tools --bin man -- .target/man

docs-check: ## Runs the commands of the guides against stand-ins; GUIDES=docs/ci.md
	$(BUILD_TOOL) --bin lab-guides
	python3 tests/docs/check.py $(RUN_TOOL)/replicator $(RUN_TOOL)/lab-guides $(GUIDES)

MINUTES ?= 5
TARGETS ?= $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))

# libFuzzer's instrumentation is a -Z flag, which the pinned stable compiler takes with this variable.
# What is found on the way goes below .target; what is worth keeping is put into fuzz/corpus by hand,
# small (`cargo fuzz tmin`), and cargo test replays it from then on.
fuzz: export RUSTC_BOOTSTRAP = 1
fuzz: ## Each fuzz target for MINUTES=5; needs cargo-fuzz, clang is not needed
	$(CARGO) fuzz build --target-dir .target/fuzz
	@set -e; for target in $(TARGETS); do \
		mkdir -p .target/fuzz-corpus/$$target; \
		echo "fuzz: $$target, $(MINUTES) minutes"; \
		$(CARGO) fuzz run --target-dir .target/fuzz $$target .target/fuzz-corpus/$$target fuzz/corpus/$$target -- \
			-max_total_time=$$(( $(MINUTES) * 60 )) -max_len=16384 -timeout=10 -rss_limit_mb=2048 \
			-print_final_stats=1 -verbosity=0; \
	done

render-hostile: ## Renders charts made to exhaust the renderer, and prints what each took
	$(CARGO) build --release --locked --bin replicator
	python3 tests/hostile/render.py .target/release/replicator

SIZE ?= 2048
ROUNDS ?= 3

bundle-check: ## A bundle: memory, and speed beside a plain copy; SIZE=2048 (MiB) ROUNDS=3, four times SIZE on the disk
	$(BUILD_TOOL) --bin lab-registry
	python3 tests/bundle/measure.py $(RUN_TOOL)/replicator $(RUN_TOOL)/lab-registry --mebibytes $(SIZE) --rounds $(ROUNDS) \
		--folder $(RUN_TOOL)

quickstart: ## Runs examples/quickstart.rs
	$(CARGO) run --locked --example quickstart

chaos: ## Runs against faults, with kills and re-runs; RUNS=1000, SEED=… RUNS=1 repeats one
	$(BUILD_TOOL) --bin chaos
	$(RUN_TOOL)/chaos run --runs $(RUNS) --parallel $(PARALLEL) $(if $(SEED),--seed $(SEED))

load: ## Many artifacts against ECR's quotas; ARTIFACTS=2000, SCALE=10 for ten times the quotas
	$(BUILD_TOOL) --bin chaos
	$(RUN_TOOL)/chaos load --artifacts $(ARTIFACTS) --scale $(SCALE)

fan-out: ## A run over four builds with a link each, against one build, and against the simulation
	$(BUILD_TOOL) --bin fan-out
	$(RUN_TOOL)/fan-out measure
	$(RUN_TOOL)/fan-out simulate

growth: ## Time, memory and requests of 100 to 50,000 artifacts: docs/internals/growth.md; NUMBERS="100 1000"
	$(BUILD_TOOL) --bin growth
	$(RUN_TOOL)/growth $(NUMBERS)

bench: ## Against skopeo, crane, oras, regctl and regsync: docs/internals/benchmarks.md; BENCH="--quick"
	python3 bench/run.py $(BENCH)

# Interop uses what the tests built, and mostly waits: the optimized program is built, and tried, beside it.
ci: lint test ## What CI runs
	$(MAKE) --no-print-directory --jobs --output-sync=target CARGO='nice $(CARGO)' \
		interop docs-check quickstart chaos RUNS=300 PARALLEL=4

bundle: ## The binary for CodeBuild into bin/, from a laptop (Linux, macOS), for the first deployment
	bash scripts/dist.sh $(if $(ARCH),$(ARCH),x86_64)

dist: ## Portable binaries into bin/, with their checksums; ARCH="x86_64 aarch64"
	bash scripts/dist.sh $(ARCH)

release-check: ## A dry run of a release: RELEASING.md; REUSE=yes takes the binaries that are there
	bash scripts/release-check.sh

advisories: ## Known vulnerabilities of the dependencies; needs the network
	bash .ci/cargo-deny --locked check advisories
