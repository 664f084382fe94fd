"""A stage's evaluations: the figures of each, LABEL.json, and the samples behind them, LABEL.parquet.

The samples are written first: an evaluation counts as made once its figures are there. Called by the stage folder.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dunwu.errors import RunError
from dunwu.records import RolloutGroup
from dunwu.runs.files import canonical_json, remove, write_file, write_file_with
from dunwu.runs.rollout_table import StoredRollouts, read_facts, read_table, unreadable, write_table

SampleColumns = Mapping[str, Sequence[Any]]
"""Samples by column, a value for each completion."""
SCORED = ("group", "prompt_id", "question", "completion", "num_tokens", "finish_reason", "answer", "correct")
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
            record = dict(json.loads(path.read_text(encoding="utf-8")))
            records[path.stem] = {**record, "step": int(record["step"])}
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise RunError(
                f"{path} is damaged ({error!r}); restore it from a copy, or delete {folder.parent} to start the stage again"
            ) from error
    return dict(sorted(records.items(), key=lambda item: item[1]["step"]))


def read_samples(folder: Path, label: str) -> tuple[RolloutGroup, ...]:
    """Read the samples of an evaluation.

    Raises:
        RunError: they are not there, or damaged.
    """
    return read_table(folder / f"{label}.parquet").groups


def read_sample_columns(folder: Path, label: str) -> SampleColumns:
    """Read of an evaluation's samples what scores are made of: no token ids, no log-probs, no prompts.

    Raises:
        RunError: they are not there, or damaged.
    """
    path = folder / f"{label}.parquet"
    try:
        names = pq.read_schema(path).names
        parts = [name for name in names if name.startswith("part.") and name.endswith(".value")]
        table = pq.read_table(path, columns=[*SCORED, *parts], page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, error) from error
    missing = set(SCORED) - set(table.column_names)
    if missing:
        raise unreadable(path, KeyError(f"no column {min(missing)}"))
    return {name: table.column(name).to_pylist() for name in table.column_names}


def rewind_evaluations(folder: Path, step: int) -> None:
    """Remove the evaluations made after a later step, and samples that a kill left without figures, which are made again.

    Raises:
        RunError: a file is damaged.
    """
    records = read_evaluations(folder)
    for label, record in records.items():
        if record["step"] > step:
            for suffix in ("json", "parquet"):  # the figures first
                remove(folder / f"{label}.{suffix}")
    for path in folder.glob("[!.]*.parquet"):
        if path.stem not in records and read_facts(path)["first_step"] >= step:
            remove(path)


def require_pairs(folder: Path) -> None:
    """Verify that every evaluation has its figures and samples; of the samples no more is read than where they are.

    Raises:
        RunError: a file is missing or damaged.
    """
    records = read_evaluations(folder)
    for label in sorted(records.keys() | {path.stem for path in folder.glob("[!.]*.parquet")}):
        if label not in records:
            raise RunError(
                f"{folder / label}.json is missing, and its samples are there; restore it from a copy, or delete "
                f"{folder.parent} to start the stage again"
            )
        read_facts(folder / f"{label}.parquet")
