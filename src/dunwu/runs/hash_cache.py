"""Fingerprints of large inputs, remembered by the sizes and times of their files, so that looking at a run is quick.

What a stage made is never looked up here: it is hashed. Called by the pipeline's lineage.
"""

import json
from pathlib import Path

from dunwu.runs.files import TEMPORARY_PREFIX, canonical_json, fingerprint, write_file

CACHE_NAME = ".hashes.json"


class HashCache:
    """Fingerprints by path, taken from a run folder's cache as long as no file's size or time has changed.

    Args:
        path: the cache's file; None: remember within this object only. It is written by `save` alone.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, list[str]] = _read(path) if path is not None else {}

    def fingerprint(self, source: Path) -> str:
        """Return the fingerprint of a file or folder, see `files.fingerprint`."""
        key, state = str(source.resolve()), _state(source)
        known = self._known.get(key)
        if known is not None and known[0] == state:
            return known[1]
        value = fingerprint(source)
        self._known[key] = [state, value]
        return value

    def save(self) -> None:
        """Write what is known, for the next process."""
        if self._path is not None:
            write_file(self._path, canonical_json(self._known) + "\n")


def _read(path: Path) -> dict[str, list[str]]:
    """Read a cache; one that cannot be read is an empty one."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return {str(key): [str(state), str(value)] for key, (state, value) in data.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _state(source: Path) -> str:
    """Return text that changes when a file's size, time, place on the disk or name changes."""
    files = sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]
    parts = []
    for path in files:
        if not path.name.startswith(TEMPORARY_PREFIX):
            facts = path.stat()
            name = path.relative_to(source).as_posix()
            parts.append(f"{name}:{facts.st_size}:{facts.st_mtime_ns}:{facts.st_ino}")
    return "|".join(parts)
