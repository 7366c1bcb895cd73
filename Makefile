# make demo: a builder from nothing, in a machine of its own.  make test: linters, unit tests, integration.
# Both install what they need (as root, on Debian) and can be run again and again.
VENV := .venv
PYTHON := $(VENV)/bin/python
DARLING ?=
NIX_TARBALL ?=
REAL := $(if $(DARLING),--darling $(DARLING)) $(if $(NIX_TARBALL),--nix-tarball $(NIX_TARBALL))

# One part's failure does not hide another's.
MAKEFLAGS += --keep-going

.PHONY: demo test lint unit integration beside alone bench man release clean
.DELETE_ON_ERROR:

demo: $(VENV)/.ready
	$(PYTHON) -m integration.demo $(REAL)

test: lint unit integration

lint: $(VENV)/.ready
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

unit: $(VENV)/.ready
	$(PYTHON) -m pytest tests

integration: beside alone

beside: $(VENV)/.ready
	$(PYTHON) -m pytest integration $(REAL) -m "not alone" --numprocesses 3 --dist loadfile

alone: $(VENV)/.ready
	$(PYTHON) -m pytest integration $(REAL) -m alone

bench: $(VENV)/.ready
	$(PYTHON) -m integration.bench

man: $(VENV)/.ready
	mkdir -p build
	$(VENV)/bin/darlingbuilder man > build/darlingbuilder.1
	$(VENV)/bin/darlingbuilder man darlingbuilder.toml > build/darlingbuilder.toml.5

# sdist and wheel of the tagged commit that is checked out; see CONTRIBUTING.md.
release: $(VENV)/.ready
	$(PYTHON) -m integration.packaging.release dist

$(VENV)/.ready: pyproject.toml integration/prerequisites hatch_build.py $(wildcard darlingbuilder/guest/*.[ch])
	integration/prerequisites
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --upgrade pip
	$(VENV)/bin/pip install --quiet --editable . --group dev
	touch $@

clean:
	rm -rf $(VENV) build dist
