# Each target installs what it needs itself: Debian packages that are missing, and .venv.

.NOTPARALLEL:
.PHONY: help setup demo test lint unit native guest fresh fresh-test bench lab clean

PYTHON := .venv/bin/python
PYTEST := $(PYTHON) -m pytest
AS_ROOT := tools/as-root

help:
	@echo 'make demo    see programs start, on this kernel or in a guest'
	@echo 'make test    lint, unit, native and guest, one after the other'
	@echo 'make lint    ruff, mypy and shellcheck'
	@echo 'make unit    the tests that need no kernel and no root'
	@echo 'make native  the tests that attach to this kernel, as root'
	@echo 'make guest   the tests that run in kernels of the lab'
	@echo 'make fresh   the demo, of a clone on a minimal Debian 12 and 13, as root'
	@echo 'make fresh-test   lint, unit and native, of a clone on a minimal Debian 12, as root'
	@echo 'make bench   the figures, beside BCC'"'"'s Python and bpftrace (BENCH=--quick: a rough idea)'
	@echo 'make lab     fetch and build the guest of the lab'
	@echo 'make setup   only install what the others need'
	@echo 'make clean   remove what make made here'

setup:
	@tools/setup

demo:
	@tools/setup demo
	@$(PYTHON) examples/demo.py

test: lint unit native guest

lint: setup
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy --strict
	shellcheck $$(tools/shell-scripts)

unit: setup
	$(PYTEST) -n auto tests examples --ignore=tests/native --ignore=tests/guest --ignore=tests/fresh

# Without pytest's cache, which would be root's here.
native: setup
	$(AS_ROOT) tools/with-tracefs $(PYTEST) -p no:cacheprovider tests/native

guest: setup
	$(PYTEST) tests/guest

fresh: setup
	$(AS_ROOT) $(PYTEST) -p no:cacheprovider -s tests/fresh/test_demo.py

fresh-test: setup
	$(AS_ROOT) $(PYTEST) -p no:cacheprovider -s tests/fresh/test_all_but_guests.py

bench:
	@tools/setup bench
	@$(AS_ROOT) tools/with-tracefs $(PYTHON) -m tests.bench $(BENCH)

lab:
	@tools/setup demo
	@$(PYTHON) -m bpfprobe lab --build

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo 'The guests of the lab stay: they are in /var/cache/bpfprobe/lab for root, else in'
	@echo '~/.cache/bpfprobe/lab, and removing that directory removes them.'
