"""`dunwu status`: the chain of a run with the state of each stage, from the run folder alone; also of one that is running."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dunwu.cli.diagnosis_view import diagnosis_lines
from dunwu.cli.errors import reports_errors
from dunwu.cli.figures import duration, share, size
from dunwu.runs.stage_lineage import DECONTAMINATION_NAME

if TYPE_CHECKING:
    from dunwu.pipeline.status import RunStatus, Situation, StageStatus

_STYLES: dict[Situation, str] = {
    "waiting": "dim",
    "running": "bold cyan",
    "stopped": "yellow",
    "failed": "red",
    "finished": "green",
    "changed": "yellow",
    "follows a changed stage": "yellow",
}
_SHARES = ("pass_at_1", "accuracy", "token_accuracy", "format")
_KEY_FIGURES = {
    "pass_at_1": "pass@1",
    "accuracy": "right",
    "nll": "loss",
    "reward": "reward",
    "length_mean": "length",
}


@reports_errors
def status(
    run: Annotated[Path, typer.Argument(help="The run folder.")],
    json_: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Hash every file that finished stages made.")
    ] = False,
) -> None:
    """Show how a run stands: each stage, its steps and time left, its figures, sizes on disk, and what to do next."""
    from dunwu.pipeline.status import run_status  # here: it loads pyarrow, which other commands do without

    found = run_status(run, verify=verify)
    if json_:
        typer.echo(json.dumps(as_json(found), ensure_ascii=False, indent=2))
    else:
        print_status(Console(), found, verified=verify)


def as_json(found: RunStatus) -> dict[str, Any]:
    """Return a status as plain data."""
    return {**asdict(found), "path": str(found.path)}


def print_status(console: Console, found: RunStatus, *, verified: bool = False) -> None:
    """Print the chain, what is set aside, and what to do next."""
    state = "running" if found.live else "not running"
    console.print(
        Text(f"run {found.name} in {found.path}: {state}, {size(found.num_bytes)}", style="bold"),
        soft_wrap=True,
    )
    table = Table(box=None, padding=(0, 2))
    for column in ("stage", "state", "steps", "figures"):
        table.add_column(column, overflow="fold")
    table.add_column("on disk", justify="right")
    for stage in found.stages:
        table.add_row(
            Text(stage.name),
            Text(stage.situation, style=_STYLES[stage.situation]),
            Text(_steps(stage)),
            Text(key_figures(stage.figures)),
            Text(size(stage.num_bytes) if stage.num_bytes else "-"),
        )
    console.print(table)
    for line in _notes(found, verified=verified):
        console.print(line, soft_wrap=True)
    console.print(Text(found.next_action, style="bold"), soft_wrap=True)


def key_figures(figures: Mapping[str, Any]) -> str:
    """Write the few figures that say how a stage goes or went: before and after, or those of a step, or counts."""
    if "findings" in figures:
        hold = sum(finding["verdict"] == "holds" for finding in figures["findings"])
        return f"{len(figures['columns'])} models side by side, {hold} of {len(figures['findings'])} findings hold"
    before, after = figures.get("before"), figures.get("after")
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        parts = [
            f"{label} {_written(key, before[key])} -> {_written(key, after[key])}"
            for key, label in _KEY_FIGURES.items()
            if before.get(key) is not None and after.get(key) is not None
        ]
        return ", ".join(parts[:2])
    parts = [
        f"{label} {_written(key, figures[key])}"
        for key, label in _KEY_FIGURES.items()
        if figures.get(key) is not None
    ]
    counts = [
        f"{key} {value:,}"
        for key, value in figures.items()
        if isinstance(value, int) and key not in ("step", "num_steps")
    ]
    counts.sort(key=lambda text: not text.startswith("rows "))
    return ", ".join(parts[:3] or counts[:3])


def _written(key: str, value: float) -> str:
    return share(value) if key in _SHARES else f"{value:.4g}"


def _steps(stage: StageStatus) -> str:
    if stage.situation == "waiting":
        return f"{stage.num_steps:,}" if stage.num_steps else "-"
    steps = f"{stage.steps:,}" + (f"/{stage.num_steps:,}" if stage.num_steps is not None else "")
    return steps if stage.seconds_left is None else f"{steps}, {duration(stage.seconds_left)} left"


def _notes(found: RunStatus, *, verified: bool) -> list[Text]:
    notes = []
    for stage in found.stages:
        if stage.changes:
            what = (
                "was made with something else"
                if stage.situation != "running"
                else "is made with something else"
            )
            notes.append(Text(f"{stage.name} {what}: {'; '.join(stage.changes)}", style="yellow"))
        elif stage.situation == "follows a changed stage":
            followed = ", ".join(stage.follows)
            notes.append(Text(f"{stage.name} runs again if {followed} comes out different", style="yellow"))
        notes += [Text(f"{stage.name}: {text}", style="bold yellow") for text in stage.warnings]
        notes += [
            Text(f"{stage.name}: {line}", style="yellow")
            for line in diagnosis_lines(stage.diagnoses, stage.warnings)
        ]
        for key, (removed, samples) in stage.removed.items():
            if removed:
                where = found.path / stage.name / DECONTAMINATION_NAME
                what = f"{stage.name} leaves out {removed:,} of {samples:,} samples of {key}"
                notes.append(Text(f"{what} that an evaluation set holds: {where}"))
        if stage.checkpoint_steps:
            steps = ", ".join(f"{step:,}" for step in stage.checkpoint_steps)
            best = f" (best: {stage.best_step:,})" if stage.best_step is not None else ""
            notes.append(
                Text(
                    f"{stage.name} keeps checkpoints of step {steps}{best}: {size(stage.checkpoint_bytes)}",
                    style="dim",
                )
            )
    for folders, what in (
        (found.aside, "a stage that was replaced"),
        (found.strays, "no stage of the recipe any more"),
    ):
        for name, num_bytes in folders.items():
            notes.append(
                Text(f"{name} is {what}: {size(num_bytes)}; delete it if nobody needs it", style="dim")
            )
    if found.failure is not None:
        notes.append(Text(f"the last run failed: {found.failure}", style="red"))
    if verified and not any(stage.changes for stage in found.stages):
        notes.append(Text("every file of the finished stages is as it was made", style="green"))
    return notes
