# The commands of this project; `make` alone lists them. Each makes the virtual environment it
# needs, and installs into it again only when setup.cfg or pyproject.toml has changed.
#
#   PYTHON     the Python to make the environment with; unset: the first fitting one
#   VENV       the folder of the environment
#   ARGS       more arguments for what is run, such as ARGS="--port 9090" or ARGS="-k mtom"

PYTHON ?=
VENV ?= .venv
ARGS ?=
DOCUMENTS ?= fixtures/documents/report.xml fixtures/documents/report.pdf
VERSIONS ?= 3.11 3.12 3.13
SECONDS ?= 60

ON_TWO_CORES = --numprocesses 2 --dist loadfile
PYTHONS = $(or $(PYTHON),python3 python3.13 python3.12 python3.11)
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check --quiet
FITS = import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test test-slow test-postgresql test-everywhere test-all check lint types layers format bench bench-scale fuzz conformance docs mapping constraints reference provider console-pictures audit-dependencies size clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

run: $(VENV)/installed ## serve at http://127.0.0.1:8080, after one round trip of two documents
	$(VENV)/bin/xds serve --mllp-port 2575 --console trial $(addprefix --round-trip ,$(DOCUMENTS)) $(ARGS)

test: $(VENV)/installed-test ## run the tests, some of them on SQLite and on PostgreSQL; without the slow ones
	$(VENV)/bin/python -m pytest $(ON_TWO_CORES) -m 'not slow' $(ARGS)

test-slow: $(VENV)/installed-test ## run the slow tests: crashes, failures under load, races, upgrades
	$(VENV)/bin/python -m pytest $(ON_TWO_CORES) -m slow $(ARGS)

test-postgresql: $(VENV)/installed-test ## run all tests with PostgreSQL in place of SQLite
	$(VENV)/bin/python -m pytest $(ON_TWO_CORES) --database=postgresql $(ARGS)

test-everywhere: $(VENV)/installed-test ## run all tests on each database and store, and with two processes
	for variant in --database=sqlite --database=postgresql '--database=sqlite --documents=s3' \
	    '--database=postgresql --documents=s3' '--database=sqlite --processes=2' \
	    '--database=postgresql --documents=s3 --processes=2'; do \
	    echo "$$variant"; \
	    $(VENV)/bin/python -m pytest $(ON_TWO_CORES) $$variant $(ARGS) || exit 1; \
	done

test-all: ## run the tests with each of Python 3.11, 3.12 and 3.13 that is here
	@for version in $(VERSIONS); do \
	    for python in python$$version $${PYENV_ROOT:-$$HOME/.pyenv}/versions/$$version.*/bin/python; do \
	        if $$python -c '' 2>/dev/null; then \
	            echo "Python $$version"; \
	            $(MAKE) --no-print-directory test PYTHON=$$python VENV=.venv-$$version || exit 1; \
	            continue 2; \
	        fi; \
	    done; \
	    echo "Python $$version is not here"; \
	done

check: lint types layers ## look at the style, the types and the layers of the code

lint: $(VENV)/installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/installed-dev
	$(VENV)/bin/mypy

layers: $(VENV)/installed-test
	$(VENV)/bin/python -m pytest -q tests/test_layers.py

format: $(VENV)/installed-dev ## bring the code into its style
	$(VENV)/bin/ruff check --fix-only .
	$(VENV)/bin/ruff format .

bench: $(VENV)/installed-test ## measure beside a yardstick, and beside another commit with AGAINST=commit
	$(VENV)/bin/python -m bench $(if $(AGAINST),--against $(AGAINST)) $(ARGS)

bench-scale: $(VENV)/installed-test ## measure a registry of a million entries on PostgreSQL: ten minutes
	$(VENV)/bin/python -m bench.scale $(ARGS)

fuzz: $(VENV)/installed-fuzz ## fuzz each reader of what comes from outside for SECONDS=60
	$(VENV)/bin/python -m fuzz $(SECONDS) $(ARGS)

reference: $(VENV)/installed-test ## list what tests compare with, where it is from and whether it is here
	$(VENV)/bin/python -m tests.reference

conformance: $(VENV)/installed-test ## write docs/conformance.md from a run of what shows it; of a part with ARGS=tests/registry
	$(VENV)/bin/python -m pytest $(ON_TWO_CORES) -m shows --database=sqlite --conformance=docs/conformance.md $(ARGS)

docs: mapping ## write what docs/ has of the code: the options, the mapping table, the rights of the console
	$(VENV)/bin/python -m xds.commands.configuration_page docs/configuration.md
	$(VENV)/bin/python -m xds.console.rights_page docs/console.md

console-pictures: $(VENV)/installed-test ## take the pictures of docs/console.md anew, with Chromium
	$(VENV)/bin/python -m tests.console.pictures docs/pictures

mapping: $(VENV)/installed ## write docs/mhd-mapping.md from the mapping table
	$(VENV)/bin/python -m xds.mhd.mapping docs/mhd-mapping.md

constraints: $(VENV)/installed-dev ## write constraints.txt: every dependency by its version and hashes
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	    --extra postgresql --extra object-storage --extra telemetry \
	    --no-header --no-annotate --no-emit-index-url \
	    --output-file constraints.txt setup.cfg

provider: .venv-provider/installed ## install a provider of OpenID Connect for tests, in an environment of its own

audit-dependencies: $(VENV)/installed-dev ## look for known vulnerabilities of constraints.txt
	@$(VENV)/bin/python -m bench.dependencies

size: $(VENV)/pyvenv.cfg ## tell how long functions and modules are
	@$(VENV)/bin/python bench/size.py $(ARGS)

clean: ## remove what these commands made, but not the data in var/
	rm -rf .venv .venv-* .java .node build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/pyvenv.cfg:
	@found=; for python in $(PYTHONS); do \
	    if $$python -c '$(FITS)' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	    echo "Python 3.11, 3.12 or 3.13 is needed, and none of these is one: $(PYTHONS)." >&2; \
	    echo "Name one: make PYTHON=/path/to/python" >&2; \
	    exit 1; \
	fi; \
	echo "Making $(VENV) with $$found"; \
	if ! $$found -m venv $(VENV); then \
	    rm -rf $(VENV); \
	    echo "$$found cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv" >&2; \
	    exit 1; \
	fi

# apart from all else: its package brings a folder "tests" along, which would hide that of this project
.venv-provider/installed: $(VENV)/pyvenv.cfg
	$(VENV)/bin/python -m venv .venv-provider
	.venv-provider/bin/python -m pip --disable-pip-version-check --quiet install 'canaille[front,oidc]>=0.3.6,<0.4'
	@touch $@

$(VENV)/installed: $(VENV)/pyvenv.cfg setup.cfg pyproject.toml
	$(PIP) install --editable .
	@touch $@

$(VENV)/installed-test: $(VENV)/pyvenv.cfg setup.cfg pyproject.toml
	$(PIP) install --editable '.[test]'
	@touch $@ $(VENV)/installed

$(VENV)/installed-fuzz: $(VENV)/pyvenv.cfg setup.cfg pyproject.toml
	$(PIP) install --editable '.[test,fuzz]'
	@touch $@ $(VENV)/installed $(VENV)/installed-test

$(VENV)/installed-dev: $(VENV)/pyvenv.cfg setup.cfg pyproject.toml
	$(PIP) install --editable '.[test,dev]'
	@touch $@ $(VENV)/installed $(VENV)/installed-test
