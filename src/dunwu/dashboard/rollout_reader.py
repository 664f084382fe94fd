"""Reads rollouts for pages: queries of `analysis.rollout_query` as plain data, completions cut into pieces with their marks.

Called by the routes of the pages Rollouts and Self-evolution.
"""

import atexit
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from dunwu.analysis.index_store import IndexStore, Snapshot
from dunwu.analysis.marks import foreign_runs, guessed_form, mixes, opened, pieces
from dunwu.analysis.rollout_query import file_of, first_of_each_group, read_group, read_rows, visits
from dunwu.analysis.rollout_rows import WORDS, thinking_end
from dunwu.analysis.self_correction import KINDS, find_correction
from dunwu.analysis.text_diff import difference, likeness
from dunwu.config.output_form import OutputForm
from dunwu.dashboard.errors import ApiError
from dunwu.dashboard.store import RunStore
from dunwu.runs.rollout_files import count_rollouts, evaluation_files, find_file, stages_with_samples

PREVIEW_CHARS = 1200
_FORM: TypeAdapter[OutputForm] = TypeAdapter(OutputForm)
_LISTED = (
    "prompt_id", "question", "prompt", "language", "reference", "answer", "completion", "group", "sample_index", "reward",
    "advantage", "correct", "num_tokens", "finish_reason", "dropped",
)  # fmt: skip
_DAMAGES_SHOWN = 5


@dataclass(frozen=True)
class Place:
    """Where rollouts lie: a stage of a run, its training rollouts or the samples of its evaluations."""

    run_id: str
    run: Path
    stage: str
    evaluations: bool


class RolloutReader:
    """Answers the pages' questions from the index and the rollout files."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._indices = IndexStore()
        atexit.register(self._indices.close)

    def place(self, run_id: str, stage: str, *, evaluations: bool = False) -> Place:
        """Find a stage; raises as `RunStore.stage_path`."""
        self._store.stage_path(run_id, stage)
        return Place(run_id, self._store.path(run_id), stage, evaluations)

    def snapshot(self, place: Place) -> Snapshot:
        """Return the rollouts as far as they are indexed."""
        return self._indices.index(place.run, place.stage, evaluations=place.evaluations).snapshot()

    def stages(self, run_id: str) -> list[dict[str, Any]]:
        """List the stages that have rollouts, or samples of evaluations."""
        run = self._store.path(run_id)
        return [
            {
                "name": name,
                "rollouts": count_rollouts(run / name),
                "evaluations": [file.label for file in evaluation_files(run / name)],
            }
            for name in stages_with_samples(run)
        ]

    def facts(self, place: Place, snapshot: Snapshot) -> dict[str, Any]:
        """Say what there is: how much is indexed, which steps, kinds, languages and labels, and what is damaged."""
        damages = [fact.damage for fact in snapshot.files if fact.damage]
        whole = [fact for fact in snapshot.files if fact.num_rows]
        trouble = self._indices.index(place.run, place.stage, evaluations=place.evaluations).trouble
        more = [f"and {len(damages) - _DAMAGES_SHOWN} more files"] if len(damages) > _DAMAGES_SHOWN else []
        return {
            "files": len(snapshot.files),
            "num_files": snapshot.num_files,
            "rows": snapshot.num_rows,
            "complete": snapshot.complete,
            "faults": [*damages[:_DAMAGES_SHOWN], *more, *([trouble] if trouble else [])],
            "first_step": min((fact.first_step for fact in whole), default=None),
            "last_step": max((fact.last_step for fact in whole), default=None),
            "labels": [{"label": f.label, "step": f.first_step} for f in snapshot.files if f.label],
            "kinds": sorted({kind for fact in whole for kind in fact.kinds}),
            "languages": sorted({language for fact in whole for language in fact.languages}),
            "words": list(WORDS),
            "corrections": list(KINDS),
        }

    def cards(self, place: Place, snapshot: Snapshot, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Return some rollouts with the beginning of their text."""
        records = read_rows(snapshot, rows, _LISTED)
        return [self._card(place, snapshot, row, record) for row, record in zip(rows, records, strict=True)]

    def group(self, place: Place, number: int, label: str, group: int) -> dict[str, Any]:
        """Return the rollouts of one group, whole, with all that led to their advantages; needs no index."""
        members, num_groups = read_group(find_file(place.run / place.stage, number, label), group)
        first = members[0]
        return {
            "rollout": number,
            "label": label,
            "group": group,
            "steps": [first["first_step"], first["last_step"]],
            "groups": num_groups,
            **{
                name: first[name]
                for name in ("prompt_id", "kind", "language", "grader", "question", "prompt")
            },
            "reference": first["reference"],
            "dropped": first["dropped"],
            "members": [self._member(place, member) for member in members],
        }

    def groups(
        self, place: Place, snapshot: Snapshot, rows: np.ndarray, offset: int, limit: int
    ) -> dict[str, Any]:
        """Return a page of the groups that some rollouts belong to, in the order of the rollouts."""
        order = first_of_each_group(snapshot, rows)
        heads = rows[order[offset : offset + limit]].tolist()
        records = read_rows(snapshot, heads, ("prompt_id", "question", "language", "kind", "reference"))
        listed = [self._group_line(snapshot, row, record) for row, record in zip(heads, records, strict=True)]
        return {"total": len(order), "groups": listed}

    def history(self, place: Place, snapshot: Snapshot, prompt_id: str) -> dict[str, Any]:
        """Return every group that answered one problem, in the order of time."""
        found = visits(snapshot, prompt_id)
        if not found:
            raise ApiError(404, f"no rollout that is indexed so far answers the problem {prompt_id!r}")
        head = read_rows(snapshot, [found[0][0]], ("question", "reference", "kind", "language", "prompt"))[0]
        return {
            "prompt_id": prompt_id,
            **{name: head[name] for name in ("question", "reference", "kind", "language", "prompt")},
            "visits": [self._visit(snapshot, members) for members in found],
        }

    def change(self, place: Place, snapshot: Snapshot, rows: tuple[int, int]) -> dict[str, Any]:
        """Return two completions and what changed from the first to the second."""
        cards = [self._card(place, snapshot, row, record, whole=True) for row, record in zip(
            rows, read_rows(snapshot, rows, _LISTED), strict=True
        )]  # fmt: skip
        old, new = ("".join(piece["text"] for piece in card["pieces"]) for card in cards)
        edits = difference(old, new)
        return {
            "old": cards[0],
            "new": cards[1],
            "edits": [edit._asdict() for edit in edits],
            "likeness": likeness(edits),
        }

    def row(self, snapshot: Snapshot, number: int, label: str, inside: int) -> int:
        """Return the place in the snapshot of a file's row.

        Raises:
            ApiError: 404, there is none.
        """
        _, at = file_of(snapshot, number, label)
        row = int(snapshot.starts[at]) + inside
        if not 0 <= inside < snapshot.files[at].num_rows:
            raise ApiError(404, f"rollout {number} has {snapshot.files[at].num_rows} rows, not {inside}")
        return row

    def _card(
        self, place: Place, snapshot: Snapshot, row: int, record: Mapping[str, Any], *, whole: bool = False
    ) -> dict[str, Any]:
        fact = snapshot.files[snapshot.place(row)]
        text = record["completion"]
        names = (
            "group",
            "prompt_id",
            "question",
            "language",
            "reference",
            "answer",
            "reward",
            "advantage",
            "correct",
            "dropped",
        )
        foreign = foreign_runs(text, record["language"], record["question"])
        return {
            "rollout": fact.number,
            "label": fact.label,
            "step": fact.first_step,
            "row": record["row"],
            **{name: record[name] for name in names},
            "sample": record["sample_index"],
            "tokens": record["num_tokens"],
            "truncated": record["finish_reason"] == "length",
            "mixed": mixes(*foreign[1:]),
            "characters": len(text),
            "pieces": self._pieces(place, record, None if whole else PREVIEW_CHARS),
        }

    def _member(self, place: Place, member: Mapping[str, Any]) -> dict[str, Any]:
        parts = [
            {
                "name": name.removeprefix("part.").removesuffix(".status"),
                "value": member[name.replace(".status", ".value")],
                "status": status,
                "detail": member[name.replace(".status", ".detail")] or "",
            }
            for name, status in member.items()
            if name.startswith("part.") and name.endswith(".status") and status is not None
        ]
        correction = _correction(member)
        return {
            "sample": member["sample_index"],
            **{name: member[name] for name in ("reward", "advantage", "correct", "answer", "sum_logprob")},
            "tokens": member["num_tokens"],
            "truncated": member["finish_reason"] == "length",
            "parts": parts,
            "correction": None
            if correction is None
            else {"kind": correction.kind, "reason": correction.reason},
            "pieces": self._pieces(place, member, None),
        }

    def _pieces(self, place: Place, record: Mapping[str, Any], most: int | None) -> list[dict[str, str]]:
        text, prompt = record["completion"], record["prompt"]
        correction = _correction(record)
        cut = pieces(
            text,
            self._form(place, text, prompt),
            language=record["language"],
            question=record["question"],
            turns=correction.spans if correction else (),
        )
        result, length = [], 0
        for piece in cut:
            marks = {name: value for name, value in piece._asdict().items() if value and name != "text"}
            kept = piece.text if most is None else piece.text[: most - length]
            result.append({"text": kept, **marks})
            length += len(kept)
            if most is not None and length >= most:
                break
        return result

    def _form(self, place: Place, text: str, prompt: str) -> OutputForm:
        recipe, _ = self._store.view(place.run_id).json("recipe.toml")
        tables = recipe.get("stages", []) if isinstance(recipe, dict) else []
        for table in tables if isinstance(tables, list) else []:
            if isinstance(table, dict) and table.get("name") == place.stage and "output_form" in table:
                try:
                    return opened(_FORM.validate_python(table["output_form"]), prompt)
                except ValidationError:
                    break
        return guessed_form(text, prompt)

    def _group_line(self, snapshot: Snapshot, row: int, record: Mapping[str, Any]) -> dict[str, Any]:
        at = snapshot.place(row)
        here = np.arange(snapshot.starts[at], snapshot.starts[at + 1])
        group = int(snapshot.column("group")[row])
        members = here[snapshot.column("group")[here] == group].tolist()
        names = ("prompt_id", "question", "language", "kind", "reference")
        return {**{name: record[name] for name in names}, **self._visit(snapshot, members)}

    def _visit(self, snapshot: Snapshot, members: Sequence[int]) -> dict[str, Any]:
        at = snapshot.place(members[0])
        fact = snapshot.files[at]
        samples = [
            {
                "row": row - int(snapshot.starts[at]),
                "sample": int(snapshot.column("sample")[row]),
                "correct": _verdict(int(snapshot.column("correct")[row])),
                **{
                    name: _plain(snapshot.column(name)[row])
                    for name in ("reward", "advantage", "tokens", "truncated")
                },
            }
            for row in members
        ]
        return {
            "rollout": fact.number,
            "label": fact.label,
            "step": fact.first_step,
            "group": int(snapshot.column("group")[members[0]]),
            "dropped": bool(snapshot.column("dropped")[members[0]]),
            "samples": samples,
        }


def _correction(record: Mapping[str, Any]) -> Any:
    if record.get("correct") is False:
        return None
    return find_correction(record["completion"], record["answer"], thinking_end(record["completion"]))


def _verdict(code: int) -> bool | None:
    return None if code < 0 else bool(code)


def _plain(value: Any) -> Any:
    return value.item()
