# make search: the main job.  make test: all tests and gates.  Both set up .venv first, with the standard venv and pip.
PYTHON ?= python3
RUNS ?= runs
BIN := .venv/bin

.PHONY: help search test lint types benchmarks faults clean
help:
	@echo "make search      set up .venv and run the main job (examples/digits.yaml)"
	@echo "make test        set up .venv and run lint, types and all tests"
	@echo "make benchmarks  measure what the README states"
	@echo "make faults      try the faults that a search must survive (half an hour to an hour), and write their table"
	@echo "make clean       remove .venv and caches (never $(RUNS)/)"

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; found $$($(PYTHON) --version): set PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv .venv
	@# torch first and by its pin: a plain 'torch' may bring several GB of GPU packages to a machine without a GPU.
	$(BIN)/python -m pip install -q "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	@touch $@

.venv/ready-dev: .venv/ready
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	@touch $@

search: .venv/ready
	$(BIN)/nas search examples/digits.yaml --runs $(RUNS)

lint: .venv/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/ready-dev
	$(BIN)/mypy

test: lint types
	$(BIN)/python -m pytest -n auto --dist loadfile

# Each takes minutes and wants a quiet machine. PICTURES=FOLDER, one folder per class, adds the one that reads pictures.
benchmarks: .venv/ready-dev
	$(BIN)/python benchmarks/space_rate.py -o benchmarks/space_rate.json
	$(BIN)/python benchmarks/space_laws.py -o benchmarks/space_laws.json
	$(BIN)/python benchmarks/training_rate.py --rounds 5 -o benchmarks/training_rate.json
	$(BIN)/python benchmarks/training_memory.py -o benchmarks/training_memory.json
	$(BIN)/python benchmarks/search_rate.py -o benchmarks/search_rate.json
	$(BIN)/python benchmarks/ledger_rate.py -o benchmarks/ledger_rate.json
	$(BIN)/python benchmarks/export_rate.py -o benchmarks/export_rate.json
	$(BIN)/python benchmarks/front_rate.py -o benchmarks/front_rate.json
	$(BIN)/python -m benchmarks.report_rate -o benchmarks/report_rate.json
	$(BIN)/python -m benchmarks.dashboard_rate -o benchmarks/dashboard_rate.json
	$(BIN)/python benchmarks/onnx_rate.py -o benchmarks/onnx_rate.json
	$(BIN)/python benchmarks/sampler_rate.py -o benchmarks/sampler_rate.json
	$(BIN)/python benchmarks/sampler_quality.py -o benchmarks/sampler_quality.json
	$(if $(PICTURES),$(BIN)/python benchmarks/data_rate.py --pictures $(PICTURES) -o benchmarks/data_rate.json)
	$(if $(PICTURES),$(BIN)/python benchmarks/data_rate.py --pictures $(PICTURES) --whole -o benchmarks/data_rate.json)

# Wants a quiet machine with Linux; as root it also tries disks that are full or read-only. ONLY="ID ID" for some rows.
faults: .venv/ready-dev
	$(BIN)/python -m benchmarks.faults $(foreach id,$(ONLY),--only $(id)) -o benchmarks/faults.json

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
