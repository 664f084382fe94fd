"""The figures of a stage as columns over its steps, from metrics.jsonl, timings.jsonl and the evaluations. Reads leniently.

What a page has already is not sent again: it says the last step that it has, and the epoch, which changes when a stage was
rewound. Called by the routes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dunwu.dashboard.run_view import RunView
from dunwu.functional.diagnosis.watch import Diagnosis, Watch, diagnoses_of

_MOST_REPLAYED = 2_000
_NOT_FIGURES = {"step", "note", "column"}


def stage_series(view: RunView, stage: str, *, since: int, epoch: str | None) -> dict[str, Any]:
    """Return the figures after step `since`, or all if the stage's files are not those of `epoch` any more.

    Returns:
        {epoch, since, steps, columns, evaluations, diagnoses, faults}: columns hold a value or None for each step.
    """
    with view.lock:
        metrics, timings = view.tail(stage, "metrics.jsonl"), view.tail(stage, "timings.jsonl", shallow=True)
        now = f"{metrics.epoch}.{timings.epoch}"
        if epoch != now:
            since = 0
        records = _after(metrics.records, since)
        times = {record.get("step"): record for record in _after(timings.records, since)}
        steps = [record["step"] for record in records]
        columns: dict[str, list[Any]] = {}
        for index, record in enumerate(records):
            for source in (record, times.get(record["step"], {})):
                _add(columns, source, index, len(records))
        evaluations, faults = stage_evaluations(view, stage)
        diagnoses, diagnosis_faults = stage_diagnoses(view, stage)
        return {
            "epoch": now,
            "since": since,
            "steps": steps,
            "columns": columns,
            "notes": [
                [record["step"], record["note"]] for record in records if isinstance(record.get("note"), str)
            ],
            "evaluations": evaluations,
            "diagnoses": diagnoses,
            "faults": metrics.faults() + timings.faults() + faults + diagnosis_faults,
        }


def stage_evaluations(view: RunView, stage: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the figures of the stage's evaluations in the order of their steps, each with its `label`, and what is damaged."""
    records, faults = _evaluation_records(view, stage)
    return [
        {
            key: value
            for key, value in record.items()
            if key == "label" or _is_figure(value) or _is_interval(value)
        }
        for record in records
    ], faults


def stage_diagnoses(view: RunView, stage: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the ailments named while the stage ran, and what is damaged; of a stage without a record of them, those that its
    figures show now."""
    tail = view.tail(stage, "diagnosis.jsonl")
    try:
        if tail.exists:
            return _plain(diagnoses_of(tail.records)), tail.faults()
        metrics = view.tail(stage, "metrics.jsonl")
        if not metrics.records or "rollout" not in metrics.records[0]:
            return [], []  # only stages that learn from their own completions are watched
        if len(metrics.records) > _MOST_REPLAYED:
            return [], []  # it would take longer than a reader waits; `dunwu status` tells it
        evaluations, _ = _evaluation_records(view, stage)
        key = (metrics.epoch, len(metrics.records), len(evaluations))
        return view.remembered(
            (stage, "diagnoses"),
            key,
            lambda: _plain(diagnoses_of(Watch().replay(metrics.records, evaluations))),
        ), []
    except (KeyError, TypeError, ValueError) as error:
        return [], [
            f"{view.path / stage}: what ails it cannot be told, for its records are damaged ({error!r})"
        ]


def _plain(diagnoses: Sequence[Diagnosis]) -> list[dict[str, Any]]:
    return [{**asdict(diagnosis), "when": diagnosis.when} for diagnosis in diagnoses]


def _evaluation_records(view: RunView, stage: str) -> tuple[list[dict[str, Any]], list[str]]:
    found, faults = [], []
    for path in _evaluation_files(view.path / stage / "evaluation"):
        data, fault = view.json(stage, "evaluation", path.name)
        if fault:
            faults.append(fault)
        elif isinstance(data, dict) and isinstance(data.get("step"), int):
            found.append({**data, "label": path.stem})
    return sorted(found, key=lambda record: (record["step"], record["label"] != "before")), faults


def _evaluation_files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".json" and path.name[0] != ".")
    except OSError:
        return []


def _after(records: Sequence[Mapping[str, Any]], since: int) -> list[Mapping[str, Any]]:
    """Steps are written in order: what is new stands at the end."""
    begin = len(records)
    while begin > 0 and isinstance(step := records[begin - 1].get("step"), int) and step > since:
        begin -= 1
    if since == 0:
        begin = 0
    return [record for record in records[begin:] if isinstance(record.get("step"), int)]


def _add(columns: dict[str, list[Any]], source: Mapping[str, Any], index: int, count: int) -> None:
    for key, value in source.items():
        if key not in _NOT_FIGURES and _is_figure(value):
            column = columns.get(key)
            if column is None:
                column = columns[key] = [None] * count
            column[index] = value


def _is_figure(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_interval(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_figure, value))
