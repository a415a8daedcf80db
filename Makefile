# Every target sets up all that it needs in a local virtual environment.
#   make serve       serve on http://127.0.0.1:8000, ready to train
#   make serve-slim  the same without TensorFlow (about 2 GB less)
#   make test        run all tests
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e

.DEFAULT_GOAL := help
.PHONY: help serve serve-slim test test-research lint types check clean

help:
	@sed -n '2,4p' Makefile | cut -c3-

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "Facetwin needs Python 3.11, 3.12 or 3.13; set PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A stamp per set of extras: nothing is installed again until what is asked for changes.
$(VENV)/.installed-%: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) ".$(subst base,,$(if $(filter-out base,$*),[$*]))"
	@touch $@

serve: $(VENV)/.installed-train
	$(BIN)/facetwin serve

serve-slim: $(VENV)/.installed-base
	$(BIN)/facetwin serve

test: $(VENV)/.installed-train,dev
	$(BIN)/python -m pytest -n auto

# Needs FACETWIN_RESEARCH_DATA=DIR, see CONTRIBUTING.md.
test-research: $(VENV)/.installed-train,dev
	$(BIN)/python -m pytest -m research

lint: $(VENV)/.installed-train,dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-train,dev
	$(BIN)/mypy

check: lint types test

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
