# Works with GNU make 3.81 and BSD tools, which is what macOS has.
PYTHON ?= python3
ARGS ?=
MINUTES ?= 30

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
INSTALLING := Installing pinned versions into $(VENV) (torch is large, this takes a minute) …

.DEFAULT_GOAL := help
# The targets share one virtualenv, so `make -j` may not run two of them at once.
.NOTPARALLEL:
.PHONY: help bench demo demo-checkpoint demo-lora test test-all test-slow lint types imports pytest faults docs fleet leak soak constraints clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.runtime ## Make 24 demonstration pictures from examples/shoes.txt, with no download of weights
	$(BIN)/producer run --prompts examples/shoes.txt --checkpoint demo

# Goes on where a run that was cut short stopped; rm -r build/demo-checkpoint to begin anew.
demo-checkpoint: $(VENV)/.runtime ## Train the demo checkpoint from nothing: an hour and more on two cores
	$(BIN)/python -m training --sheet docs/demo.png

# Goes on where a run that was cut short stopped; rm -r build/demo-lora to begin anew.
demo-lora: $(VENV)/.runtime ## Teach the demo checkpoint a colour by a LoRA, and show its pictures: some six minutes
	$(BIN)/python -m training.lora

test: lint types imports pytest ## Lint, types, imports, and the tests that show the whole way: within eight minutes

test-all: test test-slow ## Everything CI runs: within twenty minutes on two cores

lint: $(VENV)/.dev ## Ruff: rules and formatting; deptry: whether every import is declared
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/deptry .

types: $(VENV)/.dev ## mypy, strict
	$(BIN)/mypy

imports: $(VENV)/.dev ## import-linter: which package may import which
	$(BIN)/lint-imports

# File by file, each of one thread, in the order in which they are collected: the longest first.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --dist loadfile --no-loadscope-reorder

# Two files at a time: more would wait for one another on a machine of two cores.
pytest: $(VENV)/.dev ## The tests of `make test` alone; make pytest ARGS="-k claim" picks some of them
	$(PYTEST) -n 2 -m "smoke or not slow" $(ARGS)

# Four at a time, these and the next, since each waits for what a fault does more than others do.
test-slow: $(VENV)/.dev ## The tests that `make test` leaves out: many faults, whole systems, training
	$(PYTEST) -n 4 -m "slow and not smoke" $(ARGS)

# Those that are most about the database are tried with both; make faults ARGS="--database postgresql" tries all with that.
faults: $(VENV)/.dev ## The fault tests alone: within ten minutes on two cores
	$(PYTEST) -n 4 tests/faults $(ARGS)

docs: $(VENV)/.dev ## Bring up to date what the manual has of the program: commands, settings, causes, log events
	$(BIN)/python docs/generated.py

# A file each; benchmarks/README.md says what they measure.
bench: $(VENV)/.dev ## The benchmarks that end within minutes, one after the other
	$(BIN)/python -m benchmarks.enqueue --rounds 3
	$(BIN)/python -m benchmarks.plain_loop --rounds 12
	$(BIN)/python -m benchmarks.waiting --rounds 5
	$(BIN)/python -m benchmarks.judging --rounds 3
	$(BIN)/python -m benchmarks.mixed_kinds
	$(BIN)/python -m benchmarks.figures
	$(BIN)/python -m benchmarks.checks
	$(BIN)/python -m benchmarks.presets
	$(BIN)/python -m benchmarks.page
	$(BIN)/python -m benchmarks.start
	$(BIN)/python -m benchmarks.memory_watch
	$(BIN)/python -m benchmarks.threads

fleet: $(VENV)/.dev ## Three hosts, 300 pictures, and faults between them: some five minutes, as root on Linux
	OMP_NUM_THREADS=1 PYTHONPATH=tests/support $(BIN)/python tests/support/fleet.py $(ARGS)

leak: $(VENV)/.dev ## 3,000 jobs by a worker that leaks 10 MB with each; make leak ARGS="--jobs 300"
	OMP_NUM_THREADS=1 PYTHONPATH=tests/support $(BIN)/python tests/faults/leak.py $(ARGS)

soak: $(VENV)/.dev ## Faults at random while 1,000 jobs run; make soak MINUTES=5 ARGS="--seed 42"
	OMP_NUM_THREADS=1 PYTHONPATH=tests/support $(BIN)/python tests/faults/soak.py --minutes $(MINUTES) $(ARGS)

# Each stamp is written last, so an install that was interrupted is done again and a finished one costs nothing.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null || { \
		echo "Nightshift needs Python 3.11 to 3.14, which torch as pinned has wheels for, but $(PYTHON) is: $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.made pyproject.toml constraints.txt
	@echo "$(INSTALLING)"
	@$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml constraints.txt
	@echo "$(INSTALLING)"
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $(VENV)/.runtime $@

# The oldest Python that the project supports, because a newer one would pick releases that the oldest cannot install.
# torch pins its own CUDA packages, which exist on Linux alone, and its version is written without the build's suffix.
constraints: ## Write constraints.txt anew from the newest releases that pyproject.toml allows
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
		echo "constraints.txt is made with Python 3.11, but $(PYTHON) is: $$($(PYTHON) --version 2>&1). Name another: make constraints PYTHON=python3.11" >&2; exit 1; }
	@rm -rf build/constraints && mkdir -p build/constraints
	@$(PYTHON) -m venv build/constraints/venv
	@echo "Installing the newest versions into build/constraints (torch is large, this takes a minute) …"
	@build/constraints/venv/bin/python -m pip --disable-pip-version-check -qq install -e '.[dev]'
	@build/constraints/venv/bin/python -m pip freeze --all --exclude nightshift --exclude pip > build/constraints/all.txt
	@sed -n 1p constraints.txt > build/constraints/new.txt
	@sed -E -e '/^(#|-e )/d' -e '/^(nvidia-|cuda-|triton==)/d' -e 's/^(torch==[0-9.]+)\+.*/\1/' build/constraints/all.txt \
		| LC_ALL=C sort -f >> build/constraints/new.txt
	@mv build/constraints/new.txt constraints.txt
	@rm -rf build/constraints
	@echo "constraints.txt is new; run make test before you commit it."

clean: ## Remove .venv, caches and what the install left in the tree
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
