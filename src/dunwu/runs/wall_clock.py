"""Which files and keys of a run hold wall-clock figures, which differ from run to run, and hashes that leave them out."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from dunwu.runs.files import canonical_json

WALL_CLOCK_FILES = {"events.jsonl", "timings.jsonl"}
WALL_CLOCK_FOLDERS = {"profile"}
"""In a stage's folder."""
RECORD_NAME = "record.json"
"""What a finished stage tells about itself, in its folder."""
_WALL_CLOCK_KEYS = {"wall_seconds"}


def comparable_hash(path: Path) -> tuple[str, int]:
    """Return SHA-256 and length of a JSON file's content without wall-clock figures; of its bytes if it is no JSON."""
    data = path.read_bytes()
    with suppress(ValueError):  # what is damaged has a hash of its own, which no whole file has
        data = canonical_json(without_wall_clock(json.loads(data))).encode()
    return hashlib.sha256(data).hexdigest(), len(data)


def without_wall_clock(value: Any) -> Any:
    """Return plain data without the keys that hold wall-clock figures."""
    if isinstance(value, dict):
        return {key: without_wall_clock(inner) for key, inner in value.items() if key not in _WALL_CLOCK_KEYS}
    if isinstance(value, list):
        return [without_wall_clock(inner) for inner in value]
    return value
