PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev

.PHONY: setup demo test lint types check bench clean

setup: $(RUNTIME)

demo: $(RUNTIME)
	$(BIN)/python app.py

test: $(DEV)
	E2ED2_BROWSER="$$(PATH="$(CURDIR)/$(BIN):$$PATH" sh tools/find_browser.sh)" && export E2ED2_BROWSER && $(BIN)/python -m pytest

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV)
	$(BIN)/ty check

check: lint types test

bench: $(RUNTIME)
	$(BIN)/python -m benchmarks.backbones
	$(BIN)/python -m benchmarks.training

clean:
	rm -rf $(VENV) .e2ed2-cache .pytest_cache .ruff_cache

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: try make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(RUNTIME): requirements.txt | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(DEV): requirements.txt requirements-dev.txt | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $(RUNTIME) $@
