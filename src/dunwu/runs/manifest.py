"""A run's manifest.json: the mark of a run folder, and the versions of the packages it was started with.

What each stage read and made is in the manifest of the stage.
"""

import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from dunwu.errors import RunError
from dunwu.runs.files import canonical_json, write_file

PACKAGES = ("dunwu", "torch", "transformers", "tokenizers", "safetensors", "numpy", "pyarrow", "math-verify")
"""Packages whose version can change what a run computes."""
_FORMAT = 2


def installed_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that compute, without importing them."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def new_manifest(versions: Mapping[str, str]) -> dict[str, Any]:
    """Return the manifest of a run that has not done anything yet."""
    return {"format": _FORMAT, "versions": dict(versions)}


def read_manifest(path: Path) -> dict[str, Any]:
    """Read a manifest.

    Raises:
        RunError: it cannot be read, is not JSON, or another version of dunwu wrote it in another format.
    """
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path} is damaged ({error}); restore it from a copy, or start a new run folder"
        ) from error
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if found != _FORMAT:
        raise RunError(
            f"{path} has format {found!r}, this dunwu reads format {_FORMAT}; use the dunwu that wrote the run"
        )
    return dict(manifest)


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Replace the manifest, atomically."""
    write_file(path, canonical_json(manifest, "manifest", indent=2) + "\n")


def differences(before: Any, now: Any, key: str = "") -> list[str]:
    """List where two trees of plain values differ, one line per key with both values."""
    if isinstance(before, list) and isinstance(now, list):
        before, now = dict(enumerate(before)), dict(enumerate(now))
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        lines = []
        for inner in [*before, *(name for name in now if name not in before)]:
            path = f"{key}.{inner}" if key else str(inner)
            lines += differences(before.get(inner, _ABSENT), now.get(inner, _ABSENT), path)
        return lines
    return [] if before == now else [f"{key}: was {_spelled(before)}, is now {_spelled(now)}"]


_ABSENT = object()


def _spelled(value: Any) -> str:
    return "absent" if value is _ABSENT else json.dumps(value, ensure_ascii=False)
