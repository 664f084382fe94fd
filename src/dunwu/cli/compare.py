"""`dunwu compare`: the stage table of a run, again, from its folder alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dunwu.cli.comparison_view import print_comparison
from dunwu.cli.errors import reports_errors
from dunwu.config.comparison import ComparisonStage
from dunwu.errors import ConfigError, RunError

if TYPE_CHECKING:
    from dunwu.runs.folder import RunFolder


@reports_errors
def compare(
    run: Annotated[Path, typer.Argument(help="The run folder.")],
    stage: Annotated[
        str | None, typer.Option(help="A stage of the kind comparison.", show_default="the last of them")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print it as Markdown.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
) -> None:
    """Show the models of a run side by side, with intervals, and which of the paper's findings hold."""
    from dunwu.runs.comparison_files import read_comparison  # here: it loads pyarrow
    from dunwu.runs.files import canonical_json
    from dunwu.runs.folder import RunFolder

    if markdown and json_:
        raise ConfigError("--markdown and --json are both given; choose one")
    folder = RunFolder.read(run)
    table, text = read_comparison(folder.stage(_stage_name(folder, stage)))
    if json_:
        typer.echo(canonical_json(table, "comparison", indent=2))
    elif markdown:
        typer.echo(text, nl=False)
    else:
        print_comparison(Console(), table)


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
