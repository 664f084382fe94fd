#!/usr/bin/env bash
# Makes, or brings up to date, the environment .venv in the repository root. Quick when nothing has changed.
#   PYTHON=python3.12       the interpreter to make it with
#   TORCH="torch==2.13.0"   what pip installs for torch, if .venv has none yet; may hold pip options, for example
#                           TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
torch=${TORCH:-torch==2.13.0}
stamp=.venv/.setup.sha256
wanted=$(cat pyproject.toml tools/setup.sh | sha256sum)

if [ -x .venv/bin/dunwu ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
  exit 0
fi

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "setup: $python is missing or older than 3.11; install Python 3.11 or newer, or set PYTHON=" >&2
  exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    apt-get update && apt-get install -y --no-install-recommends python3-venv
  else
    echo "setup: $python cannot make environments; on Debian: sudo apt install python3-venv" >&2
    exit 1
  fi
fi

# Rewards that run a policy's programs need bubblewrap and libseccomp; everything else works without them.
if ! command -v bwrap > /dev/null \
  || ! "$python" -c 'import sys; from ctypes.util import find_library; sys.exit(find_library("seccomp") is None)'; then
  if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    { apt-get update && apt-get install -y --no-install-recommends bubblewrap libseccomp2; } >&2 \
      || echo "setup: bubblewrap and libseccomp could not be installed; rewards that run code will refuse to start" >&2
  else
    echo "setup: for rewards that run code, install bubblewrap and libseccomp (Debian, Ubuntu: sudo apt install bubblewrap" \
      "libseccomp2; Fedora: sudo dnf install bubblewrap libseccomp; Arch: sudo pacman -S bubblewrap libseccomp)" >&2
  fi
fi

# Sampling and training on a CPU are faster with a C compiler; everything works without one.
if ! { echo '#include <math.h>' | cc -E -x c - || echo '#include <math.h>' | gcc -E -x c -; } > /dev/null 2>&1; then
  if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    { apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev; } >&2 \
      || echo "setup: gcc could not be installed; dunwu will be slower on this CPU" >&2
  else
    echo "setup: dunwu is faster on a CPU with a C compiler (Debian, Ubuntu: sudo apt install gcc libc6-dev; Fedora: sudo dnf" \
      "install gcc; Arch: sudo pacman -S gcc)" >&2
  fi
fi

[ -x .venv/bin/python ] || "$python" -m venv .venv
pip=(.venv/bin/python -m pip --disable-pip-version-check install --quiet)
echo "setup: installing dunwu and what it needs into .venv; the first time this takes some minutes" >&2
# A torch that is there already, for example one for this machine's GPU, is kept.
# shellcheck disable=SC2086
.venv/bin/python -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") is None)' \
  || "${pip[@]}" $torch
"${pip[@]}" --editable '.[tasks,smollm2,dashboard,dev]'
printf '%s' "$wanted" > "$stamp"
