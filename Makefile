# make run: set up, simulate a day, run the night on it.   make test: set up, check.
# make quick: the tests that need no server and are not slow.   make docs: pages to browse.
PYTHON ?= python3
DATE := 2026-11-22
BIN := .venv/bin
PIP := pip install --quiet --disable-pip-version-check --no-compile
HASH = $(shell cat requirements/$(1).lock pyproject.toml | sha256sum | cut -c1-16)
PINS = $(shell sha256sum < requirements/$(1).txt | cut -c1-16)

# One more than cores, since tests wait for servers, clusters and browsers.
NUM_WORKERS := $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count() + 1, 4))')
WORKERS := -n $(NUM_WORKERS) --dist loadscope --no-loadscope-reorder

# Packages come without bytecode; where it may not be kept, each process makes it again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test quick lint unit places airflow sail wheel bench bench-stages bench-tests bench-check lock sbom messages manual docs clean

run: .venv/run-$(call HASH,run)
	@test -d data/nights/$(DATE) || $(BIN)/optimizer simulate --out data --orders 100000 --merchants 500 --seed 7
	$(BIN)/optimizer run --config configs/nightly.yaml --date $(DATE)

test: places lint unit

lint: .venv/dev-$(call HASH,dev)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Kernels are compiled once, before several processes would all do it.
unit: places
	$(BIN)/optimizer --quiet warm > /dev/null
	$(BIN)/pytest $(WORKERS) --durations 60 --durations-min 4

# What needs no program but Python, and is not slow: while one works on a change.
quick: .venv/dev-$(call HASH,dev)
	$(BIN)/optimizer --quiet warm > /dev/null
	$(BIN)/pytest $(WORKERS) --hypothesis-profile quick -m "not slow and not needs"

# At once, since pip works on one core: Sail's waits for ours, Airflow's for neither.
places:
	@$(MAKE) --no-print-directory --jobs 2 airflow sail

# Airflow runs the example DAG; its dependencies are not ours, so it has a place apart.
airflow: .venv-airflow/$(call PINS,airflow)
.venv-airflow/%:
	rm -rf .venv-airflow
	$(PYTHON) -m venv .venv-airflow
	.venv-airflow/bin/$(PIP) -r requirements/airflow.txt
	@touch $@

# Delta Lake on Spark Connect, without jars: an engine and a client that fits it.
sail: .sail/$(call PINS,sail)
.sail/%: .venv/dev-$(call HASH,dev)
	rm -rf .sail
	$(BIN)/$(PIP) --no-deps --target .sail -r requirements/sail.txt
	@touch $@

# The wheel, alone, on other Pythons, without network.
wheel: .venv/dev-$(call HASH,dev)
	tests/packaging/wheel.sh $(abspath $(BIN))

# Measures anew what is published and stale, about 35 minutes on two quiet cores; what it
# has is kept, so it may be stopped and called again. Then bench-check passes. With MINUTES=15
# it begins nothing new after those, and drops what is stale then.
bench: .venv/benchmarks-$(call HASH,benchmarks)
	$(BIN)/python -m benchmarks.suite $(if $(MINUTES),--minutes $(MINUTES))

# Single stages of a night, for whoever works on one: nothing is published.
bench-stages: .venv/benchmarks-$(call HASH,benchmarks)
	$(BIN)/pytest benchmarks --benchmark-only

# What measures is tested too, on small nights; nothing is timed.
bench-tests: .venv/benchmarks-$(call HASH,benchmarks)
	$(BIN)/pytest benchmarks --benchmark-disable

# Fails where a published figure was measured with other code than this.
bench-check: .venv/benchmarks-$(call HASH,benchmarks)
	$(BIN)/python -m benchmarks.report --check

.venv/%:
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/$(PIP) --require-hashes -r requirements/$(firstword $(subst -, ,$*)).lock
	$(BIN)/$(PIP) --no-deps --no-build-isolation -e .
	@rm -f .venv/$(firstword $(subst -, ,$*))-*
	@touch $@

# Needs uv: writes the hashed locks, without the address of any index.
lock:
	for set in run spark dev benchmarks; do \
	  case $$set in run) more="--group build";; spark) more="--group build --extra spark --extra postgres";; dev) more="--group build --group dev";; *) more="--group build --group dev --group benchmarks";; esac; \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-emit-index-url --no-annotate pyproject.toml $$more -o requirements/$$set.lock; \
	done

# What an install is made of, with the hashes of the lock, as CycloneDX; the same lock is
# the same file.
sbom: .venv/dev-$(call HASH,dev)
	mkdir -p dist
	$(BIN)/cyclonedx-py requirements requirements/run.lock --pyproject pyproject.toml \
	  --output-reproducible --spec-version 1.6 --output-format JSON --validate \
	  --output-file dist/sbom.cdx.json

# The texts of sources into the catalogues, what is new empty; and the catalogues compiled.
LOCALE := optimizer/report/locale
messages: .venv/dev-$(call HASH,dev)
	$(BIN)/pybabel extract -F pyproject.toml -k _about -k _counted:1,2 --add-location file -o .messages.pot optimizer
	$(BIN)/pybabel update -D optimizer -d $(LOCALE) -i .messages.pot --width 88 --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date
	$(BIN)/pybabel compile -D optimizer -d $(LOCALE)
	@rm .messages.pot

# The manual page, out of the commands' own help.
manual: .venv/dev-$(call HASH,dev)
	$(BIN)/python -m optimizer.cli.manual > docs/optimizer.1

# Pages with search, in docs/_build/html; a warning is an error.
docs: .venv/dev-$(call HASH,dev)
	$(BIN)/python -m sphinx -W --keep-going -b html -q docs docs/_build/html

clean:
	rm -rf .venv .venv-airflow .sail data runs
