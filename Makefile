# aspendos. Each target sets up what it needs in .venv first; a second run finds it there.

PYTHON ?= python3
# The machine's Python makes .venv, not .venv's own. One that is named is meant: a .venv of another makes way for it. One
# that is not takes the .venv that is there, and makes a new one of a quicker build where the machine has one.
SET_UP := PATH="$(PATH)" $(PYTHON) tools/setup.py $(if $(filter command environment,$(origin PYTHON)),--this-python)
RUN := .venv/bin
NODE_TESTS := tests/contract/node
# Modules are compiled once and not by each process, even where the environment, as in many containers, says that
# nothing compiled be kept: it is half of a start, and a test run starts hundreds of processes.
KEEP := env -u PYTHONDONTWRITEBYTECODE
PYTEST := $(KEEP) $(RUN)/python -m pytest
UPGRADE ?=
# One more than there are cores: tests wait for servers to start and to end more than they reckon.
JOBS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
PEERS ?=
BENCH ?=
# The environment's own tools come first: its node serves the npm tests where the machine has none.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# No chatter from tools about their own newer versions.
export PYRIGHT_PYTHON_IGNORE_WARNINGS = 1

.DEFAULT_GOAL := help
.PHONY: help serve test check format bench load lock clean

help: ## this list
	@echo "usage: make TARGET"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 12

serve: ## start the gateway on 127.0.0.1:8080 and the embedded model worker; Ctrl-C ends both
	@$(SET_UP) serve
	@exec $(KEEP) $(RUN)/aspendos serve --embedded

test: ## every test: unit, golden, contract, integration, chaos and real vLLM (K=expression: only those; JOBS=1: one after another; PYTHON=python3.13: with that)
	@$(SET_UP) test
	@if [ -f $(NODE_TESTS)/package-lock.json ]; then $(PYTHON) tools/npm.py $(NODE_TESTS); fi
	@$(PYTEST) --numprocesses=$(JOBS) --dist=loadscope --no-loadscope-reorder $(if $(K),-k "$(K)") tests

check: ## style, types, imports, generated files, tests mirror sources
	@$(SET_UP) test
	@$(RUN)/python tools/check.py

format: ## put the sources into the form `check` asks for
	@$(SET_UP) test
	@$(RUN)/ruff check --fix --quiet . ; $(RUN)/ruff format --quiet .

bench: ## what the gateway costs (PEERS=1: beside other gateways; BENCH=--quick: a short run)
	@$(SET_UP) bench
	@$(KEEP) $(RUN)/python -m loadtests.overhead $(if $(PEERS),--peers) $(BENCH)

load: ## a closed-loop load on a running gateway (URL=..., KEY=..., MODEL=..., N=concurrency, S=seconds)
	@$(SET_UP) serve
	@$(RUN)/python -m loadtests.load --url $(or $(URL),http://127.0.0.1:8080/v1) $(if $(KEY),--key $(KEY)) \
		$(if $(MODEL),--model $(MODEL)) --concurrency $(or $(N),8) --seconds $(or $(S),10)

lock: ## renew requirements/*.txt (UPGRADE=1: newest versions)
	@$(SET_UP) serve
	@$(RUN)/python tools/lock.py $(if $(UPGRADE),--upgrade)

clean: ## remove everything made here but your data (.aspendos): environments, caches, results
	rm -rf .venv .venv-* .pytest_cache .ruff_cache .hypothesis .import_linter_cache results *.egg-info
	rm -rf $(NODE_TESTS)/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
