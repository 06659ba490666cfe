PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
CAPTIONS ?= 2000
BENCHMARKS := $(patsubst benchmarks/%,%,$(basename $(wildcard benchmarks/*.py)) $(patsubst %/__main__.py,%,$(wildcard benchmarks/*/__main__.py)))
BENCHMARKS := $(filter-out preference_loop gpu_step,$(BENCHMARKS)) # those take an hour, and a GPU

.PHONY: setup demo test lint types check check-slow mutants screenshots clicks bench results clean
.DELETE_ON_ERROR: # a half-made environment is made again, not used

setup: $(RUNTIME)

demo: $(RUNTIME)
	$(BIN)/python app.py

test: export PYTHONDONTWRITEBYTECODE = # many short processes import the same modules: compiled once, whatever the shell says
test: $(DEV) # on two processes of one thread each, a file at a time, the pages first: they take longest
	E2ED2_BROWSER="$$(PATH="$(CURDIR)/$(BIN):$$PATH" sh tools/find_browser.sh)" && export E2ED2_BROWSER && OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV)
	$(BIN)/ty check

check: lint types test

check-slow: $(DEV) # the slow tests on two processes, as `make test`; then mutants by lot
	E2ED2_BROWSER="$$(PATH="$(CURDIR)/$(BIN):$$PATH" sh tools/find_browser.sh)" && export E2ED2_BROWSER && OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow -n 2 --dist loadfile --no-loadscope-reorder
	$(BIN)/python -m tests.mutants --some 50

mutants: $(DEV) # hours: all of them; goes on where it was stopped
	$(BIN)/python -m tests.mutants

screenshots: $(DEV) # of every page, into screenshots/
	E2ED2_BROWSER="$$(PATH="$(CURDIR)/$(BIN):$$PATH" sh tools/find_browser.sh)" && export E2ED2_BROWSER && $(BIN)/python -m pytest tests/app/screenshots.py

clicks: $(DEV) # how soon every button answers
	E2ED2_BROWSER="$$(PATH="$(CURDIR)/$(BIN):$$PATH" sh tools/find_browser.sh)" && export E2ED2_BROWSER && $(BIN)/python -m pytest tests/app/clicks.py

bench: $(RUNTIME)
	@set -e; for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python -m benchmarks.$$name; done

results: $(RUNTIME) # hours: 2,000 captions a figure; `make results CAPTIONS=500` is quicker
	$(BIN)/python -m e2ed2.evaluation.experiments.ceiling --captions $(CAPTIONS)
	$(BIN)/python -m e2ed2.evaluation.report.run --captions $(CAPTIONS)
	$(BIN)/python -m tools.sheets
	$(BIN)/python -m tools.grid
	$(BIN)/python -m tools.grid --style "" --prompts "red apple" "cat face" "house" --seeds 1 2 3 4 5 --out docs/unstyled.jpg

clean:
	rm -rf $(VENV) mutants .e2ed2-cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/pyvenv.cfg:
	@$(PYTHON) tools/before_setup.py
	$(PYTHON) -m venv $(VENV)

$(RUNTIME): requirements.txt | $(VENV)/pyvenv.cfg
	@echo "Installing Python packages: the first time minutes and 3 GB to download, later seconds."
	@$(PIP) -r requirements.txt
	@touch $@

$(DEV): requirements.txt requirements-dev.txt | $(VENV)/pyvenv.cfg
	@echo "Installing Python packages: the first time minutes and 3 GB to download, later seconds."
	@$(PIP) -r requirements-dev.txt
	@touch $(RUNTIME) $@
