# All tasks of this repository; `make help` lists them.
# Each target installs what it needs into .venv, with the exact versions of constraints.txt.

ENV ?= nethack
ARGS ?=
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PUFFER := $(BIN)/puffer
INSTALL := $(PUFFER) install --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test test-long coverage learn soak test-tasks check install test-env bench-env bench train eval autotune sweep envs doctor \
	format lint types image image-cpu shell docker-test docker-test-env docker-train sbom lists lock notebooks docs docs-serve docs-test docs-commands devcontainer clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  ENV=nethack   a family or task (make envs), or: all      ARGS='--train.seed 2'   more flags"

demo: $(VENV)/.nethack ## train, evaluate and replay a NetHack agent, in about four minutes
	$(BIN)/python examples/demo.py $(ARGS)

# A worker for each core, two to four of them, and one for the files that tests/heavy.py names;
# ARGS='-n 0' for none. COVERAGE=1 measures coverage.
PYTEST := $(if $(COVERAGE),$(BIN)/coverage run,$(BIN)/python) -m pytest --numprocesses auto --dist loadfile

test: $(VENV)/.test ## run the tests, except the longest and those of Ray, in about eight minutes
	$(PYTEST) -m 'not slow and not long' $(ARGS)

test-long: $(VENV)/.test ## run the longest tests, which `make test` leaves out
	$(PYTEST) -m 'long and not slow' $(ARGS)

coverage: $(VENV)/.test ## report the coverage of: make test COVERAGE=1
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

learn: $(VENV)/.test ## test that the trainer learns, Ocean to MiniHack, and so do other libraries with our policies
	$(BIN)/python -m pytest -m learn tests $(ARGS)

soak: $(VENV)/.test ## kill, break and delay environments for ten minutes, and check every row
	PUFFERLIB_TEST_SEED=$${PUFFERLIB_TEST_SEED:-$$(date +%s)} PUFFERLIB_SOAK_S=600 \
	  $(BIN)/python -m pytest -m soak -s tests/vector tests/sweep --timeout 900 $(ARGS)

test-tasks: $(VENV)/.test ## create and play every task of every family, ten minutes
	$(BIN)/python -m pytest -m tasks tests/registry tests/runs $(ARGS)

check: lint types test test-long ## format, lint, types and all tests: what CI runs

install: $(VENV)/.base ## install an environment family, or all; ENV=...
	$(INSTALL) $(ENV)

# With ENV=all these targets use the installed families, and test-env fails if one is missing; so do
# environments outside the families (ENV=my_env.py:make_env). Any other ENV is installed first.
ENV_READY := $(if $(filter all,$(ENV))$(findstring :,$(ENV)),$(VENV)/.base,install)

test-env: $(ENV_READY) ## smoke-test an environment; ENV=...
	$(PUFFER) test $(ENV) $(ARGS)

bench-env: $(ENV_READY) $(VENV)/.bench ## measure throughput compared with Gymnasium and SB3; ENV=... (all: into docs/)
	$(PUFFER) bench $(ENV) $(if $(filter all,$(ENV)),--table docs/benchmarks.md) $(ARGS)

bench: $(VENV)/.nethack $(VENV)/.bench ## measure emulation and vectorization compared with Gymnasium and SB3, 15 minutes
	$(BIN)/python benchmarks/run.py $(ARGS)

train: $(ENV_READY) ## train on an environment; ENV=... ARGS='--train.total-timesteps 1000000'
	$(PUFFER) train $(ENV) $(ARGS)

eval: $(ENV_READY) ## evaluate the latest run and a random policy; ENV=... ARGS='--checkpoint ...'
	$(PUFFER) eval $(ENV) $(ARGS)

autotune: $(ENV_READY) ## find the fastest backend and workers on this machine; ENV=... ARGS='--write'
	$(PUFFER) autotune $(ENV) $(ARGS)

sweep: $(ENV_READY) $(VENV)/.sweep $(VENV)/.plot ## search for settings that score high at a low cost; ENV=... ARGS='--sweep.trials 60'
	$(PUFFER) sweep $(ENV) $(ARGS)

envs: $(VENV)/.base ## list the environments, and which are installed
	$(PUFFER) envs $(ARGS)

doctor: $(VENV)/.base ## report this machine and its problems; the faults of a run: ARGS=runs/mine
	$(PUFFER) doctor $(ARGS)

format: $(VENV)/.dev ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/.dev ## check format, style and wording
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python tools/check_words.py
	$(BIN)/hadolint docker/Dockerfile
	$(BIN)/shellcheck --external-sources $(wildcard benchmarks/*.sh docker/*.sh docker/*/*.sh .ci/*)

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

shell: ## open a shell in the image, with runs/ shared
	$(RUN) --interactive --tty $(IMAGE) bash

docker-test: $(VENV)/.test ## test the image: its contents, and how it runs and stops
	IMAGE=$(IMAGE) $(BIN)/python -m pytest -m docker tests/docker $(ARGS)

docker-test-env: ## smoke-test an environment in the image; ENV=...
	$(RUN) $(IMAGE) puffer test $(ENV) $(ARGS)

docker-train: ## train in the image, with the run in runs/; ENV=...
	$(RUN) $(IMAGE) puffer train $(ENV) $(ARGS)

sbom: ## write the image's bill of materials, sbom.cdx.json
	$(DOCKER) run --rm --env PUFFERLIB_QUIET=1 $(IMAGE) cat /usr/share/pufferlib/python.cdx.json > sbom.cdx.json

notebooks: ## write the notebooks in examples/ from their scripts
	$(PYTHON) tools/make_notebooks.py

lists: $(VENV)/.base ## write the image's requirements, docker/requirements*.txt
	$(BIN)/python docker/lock.py

lock: $(VENV)/.base ## refresh every pinned version but torch's, constraints.txt
	$(BIN)/python docker/lock.py --pins

# Warnings are errors; nothing is fetched.
docs: $(VENV)/.docs ## build the site of the documentation, build/site/index.html
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --nitpicky docs build/site

docs-serve: docs ## show the site at http://localhost:8000
	$(BIN)/python -m http.server --directory build/site

docs-test: $(VENV)/.docs $(VENV)/.test ## test the site in Chromium, which must be installed
	$(BIN)/python -m pytest -m browser tests/docs $(ARGS)

docs-commands: $(VENV)/.test ## run every command of puffer that the docs show, with fewer steps
	$(BIN)/python -m pytest tests/docs/test_typed_commands.py $(ARGS)

devcontainer: # run by .devcontainer on creation
	pip install --quiet --no-deps --no-build-isolation --editable .
	touch $(VENV)/.base $(VENV)/.test $(VENV)/.dev $(VENV)/.bench $(VENV)/.docs $(VENV)/.nethack $(VENV)/.sweep $(VENV)/.plot

clean: ## remove the virtual environment and caches; runs/ stays
	rm -rf .venv build *.egg-info pufferlib/*/*.so pufferlib/*/*/*.so .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Torch is installed first, so that no other package pulls in a larger build of it.
$(VENV)/.base: pyproject.toml constraints.txt setup.py $(wildcard pufferlib/*/*.pyx pufferlib/*/*/*.pyx)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt pip setuptools wheel torch
	$(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt --editable .
	touch $@

# An environment family or an extra, installed once.
$(VENV)/.nethack $(VENV)/.bench $(VENV)/.dev $(VENV)/.docs $(VENV)/.sweep $(VENV)/.plot: $(VENV)/.%: $(VENV)/.base
	$(INSTALL) $*
	touch $@

$(VENV)/.test: $(VENV)/.base
	$(INSTALL) all test bench export ray plot rllib sb3 sweep torchrl video wandb
	touch $@
