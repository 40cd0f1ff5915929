# Two commands matter: `make demo` and `make test`. Both make their own .venv; neither touches the system.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lint test-latest fixtures docs site clean

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

# What the manual generates: pictures of the symptoms from the fixtures, and their pages from the rules.
docs: $(VENV)/.ready-dev
	$(BIN)/python -m tests.docs.pictures docs/symptoms/pictures
	$(BIN)/python -m gandoctor.reports.pages docs/symptoms

# The manual as a site, in site/; a link that leads nowhere is an error.
site: $(VENV)/.ready-docs
	$(BIN)/mkdocs build --quiet --strict

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.ready-demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -c constraints.txt -e .
	touch $@

$(VENV)/.ready-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.ready-demo

$(VENV)/.ready-docs: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -c constraints.txt -e '.[docs]'
	touch $@ $(VENV)/.ready-demo

clean:
	rm -rf .venv .venv-latest build dist site gandoctor-report gandoctor-report.html
