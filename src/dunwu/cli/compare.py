"""`dunwu compare`: the stage table of a run, or several runs side by side, from their folders alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dunwu.cli.comparison_view import print_comparison
from dunwu.cli.doubts_view import print_doubts
from dunwu.cli.errors import reports_errors
from dunwu.config.comparison import ComparisonStage
from dunwu.errors import ConfigError, RunError

if TYPE_CHECKING:
    from dunwu.runs.folder import RunFolder


@reports_errors
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN [RUN ...]", help="One run folder: its stage table; several: side by side."
        ),
    ],
    stage: Annotated[
        str | None, typer.Option(help="A stage of the kind comparison.", show_default="the last of them")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print it as Markdown.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Of several runs: every key in which the recipes differ.")
    ] = False,
) -> None:
    """Show the models of a run side by side, with intervals, and which of the paper's findings hold.

    Of several runs: what each stage came to, with the difference to the first run, and where their recipes differ.
    """
    from dunwu.pipeline.doubts import find_doubts  # here: they load pyarrow
    from dunwu.runs.comparison_files import read_comparison
    from dunwu.runs.files import canonical_json
    from dunwu.runs.folder import RunFolder

    if markdown and json_:
        raise ConfigError("--markdown and --json are both given; choose one")
    if len(runs) > 1:
        if stage is not None:
            raise ConfigError(
                "--stage chooses a stage table of one run; several runs are compared stage by stage"
            )
        _compare_runs(runs, markdown=markdown, json_=json_, full=full)
        return
    folder = RunFolder.read(runs[0])
    table, text = read_comparison(folder.stage(_stage_name(folder, stage)))
    print_doubts(find_doubts(folder).lines)
    if json_:
        typer.echo(canonical_json(table, "comparison", indent=2))
    elif markdown:
        typer.echo(text, nl=False)
    else:
        print_comparison(Console(), table)


def _compare_runs(runs: list[Path], *, markdown: bool, json_: bool, full: bool) -> None:
    from dunwu.analysis.run_comparison import compare_runs
    from dunwu.analysis.run_comparison_text import markdown as as_markdown
    from dunwu.cli.run_comparison_view import print_run_comparison
    from dunwu.pipeline.doubts import find_doubts
    from dunwu.runs.files import canonical_json
    from dunwu.runs.folder import RunFolder

    folders = [RunFolder.read(path) for path in runs]  # a table has no place for what is no run
    comparison = compare_runs(runs)
    for told, folder in zip(comparison["runs"], folders, strict=True):
        told["faults"] += [line for line in find_doubts(folder).lines if line not in told["faults"]]
    if json_:
        typer.echo(canonical_json(comparison, "comparison", indent=2))
    elif markdown:
        typer.echo(as_markdown(comparison), nl=False)
    else:
        print_run_comparison(Console(), comparison, full=full)


def _stage_name(folder: RunFolder, wanted: str | None) -> str:
    names = [stage.name for stage in folder.recipe.stages if isinstance(stage, ComparisonStage)]
    if not names:
        raise RunError(
            f'the run {folder.path} has no stage of the kind "comparison"; add one to its recipe and run it again'
        )
    if wanted is not None and wanted not in names:
        raise RunError(
            f"the run {folder.path} has no comparison {wanted!r}; its comparisons are {', '.join(names)}"
        )
    return wanted or names[-1]
