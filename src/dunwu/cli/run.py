"""`dunwu run`: checks a recipe, then hands it to the pipeline and shows how it goes."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from dunwu.cli.errors import EXIT_INTERRUPTED, error_console, reports_errors, this_command
from dunwu.cli.libraries import quiet_libraries
from dunwu.cli.plan import print_plan
from dunwu.cli.report import print_report
from dunwu.cli.views import run_view
from dunwu.config.check import check_recipe
from dunwu.config.dump import dump_recipe
from dunwu.config.load import load_recipe
from dunwu.config.recipe import Recipe

Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", "-s", metavar="KEY=VALUE", help="Change a key, for example stages.r1_zero.num_steps=40."
    ),
]


@reports_errors
def run(
    recipe: Annotated[
        str, typer.Argument(help="A recipe file, or the name of one that `dunwu recipes` lists.")
    ],
    run_dir: Annotated[
        Path | None, typer.Option(help="The run folder.", show_default="runs/<recipe name>")
    ] = None,
    set_: Overrides = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the whole recipe (stdout) and the plan (stderr), and stop."),
    ] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Plain lines even in a terminal.")] = False,
) -> None:
    """Run a recipe, or continue its run where it was stopped.

    Everything that the run makes lies in its folder; the same command continues it after any interruption.
    """
    loaded = load_recipe(recipe, set_ or [])
    check_recipe(loaded)
    folder = run_dir or Path("runs") / loaded.name
    from dunwu.runs.folder import (
        ensure_continues,
    )  # after the recipe's own mistakes are told: it loads pyarrow

    continues = ensure_continues(folder, loaded)
    if dry_run:
        typer.echo(dump_recipe(loaded), nl=False)
        print_plan(error_console(), loaded, folder, continues=continues)
        return
    _run(loaded, folder, plain=plain, continues=continues)


def _run(recipe: Recipe, folder: Path, *, plain: bool, continues: bool) -> None:
    console = Console()
    console.print(
        Text(f"{'continuing' if continues else 'new'} run in {folder}", style="dim"), soft_wrap=True
    )
    try:
        with run_view(console, plain=plain) as view:
            from dunwu.pipeline.run import run_recipe  # here, so that the view is up while torch loads

            quiet_libraries()
            run_recipe(recipe, folder, view)
    except KeyboardInterrupt:
        error_console().print(
            Text(f"\ninterrupted; the same command continues the run:\n  {this_command()}", style="yellow"),
            soft_wrap=True,
        )
        raise typer.Exit(EXIT_INTERRUPTED) from None
    from dunwu.analysis.curves import draw_curves
    from dunwu.runs.folder import RunFolder

    draw_curves(RunFolder.read(folder), folder / "curves.png")
    print_report(console, folder)
