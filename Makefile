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
.PHONY: help demo test learn soak test-tasks check install test-env bench-env bench train eval autotune envs doctor \
	format lint types image image-cpu shell docker-test docker-test-env docker-train sbom lists lock devcontainer clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  ENV=nethack   a family or task (make envs), or: all      ARGS='--train.seed 2'   more flags"

demo: $(VENV)/.nethack ## train, evaluate and replay a NetHack agent, in about four minutes
	$(BIN)/python examples/demo.py $(ARGS)

test: $(VENV)/.test ## run the tests
	$(BIN)/python -m pytest $(ARGS)

learn: $(VENV)/.test ## test that the trainer learns: Ocean, CartPole to MiniHack; 10 to 15 minutes
	$(BIN)/python -m pytest -m learn tests $(ARGS)

soak: $(VENV)/.test ## kill, break and delay environments for ten minutes, and check every row
	PUFFERLIB_SOAK_S=600 $(BIN)/python -m pytest -m soak -s tests/vector --timeout 900 $(ARGS)

test-tasks: $(VENV)/.test ## make and play every task of every family, ten minutes
	$(BIN)/python -m pytest -m tasks tests/registry $(ARGS)

check: lint types test ## format, lint, types and tests: what CI runs

install: $(VENV)/.base ## install an environment family, or all; ENV=...
	$(INSTALL) $(ENV)

# With ENV=all these take what is installed, and test-env fails where a family is not; anything
# else they install first.
ENV_READY := $(if $(filter all,$(ENV)),$(VENV)/.base,install)

test-env: $(ENV_READY) ## smoke-test an environment; ENV=...
	$(PUFFER) test $(ENV) $(ARGS)

bench-env: $(ENV_READY) $(VENV)/.bench ## time an environment beside the alternatives; ENV=... (all: into docs/)
	$(PUFFER) bench $(ENV) $(if $(filter all,$(ENV)),--table docs/benchmarks.md) $(ARGS)

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
	$(BIN)/hadolint docker/Dockerfile
	$(BIN)/shellcheck --external-sources $(wildcard docker/*.sh docker/*/*.sh .ci/*)

types: $(VENV)/.dev ## check types
	$(BIN)/mypy

# The image. With a GPU and the NVIDIA Container Toolkit on the host, containers are given the GPU.
IMAGE ?= pufferlib
DOCKER ?= docker
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu
BUILD_ARGS ?=
BUILD = $(DOCKER) build --file docker/Dockerfile $(BUILD_ARGS) \
	--build-arg VERSION=$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' pufferlib/__init__.py) \
	--build-arg REVISION=$$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
GPUS = $$(docker/gpus.sh $(DOCKER))
RUN = mkdir -p runs && $(DOCKER) run --rm --init=false $(GPUS) --user $$(id -u):$$(id -g) \
	--env WANDB_API_KEY --env WANDB_MODE --env WANDB_BASE_URL --env WANDB_ENTITY \
	--volume "$$PWD/runs:/workspace/runs" $(RUN_ARGS)

image: ## build the image: every environment, CUDA build of torch
	$(BUILD) --tag $(IMAGE) .

image-cpu: ## build it with the CPU build of torch, a third of the size
	$(BUILD) --tag $(IMAGE) --build-arg TORCH_INDEX=$(TORCH_CPU_INDEX) .

shell: ## a shell in the image; runs/ is shared with it
	$(RUN) --interactive --tty $(IMAGE) bash

docker-test: $(VENV)/.test ## test the image: what it holds, how it runs and stops
	IMAGE=$(IMAGE) $(BIN)/python -m pytest -m docker tests/docker $(ARGS)

docker-test-env: ## smoke-test an environment in the image; ENV=...
	$(RUN) $(IMAGE) puffer test $(ENV) $(ARGS)

docker-train: ## train in the image; the run lands in runs/; ENV=...
	$(RUN) $(IMAGE) puffer train $(ENV) $(ARGS)

sbom: ## write the image's bill of materials, sbom.cdx.json
	$(DOCKER) run --rm --env PUFFERLIB_QUIET=1 $(IMAGE) cat /usr/share/pufferlib/python.cdx.json > sbom.cdx.json

lists: $(VENV)/.base ## write what the image installs, docker/requirements*.txt
	$(BIN)/python docker/lock.py

lock: $(VENV)/.base ## refresh every pinned version but torch's, constraints.txt
	$(BIN)/python docker/lock.py --pins

devcontainer: # what .devcontainer runs when it is created
	pip install --quiet --no-deps --no-build-isolation --editable .
	touch $(VENV)/.base $(VENV)/.test $(VENV)/.dev $(VENV)/.bench $(VENV)/.nethack

clean: ## remove the virtual environment and caches; runs/ stays
	rm -rf .venv build *.egg-info pufferlib/*/*.so .mypy_cache .pytest_cache .ruff_cache .hypothesis

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
	$(INSTALL) all test bench ray plot video wandb
	touch $@
