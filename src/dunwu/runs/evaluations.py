"""A stage's evaluations: the figures of each, LABEL.json, and the samples behind them, LABEL.parquet.

The samples are written first: an evaluation counts as made once its figures are there. Called by the stage folder.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dunwu.errors import RunError
from dunwu.records import RolloutGroup
from dunwu.runs.files import canonical_json, remove, write_file, write_file_with
from dunwu.runs.rollout_table import StoredRollouts, read_table, write_table

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def write_evaluation(
    folder: Path, label: str, record: Mapping[str, Any], groups: Sequence[RolloutGroup], step: int
) -> None:
    """Write the figures and samples of an evaluation made after `step`; see `StageFolder.write_evaluation`."""
    if not PLAIN_NAME.fullmatch(label):
        raise ValueError(f"the evaluation label {label!r} must be letters, digits, '.', '_' and '-'")
    stored = StoredRollouts(0, step, step, tuple(groups))
    write_file_with(folder / f"{label}.parquet", lambda path: write_table(path, stored))
    text = canonical_json({**record, "step": step}, f"evaluation {label}", indent=2)
    write_file(folder / f"{label}.json", text + "\n")


def read_evaluations(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the figures of all finished evaluations by label, in the order of their steps.

    Raises:
        RunError: a file is damaged.
    """
    records = {}
    for path in sorted(folder.glob("[!.]*.json")):
        try:
            records[path.stem] = dict(json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise RunError(
                f"{path} is damaged ({error}); delete it, and the same command makes it again"
            ) from error
    return dict(sorted(records.items(), key=lambda item: item[1]["step"]))


def read_samples(folder: Path, label: str) -> tuple[RolloutGroup, ...]:
    """Read the samples of an evaluation.

    Raises:
        RunError: they are not there, or damaged.
    """
    return read_table(folder / f"{label}.parquet").groups


def remove_evaluation(folder: Path, label: str) -> None:
    """Remove an evaluation, its figures first."""
    for suffix in ("json", "parquet"):
        remove(folder / f"{label}.{suffix}")
