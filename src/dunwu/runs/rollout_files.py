"""The rollout and evaluation files of a stage, listed and read a few columns at a time, whatever state the rest of the run is in.

`StageFolder.read_rollouts` gives records to train on; this gives whoever looks at a run no more than what is to be seen, and
needs neither a whole recipe nor whole neighbours. Called by the analysis.
"""

import json
import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from dunwu.errors import RunError
from dunwu.runs.rollout_table import unreadable

_ROLLOUT = re.compile(r"rollout-(\d{6,})\.parquet")
_EVALUATION = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\.parquet")
_TAIL_BYTES = 4096


class RolloutFile(NamedTuple):
    """One file of rollouts on disk; a stage may have tens of thousands, so that they are made and compared cheaply.

    Args:
        number: the stage's rollout, from 1; 0 for samples of an evaluation.
        label: of the evaluation; "" for rollouts.
        num_bytes, modified_ns: as the file system has them, to tell whether it changed.
    """

    folder: Path
    name: str
    number: int
    label: str
    num_bytes: int
    modified_ns: int

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.folder / self.name

    def tail(self) -> bytes:
        """Return the file's last bytes, which hold sizes and places of its columns: they tell a copy from another file."""
        with self.path.open("rb") as file:
            file.seek(max(0, self.num_bytes - _TAIL_BYTES))
            return file.read()


def rollout_files(stage: Path) -> list[RolloutFile]:
    """List the rollouts of a stage's folder by number; none where there is no such folder."""
    folder = stage / "rollouts"
    found = [
        _file(folder, entry, int(match[1]), "")
        for entry in _entries(folder)
        if (match := _ROLLOUT.fullmatch(entry.name))
    ]
    return sorted(found, key=lambda file: file.number)


def count_rollouts(stage: Path) -> int:
    """Count the rollouts of a stage's folder, without looking at each."""
    return sum(_ROLLOUT.fullmatch(entry.name) is not None for entry in _entries(stage / "rollouts"))


def evaluation_files(stage: Path) -> list[RolloutFile]:
    """List the samples of a stage's evaluations, the earliest step first."""
    folder = stage / "evaluation"
    found = [
        _file(folder, entry, 0, match[1])
        for entry in _entries(folder)
        if (match := _EVALUATION.fullmatch(entry.name))
    ]
    return sorted(found, key=lambda file: (_evaluated_after(file), file.label))


def find_file(stage: Path, number: int, label: str = "") -> Path:
    """Return the path of a stage's rollout, or of the samples of an evaluation.

    Raises:
        RunError: there is none.
    """
    if label and _EVALUATION.fullmatch(f"{label}.parquet"):
        path = stage / "evaluation" / f"{label}.parquet"
    else:
        path = stage / "rollouts" / f"rollout-{number:06d}.parquet"
    if not path.is_file():
        what = f"evaluation {label!r}" if label else f"rollout {number}"
        raise RunError(f"stage {stage.name} has no {what}; it may have been replaced since")
    return path


def read_columns(
    path: Path, columns: Sequence[str] | None = None, *, without: Sequence[str] = ()
) -> pa.Table:
    """Read some columns of a file, in their order there; those that it does not have are left out.

    Args:
        columns: None: all.
        without: but not these.

    Raises:
        RunError: it is not there, or damaged.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            names = file.schema_arrow.names
            chosen = [name for name in names if (columns is None or name in columns) and name not in without]
            return file.read(columns=chosen, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, error) from error


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _file(folder: Path, entry: os.DirEntry[str], number: int, label: str) -> RolloutFile:
    facts = entry.stat()
    return RolloutFile(folder, entry.name, number, label, facts.st_size, facts.st_mtime_ns)


def _evaluated_after(file: RolloutFile) -> int:
    try:
        return int(json.loads(file.path.with_suffix(".json").read_text(encoding="utf-8"))["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0  # without its figures it is not finished; its samples can be looked at all the same


def require_stage(run: Path, name: str) -> Path:
    """Return the folder of a stage of a run, whether the recipe names it or not.

    Raises:
        RunError: there is none, or the name is not that of a folder in the run.
    """
    stages = stages_with_samples(run)
    if name not in stages:
        raise RunError(
            f"{run} has no rollouts of a stage {name!r}; it has those of: {', '.join(stages) or 'none yet'}"
        )
    return run / name


def stages_with_samples(run: Path) -> list[str]:
    """List the folders of a run that hold rollouts or samples of an evaluation, in the recipe's order."""
    names = []
    for entry in _entries(run):
        if entry.is_dir() and not entry.name.startswith("."):
            folders = [Path(entry.path) / "rollouts", Path(entry.path) / "evaluation"]
            if any(child.name.endswith(".parquet") for folder in folders for child in _entries(folder)):
                names.append(entry.name)
    order = _recipe_order(run)
    return sorted(names, key=lambda name: (order.get(name, len(order)), name))


def _recipe_order(run: Path) -> dict[str, int]:
    try:
        stages = tomllib.loads((run / "recipe.toml").read_text(encoding="utf-8"))["stages"]
        return {str(stage["name"]): place for place, stage in enumerate(stages)}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # a run whose recipe is damaged can still be looked at
