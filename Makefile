# noiseform: `make demo` and `make test` set everything up by themselves on a machine with Python 3.11 or later.
#
# What may be set on the command line:
#   PYTHON  the interpreter that the environment is made with           make demo PYTHON=python3.12
#   VENV    where the environment is                                     make test VENV=/tmp/venv
#   TORCH   what pip installs as PyTorch, before everything else         make demo TORCH='torch>=2.9'
#   OUT     where `make demo` writes                                     make demo OUT=/tmp/digits
#   DATA    recordings of the Free Spoken Digit Dataset                 make figures DATA=recordings
#   BENCH   what `make bench` measures                                   make bench BENCH='loop start'
#   MIXTURES  the seeds and times of `make bench-samplers`               make bench-samplers MIXTURES='--seed 1 --quick'
#   TESTS   what `make test` gives to pytest                             make test TESTS='tests/core -x'
# pip reads its own settings (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS, ...) as always.

PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,\
	$(shell $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))) python3)
VENV   ?= .venv
TORCH  ?= torch==2.13.0
OUT    ?= out
TESTS  ?=
DATA   ?=
BENCH  ?=
MIXTURES ?=

BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
STAMP  := $(VENV)/.noiseform-installed
# What mypy is shown: the root is the package `noiseform`, but the checkout's folder may have any name.
TYPES  := build/types/noiseform
PACKAGE_PARTS := core plugins modalities __init__.py testing.py py.typed

.PHONY: help setup demo test check format lint types docs docs-check compat figures bench bench-samplers soak clean

help:  ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(STAMP)  ## make the environment and install everything into it

$(STAMP): pyproject.toml .ci/torchaudio_cpu.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"noiseform needs Python 3.11 or later; name one: make PYTHON=python3.12 ...")'
	@$(PYTHON) -c 'import venv, ensurepip' || { \
		echo "this Python has no venv; install it (Debian: python3-venv), or name another: make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV): PyTorch and everything else is fetched once; this takes minutes"
	$(PIP) install --quiet "$(TORCH)"
	$(PIP) install --quiet --no-deps torchaudio
	$(PIP) install --quiet --editable ".[dev]"
	$(BIN)/python .ci/torchaudio_cpu.py
	@touch $@

demo: $(STAMP)  ## speak the ten digits, draw a heart and film a pear with the embedded models; all goes to out/
	@GOMP_SPINCOUNT=4000 $(BIN)/python docs/examples/digits.py "$(OUT)"
	@$(BIN)/noiseform generate image pictograms --prompt "red heart" -o "$(OUT)/heart.png" --overwrite
	@$(BIN)/noiseform generate video turning-fruit --label pear -o "$(OUT)/pear.mp4" --sheet "$(OUT)/pear.png" --overwrite

test: $(STAMP)  ## run the tests, one process a core
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile $(TESTS)

check: lint types docs-check test  ## format, lint, types, docs and tests: what has to pass before a change goes in

format: $(STAMP)  ## bring the sources into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP)
	@mkdir -p $(TYPES)
	@$(foreach part,$(PACKAGE_PARTS),ln -sfn ../../../$(part) $(TYPES)/$(part);)
	cd build/types && MYPYPATH=. $(abspath $(BIN))/mypy --config-file ../../pyproject.toml -p noiseform

docs: $(STAMP)  ## regenerate the reference pages
	$(BIN)/python docs/generate_reference.py

compat: $(STAMP)  ## regenerate the page of what works together, by running every combination: minutes
	$(BIN)/python docs/generate_compat.py

figures: $(STAMP)  ## redraw the figures of the docs; DATA=recordings of FSDD adds those of the embedded models
	$(BIN)/python docs/figures/tutorial.py
	$(BIN)/python docs/figures/outsider.py
	@if $(BIN)/python -c 'import noiseform_points' 2>/dev/null; then $(BIN)/python docs/figures/points.py; else \
		echo "docs/images/points.png stays as it is; to redraw it: $(BIN)/pip install docs/examples/points" \
		"&& $(BIN)/python docs/figures/points.py"; fi
	$(if $(DATA),$(BIN)/python docs/figures/spectrograms.py --data "$(DATA)")

docs-check: $(STAMP)
	$(BIN)/python docs/generate_reference.py --check

bench: $(STAMP)  ## take the measurements, side by side with the peers that are installed
	$(BIN)/python tests/bench $(BENCH)

bench-samplers: $(STAMP)  ## errors of the samplers beside diffusers', on mixtures of Gaussians; some minutes
	$(BIN)/python tests/bench/samplers.py $(MIXTURES)

soak: $(STAMP)  ## the long tests: faults, and every combination of process, grid and sampler; minutes to an hour
	$(BIN)/python -m pytest -m soak -s tests/faults
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -m soak -q --numprocesses auto --maxprocesses 4 tests/core/diffusion
	$(BIN)/python docs/generate_compat.py --check

clean:  ## remove what was built, but neither out/ nor runs/
	rm -rf $(VENV) build dist noiseform.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
