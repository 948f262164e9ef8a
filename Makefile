# Everything happens in .venv; the system's Python is only asked to make it. `make help` lists what there is.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
OLD_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
TRUTH := bench-results/truth
WHEELS := target/wheels
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c '$(OLD_ENOUGH)' 2>/dev/null && echo $$p && break; done)
SOURCES := $(shell find rust python -name '*.rs' -o -name '*.py' -o -name '*.pyi') Cargo.toml Cargo.lock pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help demo test first-hour fuzz miri lint lint-rust lint-python format bench truth docs pictures dist clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.emcore  ## set everything up, find the regions of a synthetic micrograph, write a report to demo/
	$(BIN)/emcore demo --output demo --force

test: $(VENV)/.emcore $(VENV)/.tools  ## Rust tests without Python, then Python tests of the installed wheel
	cargo test --quiet --locked
	@! cargo tree --locked --edges normal | grep pyo3 || { echo "the crate without its python feature needs pyo3"; exit 1; }
	$(BIN)/pytest -q -n 2 --pyargs emcore ./tests

first-hour: $(VENV)/.emcore $(VENV)/.tools  ## the wheel in a notebook, with exSpy and pyxem; needs a package index
	$(BIN)/python tests/first_hour $(WHEELS)/*.whl

fuzz: export OMP_NUM_THREADS = 1
fuzz: export OPENBLAS_NUM_THREADS = 1
fuzz: $(VENV)/.emcore $(VENV)/.tools  ## a million calls with any arguments (CALLS=N), 10000 damaged files (FILES=N); fuzz-results/
	$(BIN)/python tests/fuzz --only '(?!read:)' --calls $${CALLS:-1000000}
	$(BIN)/python tests/fuzz --only read: --calls $${FILES:-10000} --counts fuzz-results/files.json

miri:  ## the engine's unsafe code under Miri, which rustup component add --toolchain nightly miri rust-src installs
	cargo +nightly miri test --locked --lib -- $(addprefix engine::,rows lanes tiles panel simd prepare pass pool)
	MIRIFLAGS="-Zmiri-tree-borrows -Zmiri-ignore-leaks" cargo +nightly miri test --locked --lib -- --include-ignored $(addprefix engine::,pass pool)

lint: lint-rust lint-python  ## formatting, lints, types, stubs; with --jobs 2 both languages at once

lint-rust:
	cargo fmt --check
	cargo clippy --quiet --locked -- -D warnings
	cargo clippy --quiet --locked --all-targets --features python -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --quiet --locked --no-deps

lint-python: $(VENV)/.emcore $(VENV)/.tools
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest emcore._emcore

format:  ## put the code in the form that lint asks for
	cargo fmt
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.emcore $(VENV)/.bench  ## side by side with other packages; tables in bench-results/
	cargo bench --locked --bench kernels
	$(BIN)/python benches/peers

truth: $(VENV)/.emcore $(VENV)/.bench $(TRUTH)/.venv/.generators  ## answers against those of other people's generators; tables in docs/truth.md
	$(BIN)/python benches/truth --python $(TRUTH)/.venv/bin/python --data $(TRUTH) --out docs/truth.md

docs: $(VENV)/.emcore $(VENV)/.docs  ## the documentation, in site/: tutorials are executed, links checked
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=docs $(BIN)/mkdocs build --strict

pictures: $(VENV)/.emcore $(VENV)/.tools  ## redraw the README's picture and the gallery
	$(BIN)/python docs/picture.py
	$(BIN)/python docs/gallery.py

dist: $(VENV)/.tools  ## the sdist, and the wheel built from it, in dist/
	rm -rf dist
	$(BIN)/python -m build

clean:  ## remove what make made
	rm -rf $(VENV) target dist demo site bench-results fuzz-results

$(VENV)/.python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3"; exit 1; }
	@command -v cargo >/dev/null || { echo "cargo is needed, see rustup.rs"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) 'pip>=25.1'
	@touch $@

# pip builds the extension with maturin in release mode; an unchanged dependency is not fetched again.
$(VENV)/.emcore: $(VENV)/.python $(SOURCES)
	@echo "Building and installing emcore (the first time takes some minutes)"
	rm -rf $(WHEELS)
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir $(WHEELS) .
	$(PIP) --no-deps --force-reinstall $(WHEELS)/*.whl
	$(PIP) "$$(echo $(WHEELS)/*.whl)[cli]"
	@touch $@

$(VENV)/.tools: $(VENV)/.emcore pyproject.toml
	$(PIP) --group dev
	@touch $@

$(VENV)/.docs: $(VENV)/.emcore pyproject.toml
	$(PIP) --group docs
	@touch $@

$(VENV)/.bench: $(VENV)/.emcore pyproject.toml
	$(PIP) --group bench
	@touch $@

$(TRUTH)/.venv/.generators: $(VENV)/.python benches/truth/environment.txt
	$(PYTHON) -m venv $(TRUTH)/.venv
	$(TRUTH)/.venv/bin/python -m pip install --quiet --disable-pip-version-check -r benches/truth/environment.txt
	@touch $@
