# Everything runs in a virtual environment of its own: a machine needs Python 3.11 or later, make and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOCK := requirements/dev.txt
# Most of a test's time is waiting, so more at a time than a small machine has processors.
PYTEST := $(BIN)/python -m pytest
PARALLEL := --numprocesses 4 --dist loadgroup

.PHONY: help install lock demo test test-unit test-fast test-timing coverage compat lint typecheck format \
	bench chaos chaos-locks clean
help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## */\t/' | expand -t 16

# uv installs in seconds what takes pip a minute, but knows nothing of a mirror that only pip's configuration names. Like
# pip it compiles here: else each of the hundreds of processes that tests start would, where none may write bytecode.
$(STAMP): pyproject.toml $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit("Switchyard needs Python 3.11 or later; name one with make PYTHON=...") if sys.version_info < (3, 11) else None'
	@echo "Making $(VENV), once ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint $(LOCK) uv
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --requirements $(LOCK) --editable . \
	|| $(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement $(LOCK) --editable .
	@touch $(STAMP)

install: $(STAMP)  ## make the virtual environment, with the versions in requirements/dev.txt

lock: $(STAMP)  ## write requirements/dev.txt anew from pyproject.toml; newer versions with LOCK_OPTIONS=--upgrade
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --no-annotate \
		--custom-compile-command "make lock" $(LOCK_OPTIONS) --output-file $(LOCK) pyproject.toml

demo: $(STAMP)  ## three nodes, real work, every strategy
	@$(BIN)/python -m tasks.demo

test: $(STAMP)  ## every test, on real servers; those that bound a time last and alone
	$(PYTEST) $(PARALLEL) -m "not timing"
	$(PYTEST) -m timing

test-unit: $(STAMP)  ## the tests that need no server
	$(PYTEST) $(PARALLEL) -m "not timing" tests/unit

test-fast: $(STAMP)  ## the tests that start no worker process
	$(PYTEST) $(PARALLEL) -m "not timing" tests/unit tests/integration

test-timing: $(STAMP)  ## the tests that bound a time
	$(PYTEST) -m timing

compat: $(STAMP)  ## tests with each version of Celery that people run; one of them with COMPAT="--session compat-5.4"
	$(BIN)/nox $(COMPAT)

coverage: $(STAMP)  ## which lines and branches the unit and integration tests reach
	$(PYTEST) $(PARALLEL) -m "not timing" --cov --cov-branch --cov-report=term:skip-covered tests/unit tests/integration

lint: $(STAMP) typecheck  ## format, lint, types, who imports whom, Lua
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/python -m tests.lua_lint

typecheck: $(STAMP)  ## mypy --strict
	$(BIN)/mypy

format: $(STAMP)  ## write the format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)  ## side by side with plain Celery
	$(BIN)/python -m benchmarks $(BENCH)

chaos: $(STAMP)  ## kill nodes, servers and connections; count what is lost, beside plain Celery
	$(BIN)/python -m tests.chaos $(CHAOS)
	$(if $(CHAOS),,$(BIN)/python -m tests.chaos stories)

chaos-locks: $(STAMP)  ## kill, stop and cut off holders of locks and leaders; check every guarantee
	$(BIN)/python -m tests.chaos.locks $(CHAOS)

clean:  ## remove the environment, builds and caches
	rm -rf $(VENV) .nox build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
