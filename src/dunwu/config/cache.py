"""Where dunwu keeps what it made for this machine: converted models, compiled kernels."""

import os
from pathlib import Path


def cache_root() -> Path:
    """The folder: $DUNWU_CACHE, or ~/.cache/dunwu."""
    return Path(os.environ.get("DUNWU_CACHE") or Path.home() / ".cache" / "dunwu").expanduser()
