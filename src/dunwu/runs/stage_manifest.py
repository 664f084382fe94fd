"""A stage's manifest.json: what the stage read, with what it was made, and every file it made, by content hash.

It is written when the stage begins and once more when it is finished; moved with its folder, it stays true. What the readings
mean is the pipeline's business. Called by the stage folder.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from dunwu.errors import RunError
from dunwu.runs.files import TEMPORARY_PREFIX, canonical_json, hash_file, write_file
from dunwu.runs.wall_clock import RECORD_NAME, WALL_CLOCK_FILES, WALL_CLOCK_FOLDERS, comparable_hash

MANIFEST_NAME = "manifest.json"
DATA_FOLDER = "data"
_FORMAT = 1
_NOT_OUTPUTS = {MANIFEST_NAME, *WALL_CLOCK_FILES}
_LARGE = "rollouts/"  # every completion of a stage; compared by size alone unless asked to look at everything
_MODEL = "model/"  # compared by size alone where only figures are to be shown


class MadeFile(NamedTuple):
    """A file's content: its SHA-256, and its size; without wall-clock figures where it has some."""

    sha256: str
    num_bytes: int


@dataclass(frozen=True)
class StageManifest:
    """What a stage read and made.

    Args:
        reads: what the stage was given when it began: its recipe, the seed, the hashes of models and data.
        pinned: fingerprints of what the stage made of that for itself, see `StageFolder.pin`.
        versions: of the packages it was begun with. They can change the last bits of what is computed, and never make a stage
            run again.
        made: each file of the finished stage by its path in the stage's folder; None: the stage is not finished.
    """

    reads: Mapping[str, Any]
    pinned: Mapping[str, str]
    versions: Mapping[str, str]
    made: Mapping[str, MadeFile] | None = None

    def finished_with(self, folder: Path) -> "StageManifest":
        """Return the manifest of the finished stage, with every file that is in its folder now."""
        return replace(self, made={name: _made(folder / name) for name in _outputs(folder)})


def read_stage_manifest(folder: Path) -> StageManifest | None:
    """Read the manifest of a stage's folder; None if the stage has not begun.

    Raises:
        RunError: it is damaged, or missing although the folder holds something.
    """
    path = folder / MANIFEST_NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != _FORMAT:
            raise ValueError(f"format {data['format']!r}, this dunwu reads format {_FORMAT}")
        made = data["made"]
        return StageManifest(
            reads=data["reads"],
            pinned=data["pinned"],
            versions=data["versions"],
            made=None if made is None else {name: MadeFile(**file) for name, file in made.items()},
        )
    except FileNotFoundError:
        if any(not inner.name.startswith(TEMPORARY_PREFIX) for inner in folder.glob("*")):
            raise RunError(
                f"{path} is missing, and {folder} holds files; restore it from a copy, or move the folder away to begin the "
                "stage anew"
            ) from None
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{path} is damaged ({error}); restore it from a copy, or move {folder} away to begin the stage anew"
        ) from error


def write_stage_manifest(folder: Path, manifest: StageManifest) -> None:
    """Replace the manifest of a stage's folder, atomically."""
    made = manifest.made
    data = {
        "format": _FORMAT,
        **asdict(manifest),
        "made": None if made is None else {name: file._asdict() for name, file in made.items()},
    }
    write_file(folder / MANIFEST_NAME, canonical_json(data, "manifest", indent=2) + "\n")


def find_damage(
    folder: Path, made: Mapping[str, MadeFile], *, thorough: bool, weigh_model: bool = False
) -> list[str]:
    """List the files of a finished stage that are missing or no longer what the stage made, and files that others put among
    its rows, each with its path.

    Args:
        thorough: hash the rollouts too, which are otherwise compared by size.
        weigh_model: compare the model by size only, too.
    """
    by_size = (*(() if thorough else (_LARGE,)), *((_MODEL,) if weigh_model else ()))
    damaged = []
    for name, file in made.items():
        path = folder / name
        if not path.is_file():
            damaged.append(f"{path} is missing")
        elif name.startswith(by_size):
            if path.stat().st_size != file.num_bytes:
                damaged.append(f"{path} has {path.stat().st_size} bytes; it had {file.num_bytes}")
        elif _made(path) != file:
            damaged.append(f"{path} has changed since the stage finished")
    return damaged + [
        f"{path} was not made by the stage"
        for path in sorted((folder / DATA_FOLDER).rglob("*"))
        if path.is_file() and path.name[0] != "." and path.relative_to(folder).as_posix() not in made
    ]


def _outputs(folder: Path) -> list[str]:
    """List what counts as made: not the manifest, wall-clock files and checkpoints, which have seals of their own."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(
        path.as_posix()
        for path in paths
        if path.as_posix() not in _NOT_OUTPUTS
        and path.parts[0] not in {"checkpoints", *WALL_CLOCK_FOLDERS}
        and not any(part.startswith(TEMPORARY_PREFIX) for part in path.parts)
    )


def _made(path: Path) -> MadeFile:
    if path.name == RECORD_NAME:
        return MadeFile(*comparable_hash(path))
    return MadeFile(hash_file(path), path.stat().st_size)
