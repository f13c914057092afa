# GNU make, also the 3.81 of macOS. Everything happens in .venv; nothing is installed elsewhere.

# The first Python that is new enough, can make a virtual environment, and runs: a name on the path may do neither.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	echo $$python; break; fi; done)
PIP = .venv/bin/python -m pip --disable-pip-version-check
# Two workers: many tests mostly wait, for a cluster or a deadline.
PYTEST = .venv/bin/pytest -q -n 2
SAY = @printf '\n== %s\n'

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: .venv/.installed ## make .venv and install qjob with all that the examples and checks need, once

.PHONY: demo
demo: setup ## run the ground state of H2 as a job, with live logs, metrics and the result
	.venv/bin/qjob run examples/h2_vqe --name h2-demo
	.venv/bin/qjob metrics h2-demo --by iteration --rows 3 --plot
	@.venv/bin/qjob result h2-demo --output json | .venv/bin/python -c 'import json, sys; r = json.load(sys.stdin); \
		print("\nVQE {energy:.6f} Ha, exact {exact_energy:.6f} Ha, difference {error_ha:+.1e} Ha".format(**r))'

.PHONY: clusters
clusters: setup .venv/.clusters ## install what the tests with a real Slurm and Ray need, where that can be done; they are skipped elsewhere
	@sh tests/install_clusters.sh

.PHONY: test
test: setup clusters ## run all tests
	$(PYTEST)

.PHONY: check
check: setup clusters ## all that CI checks: format, lint, types, layers, tests and docs
	$(SAY) 'format: ruff format'
	@.venv/bin/ruff format --check .
	$(SAY) 'lint: ruff check'
	@.venv/bin/ruff check .
	$(SAY) 'types: mypy --strict'
	@.venv/bin/mypy
	$(SAY) 'layers: lint-imports'
	@.venv/bin/lint-imports --no-logo
	$(SAY) 'tests, also of the docs: pytest'
	@$(PYTEST)

.PHONY: slurms
slurms: ## run the tests with a real Slurm on those of other releases of Debian too: as root, with debootstrap, half an hour
	sh tests/other_slurm.sh trixie
	sh tests/other_slurm.sh forky

.PHONY: bench
bench: setup ## measure, also against others, into docs/benchmarks.md; ARGS=--quick for a first look
	.venv/bin/python benchmarks/run.py $(ARGS)

.PHONY: format
format: setup ## put the code into its format, and mend what can be mended
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

.PHONY: clean
clean: ## remove caches and what was built; .venv stays
	rm -rf build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests examples benchmarks -name __pycache__ -prune -exec rm -rf {} +

.PHONY: python
python: # print the Python that setup uses, for .ci/run
	@test -n '$(PYTHON)' && echo '$(PYTHON)'

.venv/.clusters: .venv/.installed
	@$(PIP) install --quiet --editable '.[ray]' || echo 'Ray cannot be installed here; the tests that need it are skipped.' >&2
	@touch $@

.venv/.installed: pyproject.toml
	@.venv/bin/python -c 'import pip' 2>/dev/null || test -n '$(PYTHON)' || \
		{ echo 'No Python >= 3.11 with venv was found (Debian: apt install python3-venv). Or: make PYTHON=...' >&2; exit 1; }
	@echo 'Setting up .venv: a minute or two, once'
	@.venv/bin/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear .venv
	@$(PIP) install --quiet --editable '.[dev,examples]'
	@touch $@
