"""`dunwu report`: one HTML file about a run that opens offline, and the same as Markdown with its pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from dunwu.cli.doubts_view import print_doubts
from dunwu.cli.errors import reports_errors
from dunwu.errors import RunError


@reports_errors
def report(
    run: Annotated[Path, typer.Argument(help="The run folder, finished or not.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Where to.", show_default="the run folder"),
    ] = None,
) -> None:
    """Write a report of a run: what was run, what came out, how sure, where it fell short, and how to repeat it."""
    from dunwu.analysis.report import MARKDOWN_NAME, write_report  # here: it loads pyarrow
    from dunwu.pipeline.doubts import find_doubts
    from dunwu.runs.folder import RunFolder

    folder = RunFolder.read(run)
    target = output or run
    doubts = find_doubts(folder)
    try:
        written = write_report(folder, target, damaged=doubts.damaged, outdated=doubts.outdated)
    except OSError as error:
        raise RunError(
            f"the report cannot be written to {target} ({error}); choose another folder with -o"
        ) from error
    console = Console()
    print_doubts(doubts.lines)
    for path in (written, written.with_name(MARKDOWN_NAME)):
        console.print(Text(f"{path}", style="bold"), soft_wrap=True)
