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
	@$(VENV)/bin/python -c "from tests.cluster import packages; packages.ensure(packages.OPENMP)"
	@touch $@

.PHONY: venv
venv: $(VENV)/.done ## Install the Python packages for development (cached outside the checkout)

.PHONY: cluster-up cluster-down kubeconfig images install uninstall programs
programs: venv ## Build what the tests start (Kubernetes, Helm, …): about 25 minutes the first time, cached afterwards
	@$(PY) -m tests.cluster programs

cluster-up: venv ## Start the test cluster: KUBECONFIG's, else kind, else a node from source
	@$(PY) -m tests.cluster up

cluster-down: venv ## End the test cluster that cluster-up started
	@$(PY) -m tests.cluster down

kubeconfig: venv ## Print the path of the test cluster's kubeconfig
	@$(PY) -m tests.cluster kubeconfig

images: cluster-up ## Build the images and load them into the cluster
	@$(PY) -m tests.cluster images

install: images ## Install or upgrade the release with what was built
	@$(PY) -m tests.demo install

uninstall: venv ## Uninstall the release; user objects and CRDs stay
	@$(PY) -m tests.demo uninstall

.PHONY: demo demo-loop demo-down
demo: install ## Run the whole loop on real data and show it
	@$(PY) -m tests.demo run

demo-loop: install ## Let the world change, and watch the loop close by itself (about ten minutes)
	@$(PY) -m tests.demo loop

demo-down: venv ## Remove everything that the demo made
	@$(PY) -m tests.demo down

.PHONY: generate verify unit crashes runtime apiserver interop e2e bench bench-serve bench-soak test
generate: venv ## Write the generated files: CRDs, RBAC, dashboards, API reference
	@$(PY) -m mainspring.tools generate

verify: venv ## Check generated files, lint, imports and types
	@$(PY) -m mainspring.tools generate --check
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check --quiet .
	@$(VENV)/bin/lint-imports --no-cache >/dev/null || $(VENV)/bin/lint-imports --no-cache
	@$(VENV)/bin/mypy operator/mainspring images/runtime/mainspring_runtime tests/cluster tests/demo

unit: venv ## Unit, property and simulation tests of the operator (under 2 minutes)
	@$(PYTEST) tests/unit tests/sim --ignore tests/unit/runtime -n 2 -q -m "not thorough"

crashes: venv ## Every story of the simulation, with the operator killed after every write (a minute)
	@$(PYTEST) tests/sim -n 2 -q -m thorough

runtime: venv ## Unit tests of what runs in the pods: data, training, serving (about 2 minutes)
	@$(PYTEST) tests/unit/runtime -n 2 -q

apiserver: programs ## Tests against a real API server, S3 store, Prometheus and browser, and of the chart
	@$(PYTEST) tests/apiserver tests/chart tests/prometheus tests/store tests/wiring tests/browser -q

interop: venv ## Tests with programs that are not ours, each in an environment of its own
	@$(PYTEST) tests/interop -q

# Journeys mostly wait, so two go at once; 5 is what pytest says when E2E="-k …" selects none.
e2e: install ## User journeys on the cluster
	@$(PYTEST) tests/e2e -n 2 --dist loadgroup -q -m "not alone" $(E2E) || [ $$? -eq 5 ]
	@$(PYTEST) tests/e2e -q -m alone $(E2E) || [ $$? -eq 5 ]

bench: venv ## Benchmarks, as ratios side by side
	@$(PY) -m tests.bench

bench-serve: venv ## The model server beside KServe's and MLServer's: about 15 minutes, options in BENCH="…"
	@$(PY) -m tests.bench.bench_peers $(BENCH)

bench-soak: venv ## Ten minutes at 80 % of what the model server can do, options in BENCH="…"
	@$(PY) -m tests.bench.bench_soak $(BENCH)

test: verify unit crashes runtime apiserver interop e2e ## Everything that CI runs
