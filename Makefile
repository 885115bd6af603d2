# Every target sets itself up: it needs Python 3.11 or newer and nothing else.
#
#   make demo PYTHON=/opt/python3.12/bin/python3    another Python than the one found
#   make demo TORCH_INDEX=URL                       another package index for PyTorch's wheels

PYTHON ?=
TORCH_INDEX ?=
MINUTES ?= 5.5
DATA ?= sample:earth-climate
# So short a training needs luck: of several starts the best goes on, where the truth is known.
STARTS ?= $(if $(filter sample:%,$(DATA)),5,1)
TESTS ?= tests
# Tests compute on one thread each; more processes than this would want much memory.
WORKERS ?= auto --maxprocesses 8

python := .venv/bin/python
stamp := .venv/.installed
can_be_used := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

.PHONY: help demo test lint docs format clean

help:
	@echo "make demo      train CycleGAN on real pictures of the Earth for MINUTES=$(MINUTES), score it,"
	@echo "               and write runs/demo/report.html"
	@echo "make test      check style and types, then run every test"
	@echo "make lint      check style and types"
	@echo "make docs      build the documentation site into build/docs"
	@echo "make format    put the code into the project's form"
	@echo "make clean     remove what these made, but no run"

demo: $(stamp)
	$(python) -m diptych train cyclegan --data $(DATA) --preset fast --width 16 \
	  --minutes $(MINUTES) --starts $(STARTS) --out runs/demo --overwrite

test: lint
	$(python) -m pytest -n $(WORKERS) $(TESTS)

lint: $(stamp)
	$(python) -m ruff check
	$(python) -m ruff format --check
	$(python) -m mypy

# Material warns of MkDocs 2, which pyproject.toml keeps out.
docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(python) -m mkdocs build --strict
	@echo "see build/docs/index.html"

format: $(stamp)
	$(python) -m ruff check --fix-only --quiet
	$(python) -m ruff format

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# A .venv that is there is used again, so that a changed pin costs one package, not all of them.
$(stamp): pyproject.toml constraints.txt
	@if ! $(python) -c '$(can_be_used)' 2>/dev/null; then \
	  for found in $(or $(PYTHON),python3.13 python3.12 python3.11 python3.14 python3 python) none; do \
	    "$$found" -c '$(can_be_used)' 2>/dev/null && break; \
	  done; \
	  if [ "$$found" = none ]; then \
	    echo "make: $(or $(PYTHON),no python3 here) is not Python 3.11 or newer with its venv module:" \
	      "install one (Debian, Ubuntu: python3 python3-venv)," \
	      "or name one: make PYTHON=/path/to/python3" >&2; \
	    exit 1; \
	  fi; \
	  echo "$$found -m venv .venv"; \
	  "$$found" -m venv --clear .venv; \
	fi
	$(python) -m pip install --disable-pip-version-check -c constraints.txt \
	  $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -e '.[samples,dev]'
	@touch $@

.venv/.docs: $(stamp)
	$(python) -m pip install --disable-pip-version-check -c constraints.txt \
	  $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -e '.[docs]'
	@touch $@
