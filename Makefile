# Everything a person or the CI types; each target is one line of what it really runs.
# Needs Python 3.11 or newer and make; the rest comes out of the locks.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install up test check bench chaos fmt lock

help: ## list the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

install: $(INSTALLED) ## build .venv from the lock; nothing to do when the lock has not changed

$(INSTALLED): requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make install PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@# pip knows the machine's own package index where uv was not told of it.
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python $< || $(BIN)/python -m pip install --quiet --require-hashes -r $<
	@touch $@

up: install ## start everything and print where it is: make up ARGS="--port 8010"
	@exec $(BIN)/python manage.py up $(ARGS)

test: install ## run the tests: make test ARGS="-k ledger"
	@$(BIN)/python -m pytest -n auto --dist loadgroup $(ARGS)

check: export OMS_DEMO = 1
check: install ## lint, format, types, import contracts, migrations, system checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check

bench: install ## measure, print one table, write benchmarks/results
	@$(BIN)/python -m benchmarks $(ARGS)

chaos: install ## kill everything under load and count what went wrong: make chaos ARGS="--kills 3"
	@$(BIN)/python -m benchmarks.chaos $(ARGS)

fmt: install ## format and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: install ## resolve the dependencies of pyproject.toml into both locks
	$(BIN)/uv pip compile --quiet $(LOCK) pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet $(LOCK) pyproject.toml --group dev --output-file requirements-dev.lock

LOCK := --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
        --custom-compile-command "make lock" --python-version 3.11
