#!/usr/bin/env bash
# `make bench`: the bench environment, the loss comparison with TRL, then the speed comparison.
# Usage: benchmarks/run.sh [options of `python -m benchmarks.grpo_step`]
set -euo pipefail
cd "$(dirname "$0")/.."

benchmarks/environment.sh
if [ -f tests/reference/test_trl_loss.py ]; then
  .venv-bench/bin/python -m pytest tests/reference/test_trl_loss.py
fi
exec .venv-bench/bin/python -m benchmarks.grpo_step "$@"
