"""Several runs side by side: what each stage came to, with intervals and differences, and where their recipes differ.

Reads run folders alone, and runs no model. What is damaged is said and left out. Where two runs answered the same held-out
problems, their difference is taken problem by problem. Called by `dunwu compare RUN RUN` and by the dashboard.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dunwu.analysis.problem_scores import ACCURACY, CHECKS, CUT, LENGTH, MAJORITY, Scores, problem_scores
from dunwu.analysis.recipe_differences import recipe_differences
from dunwu.config.comparison import ComparisonStage
from dunwu.errors import RunError
from dunwu.functional.independent import independent_difference
from dunwu.functional.paired import mean_with_normal_interval, paired_difference
from dunwu.functional.passk import Estimate, mean_with_interval
from dunwu.runs.folder import RunFolder
from dunwu.runs.stage_folder import StageFolder

Unit = Literal["share", "tokens", "number", "seconds", "count"]
_FIRST = (
    ACCURACY,
    MAJORITY,
    "format",
    "readability",
    "language",
    "helpfulness",
    "harmlessness",
    CHECKS,
    LENGTH,
    CUT,
)
_NAMES: Mapping[str, str] = {
    ACCURACY: "right answers (pass@1)",
    MAJORITY: "right answers by majority vote",
    "format": "right format",
    "readability": "readable",
    "language": "language consistency",
    CHECKS: "checks itself",
    LENGTH: "length in tokens",
    CUT: "cut at the limit",
    "nll": "held-out loss, nats per token",
    "token_accuracy": "held-out right tokens",
    "loss": "held-out loss, nats per row",
    "preferences": "right preferences",
    "rows": "rows made",
    "seconds": "seconds of work",
}


@dataclass
class _Measured:
    """What is known of one stage, or one column of a table, in one run."""

    scores: Scores = field(default_factory=dict)
    figures: dict[str, tuple[Unit, Estimate | float]] = field(default_factory=dict)
    diagnoses: list[dict[str, Any]] = field(default_factory=list)


def compare_runs(paths: Sequence[Path]) -> dict[str, Any]:
    """Set runs side by side; differences are to the first of them.

    Returns:
        Plain data.
        `runs`: for each path, label, name, seed, and faults (sentences on what is damaged).
        `recipe`: as `recipe_differences`.
        `stages`: for each name, kind, rows and, for each run, diagnoses. The columns of a stage table are stages of the kind
        "column" after it.
        A row has key, name, unit ("share", "tokens", "number", "seconds", "count"), cells and differences, both one for each
        run. A cell has value, low, high and num_problems, the last three None where there is no interval; it is None where
        nothing was measured. A difference has value, low, high, num_problems, paired (whether problem by problem) and seen:
        "higher", "lower" or "no difference seen" (the interval holds 0); it is None for the first run and where there is no
        interval.
    """
    runs = [_OneRun(path) for path in paths]
    names = list(dict.fromkeys(name for run in runs for name in run.stages))
    stages = [_side_by_side(name, runs) for name in names]
    return {
        "runs": [
            {"path": str(run.path), "label": label, "name": run.name, "seed": run.seed, "faults": run.faults}
            for run, label in zip(runs, _labels(paths), strict=True)
        ],
        "recipe": recipe_differences([run.recipe for run in runs]),
        "stages": [stage for stage in stages if stage["rows"] or any(stage["diagnoses"])],
    }


class _OneRun:
    """One run, read as far as it can be."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.faults: list[str] = []
        self.recipe: dict[str, Any] = {}
        self.stages: dict[str, tuple[str, _Measured]] = {}
        try:
            self.recipe = tomllib.loads((path / "recipe.toml").read_text(encoding="utf-8"))
            self._read(RunFolder.read(path))
        except (OSError, ValueError, RunError) as error:
            self.faults.append(str(error))
        self.name = str(self.recipe.get("name", path.name))
        self.seed = self.recipe.get("seed")

    def _read(self, run: RunFolder) -> None:
        for config, folder in zip(run.recipe.stages, run.stages(), strict=True):
            measured = _Measured()
            self.stages[config.name] = (config.kind, measured)
            if not folder.path.is_dir():
                continue
            self._try(lambda m=measured, f=folder: self._read_stage(m, f))
            if isinstance(config, ComparisonStage):
                for column in config.columns:
                    of_column = _Measured()
                    self.stages[f"{config.name}: {column.label}"] = ("column", of_column)
                    for label in (
                        column.file_name,
                        f"{column.file_name}.judged",
                        f"{column.file_name}.general",
                    ):
                        if label in folder.evaluation_labels():
                            self._try(lambda m=of_column, f=folder, la=label: _add_scores(m, f, la))

    def _try(self, read: Any) -> None:
        try:
            read()
        except RunError as error:
            self.faults.append(str(error))

    def _read_stage(self, measured: _Measured, folder: StageFolder) -> None:
        measured.diagnoses = [
            {"name": d.name, "began": d.began, "ended": d.ended, "when": d.when, "evidence": d.evidence}
            for d in folder.diagnoses()
        ]
        if folder.finished:
            record = folder.read_record()
            if "wall_seconds" in record:
                measured.figures["seconds"] = ("seconds", float(record["wall_seconds"]))
            if "rows" in record and "dropped" in record:
                measured.figures["rows"] = ("count", record["rows"])
        if "after" not in folder.evaluation_labels():
            return
        figures = folder.read_evaluation("after") or {}
        units: tuple[tuple[str, Unit], ...] = (
            ("nll", "number"),
            ("token_accuracy", "share"),
            ("loss", "number"),
        )
        for key, unit in units:
            if isinstance(figures.get(key), int | float):
                measured.figures[key] = (unit, float(figures[key]))
        if "num_questions" in figures and figures.get("accuracy_interval"):
            low, high = figures["accuracy_interval"]
            found = Estimate(figures["accuracy"], low, high, figures["num_questions"])
            measured.figures["preferences"] = ("share", found)
        if "pass_at_1" in figures:
            _add_scores(measured, folder, "after")


def _add_scores(measured: _Measured, folder: StageFolder, label: str) -> None:
    for name, scores in problem_scores(folder.read_evaluation_columns(label)).items():
        measured.scores.setdefault(name, scores)


def _side_by_side(name: str, runs: Sequence[_OneRun]) -> dict[str, Any]:
    found = [run.stages.get(name, ("", _Measured())) for run in runs]
    measured = [of_run for _, of_run in found]
    keys = {key for of_run in measured for key in (*of_run.scores, *of_run.figures)}
    ordered = [key for key in _FIRST if key in keys] + sorted(keys - set(_FIRST))
    return {
        "name": name,
        "kind": next((kind for kind, _ in found if kind), ""),
        "rows": [_row(key, measured) for key in ordered],
        "diagnoses": [of_run.diagnoses for of_run in measured],
    }


def _row(key: str, measured: Sequence[_Measured]) -> dict[str, Any]:
    unit = _unit(key, measured)
    estimates = [_estimate(key, of_run, unit) for of_run in measured]
    differences = [
        None,
        *(_difference(key, unit, estimates, measured, index) for index in range(1, len(measured))),
    ]
    name = _NAMES.get(key) or key.replace("_", " ")
    return {
        "key": key,
        "name": name,
        "unit": unit,
        "cells": [_cell(estimate) for estimate in estimates],
        "differences": differences,
    }


def _unit(key: str, measured: Sequence[_Measured]) -> Unit:
    for of_run in measured:
        if key in of_run.figures:
            return of_run.figures[key][0]
    if key == LENGTH:
        return "tokens"
    scores = [score for of_run in measured for score in of_run.scores.get(key, {}).values()]
    return "share" if all(0 <= score <= 1 for score in scores) else "number"


def _estimate(key: str, of_run: _Measured, unit: Unit) -> Estimate | float | None:
    if key in of_run.figures:
        return of_run.figures[key][1]
    scores = list(of_run.scores.get(key, {}).values())
    if not scores:
        return None
    return mean_with_interval(scores) if unit == "share" else mean_with_normal_interval(scores)


def _cell(found: Estimate | float | None) -> dict[str, Any] | None:
    if found is None:
        return None
    if isinstance(found, Estimate):
        return {"value": found.mean, "low": found.low, "high": found.high, "num_problems": found.num_problems}
    return {"value": found, "low": None, "high": None, "num_problems": None}


def _difference(
    key: str,
    unit: Unit,
    estimates: Sequence[Estimate | float | None],
    measured: Sequence[_Measured],
    index: int,
) -> dict[str, Any] | None:
    """The difference of one run to the first: by problem where both have the same ones, else of the two figures."""
    first, other = (measured[i].scores.get(key, {}) for i in (0, index))
    mine, base = estimates[index], estimates[0]
    if first and first.keys() == other.keys():
        if unit == "share":
            paired = paired_difference(other, first)
            assert paired is not None, "they have problems"
            found = Estimate(paired.mean, paired.low, paired.high, paired.num_problems)
        else:
            found = mean_with_normal_interval([other[problem] - first[problem] for problem in first])
        return _told(found, paired=True)
    if isinstance(mine, Estimate) and isinstance(base, Estimate):
        return _told(independent_difference(mine, base), paired=False)
    return None


def _told(found: Estimate, *, paired: bool) -> dict[str, Any]:
    seen = "higher" if found.low > 0 else "lower" if found.high < 0 else "no difference seen"
    return {
        "value": found.mean,
        "low": found.low,
        "high": found.high,
        "num_problems": found.num_problems,
        "paired": paired,
        "seen": seen,
    }


def _labels(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell them apart."""
    resolved = [path.resolve() for path in paths]
    for depth in range(1, max((len(path.parts) for path in resolved), default=1) + 1):
        ends = ["/".join(path.parts[-depth:]) for path in resolved]
        if len(set(ends)) == len(set(resolved)):
            return ends
    return [str(path) for path in resolved]
