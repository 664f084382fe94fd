#!/usr/bin/env bash
# `make bench`: the environments of the benchmarks, the loss comparison with TRL, then the benchmarks.
# Usage: benchmarks/run.sh [options of `python -m benchmarks.suite`]
#   ONLY="grpo_step_vs_trl sft_vs_trl"   those alone
#   MINUTES=30                           what fits into so many minutes
#   DTYPE=float32                        of all sides; bfloat16 where the machine has instructions for it
#   LIST=1                               say what would be run, and how long it takes
set -euo pipefail
cd "$(dirname "$0")/.."

options=()
[ -z "${ONLY:-}" ] || options+=(--only "$ONLY")
[ -z "${MINUTES:-}" ] || options+=(--minutes "$MINUTES")
[ -z "${DTYPE:-}" ] || options+=(--dtype "$DTYPE")
benchmarks/environment.sh bench
if [ -n "${LIST:-}" ]; then
  exec .venv-bench/bin/python -m benchmarks.suite "${options[@]}" --list "$@"
fi
benchmarks/environment.sh vllm || echo "no environment for vLLM: the comparisons with it will fail" >&2
if [ -z "${ONLY:-}" ] && [ -f tests/reference/test_trl_loss.py ]; then
  .venv-bench/bin/python -m pytest tests/reference/test_trl_loss.py
fi
exec .venv-bench/bin/python -m benchmarks.suite "${options[@]}" "$@"
