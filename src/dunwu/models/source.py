"""Where a model lies on this machine, without loading anything: for plans and for hashing. Imports no torch."""

from pathlib import Path

from dunwu.config.cache import cache_root
from dunwu.config.check import model_folder


def local_folder(path: str) -> Path | None:
    """Return where a model lies, or will lie once it is fetched; None for one that only a hub knows."""
    return cache_root() / "models" / "smollm2" if path == "smollm2" else model_folder(path)
