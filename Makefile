# Everything runs in a virtual environment of its own; `make demo` and `make test` need nothing but Python and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help install demo test lint format bench chaos chaos-locks clean
help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Switchyard needs Python 3.11 or later") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $(STAMP)

install: $(STAMP)  ## make the virtual environment

demo: $(STAMP)  ## three nodes, real work, every strategy
	$(BIN)/python -m tasks.demo

test: $(STAMP)  ## every test, on real servers; most of the time is waiting, so three at a time
	$(BIN)/python -m pytest --numprocesses 3 --dist loadgroup

lint: $(STAMP)  ## format, lint, types, who imports whom
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)  ## write the format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)  ## side by side with plain Celery
	$(BIN)/python -m benchmarks

chaos: $(STAMP)  ## kill nodes, servers and connections; count what is lost, beside plain Celery
	$(BIN)/python -m tests.chaos $(CHAOS)

chaos-locks: $(STAMP)  ## kill, stop and cut off holders of locks and leaders; check every guarantee
	$(BIN)/python -m tests.chaos.locks $(CHAOS)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
