# Short names for the plain commands that README.md shows. `make` alone lists them.
# The make of macOS starts plain words itself, without the PATH below, unless the shell is not its own.
SHELL := /bin/bash
PYTHON ?= python3
SHEETS ?= sheets
STUDY ?= paper
GPU_PYTHON ?= 3.12
SNAKEMAKE = snakemake --cores all
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHONUNBUFFERED := 1
# What people give travels by the environment, as it is: in a command line its quotes and dollars would be the shell's.
export SHEETLENS_PYTHON := $(value PYTHON)
export SHEETLENS_CONTACT := $(value CONTACT)
export SHEETLENS_STUDY := $(value STUDY)
export SHEETLENS_GPU_PYTHON := $(value GPU_PYTHON)
export SHEETLENS_GPU_HAS := $(value GPU_HAS)
unexport GPU_PYTHON GPU_HAS PYTHON SHEETS LABELS CONTACT STUDY
own: export SHEETLENS_SHEETS := $(value SHEETS)
own: export SHEETLENS_LABELS := $(value LABELS)

help:
	@echo "make demo               the whole study on sheets the package draws itself"
	@echo "make test               all tests but the long ones"
	@echo "make own SHEETS=folder  the same for your photographs, one sub-folder per class, or with LABELS=labels.csv"
	@echo "make paper CONTACT=you@example.org   the paper's study"
	@echo "make pull, push, stale  the stored products of STUDY=paper (or demo), through DVC"
	@echo "make test-long, check, format, schema, docs, lock, vulnerabilities, gpu-kit   for developers"

demo: .venv/installed
	$(SNAKEMAKE) --configfile config/demo.yaml

own: .venv/installed
	$(SNAKEMAKE) --configfile config/own.yaml

paper: .venv/installed
	$(SNAKEMAKE)

pull push stale: .venv/installed
	@sheetlens $@ "$$SHEETLENS_STUDY"

# One more at a time than the cores of a small machine: some wait for a browser, a server or a cluster.
test: .venv/installed
	pytest -n 3 --dist loadfile

# Two at a time: the newcomer's path takes as long as all others together.
test-long: .venv/installed
	pytest -m long -n 2 --dist loadfile

check: .venv/installed
	ruff check
	ruff format --check
	mypy
	lint-imports
	snakefmt --check Snakefile workflow/rules
	snakemake --lint
	snakemake --dry-run --quiet all

format: .venv/installed
	ruff check --fix
	ruff format
	snakefmt Snakefile workflow/rules

lock: .venv/installed
	python envs/lock.py
	"$$SHEETLENS_PYTHON" envs/install.py
	python envs/licences.py

schema: .venv/installed
	python -m sheetlens.config
	python docs/rooms.py
	python docs/rules.py
	python docs/reference_pages.py

# Without the notice that the theme prints of its successor.
docs: export NO_MKDOCS_2_WARNING := 1
docs: .venv/installed
	mkdocs build --quiet
	@echo "The site is site/index.html."

vulnerabilities: .audit/installed
	@.audit/bin/python envs/audit.py

.audit/installed:
	@{ "$$SHEETLENS_PYTHON" -m venv .audit && .audit/bin/pip install --quiet pip-audit; } || \
		{ echo "NOT AUDITED: pip-audit cannot be installed (see above)"; exit 1; }
	@touch $@

gpu-kit: .venv/installed
	python -m benchmarks.gpu.kit --python "$$SHEETLENS_GPU_PYTHON" $${SHEETLENS_GPU_HAS:+--there "$$SHEETLENS_GPU_HAS"}

.venv/installed: requirements.lock pyproject.toml envs/install.py
	@command -v "$$SHEETLENS_PYTHON" > /dev/null || { echo "sheetlens: there is no $$SHEETLENS_PYTHON here: install Python 3.11 to 3.14."; exit 1; }
	@"$$SHEETLENS_PYTHON" envs/install.py
	@touch $@

.PHONY: help demo own paper pull push stale test test-long check format schema docs lock vulnerabilities gpu-kit
