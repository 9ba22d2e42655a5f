# SPDX-License-Identifier: GPL-2.0-or-later
# make demo   train, export, run in LAMMPS on two ranks, analyse, report: on data that egraff ships
# make test   the test suite; test-slow: long physics tests; test-gpu: what needs a GPU
# Both make their own virtual environment in .venv and install what they need.

PYTHON ?= python3.11
VENV ?= .venv
JOBS ?= 2
bin := $(VENV)/bin
pip := $(bin)/python -m pip --disable-pip-version-check
native := CMakeLists.txt pyproject.toml python/egraff/__init__.py $(shell find cpp -type f)

.PHONY: demo test test-slow test-gpu lint format wheel clean

demo: $(VENV)/.built
	$(bin)/egraff quickstart --out quickstart --overwrite

test: $(VENV)/.built $(VENV)/.browser lint
	OMP_NUM_THREADS=1 $(bin)/python -m pytest -m "not slow and not gpu" -n $(JOBS) --dist loadfile

test-slow: $(VENV)/.built
	OMP_NUM_THREADS=1 $(bin)/python -m pytest -m slow -n $(JOBS) --dist loadgroup

test-gpu: $(VENV)/.built
	OMP_NUM_THREADS=1 $(bin)/python -m pytest -m gpu

lint: $(VENV)/.built
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/clang-format --dry-run --Werror $(shell find cpp -name '*.cpp' -o -name '*.h')

format: $(VENV)/.built
	$(bin)/ruff check --fix .
	$(bin)/ruff format .
	$(bin)/clang-format -i $(shell find cpp -name '*.cpp' -o -name '*.h')

wheel: $(VENV)/.built
	$(pip) wheel --no-build-isolation --no-deps -w dist .

clean:
	rm -rf build dist quickstart

# --- set-up -------------------------------------------------------------------------------------

$(VENV)/.dependencies: constraints.txt
	tools/system_packages.sh $(PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(pip) install --quiet -r constraints.txt
	touch $@

# editable: Python sources are used in place; changed C++ sources are compiled again
$(VENV)/.built: $(VENV)/.dependencies $(native)
	CMAKE_BUILD_PARALLEL_LEVEL=$(JOBS) PATH="$(abspath $(bin)):$$PATH" \
	    $(pip) install --quiet --no-build-isolation --no-deps -e .
	touch $@

$(VENV)/.browser: tools/system_packages.sh
	tools/system_packages.sh $(PYTHON) browser
	touch $@
