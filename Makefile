# `make help` lists what can be made. A fresh machine needs git, make and Python 3.11 or newer.

PYTHON ?= python3
VENV := .venv
ORACLE := tests/interop/libotr

# What the tests drive, and what the libotr oracle is built with.
TEST_PACKAGES := ngircd inspircd atheme-services systemd irssi irssi-plugin-otr weechat-headless weechat-curses weechat-python weechat-plugins weechat-scripts hexchat hexchat-python3 hexchat-otr xvfb xterm openbox xdotool xclip dbus-daemon libglib2.0-bin x11-utils imagemagick fonts-dejavu-core tmux libotr5-bin libotr5-dev libgcrypt20-dev libjson-c-dev libc6-dev gcc

# A strict editable install links file by file, so it is made anew whenever a file has come or gone.
SOURCES := $(shell find otrcore bot weechat_script hexchat_script -type f ! -name '*.pyc' | LC_ALL=C sort | cksum | cut -d ' ' -f 1)
RUN_STAMP := $(VENV)/installed-run-$(SOURCES)
TEST_STAMP := $(VENV)/installed-test-$(SOURCES)
INSTALL := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=strict

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1	/p' $(MAKEFILE_LIST) | expand -t 10

demo: $(RUN_STAMP) ## See an OTR conversation on an IRC server of its own (ARGS=--wire shows every raw line)
	@$(VENV)/bin/otr demo $(ARGS)

# Three at once on two processors: tests of real programs wait for each other more than they compute.
test: ## Install what the tests need, check style and types, run every test (ARGS='tests/wire -k codec')
	@begin=$$(date +%s) && $(MAKE) --no-print-directory setup && \
	ready=$$(date +%s) && $(MAKE) --no-print-directory lint && \
	checked=$$(date +%s) && \
	STEP_SECONDS="set-up=$$((ready - begin)) lint=$$((checked - ready))" $(VENV)/bin/pytest -n 3 $(ARGS)

pythons: setup ## Run the library's own tests in every Python that the machine has
	@OTR_TEST_PYTHONS=1 $(VENV)/bin/pytest -q -n 2 -o faulthandler_timeout=0 tests/packaging/test_pythons.py

bench: packages oracle $(RUN_STAMP) ## Measure against libotr (JSON=1 prints one JSON object)
	@$(VENV)/bin/python -m benchmarks $(if $(JSON),--json) $(ARGS)

coverage: setup ## Check that every branch of the protocol is taken by its own tests
	@$(VENV)/bin/pytest -q -n 2 --cov=otrcore --cov-report=term $(addprefix tests/,core wire v3 v4 spec peers smp)

fuzz: $(TEST_STAMP) ## Search for inputs that break an invariant, guided by coverage (ARGS=-max_total_time=600)
	@$(INSTALL) --editable '.[test,fuzz]'
	@$(VENV)/bin/python tests/fuzz/coverage_guided.py build/fuzz $(or $(ARGS),-max_total_time=300)

soak: setup ## Let people talk with the bot on two real servers for a quarter of an hour
	@SOAK_SECONDS=900 $(VENV)/bin/pytest -q -s -o faulthandler_timeout=0 tests/bot/load/test_soak.py

docs: $(TEST_STAMP) ## Write docs/commands.md anew from the tables of commands
	@$(VENV)/bin/python tests/packaging/commands_page.py

lint: $(TEST_STAMP) ## Check style and types
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/ruff format --check --quiet --diff .
	@$(VENV)/bin/mypy

format: $(TEST_STAMP) ## Bring the code into the one style
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

setup: packages oracle $(TEST_STAMP) ## Install what the tests and benchmarks need

clean: ## Remove everything that was made here
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	$(MAKE) --no-print-directory -C $(ORACLE) clean

# Set-up talks to standard error, so that `make bench JSON=1` leaves nothing but JSON on standard output.

packages:
	@.ci/need-packages $(TEST_PACKAGES) >&2

oracle: packages
	@$(MAKE) --no-print-directory -C $(ORACLE) >&2

$(VENV)/made:
	@.ci/need-python $(PYTHON) >&2
	@echo "Making $(VENV)" >&2
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(RUN_STAMP): $(VENV)/made pyproject.toml
	@echo "Installing otrcore into $(VENV)" >&2
	@$(INSTALL) --editable . >&2
	@rm -f $(VENV)/installed-*
	@touch $@

$(TEST_STAMP): $(VENV)/made pyproject.toml
	@echo "Installing otrcore and what its tests need into $(VENV)" >&2
	@$(INSTALL) --editable '.[test]' >&2
	@rm -f $(VENV)/installed-*
	@touch $(RUN_STAMP) $@

.PHONY: help demo test pythons coverage fuzz bench soak docs lint format setup clean packages oracle
