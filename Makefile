# One entry for each chore; everything runs in .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup test lint fix types clean

setup: .venv/installed

# The constraints pin what was tested; above all torch, whose newest build brings gigabytes of CUDA.
.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

test: lint types
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

fix: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# mypy looks for the package metasearch_plugins, whose folder is plugins/.
types: setup
	mkdir -p build/types
	ln -sfn ../../plugins build/types/metasearch_plugins
	$(BIN)/mypy

clean:
	rm -rf .venv build dist runs *.egg-info .mypy_cache .ruff_cache .pytest_cache
