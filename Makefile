# `make app` and `make test` do everything, from a bare clone on: each makes .venv as needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Two cores are the smallest machine supported; xdist shares torch's memory poorly beyond four.
WORKERS ?= 2
# One thread a worker: two OpenMP teams on two cores wait for each other at every barrier. Reordered,
# files of few tests come last, and the longest are of few tests: one worker would wait for the other.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest
PARALLEL = -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: app audit bench bench-ui crash docs fuzz lock sbom soak soak-attacked test-bfloat16 test-float32 \
  test-guards test-journeys test-kills test-lowest test-newest test-ray test-slow test-wheel story screenshots demo test \
  lesson-recording lint types clean shared-figures help

help:  ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

# To develop: PYTHONPATH=. streamlit run app/server.py --server.fileWatcherType auto, which reloads an
# edited package in the running app; config lies in app/.streamlit.
app: $(VENV)/ready  ## open the app; it prints its link
	$(BIN)/python -m cutswap app $(if $(PORT),--port $(PORT))

story: $(VENV)/ready  ## draw the Start page's four pictures anew
	$(BIN)/python -m app.start.story

lesson-recording: $(VENV)/ready  ## the lesson's recorded run anew (a minute on two cores)
	$(BIN)/python -m app.lesson.recording

demo: $(VENV)/ready  ## the whole chain on the built-in data, headless, with a report
	$(BIN)/python -m cutswap demo --out runs/demo

test: lint types  ## lint, types and the tests
	$(PYTEST) $(PARALLEL)

test-journeys: $(VENV)/ready-dev  ## what `make test` leaves out but CI runs: whole runs, browsers
	$(PYTEST) $(PARALLEL) -m "journey and not slow"

# Precision `auto` is bfloat16 on processors with avx512_bf16 or amx_bf16, float32 on others.
test-bfloat16: $(VENV)/ready-dev  ## all tests as on a processor with native bfloat16
	CUTSWAP_TEST_PRECISION=bfloat16 $(PYTEST) $(PARALLEL)

test-float32: $(VENV)/ready-dev  ## all tests as on a processor without it
	CUTSWAP_TEST_PRECISION=float32 $(PYTEST) $(PARALLEL)

test-slow: $(VENV)/ready-dev  ## the tests that `make test` leaves out: benchmarks end to end (minutes)
	$(PYTEST) -m slow

lint: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/ready-dev
	$(BIN)/mypy

shared-figures: $(VENV)/ready  ## AUROC of the reference weights on ../shared/data (minutes)
	$(BIN)/python tests/shared_figures.py

screenshots: $(VENV)/ready-dev  ## pictures of every page (needs Chromium)
	PYTHONPATH=. $(BIN)/python -m tests.screenshots

bench: $(VENV)/ready  ## every step beside a plain way of doing it (some minutes)
	$(BIN)/python -m cutswap benchmark

bench-ui: $(VENV)/ready-dev  ## from a key press or a stroke to the picture, in Chromium (8 minutes)
	$(BIN)/python benchmarks/bench_ui.py
	$(BIN)/python benchmarks/bench_painting.py

test-kills: $(VENV)/ready-dev  ## kill -9 at twenty moments of a run, and of a sweep (6 minutes)
	CUTSWAP_KILLS=20 $(PYTEST) -m "" tests/robustness/test_kills.py tests/sweeps/test_sweep.py

CUTSWAP_WHEEL ?= 1
test-wheel: $(VENV)/ready-dev  ## build, install elsewhere, and use it as README says (4 minutes)
	CUTSWAP_WHEEL=$(CUTSWAP_WHEEL) $(PYTEST) tests/robustness/test_wheel.py

test-ray: $(VENV)/ready-dev  ## sweeps on a Ray cluster of two nodes here, one killed (3 minutes)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[ray]"
	CUTSWAP_RAY=1 $(PYTEST) tests/sweeps/test_ray_engine.py

fuzz: $(VENV)/ready-dev  ## the whole hostile corpus, then atheris; fails without it (15 minutes)
	CUTSWAP_FUZZ=all $(PYTEST) tests/robustness/test_hostile.py
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check atheris
	$(BIN)/python -m tests.robustness.fuzz --seconds 60

test-guards: $(VENV)/ready-dev  ## take each guard out and see its test fail (15 minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.robustness.guards

crash: $(VENV)/ready-dev  ## kill -9 at 25 moments of each of eight writers (2 minutes)
	CUTSWAP_CRASHES=25 $(PYTEST) tests/robustness/test_crashes.py

MINUTES ?= 10
soak: $(VENV)/ready-dev  ## twenty sessions on the app over sockets (10 minutes; MINUTES=2 for less)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.robustness.soak --minutes $(MINUTES) $(SOAK)

soak-attacked: SOAK = --attacker
soak-attacked: soak  ## the same in public mode, beside one who uploads and opens links without end

# Environments of their own, 6 GB each with CUDA's libraries; tests that need no browser.
test-lowest:  ## the tests with the lowest versions that requirements.txt allows
	PYTHON=$(PYTHON) .ci/bounds lowest-direct

test-newest:  ## the tests with the newest versions that it allows
	PYTHON=$(PYTHON) .ci/bounds highest

docs:  ## the documentation site in out/site, warnings are errors; it needs no network to be read
	PYTHON=$(PYTHON) .ci/docs

lock: $(VENV)/ready-dev  ## pin what .venv holds in constraints.txt, with hashes in requirements.lock
	.ci/lock $(BIN)/python

sbom: $(VENV)/ready  ## bill of materials of .venv, CycloneDX, in out/sbom.json
	.ci/supply sbom $(BIN)/python

audit: $(VENV)/ready  ## known vulnerabilities of what .venv holds (asks pypi.org)
	.ci/supply audit $(BIN)/python

clean:  ## remove the environment and everything built
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache

$(VENV)/python:
	$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info < (3, 14); \
	  sys.exit(0 if ok else "Python 3.11 to 3.13 wanted, found " + sys.version.split()[0] + "; run make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/ready: $(VENV)/python requirements.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/ready-dev: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	touch $@
