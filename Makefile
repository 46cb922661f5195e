# Two commands for a stranger: `make demo` and `make test`. Everything else is below them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: time-to-truth setup setup-dev demo test lint types proof mutants lock clean

setup: $(VENV)/.runtime

$(VENV)/.runtime: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "civicsync needs Python 3.11 or newer")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@$(BIN)/python -m compileall -q analysis app config connectors core sync
	@touch $@

setup-dev: setup $(VENV)/.dev

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.lock
	@touch $@

demo: setup
	@$(BIN)/civicsync demo

test: setup-dev lint types
	$(BIN)/python -m pytest -n 2

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: setup-dev
	$(BIN)/basedpyright --level error

proof: setup-dev
	CIVICSYNC_LONG=1 $(BIN)/python -m pytest -q tests/acceptance/test_planted_secrets.py tests/integration/test_decidim_over_time.py tests/integration/test_publish.py tests/unit/test_duplicates.py tests/unit/test_moving.py tests/faults/test_kill.py tests/faults/test_publish_kill.py tests/faults/test_restore.py tests/unit/test_upgrade.py tests/integration/test_workers.py
	$(BIN)/python -m proof

# How many light runs it takes until the database shows what happened on a platform; about half an hour.
time-to-truth: setup-dev
	$(BIN)/python -m proof.time_to_truth

# One-line changes that would lose data, leak or publish twice: each must be caught by a test that names the rule.
mutants: setup-dev
	$(BIN)/python -m proof.mutants

lock:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra sandbox --no-emit-index-url --output-file requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --no-emit-index-url --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml

clean:
	rm -rf $(VENV) demo build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
