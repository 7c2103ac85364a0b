# make demo | test | check | clean.  Each creates .venv when it is absent; a second run installs nothing.

PYTHON ?= python3
VENV ?= .venv
OUT ?= demo-out
PYTEST_ARGS ?=
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# The CPU build of torch is a tenth of the default one. `TORCH_INDEX=` asks for the default build.
TORCH_INDEX ?= $(if $(shell command -v nvidia-smi),,https://download.pytorch.org/whl/cpu)
REACHABLE = $(BIN)/python -c 'import urllib.request as u; u.urlopen("$(TORCH_INDEX)/torch/", timeout=5)' 2>/dev/null

# lvis pulls opencv-python and everything else opencv-python-headless; both write cv2/, and the former needs libGL.
HEADLESS = $(BIN)/python -c 'import sys, cv2; sys.exit(not cv2.version.headless)' 2>/dev/null

.PHONY: help demo test check clean

help:
	@echo 'make demo    install, one click per demo photo: $(OUT)/index.html, then Label Studio on these photos'
	@echo 'make test    install, then the whole test suite (PYTEST_ARGS="-k masks" for a part)'
	@echo 'make check   ruff, mypy, import-linter'
	@echo 'make clean   remove $(VENV), $(OUT) and caches'

# Without a terminal (and in CI) nobody could stop Label Studio: one click is answered there, then it leaves.
demo: $(VENV)/.installed-demo
	$(BIN)/declutter demo --out $(OUT)
	@if [ -z "$$CI" ] && [ -t 0 ] && [ -t 1 ]; then check=; else check=--check; fi; set -x; \
		$(BIN)/declutter studio up --optional $$check $(OUT)/demo-photos

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

clean:
	rm -rf $(VENV) $(OUT) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo 'Declutter needs Python 3.10 or newer: make PYTHON=/path/to/python3 …'; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo 'Python has no venv module here: apt-get install python3-venv'; exit 1; }
	$(PYTHON) -m venv $(VENV)

# One stamp for each extra of pyproject.toml.
$(VENV)/.installed-%: $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	@echo 'Installing declutter[$*] into $(VENV): about two minutes and 2 GB the first time'
	@index=''; if [ -n '$(TORCH_INDEX)' ] && $(REACHABLE); then index='--extra-index-url $(TORCH_INDEX)'; fi; set -x; \
		$(PIP) install --quiet --constraint constraints.txt $$index --editable '.[$*]'
	@$(HEADLESS) || $(PIP) install --quiet --constraint constraints.txt --force-reinstall --no-deps opencv-python-headless
	@$(HEADLESS) || { echo 'cv2 is not the headless build: remove $(VENV) and run make again'; exit 1; }
	@touch $@
