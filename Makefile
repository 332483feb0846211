# `make demo` and `make test` need only Python 3.11 or newer and make; the rest is for contributors.
# Stamps in .venv say what is installed, so a second run starts at once.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt
PYTEST_ARGS ?=

# On a busy machine, OpenMP threads that spin while they wait make a step ten times slower.
export OMP_WAIT_POLICY := passive

.PHONY: help demo test slow web kernels bench-gpu docs lint types contracts resolve check install clean
.DEFAULT_GOAL := help

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.demo ## Train the default sheet on handwritten digits, then one that finds its wiring
	@run=runs/demo-$$(date +%Y%m%d-%H%M%S); \
	  echo "1 of 2: digits, on edges that stay: there, rewiring has earned nothing."; \
	  $(BIN)/graphcolumns train experiment=digits run=$$run/digits && \
	  echo "2 of 2: a task that needs far edges, from near ones: they alone give 75 %." && \
	  $(BIN)/graphcolumns train experiment=planted plasticity=exact plasticity.every=50 run=$$run/wiring

# One process per core, of one thread each. With worksteal, neighbours stay in one process, which makes
# what a module shares once, and no process waits for another's long tests at the end.
PYTEST := $(BIN)/python -m pytest --numprocesses logical --dist worksteal

test: $(VENV)/.test ## Run the tests (choose some: make test PYTEST_ARGS="-k graph")
	OMP_NUM_THREADS=1 $(PYTEST) $(PYTEST_ARGS)

slow: $(VENV)/.test ## Run the tests that take too long for `make test`
	OMP_NUM_THREADS=1 $(PYTEST) -m "slow and not gpu and not web and not dist" $(PYTEST_ARGS)

web: $(VENV)/.dev ## Open reports in the Chromium of this machine
	$(BIN)/python -m pytest -m web

kernels: $(VENV)/.test ## Test the C++ kernels in every build that this machine can execute; says which
	$(BIN)/python -m tests.ops.builds

bench-gpu: ## Benchmarks on a GPU, with the python of this machine (torch, triton, PyG, scipy)
	PYTHONPATH=. $(PYTHON) -m graphcolumns.bench --device cuda --out bench-gpu

docs: $(VENV)/.docs ## Build the documentation, tutorials included, into docs/_build/html
	$(BIN)/sphinx-build --fail-on-warning --keep-going -d docs/_build/doctrees docs docs/_build/html

lint: $(VENV)/.dev ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev ## Check types
	$(BIN)/mypy

contracts: $(VENV)/.dev ## Check who imports whom
	$(BIN)/lint-imports --no-logo

resolve: $(VENV)/.dev ## Check that the constraints can be met on the oldest and the newest Python
	for python in 3.11.0 3.13; do \
	  $(BIN)/uv pip compile --quiet --python-version $$python --constraint constraints.txt \
	    --extra dev --extra docs --extra backbones --output-file $(VENV)/resolved-$$python.txt pyproject.toml || exit 1; \
	done

check: lint types contracts test ## All of the above but the demo

install: $(VENV)/.dev ## Install everything a contributor needs into .venv

clean: ## Remove caches and build products (not .venv, not your runs)
	rm -rf build dist docs/_build *.egg-info .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find graphcolumns geometries configs tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The last file that venv writes: absent when .venv is missing or half made.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "graphcolumns needs Python 3.11 or newer; '$(PYTHON)' is: $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name another interpreter: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# torch comes first and alone, so that nothing else gets to choose its version.
$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/pip
	$(INSTALL) torch
	$(INSTALL) --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	$(INSTALL) --editable ".[test]"
	@touch $@

$(VENV)/.docs: $(VENV)/.demo
	$(INSTALL) --editable ".[docs]"
	@touch $@

$(VENV)/.dev: $(VENV)/.test
	$(INSTALL) --editable ".[dev]"
	@touch $@
