# Short names for the plain commands that README.md shows. `make` alone lists them.
# Nothing that only one make or one shell has: GNU make 3.81 (macOS), BSD make and any POSIX shell read this.
PYTHON ?= python3
SHEETS ?= sheets
STUDY ?= paper
BIN = .venv/bin
SNAKEMAKE = $(BIN)/snakemake --cores all

help:
	@echo "make demo               the whole study on sheets the package draws itself"
	@echo "make test               all tests but the long ones"
	@echo "make own SHEETS=folder  the same for your photographs, one sub-folder per class"
	@echo "make paper CONTACT=you@example.org   the paper's study"
	@echo "make pull, push, stale  the stored products of STUDY=paper (or demo), through DVC"
	@echo "make test-long, check, format, lock, vulnerabilities   for developers"

demo: .venv/installed
	$(SNAKEMAKE) --configfile config/demo.yaml

own: .venv/installed
	$(SNAKEMAKE) --configfile config/own.yaml --config 'datasets={"own": {"folder": {"path": "$(SHEETS)"}}}'

paper: .venv/installed
	@contact='$(CONTACT)'; $(SNAKEMAKE) $${contact:+--config "fetch={\"contact\": \"$$contact\"}"}

pull push stale: .venv/installed
	@$(BIN)/sheetlens $@ $(STUDY)

test: .venv/installed
	$(BIN)/pytest

test-long: .venv/installed
	$(BIN)/pytest -m long

check: .venv/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check Snakefile workflow/rules
	$(BIN)/snakemake --lint
	$(BIN)/snakemake --dry-run --quiet all

format: .venv/installed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/snakefmt Snakefile workflow/rules

lock: .venv/installed
	$(BIN)/python envs/lock.py
	"$(PYTHON)" envs/install.py
	$(BIN)/python envs/licences.py
	$(BIN)/python -m sheetlens.config

vulnerabilities:
	@"$(PYTHON)" -m venv .audit
	@.audit/bin/pip install --quiet pip-audit
	.audit/bin/pip-audit --requirement requirements.lock --disable-pip --progress-spinner off

.venv/installed: requirements.lock pyproject.toml envs/install.py
	@command -v "$(PYTHON)" > /dev/null || { echo "sheetlens: there is no $(PYTHON) here: install Python 3.11 to 3.14."; exit 1; }
	@"$(PYTHON)" envs/install.py
	@touch $@

.PHONY: help demo own paper pull push stale test test-long check format lock vulnerabilities
