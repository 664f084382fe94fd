"""What `dunwu run` ends with: before and after, one example of each, and where everything is. Reads the run
folder only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from dunwu.cli.comparison_view import print_comparison
from dunwu.cli.figures import duration, share
from dunwu.cli.model_source import finished_model
from dunwu.cli.thinking import styled
from dunwu.records import Rollout, RolloutGroup

if TYPE_CHECKING:
    from dunwu.runs.folder import RunFolder

_MAX_EXAMPLE_CHARACTERS = 1200
_NAMES = {
    "pass_at_1": "right answers (pass@1)",
    "format": "right format",
    "length_mean": "length in tokens",
    "self_check_frac": "checks itself",
    "truncated_frac": "cut at the limit",
    "nll": "loss (nats per token)",
    "perplexity": "perplexity",
    "token_accuracy": "right tokens",
    "accuracy": "right preferences",
    "loss": "loss (nats per row)",
    "margin": "chosen less rejected score",
    "safe_accuracy": "right about safe ones",
    "unsafe_accuracy": "right about unsafe ones",
}


def print_report(console: Console, path: Path) -> None:
    """Print each finished stage's table and example, and where the run is."""
    from dunwu.analysis.examples import find_example  # here: it loads pyarrow
    from dunwu.runs.folder import RunFolder

    run = RunFolder.read(path)
    for record in run.read_summary():
        console.print()
        print_stage(console, record)
        for line in warning_lines(record.get("reward_hacking", ())):
            console.print(line, soft_wrap=True)
        example = find_example(run.stage(record["name"]))
        if example is not None:
            _print_example(console, *example)
    console.print()
    for what, where in _places(run):
        console.print(Text(f"{what:<22}"), Text(where, style="bold"), sep="", soft_wrap=True)


def print_stage(console: Console, record: Mapping[str, Any]) -> None:
    """Print what a finished stage came to."""
    if "columns" in record:
        print_comparison(console, record)
    else:
        console.print(stage_table(record))


def stage_table(record: Mapping[str, Any]) -> Table:
    """Show what a finished stage came to: figures before and after, or what became of the samples it drew."""
    return kept_and_dropped(record) if "dropped" in record else before_after(record)


def kept_and_dropped(record: Mapping[str, Any]) -> Table:
    """Count the rows that a stage made, and what it dropped by the reason."""
    spent = duration(record["wall_seconds"])
    title = f"stage {record['name']}: {record['rows']:,} rows from {record['samples']:,} completions, {spent}"
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("what became of them")
    table.add_column("number", justify="right")
    for kind, count in record["kinds"].items():
        table.add_row(f"kept: {kind}", Text(f"{count:,}", style="bold"))
    for label, count in record["joined"].items():
        table.add_row(f"joined: {label}", f"{count:,}")
    for reason, count in sorted(record["dropped"].items(), key=lambda entry: (-entry[1], entry[0])):
        table.add_row(f"dropped: {reason.replace('_', ' ')}", f"{count:,}")
    return table


def warning_lines(notes: Sequence[Mapping[str, Any]]) -> list[Text]:
    """Write what the watch for reward hacking saw, one line for each evaluation."""
    return [Text(str(note["text"]), style="bold yellow") for note in notes]


def before_after(record: Mapping[str, Any]) -> Table:
    """Set a stage's held-out figures before and after side by side."""
    before, after = record["before"], record["after"]
    names = {
        key: key.replace("_at_", "@").replace("cons", "majority (cons") + ")"
        for key in before
        if _is_cons(key)
    }
    table = Table(title=_title(record), title_justify="left", title_style="bold")
    table.add_column(f"held-out {_held_out(record)[1]}")
    for column in ("before", "after"):
        table.add_column(column, justify="right")
    for key, name in {"pass_at_1": _NAMES["pass_at_1"], **names, **_NAMES}.items():
        if key in before and key in after:
            table.add_row(name, _written(before, key), Text(_written(after, key), style="bold"))
    for key, name in _general_names(before.get("general", {})).items():
        row = [_written(figures["general"], key) for figures in (before, after)]
        table.add_row(name, row[0], Text(row[1], style="bold"))
    return table


def _general_names(general: Mapping[str, Any]) -> dict[str, str]:
    """The figures of general prompts in their order, each with what it is called."""
    rewards = {key: f"general prompts: {key}" for key in general if f"{key}_interval" in general}
    others = {key: f"general prompts: {_NAMES[key]}" for key in ("format", "length_mean") if key in general}
    return {**rewards, **others}


def _print_example(console: Console, group: RolloutGroup, wrong: Rollout, right: Rollout) -> None:
    problem = group.prompt.problem
    console.print(
        Text(f"\n{problem.question.strip()}", style="bold"), Text(f"   (answer: {problem.reference})"), sep=""
    )
    for title, rollout, style in (("before", wrong, "red"), ("after", right, "green")):
        text = rollout.text
        if len(text) > _MAX_EXAMPLE_CHARACTERS:
            text = text[:_MAX_EXAMPLE_CHARACTERS] + " [...]"
        console.print(Panel(styled(text.strip()), title=title, title_align="left", border_style=style))


def _places(run: RunFolder) -> list[tuple[str, str]]:
    places = [("everything is in", f"{run.path}")]
    finished = [stage for stage in run.stages() if stage.finished]
    model = finished_model(run)
    if finished:
        if model is not None:
            places.append(("the model is in", f"{model}"))
        if (run.path / "curves.png").exists():
            places.append(("its curves are in", f"{run.path / 'curves.png'}"))
        if (run.path / "report.html").exists():
            places.append(("the report is", f"{run.path / 'report.html'}"))
        sampled = any(stage.rollout_indices() for stage in finished)
        places.append(("see its rollouts" if sampled else "see how it went", f"dunwu show {run.path}"))
        if model is not None:
            places.append(("talk to it", f"dunwu generate {run.path}"))
    return places


def _title(record: Mapping[str, Any]) -> str:
    number, what = _held_out(record)
    title = f"{record['name']}: {number} held-out {what}"
    seconds = record.get("wall_seconds")
    return title if seconds is None else f"{title}, {duration(seconds)}"


def _held_out(record: Mapping[str, Any]) -> tuple[int, str]:
    """How many of what a stage was evaluated on."""
    if "num_problems" in record:
        return record["num_problems"], "problems"
    if "rows" in record["held_out"]:
        return record["held_out"]["rows"], "preferences"
    return record["held_out"]["conversations"], "conversations"


def _is_cons(key: str) -> bool:
    return key.startswith("cons_at_") and not key.endswith("_interval")


def _written(figures: Mapping[str, Any], key: str) -> str:
    value = figures[key]
    if value is None:
        return "-"
    if key == "length_mean":
        return f"{value:.1f}"
    if key in ("nll", "perplexity", "loss", "margin"):
        return f"{value:.4g}"
    interval = figures.get(f"{key}_interval")
    if interval and not 0 <= interval[0] <= interval[1] <= 1:  # a score of a reward model as it is
        return f"{value:.3g} ± {(interval[1] - interval[0]) / 2:.2g}"
    return share(value) + (f" ± {50 * (interval[1] - interval[0]):.1f}" if interval else "")
