# Two targets do everything on a fresh machine: `make demo` and `make test`. Python 3.11+ and pip are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NEW_ENOUGH = import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")
PREFIX ?= $(HOME)/.local
WITH ?= all-extras
LOCK = $(BIN)/uv pip compile pyproject.toml --quiet --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links

.PHONY: help install demo test check format golden docs lock wheel-check fuzz bench-small clean

help: ## what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /: /'

$(VENV)/.dev: requirements/dev.txt requirements/install.py pyproject.toml
	$(PYTHON) -c '$(NEW_ENOUGH)'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python requirements/install.py requirements/dev.txt -- --editable .
	touch $@

install: ## casstore for use: $(PREFIX)/bin/casstore, in an environment of its own, exactly by the lock
	$(PYTHON) -c '$(NEW_ENOUGH)'
	$(PYTHON) -m venv --clear "$(PREFIX)/lib/casstore"
	"$(PREFIX)/lib/casstore/bin/python" requirements/install.py requirements/$(WITH).txt requirements/build.txt -- .
	mkdir -p "$(PREFIX)/bin"
	ln -sf ../lib/casstore/bin/casstore "$(PREFIX)/bin/casstore"

demo: $(VENV)/.dev ## a whole release of four products, one in two builds, from real files to a verified install
	$(BIN)/casstore demo --into demo

test: $(VENV)/.dev ## all tests that this machine can run; what is skipped is told and counted
	$(BIN)/python -m pytest -n 3 --dist worksteal

check: $(VENV)/.dev ## lint, format, types, layers, the pipelines for others
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-actions .github/actions/*/action.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.gitlab-ci .gitlab/*.yml

format: $(VENV)/.dev ## mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

golden: $(VENV)/.dev ## make the golden files anew (a format changed: see CONTRIBUTING.md)
	for script in tests/formats/make_*.py tests/fuzz/make_seeds.py; do $(BIN)/python $$script || exit 1; done

docs: $(VENV)/.dev ## docs/commands.md and docs/man anew from the commands' own help, the table of docs/isolation.md from its tests
	$(BIN)/python docs/make_commands.py
	$(BIN)/python docs/make_isolation_ways.py

lock: ## the locked requirements, from pyproject.toml
	$(BIN)/python requirements/install.py requirements/lock.txt
	$(LOCK) --custom-compile-command 'make lock' -o requirements/runtime.txt
	$(LOCK) --custom-compile-command 'make lock' --extra demo -o requirements/demo.txt
	$(LOCK) --custom-compile-command 'make lock' --all-extras -o requirements/all-extras.txt
	$(LOCK) --custom-compile-command 'make lock' --extra demo --extra keyless --extra s3 --extra cel --extra sbom --group dev -o requirements/dev.txt
	$(subst pyproject.toml,requirements/lock.in,$(LOCK)) --no-annotate --custom-compile-command 'make lock' -o requirements/lock.txt
	$(subst pyproject.toml,requirements/build.in,$(LOCK)) --no-annotate --custom-compile-command 'make lock' -o requirements/build.txt
	$(subst pyproject.toml,requirements/test-servers.in,$(LOCK)) --python-version 3.11 --no-annotate --custom-compile-command 'make lock' -o requirements/test-servers.txt
	$(subst pyproject.toml,requirements/fuzz.in,$(LOCK)) --python-version 3.11 --no-annotate --custom-compile-command 'make lock' -o requirements/fuzz.txt

wheel-check: ## what `make install` makes of the wheel, with an empty home, runs the demo
	PYTHON="$(PYTHON)" .ci/wheel-check

fuzz: $(VENV)/.dev ## the parsers of stored and foreign bytes under a coverage-guided fuzzer, a quarter of an hour in all (SECONDS=n)
	$(BIN)/python requirements/install.py requirements/fuzz.txt
	$(BIN)/python tests/fuzz/fuzz_parsers.py --all $(or $(SECONDS),900)

bench-small: $(VENV)/.dev ## the benchmarks on small input
	for script in benchmarks/bench_*.py; do $(BIN)/python $$script --small || exit 1; done

clean: ## everything that make made
	rm -rf $(VENV) build dist demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache
