"""Rollout groups as Parquet tables and back: one row per rollout, every figure that led to its advantage
beside its text.

Writing and reading give equal records, so a stage killed in the middle of a rollout goes on training on the
file, except for `Problem.metadata`, which belongs to the task and is not stored. Columns of reward parts are
named `part.<name>.value`, `part.<name>.status` and `part.<name>.detail`. Called by the stage folder.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dunwu.errors import RunError
from dunwu.records import Completion, Problem, Prompt, Reward, RewardPart, Rollout, RolloutGroup
from dunwu.runs.files import canonical_json

_FACTS = b"dunwu"
_COLUMNS: dict[str, pa.DataType] = {
    "rollout": pa.int32(),
    "first_step": pa.int32(),
    "last_step": pa.int32(),
    "group": pa.int32(),
    "dropped": pa.bool_(),
    "prompt_id": pa.string(),
    "kind": pa.string(),
    "language": pa.string(),
    "grader": pa.string(),
    "question": pa.string(),
    "prompt": pa.string(),
    "prompt_token_ids": pa.list_(pa.int32()),
    "reference": pa.string(),
    "sample_index": pa.int32(),
    "completion": pa.string(),
    "token_ids": pa.list_(pa.int32()),
    "logprobs": pa.list_(pa.float64()),
    "finish_reason": pa.string(),
    "num_tokens": pa.int32(),
    "sum_logprob": pa.float64(),
    "reward": pa.float64(),
    "answer": pa.string(),
    "correct": pa.bool_(),
    "advantage": pa.float64(),
}


@dataclass(frozen=True)
class StoredRollouts:
    """One file of rollouts.

    Steps `first_step` to `last_step` train on `groups`; `dropped` are the groups that were sampled but
    replaced before training. `index` counts a stage's rollouts from 1; it is 0 for the samples of an
    evaluation, whose two steps are the step after which it was made.
    """

    index: int
    first_step: int
    last_step: int
    groups: tuple[RolloutGroup, ...]
    dropped: tuple[RolloutGroup, ...] = ()


def write_table(path: Path, stored: StoredRollouts) -> None:
    """Write the file; equal `stored` give equal bytes.

    Raises:
        ValueError: a group has not as many advantages as rollouts.
    """
    groups = [(group, False) for group in stored.groups] + [(group, True) for group in stored.dropped]
    part_names = sorted({name for group, _ in groups for r in group.rollouts for name in r.reward.parts})
    rows = [
        {**_stage_columns(stored), "group": number, "dropped": dropped, **row}
        for number, (group, dropped) in enumerate(groups)
        for row in _rows(group)
    ]
    facts = {"index": stored.index, "first_step": stored.first_step, "last_step": stored.last_step}
    schema = rollout_schema(part_names).with_metadata({_FACTS: canonical_json(facts).encode()})
    floats = ["logprobs.list.element"]
    pq.write_table(
        pa.Table.from_pylist(rows, schema=schema),
        path,
        compression="zstd",
        write_page_checksum=True,
        use_dictionary=[name for name in schema.names if name != "logprobs"],
        column_encoding=dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
    )


def read_table(path: Path) -> StoredRollouts:
    """Read a file of `write_table`.

    Raises:
        RunError: the file is not there or cannot be read as one.
    """
    facts = read_facts(path)
    try:
        rows = pq.read_table(path, page_checksum_verification=True).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, error) from error
    missing = _COLUMNS.keys() - (rows[0].keys() if rows else _COLUMNS.keys())
    if missing:
        raise unreadable(path, KeyError(f"no column {min(missing)}"))
    kept: list[RolloutGroup] = []
    dropped: list[RolloutGroup] = []
    for _, group_rows in groupby(rows, key=lambda row: row["group"]):
        members = list(group_rows)
        (dropped if members[0]["dropped"] else kept).append(_group(members))
    return StoredRollouts(
        facts["index"], facts["first_step"], facts["last_step"], tuple(kept), tuple(dropped)
    )


def read_facts(path: Path) -> dict[str, int]:
    """Read a file's `index`, `first_step` and `last_step` without its rows.

    Raises:
        RunError: the file is not there or cannot be read as one.
    """
    try:
        return dict(json.loads(pq.read_metadata(path).metadata[_FACTS]))
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> RunError:
    """Say that a file of a stage, in its rollouts/ or evaluation/, is not one of rollouts, and what to do."""
    return RunError(
        f"{path} cannot be read as a file of rollouts ({type(error).__name__}: {error}); restore it from a "
        f"copy, or delete {path.parent.parent} to start that stage again"
    )


def rollout_schema(part_names: Sequence[str]) -> pa.Schema:
    """Return the columns of a file whose rewards have these parts."""
    fields = list(_COLUMNS.items())
    for name in part_names:
        fields += [
            (f"part.{name}.value", pa.float64()),
            (f"part.{name}.status", pa.string()),
            (f"part.{name}.detail", pa.string()),
        ]
    return pa.schema(fields)


def _stage_columns(stored: StoredRollouts) -> dict[str, Any]:
    return {"rollout": stored.index, "first_step": stored.first_step, "last_step": stored.last_step}


def _rows(group: RolloutGroup) -> Iterator[dict[str, Any]]:
    prompt, problem = group.prompt, group.prompt.problem
    if len(group.rollouts) != len(group.advantages):
        raise ValueError(
            f"the group of prompt {problem.id!r} has {len(group.rollouts)} rollouts and "
            f"{len(group.advantages)} advantages"
        )
    for rollout, advantage in zip(group.rollouts, group.advantages, strict=True):
        completion, reward = rollout.completion, rollout.reward
        row: dict[str, Any] = {
            "prompt_id": problem.id,
            "kind": problem.kind,
            "language": problem.language,
            "grader": problem.grader,
            "question": problem.question,
            "prompt": prompt.text,
            "prompt_token_ids": prompt.token_ids,
            "reference": problem.reference,
            "sample_index": rollout.sample_index,
            "completion": rollout.text,
            "token_ids": completion.token_ids,
            "logprobs": completion.logprobs,
            "finish_reason": completion.finish_reason,
            "num_tokens": len(completion.token_ids),
            "sum_logprob": math.fsum(completion.logprobs),
            "reward": reward.total,
            "answer": reward.answer,
            "correct": reward.correct,
            "advantage": advantage,
        }
        for name, part in reward.parts.items():
            row[f"part.{name}.value"] = part.value
            row[f"part.{name}.status"] = part.status
            row[f"part.{name}.detail"] = part.detail
        yield row


def _group(rows: Sequence[dict[str, Any]]) -> RolloutGroup:
    first = rows[0]
    problem = Problem(
        id=first["prompt_id"],
        kind=first["kind"],
        question=first["question"],
        reference=first["reference"],
        grader=first["grader"],
        language=first["language"],
    )
    return RolloutGroup(
        prompt=Prompt(problem, first["prompt"], tuple(first["prompt_token_ids"])),
        rollouts=tuple(_rollout(row) for row in rows),
        advantages=tuple(row["advantage"] for row in rows),
    )


def _rollout(row: dict[str, Any]) -> Rollout:
    parts = {}
    for column, status in row.items():
        if column.startswith("part.") and column.endswith(".status") and status is not None:
            name = column.removeprefix("part.").removesuffix(".status")
            parts[name] = RewardPart(row[f"part.{name}.value"], status, row[f"part.{name}.detail"])
    return Rollout(
        sample_index=row["sample_index"],
        completion=Completion(tuple(row["token_ids"]), tuple(row["logprobs"]), row["finish_reason"]),
        text=row["completion"],
        reward=Reward(row["reward"], parts, row["answer"]),
    )
