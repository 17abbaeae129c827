# Everything here runs from a fresh checkout with Python 3.11+, make and git.
# The tests' dynalite also needs Node.js 20+ with npm.

PYTHON ?= python3
PYTEST_ARGS ?=
# For make bench-dashboard, such as --rounds 5.
DASHBOARD_ARGS ?=
# Which backends the suite starts; the suite reads the same variable.
AIOBATCH_TEST_BACKENDS ?=
export AIOBATCH_TEST_BACKENDS
FUZZ_SECONDS ?= 60

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

DYNALITE := tests/backends/dynalite
CODE := $(wildcard aiobatch tests examples benchmarks)

NATIVE := $(wildcard native/*.toml native/Cargo.lock native/*.pyi native/src/*.rs)
RUST := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' native/Cargo.toml)

# An empty list means all of them.
WANTED := $(or $(strip $(AIOBATCH_TEST_BACKENDS)),moto ministack dynalite)
# dynalite first: a missing Node.js is told at once, not after minutes of installing.
BACKENDS := $(if $(findstring dynalite,$(WANTED)),$(DYNALITE)/node_modules/.installed) \
            $(if $(findstring ministack,$(WANTED)),.venv-ministack/.installed)

# $(call venv,DIRECTORY,ARGUMENTS OF pip install)
define venv
	@echo "installing into $(1)"
	@test -x $(1)/bin/python || "$(PYTHON)" -m venv $(1) </dev/null
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check $(2) </dev/null
	@touch $@
endef

.PHONY: help
help: ## Show this help
	@grep -E '^[a-z-]+:.*## ' Makefile | awk -F ':.*## ' '{ printf "  make %-15s %s\n", $$1, $$2 }'

.PHONY: demo
demo: .venv-demo/.installed ## Load, read back and clean up 28,298 airports against an embedded server
	@.venv-demo/bin/python -m benchmarks.demo </dev/null

.PHONY: figures
figures: .venv-demo/.installed ## Run the demo and put its figures into README.md
	@.venv-demo/bin/python -m benchmarks.demo --write README.md </dev/null

.PHONY: codec-figures
codec-figures: .venv/.native ## Measure both codecs and put the figures into docs/design/codec-speed.md
	@.venv/bin/python -m benchmarks.codec --write docs/design/codec-speed.md </dev/null

.PHONY: cli-pictures
cli-pictures: .venv/.installed ## Draw what the command shows, at 80 and 140 columns, into docs/pictures/
	@.venv/bin/python -m benchmarks.cli_pictures docs/pictures </dev/null

.PHONY: speed-limits
speed-limits: .venv-bench/.native ## Measure where a call's time goes, into docs/design/speed-limits.md
	@.venv-bench/bin/python -m benchmarks.limits --write docs/design/speed-limits.md </dev/null

.PHONY: bench
bench: bench-installed ## Measure aiobatch beside its peers; figures, tables and plots into docs/
	@.venv-bench/bin/python -m benchmarks.bench --plots docs/plots \
	  --write docs/performance.md --write-if-asked README.md </dev/null

.PHONY: bench-quick
bench-quick: bench-installed ## The same in short, written to build/ alone
	@.venv-bench/bin/python -m benchmarks.bench --plan quick --results build/bench-quick.json \
	  --plots build/plots </dev/null

# A peer that cannot be installed is told here and again in the report; the others are measured.
PEERS := aiobotocore aioboto3 aiodynamo boto3-assist pydynox
.PHONY: bench-installed
bench-installed: .venv-bench/.installed
	@for part in $(PEERS:%=.venv-bench-%/.installed) .venv-bench/.native \
	    .venv-ministack/.installed $(DYNALITE)/node_modules/.installed; do \
	  $(MAKE) --no-print-directory "$$part" </dev/null \
	    || echo "WARNING: $$part could not be made: it will be missing from the figures" >&2; \
	done

# The command writes both files itself, when all runs are over.
DASHBOARD := examples/fastapi_dashboard
.PHONY: bench-dashboard
bench-dashboard: .venv-dashboard/.installed ## Put the FastAPI example under load; figures and plot into its README
	@.venv-dashboard/bin/python -m benchmarks.dashboard --write $(DASHBOARD)/README.md \
	  --plot $(DASHBOARD)/load.svg $(DASHBOARD_ARGS) </dev/null

.PHONY: test
test: test-high test-low ## The whole suite, at both ends of the dependency range

.PHONY: test-high
test-high: $(BACKENDS) .venv/.installed ## The suite with the newest aiobotocore
	@echo "== suite, new end of the dependency range (.venv)"
	@.venv/bin/python -m pytest $(PYTEST_ARGS) </dev/null

.PHONY: test-low
test-low: $(BACKENDS) .venv-low/.installed ## The suite with aioboto3 15.5 and aiobotocore 2.25
	@echo "== suite, old end of the dependency range (.venv-low)"
	@.venv-low/bin/python -m pytest $(PYTEST_ARGS) </dev/null

.PHONY: throttled
throttled: .venv/.installed ## How close a client comes to what throttled tables let through
	@.venv/bin/python -m benchmarks.throttled </dev/null

# SOAK_ITEMS and SOAK_SEEDS make it smaller or larger. One seed of 200,000 takes a minute or so.
SOAK_ITEMS ?= 200000
SOAK_SEEDS ?= 20
.PHONY: soak
soak: $(BACKENDS) .venv/.installed ## Loads through every fault at once, their accounts compared with the table
	@.venv/bin/python -m tests.faults.command --items $(SOAK_ITEMS) --seeds $(SOAK_SEEDS) </dev/null

# BULK_ROWS and BULK_KILLS make it smaller. A million rows take ten minutes or so, four times.
BULK_ROWS ?= 1000000
BULK_KILLS ?= 20
.PHONY: soak-bulk
soak-bulk: .venv-ministack/.installed .venv/.installed ## Loads that are killed and started again, compared with their input
	@.venv/bin/python -m tests.bulk.soak --rows $(BULK_ROWS) --kills $(BULK_KILLS) </dev/null

.PHONY: native
native: .venv/.native ## Build the compiled codec (needs Rust) and install it into .venv
	@.venv/bin/python -c 'from aiobatch.codec import CODEC; print("codec in use:", CODEC.name)'

.PHONY: native-lint
native-lint: check-rust ## Check the compiled codec's style and formatting
	@cd native && cargo fmt --check
	@cd native && cargo clippy --quiet --locked --release --all-targets -- -D warnings

.PHONY: fuzz
fuzz: .venv/.installed ## Damage answers and items for FUZZ_SECONDS (60), over every codec installed
	@.venv/bin/python -m tests.codec.fuzz --seconds $(FUZZ_SECONDS) </dev/null

.PHONY: test-wheel
test-wheel: .venv/.installed .venv-dist/.installed ## The distributions, installed into empty environments and tested
	@.venv/bin/python -m pytest -m packaging tests/packaging $(PYTEST_ARGS) </dev/null

.PHONY: dist
dist: .venv-dist/.installed ## Build the sdist and the wheels of both packages into dist/
	@rm -rf dist
	@.venv-dist/bin/python -m build --no-isolation --outdir dist . </dev/null
	@if command -v cargo >/dev/null; then .venv-dist/bin/maturin build --release --locked --sdist \
	  -m native/Cargo.toml -o dist </dev/null; \
	  else echo "WARNING: there is no cargo: aiobatch-native was not built" >&2; fi
	@ls -l dist

# Both ends of the range have lines of their own, and so have both codecs: `make native` first.
# PySpark has an environment of its own, and so has what is written for it: `make coverage-spark`.
NOT_HERE := --omit='aiobatch/integrations/spark/*'
.PHONY: coverage
coverage: $(BACKENDS) .venv/.installed ## Branch coverage of aiobatch/ over the suite, in build/coverage
	@rm -rf build/coverage && mkdir -p build/coverage
	@export COVERAGE_FILE=build/coverage/data; coverage=".venv/bin/python -m coverage"; failed=0; \
	$$coverage run -m pytest -q $(PYTEST_ARGS) </dev/null || failed=$$?; \
	$$coverage combine -q build/coverage; \
	$$coverage html -q $(NOT_HERE) --fail-under=0 -d build/coverage/html; \
	$$coverage report $(NOT_HERE) || failed=$$?; \
	exit $$failed

# One module after the other, in pieces that can be interrupted: MUTATE="aiobatch/codec/size.py ...".
MUTATE ?=
.PHONY: mutation
mutation: .venv-mutation/.installed ## How many small changes to pure modules the tests notice (MUTATE=...)
	@nice .venv-mutation/bin/python -m tests.mutation $(MUTATE) </dev/null

.PHONY: test-browser
test-browser: browser $(BACKENDS) .venv/.installed ## The example's page in a real browser, Chromium
	@echo "== the page of the FastAPI example in a browser (.venv)"
	@.venv/bin/python -m pytest -m browser tests/examples $(PYTEST_ARGS) </dev/null

# The same names as in tests/examples/browser.py.
AIOBATCH_TEST_BROWSER ?=
export AIOBATCH_TEST_BROWSER
FIND_BROWSER := if test -n "$$AIOBATCH_TEST_BROWSER"; then command -v "$$AIOBATCH_TEST_BROWSER"; \
  else command -v chromium || command -v chromium-browser || command -v google-chrome; fi >/dev/null

.PHONY: browser
browser: ## Install Chromium with apt-get if there is none and root asks for it
	@$(FIND_BROWSER) || { \
	  if test -n "$$AIOBATCH_TEST_BROWSER"; then \
	    echo "error: AIOBATCH_TEST_BROWSER names '$$AIOBATCH_TEST_BROWSER', which was not found." >&2; \
	    exit 1; fi; \
	  if test "$$(id -u)" -eq 0 && command -v apt-get >/dev/null; then \
	    echo "installing chromium"; \
	    export DEBIAN_FRONTEND=noninteractive; \
	    { apt-get update && apt-get install -y --no-install-recommends chromium fonts-dejavu-core; } \
	      </dev/null >/dev/null || true; fi; \
	  $(FIND_BROWSER) || { \
	    echo "error: Chromium was not found and could not be installed, which needs root, apt-get" \
	         "and a network." >&2; \
	    echo "Install it (apt-get install chromium), or name one:" \
	         "AIOBATCH_TEST_BROWSER=/path/to/chromium make test-browser" >&2; exit 1; }; }

# SPARK is 3.5, 4.0 or 4.1: there is a requirements/spark-$(SPARK).txt for each.
# SPARK_ARGS="-m 'spark and not spark_long'" is the short form that CI runs.
SPARK ?= 4.1
SPARK_ARGS ?= -m spark
.PHONY: test-spark
test-spark: check-java .venv-ministack/.installed .venv-spark-$(SPARK)/.installed ## On a real Spark, which needs Java 17 (SPARK=3.5, 4.0 or 4.1)
	@echo "== Spark (.venv-spark-$(SPARK))"
	@AIOBATCH_TEST_BACKENDS=ministack .venv-spark-$(SPARK)/bin/python -m pytest tests/spark \
	  $(SPARK_ARGS) $(PYTEST_ARGS) </dev/null

# In the workers' processes too, and with the tests of options and schemas, which need no Spark.
# Measuring takes time of its own: a rate may be missed for it.
.PHONY: coverage-spark
coverage-spark: check-java .venv-ministack/.installed .venv-spark-$(SPARK)/.installed ## Branch coverage over the same, in build/coverage-spark
	@rm -rf build/coverage-spark && mkdir -p build/coverage-spark
	@export COVERAGE_FILE="$(CURDIR)/build/coverage-spark/data" AIOBATCH_TEST_BACKENDS=ministack; \
	coverage=".venv-spark-$(SPARK)/bin/python -m coverage"; failed=0; \
	$$coverage run -m pytest tests/spark $(SPARK_ARGS) $(PYTEST_ARGS) </dev/null || failed=$$?; \
	$$coverage run -m pytest -q tests/partitions/test_options.py tests/partitions/test_inference.py \
	  </dev/null || failed=$$?; \
	$$coverage combine -q build/coverage-spark; \
	$$coverage html -q --fail-under=0 -d build/coverage-spark/html; \
	$$coverage report --include='aiobatch/integrations/spark/*' || failed=$$?; \
	exit $$failed

.PHONY: test-engines
test-engines: .venv-ministack/.installed .venv-engines/.installed ## The programs for Ray and Dask in docs/spark.md
	@echo "== Ray and Dask (.venv-engines)"
	@AIOBATCH_TEST_BACKENDS=ministack .venv-engines/bin/python -m pytest tests/engines \
	  -m engines $(PYTEST_ARGS) </dev/null

.PHONY: lint
lint: .venv/.installed ## Check style and formatting
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .

.PHONY: types
types: .venv/.installed ## Check types
	@.venv/bin/mypy --strict $(CODE)
	@.venv/bin/pyright

# Every warning is an error. The log of warnings is kept beside the pages.
.PHONY: docs
docs: .venv-docs/.installed ## Build the documentation into build/docs/html
	@rm -rf build/docs/html
	@.venv-docs/bin/python -m sphinx -E -b html -d build/docs/trees -q -W --keep-going \
	  docs build/docs/html </dev/null
	@echo "build/docs/html/index.html"

.PHONY: format
format: .venv/.installed ## Format and fix what can be fixed
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

.PHONY: venv
venv: $(BACKENDS) .venv/.installed ## Install what development needs, without running anything

.PHONY: lock
lock: ## Resolve the pinned requirements again and write requirements/*.lock.txt
	@scratch=$$(mktemp -d); trap 'rm -rf "$$scratch"' EXIT; \
	for end in high low; do \
	  "$(PYTHON)" -m venv --clear "$$scratch/venv"; \
	  grep -v '^-c' "requirements/$$end.txt" >"requirements/.$$end.unlocked.txt"; \
	  "$$scratch/venv/bin/python" -m pip install --quiet -r "requirements/.$$end.unlocked.txt"; \
	  rm "requirements/.$$end.unlocked.txt"; \
	  { echo '# Every version the suite was run with; `make lock` writes this file.'; \
	    "$$scratch/venv/bin/python" -m pip freeze; } >"$$scratch/lock.txt"; \
	  mv "$$scratch/lock.txt" "requirements/$$end.lock.txt"; \
	done
	@$(MAKE) --no-print-directory hashes

.PHONY: hashes
hashes: .venv-dist/.installed ## Write requirements/dev.hashes.txt from the pinned requirements
	@{ echo '# What `make venv` installs into .venv, with hashes: pip install --require-hashes -r this file.'; \
	  echo '# `make lock` writes this file.'; \
	  .venv-dist/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-header --no-annotate requirements/high.txt; } >requirements/.dev.hashes.txt
	@mv requirements/.dev.hashes.txt requirements/dev.hashes.txt

.PHONY: clean
clean: ## Remove everything that make installed or built
	@rm -rf .venv .venv-low .venv-docs .venv-dist .venv-mutation .venv-demo .venv-spark* .venv-engines
	@rm -rf .venv-bench .venv-bench-* .venv-dashboard .venv-ministack
	@rm -rf $(DYNALITE)/node_modules native/target
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	@find aiobatch tests examples benchmarks -name __pycache__ -type d -prune \
	  -exec rm -rf {} + 2>/dev/null || true

.PHONY: check-python
check-python:
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "error: '$(PYTHON)' was not found. Install Python 3.11 or later," \
	       "or name one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: aiobatch needs Python 3.11 or later; '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1)." \
	       "Name another: make PYTHON=python3.12" >&2; exit 1; }

.PHONY: check-node
check-node:
	@node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' </dev/null 2>/dev/null \
	  && command -v npm >/dev/null || { \
	  echo "error: the tests' dynalite needs Node.js 20 or later with npm, which was not found." >&2; \
	  echo "Install it, or leave dynalite out:" \
	       "AIOBATCH_TEST_BACKENDS=moto,ministack make test" >&2; exit 1; }

# Spark 4 runs on Java 17 and 21.
JAVA := $(or $(JAVA_HOME:%=%/bin/java),java)
.PHONY: check-java
check-java:
	@version=$$({ "$(JAVA)" -version 2>&1 </dev/null || true; } \
	  | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -1); \
	[ "$${version:-0}" -ge 17 ] || { \
	  echo "error: Spark needs Java 17 or later; '$(JAVA)' is" \
	       "$${version:+Java }$${version:-not there}. Install one (apt-get install" \
	       "openjdk-17-jre-headless), or name it: JAVA_HOME=/path/to/java make test-spark" >&2; exit 1; }

.PHONY: check-rust
check-rust:
	@command -v cargo >/dev/null || { \
	  echo "error: the compiled codec needs Rust $(RUST) or later, and cargo was not found." \
	       "Install it from https://rustup.rs, or go without: all of aiobatch works" \
	       "with its plain Python codec." >&2; exit 1; }
	@found=$$(rustc --version | cut -d' ' -f2); \
	[ "$$(printf '%s\n' "$(RUST)" "$$found" | sort -V | head -1)" = "$(RUST)" ] || { \
	  echo "error: the compiled codec needs Rust $(RUST) or later; this is $$found." \
	       "Update it (rustup update), or go without: all of aiobatch works" \
	       "with its plain Python codec." >&2; exit 1; }

# Each is made again when what it is made from changes. The checks stand behind a `|`: they always
# run, and never cause a reinstallation by themselves.
.venv/.installed: pyproject.toml $(addprefix requirements/,high.txt high.lock.txt test.txt tools.txt) | check-python
	$(call venv,.venv,-r requirements/high.txt -e .)

.venv/.native: $(NATIVE) .venv/.installed | check-rust
	@echo "building the compiled codec into .venv"
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  --force-reinstall ./native </dev/null
	@touch $@

.venv-low/.installed: pyproject.toml $(addprefix requirements/,low.txt low.lock.txt test.txt) | check-python
	$(call venv,.venv-low,-r requirements/low.txt -e '.[aioboto3]')

.venv-docs/.installed: pyproject.toml $(addprefix requirements/,docs.txt docs.lock.txt) | check-python
	$(call venv,.venv-docs,-r requirements/docs.txt -e .)

.venv-dist/.installed: requirements/dist.txt | check-python
	$(call venv,.venv-dist,-r requirements/dist.txt)

.venv-mutation/.installed: pyproject.toml $(addprefix requirements/,mutation.txt test.txt high.lock.txt) | check-python
	$(call venv,.venv-mutation,-r requirements/mutation.txt -e .)

.venv-demo/.installed: pyproject.toml $(addprefix requirements/,demo.txt high.lock.txt) | check-python
	$(call venv,.venv-demo,-r requirements/demo.txt -e .)

.venv-bench/.installed: pyproject.toml $(addprefix requirements/,bench.txt demo.txt high.lock.txt) | check-python
	$(call venv,.venv-bench,-r requirements/bench.txt -e .)

.venv-bench-%/.installed: requirements/bench-%.txt requirements/high.lock.txt | check-python
	$(call venv,$(@D),-r $<)

.venv-spark-%/.installed: requirements/spark-%.txt pyproject.toml $(addprefix requirements/,spark-base.txt high.lock.txt) | check-python
	$(call venv,$(@D),-r $< -e .)

.venv-engines/.installed: pyproject.toml $(addprefix requirements/,engines.txt high.lock.txt) | check-python
	$(call venv,.venv-engines,-r requirements/engines.txt -e .)

# Without Rust the benchmarks do without it, and say so.
.venv-bench/.native: .venv-bench/.installed $(wildcard native/*.toml native/Cargo.lock native/src/*.rs)
	@test -f native/Cargo.toml || { echo "error: there is no native codec to build" >&2; exit 1; }
	@echo "building the compiled codec into .venv-bench"
	@.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  --force-reinstall ./native </dev/null
	@touch $@

.venv-dashboard/.installed: pyproject.toml $(addprefix requirements/,dashboard.txt demo.txt high.lock.txt) | check-python
	$(call venv,.venv-dashboard,-r requirements/dashboard.txt -e .)

.venv-ministack/.installed: requirements/ministack.txt | check-python
	$(call venv,.venv-ministack,-r requirements/ministack.txt)

# dynalite runs in memory, and what it depends on ships built: no install script has to run.
$(DYNALITE)/node_modules/.installed: $(DYNALITE)/package.json $(DYNALITE)/package-lock.json | check-node
	@echo "installing into $(DYNALITE)/node_modules"
	@cd $(DYNALITE) && npm ci --loglevel=error --ignore-scripts --no-audit --no-fund </dev/null
	@touch $@
