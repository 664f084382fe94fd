"""`dunwu show`: a run and its rollouts, from the run folder alone; needs neither torch nor a tracker."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dunwu.cli.diagnosis_view import diagnosis_lines
from dunwu.cli.errors import reports_errors
from dunwu.cli.figures import FIGURES, sparkline
from dunwu.cli.report import print_stage, warning_lines
from dunwu.cli.rollout_view import Only, group_panel, matches
from dunwu.config.comparison import ComparisonStage
from dunwu.config.on_policy import OnPolicyConfig
from dunwu.config.sft import SftConfig
from dunwu.errors import RunError
from dunwu.records import RolloutGroup
from dunwu.runs.stage_lineage import DECONTAMINATION_NAME

if TYPE_CHECKING:
    from dunwu.runs.folder import RunFolder
    from dunwu.runs.stage_folder import StageFolder

_CUT_CHARACTERS = 1500


@reports_errors
def show(
    run: Annotated[Path, typer.Argument(help="The run folder.")],
    stage: Annotated[str | None, typer.Option(help="A stage.", show_default="the last one begun")] = None,
    step: Annotated[
        int | None, typer.Option(help="The rollouts that this step trained on.", show_default="the last")
    ] = None,
    evaluation: Annotated[
        str | None, typer.Option(help="The samples of an evaluation: before, after, ...")
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="Only the problem with this id.")] = None,
    only: Annotated[Only | None, typer.Option(help="Only such rollouts.")] = None,
    contains: Annotated[
        str | None, typer.Option(help="Only rollouts with this text in completion or question, in any case.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Most groups; 0: all.")] = 3,
    full: Annotated[bool, typer.Option("--full", help="Show long completions whole.")] = False,
    digest: Annotated[
        bool,
        typer.Option("--digest", help="Print the hashes that a killed and an unkilled run have in common."),
    ] = False,
) -> None:
    """Show how a run went, and its rollouts: each with its reward, the parts of it, and its advantage."""
    from dunwu.runs.folder import RunFolder  # here: it loads pyarrow, which other commands do without

    folder = RunFolder.read(run)
    if digest:
        from dunwu.runs.digest import comparable_digest

        for name, sha256 in comparable_digest(run).items():
            typer.echo(f"{sha256}  {name}")
        return
    console = Console()
    chosen = folder.stage(stage) if stage else _last_begun(folder)
    if step is None and evaluation is None and prompt is None and only is None and contains is None:
        _print_overview(console, folder, chosen)
    if evaluation is not None:
        _require_evaluation(chosen, evaluation)
        title, groups = (
            f"evaluation {evaluation}",
            [(g, False) for g in chosen.read_evaluation_samples(evaluation)],
        )
    else:
        found = _rollouts(chosen, step)
        if found is None:
            if not _has_no_rollouts(folder, chosen):
                console.print("no rollouts yet")
            return
        title, groups = found
    choice = _Choice(prompt, only, contains)
    _print_groups(console, f"{chosen.name}, {title}", groups, choice, limit or None, full=full)


def _has_no_rollouts(folder: RunFolder, chosen: StageFolder) -> bool:
    return any(
        config.name == chosen.name and isinstance(config, SftConfig | ComparisonStage)
        for config in folder.recipe.stages
    )


def _last_begun(folder: RunFolder) -> StageFolder:
    begun = [stage for stage in folder.stages() if stage.path.is_dir()]
    return begun[-1] if begun else folder.stages()[0]


def _rollouts(stage: StageFolder, step: int | None) -> tuple[str, list[tuple[RolloutGroup, bool]]] | None:
    indices = stage.rollout_indices()
    if step is not None:
        index = stage.rollout_index_of_step(step)
        if index is None:
            last = stage.read_rollouts(indices[-1]).last_step if indices else 0
            there = f"those of steps 1 to {last}" if last else "none yet"
            raise RunError(f"stage {stage.name} has no rollouts of step {step}; it has {there}")
    elif indices:
        index = indices[-1]
    else:
        return None
    stored = stage.read_rollouts(index)
    steps = (
        f"step {stored.first_step}"
        if stored.first_step == stored.last_step
        else (f"steps {stored.first_step} to {stored.last_step}")
    )
    groups = [*((group, False) for group in stored.groups), *((group, True) for group in stored.dropped)]
    return f"rollout {stored.index} ({steps})", groups


def _require_evaluation(stage: StageFolder, label: str) -> None:
    labels = stage.evaluation_labels()
    if label not in labels:
        raise RunError(
            f"stage {stage.name} has no evaluation {label!r}; it has: {', '.join(labels) or 'none yet'}"
        )


def _print_overview(console: Console, folder: RunFolder, chosen: StageFolder) -> None:
    console.print(Text(f"run {folder.recipe.name} in {folder.path}", style="bold"), soft_wrap=True)
    summary = {record["name"]: record for record in folder.read_summary()}
    for stage, config in zip(folder.stages(), folder.recipe.stages, strict=True):
        done = len(stage.read_metrics())
        state = "finished" if stage.finished else "not begun" if not stage.path.is_dir() else "not finished"
        # how many steps the other stages have depends on data that are not read here
        steps = (
            f"{done} of {config.num_steps} steps" if isinstance(config, OnPolicyConfig) else f"{done} steps"
        )
        console.print(Text(f"stage {stage.name}: {state}, {steps}"))
        for line in decontamination_lines(stage):
            console.print(line, soft_wrap=True)
        if stage.name in summary:
            print_stage(console, summary[stage.name])
        notes = stage.reward_hacking_notes()
        for line in warning_lines(notes):
            console.print(line, soft_wrap=True)
        for text in diagnosis_lines(stage.diagnoses(), [str(note["text"]) for note in notes]):
            console.print(Text(text, style="yellow"), soft_wrap=True)
    metrics = chosen.read_metrics()
    if metrics:
        grid = Table.grid(padding=(0, 2))
        for figure in FIGURES:
            curve = sparkline([record.get(figure.key) for record in metrics], 40)
            if curve:
                grid.add_row(
                    figure.label,
                    figure.written(metrics[0]),
                    curve,
                    Text(figure.written(metrics[-1]), style="bold"),
                )
        console.print(grid)
    labels = chosen.evaluation_labels()
    if labels:
        console.print(Text(f"evaluations (--evaluation): {', '.join(labels)}", style="dim"))
    console.print()


def decontamination_lines(stage: StageFolder) -> Iterator[Text]:
    """Say how many training samples were left out because an evaluation set holds them, with the first as an example."""
    for key, report in stage.read_decontamination().items():
        if report["removed"]:
            first = report["examples"][0]
            yield Text(
                f"  {report['removed']:,} of {report['samples']:,} samples of {key} are left out because an evaluation set holds "
                f"them, for example {first['sample'][:60]!r}, which shares {first['shared'][:60]!r} with item "
                f"{first['evaluation_item']} of {first['evaluation_set']} (all: {stage.path / DECONTAMINATION_NAME})"
            )


@dataclass(frozen=True)
class _Choice:
    """Which rollouts to show; None: whatever they are."""

    prompt: str | None
    only: Only | None
    contains: str | None

    def members(self, group: RolloutGroup) -> list[int]:
        """Return the places of a group's rollouts that are to be shown."""
        if self.prompt is not None and group.prompt.problem.id != self.prompt:
            return []
        text = (self.contains or "").lower()
        asked = text in group.prompt.problem.question.lower()
        return [
            i
            for i, rollout in enumerate(group.rollouts)
            if matches(rollout, self.only) and (asked or text in rollout.text.lower())
        ]


def _print_groups(
    console: Console,
    title: str,
    groups: Sequence[tuple[RolloutGroup, bool]],
    choice: _Choice,
    limit: int | None,
    *,
    full: bool,
) -> None:
    chosen = [(group, choice.members(group), dropped) for group, dropped in groups]
    shown = [(group, members, dropped) for group, members, dropped in chosen if members]
    if not shown:
        console.print(Text(f"{title}: {_nothing(groups, choice)}"))
        return
    count = len(shown) if limit is None else min(limit, len(shown))
    more = "" if count == len(shown) else f" (--limit 0 shows all {len(shown)})"
    console.print(Text(f"{title}: {count} of {len(groups)} groups{more}", style="bold"))
    for group, members, dropped in shown[:count]:
        console.print(
            group_panel(group, members, max_characters=None if full else _CUT_CHARACTERS, dropped=dropped)
        )


def _nothing(groups: Sequence[tuple[RolloutGroup, bool]], choice: _Choice) -> str:
    known = sorted({group.prompt.problem.id for group, _ in groups})
    if choice.prompt is not None and choice.prompt not in known:
        near = difflib.get_close_matches(choice.prompt, known, n=5, cutoff=0.3) or known[:5]
        return f"no problem {choice.prompt}; there are for example {', '.join(near)}"
    wanted: list[str] = [choice.only] if choice.only is not None else []
    wanted += [f"with {choice.contains!r}"] if choice.contains is not None else []
    return f"no rollout is {' and '.join(wanted)}"
