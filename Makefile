# Every target has a help line; the logic lives in Python.
SHELL := /bin/bash
.DEFAULT_GOAL := help

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/mainspring
PYTHON ?= python3
# Dependencies only, shared by every checkout that has the same lock file; the code itself is found by PYTHONPATH.
LOCK_HASH := $(shell cat tests/requirements.lock | sha256sum | cut -c1-12)
VENV := $(CACHE)/venv/$(LOCK_HASH)
export PYTHONPATH := $(CURDIR)/operator:$(CURDIR)/images/runtime:$(CURDIR)
PY := $(VENV)/bin/python
PYTEST := $(PY) -m pytest

.PHONY: help
help: ## Show this help
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

$(VENV)/.done: tests/requirements.lock
	@echo "[venv] installing Python packages into $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.lock
	@touch $@

.PHONY: venv
venv: $(VENV)/.done ## Install the Python packages for development (cached outside the checkout)
