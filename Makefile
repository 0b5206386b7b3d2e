# Two commands for a newcomer: `make run` measures this machine and answers the shipped question with it,
# `make test` checks everything. Both prepare what they need under .venv.

PYTHON ?= $(firstword $(foreach v,python3.13 python3.12 python3.11 python3,$(if $(shell $(v) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo yes),$(v))))
BIN := .venv/bin
HEADROOM := $(BIN)/headroom
OUT := build

export OMP_NUM_THREADS = 1
export OPENBLAS_NUM_THREADS = 1

# What takes the time of a real pipeline runs alone, after all that does not; both count, whatever the first one says.
define run_tests
	$(BIN)/pytest -m "not alone$(1)" --numprocesses auto --maxprocesses 4 --dist worksteal; beside=$$?; \
	$(BIN)/pytest -m "alone$(1)"; alone=$$?; \
	exit $$((beside ? beside : alone))
endef

.PHONY: run test test-long lint notebooks docs clean

run: .venv/.ready
	rm -rf $(OUT)/bundle
	$(HEADROOM) measure --quick --out $(OUT)/bundle
	$(HEADROOM) fit $(OUT)/bundle --out $(OUT)/profile.yaml --name this-measurement
	$(HEADROOM) replay $(OUT)/bundle --profile $(OUT)/profile.yaml
	$(HEADROOM) run scenarios/library/baseline.yaml --profile $(OUT)/profile.yaml --workers 2 --out $(OUT)/result
	$(HEADROOM) report $(OUT)/result

test: .venv/.ready
	.ci/system-packages
	$(call run_tests, and not long)

test-long: .venv/.ready
	.ci/system-packages
	$(call run_tests,)

lint: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

notebooks: .venv/.ready
	$(BIN)/python notebooks/build.py

docs: .venv/.ready
	$(BIN)/python docs/refresh.py

clean:
	rm -rf $(OUT) dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

# Without the python3-venv package `venv` fails half-way: virtualenv from pip takes over.
.venv/.ready: pyproject.toml
	@test -n "$(PYTHON)" || { echo "headroom needs Python 3.11 or later; set PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv .venv || { rm -rf .venv && $(PYTHON) -m pip install --quiet --target build/virtualenv virtualenv \
		&& PYTHONPATH=build/virtualenv $(PYTHON) -m virtualenv --quiet .venv; }
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@
