"""Durable files: written whole or not at all, hashed, and JSON in one spelling. Knows nothing of runs.

Everything is written under a temporary name beside its target, synced, then renamed; what a killed process
leaves behind carries `TEMPORARY_PREFIX` and is removed by `remove_leftovers`. Called by the other modules of
runs/.
"""

import hashlib
import json
import math
import numbers
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dunwu.errors import NonFiniteError
from dunwu.runs.disk import disk_faults

TEMPORARY_PREFIX = ".tmp-"


def plain_value(value: Any, where: str) -> Any:
    """Return `value` with numpy scalars, tuples and mappings turned into what JSON knows.

    Args:
        where: how an error names this value, for example "metrics of step 3: kl".
    Raises:
        NonFiniteError: a number is NaN or infinite.
        TypeError: something else than numbers, text, None, mappings with text keys and sequences.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        if not math.isfinite(value):
            raise NonFiniteError(
                f"{where} is {float(value)}; a figure must be finite, or None where nothing was measured"
            )
        return float(value)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{where} has the key {key!r}; keys must be text")
        return {key: plain_value(inner, f"{where}.{key}") for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [plain_value(inner, f"{where}[{i}]") for i, inner in enumerate(value)]
    raise TypeError(
        f"{where} is a {type(value).__name__}; only numbers, text, None, mappings and lists can be written"
    )


def canonical_json(value: Any, where: str = "value", *, indent: int | None = None) -> str:
    """Write `value` as JSON in the one spelling that equal values share: keys sorted, no NaN, no ASCII
    escapes.

    Raises: as `plain_value`.
    """
    return json.dumps(
        plain_value(value, where), sort_keys=True, allow_nan=False, ensure_ascii=False, indent=indent
    )


def write_file(path: Path, data: bytes | str) -> None:
    """Replace the file at `path` by `data`, atomically and durably."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)

    write_file_with(path, write)


def write_file_with(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file, then put it at `path`, atomically and durably.

    Raises:
        DiskError: the disk does not take it; what was at `path` is still there.
    """
    with disk_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f"{TEMPORARY_PREFIX}{path.name}"
    try:
        with disk_faults(path):
            write(temporary)
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_folder(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary folder, then put it at `path` in place of what was there, atomically and
    durably.

    Raises:
        DiskError: the disk does not take it; what was at `path` is still there.
    """
    with disk_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f"{TEMPORARY_PREFIX}{path.name}"
    replaced = path.parent / f"{TEMPORARY_PREFIX}replaced-{path.name}"
    try:
        with disk_faults(path):
            for leftover in (temporary, replaced):
                remove(leftover)
            temporary.mkdir()
            write(temporary)
            for inner in sorted(temporary.rglob("*")):
                sync(inner)
            sync(temporary)
            if path.exists():
                path.rename(replaced)
            temporary.rename(path)
            sync(path.parent)
    finally:
        remove(temporary)
        remove(replaced)


def sync(path: Path) -> None:
    """Wait until the file's or folder's content is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file or a whole folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove what interrupted writes left anywhere under `folder`; returns what was removed."""
    leftovers = sorted(folder.rglob(f"{TEMPORARY_PREFIX}*"))
    for path in leftovers:
        remove(path)
    return leftovers


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_folder(folder: Path) -> dict[str, str]:
    """Return each file's SHA-256 by its path relative to `folder` (with "/"), sorted; leftovers are passed
    over."""
    paths = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {
        path.as_posix(): hash_file(folder / path)
        for path in paths
        if not any(part.startswith(TEMPORARY_PREFIX) for part in path.parts)
    }


def fingerprint(path: Path) -> str:
    """Return one SHA-256 for a file, or for a folder's files and their names together."""
    if path.is_file():
        return hash_file(path)
    return hashlib.sha256(canonical_json(hash_folder(path)).encode()).hexdigest()


def folder_bytes(folder: Path) -> int:
    """Add up the sizes of a folder's files; 0 for one that is not there. Files that vanish meanwhile do not count."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size if path.is_file() else 0
    return total
