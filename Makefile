# Every target works on a fresh clone: it makes the environment .venv first if need be (tools/setup.sh).
# Tests run beside processes that they start: as under `dunwu`, threads that wait must not keep them from a core (cli/openmp.py).
PYTEST := GOMP_SPINCOUNT=5000 .venv/bin/python -m pytest

.PHONY: help setup quickstart reproduce lint test test-slow bench clean

help:
	@echo "make setup       the environment in .venv"
	@echo "make quickstart  environment, then the whole R1 recipe on the embedded models: half an hour on two CPU cores"
	@echo "make reproduce   the quickstart with three seeds, and the table of each"
	@echo "make lint        ruff and mypy"
	@echo "make test        environment, lint, and all tests but the slow ones"
	@echo "make test-slow   the slow tests"
	@echo "make bench       speed and memory beside TRL, transformers and vLLM; MINUTES=30, ONLY=name and LIST=1 choose"
	@echo "make clean       remove the environments and caches, not the runs"

setup:
	@tools/setup.sh

quickstart: setup
	.venv/bin/dunwu run recipes/r1-micro.toml --run-dir runs/quickstart

reproduce: setup
	for seed in 1 2 3; do \
	  .venv/bin/dunwu run recipes/r1-micro.toml --set seed=$$seed --run-dir runs/reproduce-$$seed || exit 1; done
	for seed in 1 2 3; do .venv/bin/dunwu compare runs/reproduce-$$seed; done

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

test: lint
	@tools/browser.sh
	$(PYTEST) -m "not slow" --durations 10

test-slow: setup
	$(PYTEST) -m slow --durations 10

bench: setup
	benchmarks/run.sh

clean:
	rm -rf .venv .venv-bench .venv-vllm .mypy_cache .ruff_cache .pytest_cache .hypothesis
