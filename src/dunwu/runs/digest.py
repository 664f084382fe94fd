"""What two runs of one recipe must have in common, as hashes. Used by the tests of resume and by `dunwu show
--digest`."""

import hashlib
import json
from pathlib import Path
from typing import Any

from dunwu.errors import RunError
from dunwu.runs.files import canonical_json, hash_folder
from dunwu.runs.lock import LOCK_NAME

_WALL_CLOCK_FILES = {
    LOCK_NAME,
    "events.jsonl",
    "timings.jsonl",
    "curves.png",
}  # the picture is drawn by whoever looks
_WALL_CLOCK_KEYS = {"wall_seconds"}


def comparable_digest(path: Path) -> dict[str, str]:
    """Hash everything in a run folder that must be the same bytes for a killed and an unkilled run.

    Left out are the files and the keys of summary.json that hold wall-clock figures.

    Returns:
        SHA-256 by path relative to the run folder, sorted.
    Raises:
        RunError: `path` is not a folder.
    """
    if not path.is_dir():
        raise RunError(f"{path} is not a folder")
    digests = {
        name: digest
        for name, digest in hash_folder(path).items()
        if name.rpartition("/")[2] not in _WALL_CLOCK_FILES
    }
    if "summary.json" in digests:
        summary = _without_wall_clock(json.loads((path / "summary.json").read_text(encoding="utf-8")))
        digests["summary.json"] = hashlib.sha256(canonical_json(summary).encode()).hexdigest()
    return digests


def _without_wall_clock(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_wall_clock(inner) for key, inner in value.items() if key not in _WALL_CLOCK_KEYS
        }
    if isinstance(value, list):
        return [_without_wall_clock(inner) for inner in value]
    return value
