# Everything that is done with this repository; `make help` lists it.
# Each target sets up what it needs in .venv, with the exact versions of constraints.txt.

ENV ?= nethack
ARGS ?=
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PUFFER := $(BIN)/puffer
INSTALL := $(PUFFER) install --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test check install test-env bench-env bench train eval autotune envs doctor format lint types clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  ENV=nethack   a family or task (make envs), or: all      ARGS='--train.seed 2'   more flags"

demo: $(VENV)/.nethack ## train, evaluate and replay a NetHack agent, in about four minutes
	$(BIN)/python examples/demo.py $(ARGS)

test: $(VENV)/.test ## run the tests
	$(BIN)/python -m pytest $(ARGS)

check: lint types test ## format, lint, types and tests: what CI runs

install: $(VENV)/.base ## install an environment family, or all; ENV=...
	$(INSTALL) $(ENV)

# With ENV=all these take what is installed; anything else they install first.
ENV_READY := $(if $(filter all,$(ENV)),$(VENV)/.base,install)

test-env: $(ENV_READY) ## smoke-test an environment; ENV=...
	$(PUFFER) test $(ENV) $(ARGS)

bench-env: $(ENV_READY) $(VENV)/.bench ## time an environment beside the alternatives; ENV=...
	$(PUFFER) bench $(ENV) $(ARGS)

bench: $(VENV)/.nethack $(VENV)/.bench ## time the library's parts beside the alternatives, a quarter of an hour
	$(BIN)/python benchmarks/emulation.py $(ARGS) && $(BIN)/python benchmarks/vector.py $(ARGS)

train: $(ENV_READY) ## train on an environment; ENV=... ARGS='--train.total-timesteps 1000000'
	$(PUFFER) train $(ENV) $(ARGS)

eval: $(ENV_READY) ## evaluate the latest run beside a random policy; ENV=... ARGS='--checkpoint ...'
	$(PUFFER) eval $(ENV) $(ARGS)

autotune: $(ENV_READY) ## find the fastest backend and workers on this machine; ENV=... ARGS='--write'
	$(PUFFER) autotune $(ENV) $(ARGS)

envs: $(VENV)/.base ## list the environments, and which are installed
	$(PUFFER) envs $(ARGS)

doctor: $(VENV)/.base ## say what this machine has, and what is wrong with it
	$(PUFFER) doctor $(ARGS)

format: $(VENV)/.dev ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/.dev ## check format and style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev ## check types
	$(BIN)/mypy

clean: ## remove the virtual environment and caches; runs/ stays
	rm -rf $(VENV) build *.egg-info pufferlib/*/*.so .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Torch comes first: with it in place nothing else asks for a larger build of it.
$(VENV)/.base: pyproject.toml constraints.txt setup.py $(wildcard pufferlib/*/*.pyx)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt pip setuptools wheel torch
	$(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt --editable .
	touch $@

# An environment family or an extra, installed once.
$(VENV)/.nethack $(VENV)/.bench $(VENV)/.dev: $(VENV)/.%: $(VENV)/.base
	$(INSTALL) $*
	touch $@

$(VENV)/.test: $(VENV)/.base
	$(INSTALL) all test bench ray
	touch $@
