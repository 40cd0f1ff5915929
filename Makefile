# Two commands matter: `make demo` and `make test`. Both make their own .venv; neither touches the system.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lint test-latest fixtures docs clean

demo: $(VENV)/.ready-demo
	$(BIN)/gandoctor diagnose fixtures -o gandoctor-report/index.html

test: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The newest versions of everything, in an environment of its own.
test-latest:
	$(PYTHON) -m venv .venv-latest
	.venv-latest/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	.venv-latest/bin/python -m pytest -n 2

fixtures: $(VENV)/.ready-dev
	$(BIN)/python -m gandoctor.trainer.fixtures

docs: $(VENV)/.ready-dev
	$(BIN)/python -m gandoctor.reports.pages docs/symptoms

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.ready-demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -c constraints.txt -e .
	touch $@

$(VENV)/.ready-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.ready-demo

clean:
	rm -rf .venv .venv-latest build dist gandoctor-report gandoctor-report.html
