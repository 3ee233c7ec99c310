# Every target sets up what it needs, once: a virtual environment, with the versions of constraints.txt.

PYTHON ?= python3
ARGS   ?=
VENV   := .venv
# PyTorch, for comparison, stays out of the environment the tests run in.
TORCH  := .venv-torch

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.DEFAULT_GOAL := help
.PHONY: help train test lint types reference fuzz bench pages clean
.DELETE_ON_ERROR:

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo 'Options: ARGS="..." is passed on, PYTHON=python3.12 names the interpreter (3.11 or newer).'
	@echo 'For example: make train ARGS="mnist1d --hidden 100 --epochs 20"'

train: $(VENV)/core.stamp  ## train a network on the handwritten digits that come with Thalweg
	@$(VENV)/bin/python -m thalweg train $(ARGS)

test: $(VENV)/dev.stamp  ## run the tests and every docstring's example
	$(VENV)/bin/python -m pytest -n 2 $(ARGS)

lint: $(VENV)/dev.stamp  ## style and formatting
	$(VENV)/bin/python -m ruff check .
	$(VENV)/bin/python -m ruff format --check .

types: $(VENV)/dev.stamp  ## type hints
	$(VENV)/bin/python -m mypy

reference: $(TORCH)/dev.stamp  ## compare values, gradients and training with PyTorch
	$(TORCH)/bin/python -m pytest tests/reference $(ARGS)

fuzz: $(VENV)/dev.stamp  ## random programs, compiled, against the interpreter: ARGS="--seconds 600"
	$(VENV)/bin/python -m tests.compiler.fuzz $(ARGS)

bench: $(TORCH)/dev.stamp  ## measure beside PyTorch; writes benchmarks/results.json
	$(TORCH)/bin/python -m benchmarks $(ARGS)

pages: $(VENV)/dev.stamp  ## write docs/reference/ anew from the docstrings
	$(VENV)/bin/python -m tools.reference_pages

clean:  ## remove the environments and everything built, but no run
	rm -rf $(VENV) $(TORCH) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is touched when its environment is complete, and outdated by either file.
%/core.stamp: pyproject.toml constraints.txt
	@$(check_python)
	@echo 'Setting up $* (Thalweg and what it needs, once) ...'
	@$(PYTHON) -m venv $*
	@$*/bin/python -m pip install -qq -c constraints.txt hatchling editables
	@$*/bin/python -m pip install -qq -c constraints.txt --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/core.stamp
	@echo 'Setting up $(VENV) (tests, lint, types, once) ...'
	@$(VENV)/bin/python -m pip install -qq -c constraints.txt --no-build-isolation --editable '.[dev]'
	@touch $@

$(TORCH)/dev.stamp: $(TORCH)/core.stamp
	@echo 'Setting up $(TORCH) (PyTorch, to compare with, once) ...'
	@$(TORCH)/bin/python -m pip install -qq -c constraints.txt --no-build-isolation --editable '.[dev,bench]'
	@touch $@

.PRECIOUS: %/core.stamp

# Says in one line what is wrong with the interpreter, where `venv` would say it in twenty or not at all.
define check_python
command -v $(PYTHON) >/dev/null || { \
	echo 'Thalweg needs Python 3.11 or newer, and there is no $(PYTHON) here.' >&2; exit 1; }; \
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "Thalweg needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)." \
		'Name a newer one: make PYTHON=python3.12 ...' >&2; exit 1; }; \
$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	echo '$(PYTHON) cannot make virtual environments: its ensurepip or venv module is missing.' \
		'On Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; }
endef
