"""`dunwu plot`: a run's curves as a picture."""

from pathlib import Path
from typing import Annotated

import typer

from dunwu.cli.errors import reports_errors


@reports_errors
def plot(
    run: Annotated[Path, typer.Argument(help="The run folder.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The PNG to write.", show_default="curves.png in the run folder"),
    ] = None,
) -> None:
    """Draw a run's curves: reward, right answers, length, self-checking, KL, entropy. Works while it runs, too."""
    from dunwu.analysis.curves import draw_curves
    from dunwu.runs.folder import RunFolder

    for path in draw_curves(RunFolder.read(run), out or run / "curves.png"):
        typer.echo(str(path))
