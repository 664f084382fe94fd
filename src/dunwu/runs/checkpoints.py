"""A stage's checkpoints: folders step-000040/ with a list of their files' hashes. Knows nothing of what is in
them.

A checkpoint is there whole or not at all, and is verified against its hashes before it is handed out. Called
by the stage folder.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from dunwu.runs.files import canonical_json, hash_folder, remove, write_folder

SEAL_NAME = "checkpoint.json"
_FOLDER_NAME = re.compile(r"step-(\d{6,})")


class Checkpoint(NamedTuple):
    """A verified checkpoint: the state after `step` steps lies in the folder `path`."""

    step: int
    path: Path


def save(folder: Path, step: int, write: Callable[[Path], None], keep_last: int) -> Path:
    """Let `write` fill the checkpoint of `step`, seal it with hashes, and remove all but the newest
    `keep_last`."""

    def write_sealed(temporary: Path) -> None:
        write(temporary)
        seal = {"step": step, "keep_last": keep_last, "files": hash_folder(temporary)}
        (temporary / SEAL_NAME).write_text(canonical_json(seal, "checkpoint", indent=2) + "\n")

    path = folder / f"step-{step:06d}"
    write_folder(path, write_sealed)
    prune(folder)
    return path


def found(folder: Path) -> list[Checkpoint]:
    """List the checkpoints by step, newest first, unverified."""
    paths = folder.iterdir() if folder.is_dir() else ()
    matches = [(_FOLDER_NAME.fullmatch(path.name), path) for path in paths]
    return sorted((Checkpoint(int(match[1]), path) for match, path in matches if match), reverse=True)


def damage(checkpoint: Checkpoint) -> str | None:
    """Say what is wrong with a checkpoint: the first file that is missing, changed or not its own; None if it
    is whole."""
    seal = _read_seal(checkpoint)
    if seal is None:
        return f"{SEAL_NAME} is missing or damaged"
    actual = hash_folder(checkpoint.path)
    actual.pop(SEAL_NAME, None)
    expected: dict[str, str] = seal["files"]
    for name in sorted(expected.keys() | actual.keys()):
        if name not in actual:
            return f"{name} is missing"
        if name not in expected:
            return f"{name} does not belong to it"
        if actual[name] != expected[name]:
            return f"{name} has changed since it was written"
    return None


def prune(folder: Path) -> None:
    """Remove all but as many of the newest checkpoints as the newest one's seal says to keep.

    The number is read from the seal so that a process killed before it could prune leaves the work to the
    next one.
    """
    checkpoints = found(folder)
    seal = _read_seal(checkpoints[0]) if checkpoints else None
    if seal is not None:
        for old in checkpoints[seal["keep_last"] :]:
            remove(old.path)


def _read_seal(checkpoint: Checkpoint) -> dict[str, Any] | None:
    try:
        seal = json.loads((checkpoint.path / SEAL_NAME).read_text())
    except (OSError, ValueError):
        return None
    keys_fit = isinstance(seal, dict) and seal.keys() == {"step", "keep_last", "files"}
    return seal if keys_fit and seal["step"] == checkpoint.step else None
