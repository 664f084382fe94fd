"""A stage's checkpoints: folders step-000040/ with a list of their files' hashes. Knows nothing of what is in
them.

A checkpoint is there whole or not at all, and is verified against its hashes before it is handed out. Called
by the stage folder.
"""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from dunwu.runs.files import canonical_json, hash_file, hash_folder, remove, write_folder

SEAL_NAME = "checkpoint.json"
_SEAL_KEYS = {"step", "keep_last", "keep_best", "score", "files"}
_FOLDER_NAME = re.compile(r"step-(\d{6,})")


class Checkpoint(NamedTuple):
    """A verified checkpoint: the state after `step` steps lies in the folder `path`."""

    step: int
    path: Path


@dataclass(frozen=True)
class Retention:
    """Which checkpoints stay when one more is written.

    Args:
        keep_last: this many of the newest.
        keep_best: the one with the highest score too, the earliest of equals.
        score: of the one that is written; None: it was not measured.
    """

    keep_last: int
    keep_best: bool = False
    score: float | None = None


def save(folder: Path, step: int, write: Callable[[Path], None], retention: Retention) -> Path:
    """Let `write` fill the checkpoint of `step`, seal it with hashes, and remove those that are not to stay."""

    def write_sealed(temporary: Path) -> None:
        write(temporary)
        seal = {"step": step, **asdict(retention), "files": hash_folder(temporary)}
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
    """Say what is wrong with a checkpoint: the first file that is missing or changed; None if it is whole. What others have put
    beside its files (.DS_Store, say) is passed over."""
    seal = _read_seal(checkpoint)
    if seal is None:
        return f"{SEAL_NAME} is missing or damaged"
    for name, expected in sorted(seal["files"].items()):
        path = checkpoint.path / name
        if not path.is_file():
            return f"{name} is missing"
        if hash_file(path) != expected:
            return f"{name} has changed since it was written"
    return None


def prune(folder: Path, keep_last: int | None = None) -> None:
    """Remove the checkpoints that the newest one's seal does not say to keep.

    This is read from the seal so that a process killed before it could prune leaves the work to the next one.

    Args:
        keep_last: keep this many of the newest instead; None: as many as the seal says.
    """
    checkpoints = found(folder)
    seal = _read_seal(checkpoints[0]) if checkpoints else None
    if keep_last is None:
        if seal is None:
            return
        keep_last = seal["keep_last"]
    kept = checkpoints[:keep_last]
    if seal is not None and seal["keep_best"] and (best := find_best(folder)) is not None:
        kept = [*kept, best[0]]
    for checkpoint in checkpoints:
        if checkpoint not in kept:
            remove(checkpoint.path)


def find_best(folder: Path) -> tuple[Checkpoint, float] | None:
    """Return the checkpoint with the highest score, unverified, and the score; None if none was measured."""
    scored = []
    for checkpoint in reversed(found(folder)):
        seal = _read_seal(checkpoint)
        if seal is not None and seal["score"] is not None:
            scored.append((checkpoint, float(seal["score"])))
    return max(scored, key=lambda item: item[1], default=None)


def _read_seal(checkpoint: Checkpoint) -> dict[str, Any] | None:
    try:
        seal = json.loads((checkpoint.path / SEAL_NAME).read_text())
    except (OSError, ValueError):
        return None
    keys_fit = isinstance(seal, dict) and seal.keys() == _SEAL_KEYS
    return seal if keys_fit and seal["step"] == checkpoint.step else None
