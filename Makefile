# Onlooker. `make help` says what can be asked for.
#
# Everything runs in .venv, which is made when it is first needed. Two stamps in it remember what was
# installed, so that the second call starts at once; a change to pyproject.toml makes them stale.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
# More arguments for pytest and for the demo: make test PYTEST_FLAGS="-n 0 -x"; make demo DEMO_FLAGS="--epochs 5"
PYTEST_FLAGS ?=
DEMO_FLAGS ?=

# pip takes torch alone and first: whatever depends on torch then accepts the one that is there.
TORCH := torch==2.13.0

VENV := .venv
BIN := $(VENV)/bin
# Twice quiet: only errors are shown.
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
TORCH_STAMP := $(VENV)/.installed-torch
DEMO_STAMP := $(VENV)/.installed-demo
DEV_STAMP := $(VENV)/.installed-dev
BENCH_STAMP := $(VENV)/.installed-bench

# The cores share the tests; each worker loads all frameworks, so there are not more than four.
SHARED := -n auto --maxprocesses 4 --dist worksteal

# Tests use tiny models, for which a second thread only costs. Whoever knows better sets it.
OMP_NUM_THREADS ?= 1
TEST_ENVIRONMENT = OMP_NUM_THREADS=$(OMP_NUM_THREADS)

# What of the tests is about Keras, and so runs a second time under the JAX backend: of these, what has Keras in its
# name. What does not exist yet is left out.
KERAS_TESTS = $(wildcard tests/contract tests/unit/callbacks tests/unit/hosts/test_keras*.py tests/unit/views/test_keras*)
UNIT_TESTS = $(wildcard tests/unit tests/architecture)
BENCHMARKS = $(sort $(filter-out benchmarks/_%,$(wildcard benchmarks/*.py)))

say = @printf '\n\033[1m%s\033[0m\n' $(1)

.PHONY: help
help:  ## Say what can be asked for
	@echo "Onlooker: make <target>, with"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: $(DEMO_STAMP)  ## Train a GAN on handwritten digits and keep the pictures that it draws
	$(call say,"Training a GAN on handwritten digits")
	@$(BIN)/onlooker demo $(DEMO_FLAGS)

.PHONY: test
test: static  ## Run every test, Keras' twice (torch and JAX backend)
	$(call say,"All tests (Keras on torch)")
	@status=0; \
	$(TEST_ENVIRONMENT) KERAS_BACKEND=torch $(BIN)/python -m pytest $(SHARED) $(PYTEST_FLAGS) || status=$$?; \
	if [ -n "$(KERAS_TESTS)" ]; then \
	    printf '\n\033[1m%s\033[0m\n' "The tests that concern Keras (Keras on JAX)"; \
	    $(TEST_ENVIRONMENT) KERAS_BACKEND=jax $(BIN)/python -m pytest $(SHARED) $(PYTEST_FLAGS) -k keras \
	        $(KERAS_TESTS) || status=$$?; \
	fi; \
	exit $$status

.PHONY: check
check: static  ## The quick part: format, lint, types, import rules, unit tests but the slow ones
	$(call say,"Unit tests")
	@$(TEST_ENVIRONMENT) KERAS_BACKEND=torch $(BIN)/python -m pytest $(SHARED) -m "not slow" $(PYTEST_FLAGS) $(UNIT_TESTS)

.PHONY: static
static: $(DEV_STAMP)
	$(call say,"Format")
	@$(BIN)/ruff format --check .
	$(call say,"Lint")
	@$(BIN)/ruff check .
	$(call say,"Types")
	@$(BIN)/mypy --strict src
	$(call say,"Who imports whom")
	@$(BIN)/lint-imports --no-cache

.PHONY: format
format: $(DEV_STAMP)  ## Format the code and mend what the linter can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: docs
docs: $(DEV_STAMP)  ## Write anew what in the documentation is made from the code
	@$(BIN)/python -m docs.tools.generate

.PHONY: bench
bench: $(BENCH_STAMP)  ## Run the benchmarks, with peers beside Onlooker; writes docs/benchmarks.md
	@for script in $(BENCHMARKS); do \
	    printf '\n\033[1m%s\033[0m\n' "$$script"; \
	    $(BIN)/python -m "benchmarks.$$(basename "$$script" .py)" || exit 1; \
	done

.PHONY: clean
clean:  ## Remove what was built and measured, .venv included
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# ------------------------------------------------------------------------------ what is installed

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "Onlooker needs Python 3.11 or later, and there is no '$(PYTHON)'; name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Onlooker needs Python 3.11 or later, and $(PYTHON) is $$($(PYTHON) -V 2>&1); name another: make PYTHON=python3.12" >&2; exit 1; }
	$(call say,"Making $(VENV) with $$($(PYTHON) -V)")
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) could not make $(VENV); its 'venv' module may be a package of its own on this system (python3-venv)" >&2; exit 1; }

$(TORCH_STAMP): pyproject.toml | $(BIN)/python
	$(call say,"Installing PyTorch (the first time this takes a minute or more)")
	@$(PIP) '$(TORCH)'
	@touch $@

$(DEMO_STAMP): pyproject.toml $(TORCH_STAMP)
	$(call say,"Installing Onlooker and what the demo needs")
	@$(PIP) -e '.[demo]'
	@touch $@

$(BENCH_STAMP): $(DEV_STAMP)
	$(call say,"Installing the peers that the benchmarks compare with")
	@if $(PIP) '$(TORCH)' -e '.[bench]'; then touch $@; \
	else echo "Some could not be installed; the benchmarks say which" >&2; fi

$(DEV_STAMP): pyproject.toml $(TORCH_STAMP)
	$(call say,"Installing Onlooker and what its tests need")
	@$(PIP) -e '.[dev]'
	@touch $@
