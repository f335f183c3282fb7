# One entry for each chore; everything runs in .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup test lint fix types docs learn2learn benchmarks clean

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

# The documentation site, in build/site. What is undocumented or leads nowhere is an error. Not with --quiet: --strict counts
# only warnings that are logged.
docs: setup
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict -f .mkdocs.yml

# learn2learn 0.2.0 has no wheel and builds with old tools only: in an environment of its own, so that ours keeps its versions.
# Without its dependencies, because algo.backend=learn2learn imports its MAML alone.
learn2learn: setup
	$(PYTHON) -m venv build/learn2learn
	build/learn2learn/bin/pip install --quiet --disable-pip-version-check -c constraints.txt 'cython<3.1' 'setuptools<81' wheel numpy
	build/learn2learn/bin/pip wheel --quiet --disable-pip-version-check --use-pep517 --no-build-isolation --no-deps \
		--config-settings=--global-option=build_ext --wheel-dir build/wheels learn2learn==0.2.0
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps build/wheels/learn2learn-0.2.0-*.whl

# An hour and more: docs/performance.md says which parts there are.
benchmarks: learn2learn
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,benchmarks]'
	$(BIN)/python -m tests.benchmarks

clean:
	rm -rf .venv build dist runs *.egg-info .mypy_cache .ruff_cache .pytest_cache
