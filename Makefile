# One command each; `make help` lists them. Everything goes into .venv and build/ of this folder.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CPP := $(wildcard cpp/*.hpp cpp/*.cpp cpp/kernels/* benchmarks/*.cpp tests/cpp/*)
TIDIED := cpp/dispatch.cpp cpp/parallel.cpp cpp/objective.cpp cpp/minimiser.cpp cpp/network.cpp cpp/penalty.cpp cpp/training.cpp \
          cpp/lbfgs.cpp
BUILT := $(VENV)/.built
# What else to install for the tests, such as PEERS=torch: without it, what needs it is skipped.
PEERS ?=
SOURCES := pyproject.toml CMakeLists.txt $(wildcard cpp/*.hpp cpp/*.cpp cpp/kernels/*) \
           benchmarks/chainrule_bench.cpp $(shell find python -type f -not -name '*.pyc')
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help build demo docs test test-python test-cpp lint format bench compare compare-fit examples figures exhaustive mutants soak asan clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(BUILT): $(SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet ".[progress,plot]"
	@touch $@

$(VENV)/.test: pyproject.toml $(BUILT)
	$(BIN)/python -m pip install --quiet ".[test,lint]" cmake ninja
	$(if $(PEERS),$(BIN)/python -m pip install --quiet $(PEERS) || echo "without $(PEERS): tests that need it are skipped")
	@touch $@

build: $(BUILT)  ## the package, in a virtual environment of its own

demo: $(BUILT)  ## train a network on the diabetes table and check its derivatives
	$(BIN)/chainrule train diabetes --output model.safetensors --plot cost.png

docs: $(VENV)/.test  ## the site with the lecture's chapters, docs/_build/index.html
	$(BIN)/python docs/pages.py
	@rm -rf docs/_build
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build
	@echo docs/_build/index.html

test: test-cpp test-python lint  ## C++ tests, Python tests, lint

test-python: $(VENV)/.test  ## the Python tests
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

test-cpp: $(VENV)/.test  ## the C++ tests, warnings are errors
	PATH="$(CURDIR)/$(BIN):$$PATH" cmake --preset dev
	PATH="$(CURDIR)/$(BIN):$$PATH" cmake --build --preset dev
	PATH="$(CURDIR)/$(BIN):$$PATH" ctest --preset dev

lint: $(VENV)/.test  ## formatters, linters and type checkers, as checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $(CPP)
	$(BIN)/clang-tidy --quiet -p build/dev --extra-arg=-fno-openmp $(TIDIED)

format: $(VENV)/.test  ## rewrite the sources as the formatters want them
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CPP)

bench: $(BUILT)  ## the C++ core under the roof that this machine has
	$(BIN)/chainrule bench

compare: $(VENV)/.test  ## a step and a prediction beside the peers that are installed there
	$(BIN)/python benchmarks/compare

compare-fit: $(VENV)/.test  ## fit, partial_fit and predict beside scikit-learn's MLPs
	$(BIN)/python benchmarks/sklearn_fit.py

examples: $(VENV)/.test  ## run the scripts of examples/; their pictures go to build/examples
	@mkdir -p build/examples
	@for script in examples/*.py; do \
	  echo "== $$script"; \
	  $(BIN)/python $$script --plot build/examples/$$(basename $$script .py).png || exit 1; \
	done

$(VENV)/.bench: pyproject.toml $(VENV)/.test
	$(BIN)/python -m pip install --quiet ".[bench]"
	@touch $@

figures: $(VENV)/.bench  ## fetch all peers (gigabytes), measure, write the README's tables
	$(BIN)/python benchmarks/compare --json docs/benchmarks.json --plot docs/benchmarks.png --readme README.md

exhaustive: $(VENV)/.test  ## tanh and its kind at every float32 there is (minutes)
	PATH="$(CURDIR)/$(BIN):$$PATH" cmake --preset dev
	PATH="$(CURDIR)/$(BIN):$$PATH" cmake --build --preset dev --target exhaustive
	build/dev/exhaustive

soak: $(VENV)/.test  ## gradient checks of networks with millions of parameters (minutes)
	CHAINRULE_SOAK=1 $(BIN)/python -m pytest tests/test_gradcheck_large.py

mutants: $(VENV)/.test  ## break the core line by line; the self-test must notice (half an hour)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tests/mutants.py

asan: $(VENV)/.test  ## the C++ tests under the address and undefined-behaviour sanitizers
	PATH="$(CURDIR)/$(BIN):$$PATH" cmake --preset asan
	PATH="$(CURDIR)/$(BIN):$$PATH" cmake --build --preset asan
	PATH="$(CURDIR)/$(BIN):$$PATH" ctest --preset asan

clean:  ## remove what the commands above made
	rm -rf $(VENV) build docs/_build
