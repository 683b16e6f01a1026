# make run: set up, simulate a day, run the night on it.   make test: set up, check.
PYTHON ?= python3
DATE := 2026-11-22
BIN := .venv/bin
HASH = $(shell cat requirements/$(1).lock pyproject.toml | sha256sum | cut -c1-16)

.PHONY: run test lint unit bench lock clean

run: .venv/run-$(call HASH,run)
	@test -d data/nights/$(DATE) || $(BIN)/optimizer simulate --out data --orders 100000 --merchants 500 --seed 7
	$(BIN)/optimizer run --config configs/nightly.yaml --date $(DATE)

test: lint unit

lint: .venv/dev-$(call HASH,dev)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: .venv/dev-$(call HASH,dev)
	$(BIN)/pytest

bench: .venv/benchmarks-$(call HASH,benchmarks)
	$(BIN)/pytest benchmarks --benchmark-only

.venv/%:
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$(firstword $(subst -, ,$*)).lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@rm -f .venv/$(firstword $(subst -, ,$*))-*
	@touch $@

# Needs uv: writes the hashed locks, without the address of any index.
lock:
	for set in run dev benchmarks; do \
	  case $$set in run) more="--group build";; dev) more="--group build --group dev";; *) more="--group build --group dev --group benchmarks";; esac; \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-emit-index-url --no-annotate pyproject.toml $$more -o requirements/$$set.lock; \
	done

clean:
	rm -rf .venv data runs
