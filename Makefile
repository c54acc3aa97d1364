# Every target creates the virtual environment and installs on first use. Needs Python ≥ 3.11, make and a package index.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help demo dev test test-slow bench bench-full bench-peers lint format docs clean

help:
	@echo "make demo       label a synthetic market and draw it: the first thing to try"
	@echo "make dev        the Dagster UI at http://127.0.0.1:3000 with embedded servers"
	@echo "make test       the tests, without the slow ones"
	@echo "make test-slow  the slow ones"
	@echo "make bench      the benchmarks, a few minutes; bench-full up to forty, bench-peers against other libraries"
	@echo "make lint       ruff, mypy, import-linter"
	@echo "make format     write what ruff would complain of"
	@echo "make docs       write the generated pages"
	@echo "make clean      stop the embedded servers and remove .label_assets and the virtual environment"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "asked: Python 3.11 or newer; found: $$($(PYTHON) --version); next: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.local: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) --editable '.[local,serve]'
	$(BIN)/label-assets compile
	@touch $@

$(VENV)/.dev: $(VENV)/.local
	$(INSTALL) --editable '.[local,serve,image,examples,dev]'
	$(BIN)/label-assets compile --live
	@touch $@

demo: $(VENV)/.local
	$(BIN)/label-assets demo

dev: $(VENV)/.local
	$(BIN)/label-assets dev

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow -n 4 --timeout 900

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.suite --out bench-results/bench

bench-full: $(VENV)/.dev
	$(BIN)/python -m benchmarks.suite --full --out bench-results/full

bench-peers: $(VENV)/.dev
	$(BIN)/python -m benchmarks.suite --only peers --out bench-results/peers

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.dev
	$(BIN)/label-assets docs write

clean:
	-test -x $(BIN)/label-assets && $(BIN)/label-assets stop
	rm -rf .label_assets $(VENV)
