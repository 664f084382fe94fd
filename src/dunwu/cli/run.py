"""`dunwu run`: checks a recipe, then hands it to the pipeline and shows how it goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from dunwu.cli.chain_view import chain_table
from dunwu.cli.console import LastingConsole
from dunwu.cli.doubts_view import print_doubts
from dunwu.cli.errors import EXIT_INTERRUPTED, error_console, reports_errors, this_command
from dunwu.cli.libraries import quiet_libraries
from dunwu.cli.plan import print_missing, print_plan
from dunwu.cli.report import print_report
from dunwu.cli.views import run_view
from dunwu.config.check import recipe_problems, require_none
from dunwu.config.dump import dump_recipe
from dunwu.config.load import load_recipe
from dunwu.config.recipe import Recipe

if TYPE_CHECKING:
    from dunwu.pipeline.selection import Selection

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
        typer.Option(
            "--dry-run",
            help="Print the whole recipe (stdout), the plan and what is missing here (stderr), and stop.",
        ),
    ] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Plain lines even in a terminal.")] = False,
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="STAGE", help="Begin with this stage; those before must be finished."),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="STAGE", help="End with this stage.")] = None,
    only: Annotated[str | None, typer.Option(metavar="STAGE", help="Run this one stage.")] = None,
    rerun_changed: Annotated[
        bool,
        typer.Option(
            "--rerun-changed",
            help="Run stages again whose recipe, data or models have changed; what they made before is set aside.",
        ),
    ] = False,
    profile: Annotated[
        bool,
        typer.Option(
            "--profile",
            help="Profile two steps of every stage that trains: where time and memory went, in <stage>/profile.",
        ),
    ] = False,
) -> None:
    """Run a recipe, or continue its run where it was stopped.

    Everything that the run makes lies in its folder; the same command continues it after any interruption. A finished stage is
    not run again, unless what it was made from has changed and --rerun-changed is given. When nobody reads its output any more, a
    run goes on without showing anything.
    """
    loaded = load_recipe(recipe, set_ or [])
    problems = recipe_problems(loaded)
    require_none([*problems.mistakes, *(() if dry_run else problems.missing)])
    if any(model.dtype == "auto" for model in loaded.all_models.values()):
        from dunwu.pipeline.dtypes import settle_dtypes  # here: it loads torch

        loaded = settle_dtypes(loaded)
    folder = run_dir or Path("runs") / loaded.name
    # after the recipe's own mistakes are told: these load pyarrow
    from dunwu.pipeline.plan import plan_of, require_runnable
    from dunwu.pipeline.selection import Selection
    from dunwu.runs.folder import continues_run

    continues = continues_run(folder)
    selection = Selection.of_options(from_, until, only)
    links = plan_of(loaded, folder, selection)
    if dry_run:
        typer.echo(dump_recipe(loaded), nl=False)
        print_plan(error_console(), loaded, folder, continues=continues)
        error_console().print(chain_table(links))
        print_missing(error_console(), problems.missing)
    require_runnable(links, folder, rerun_changed=rerun_changed)
    if not dry_run:
        _run(loaded, folder, selection, plain=plain, rerun_changed=rerun_changed, profile=profile)


def _run(
    recipe: Recipe,
    folder: Path,
    selection: Selection,
    *,
    plain: bool,
    rerun_changed: bool,
    profile: bool,
) -> None:
    console = LastingConsole()
    console.print(
        Text(
            f"{'continuing' if (folder / 'manifest.json').exists() else 'new'} run in {folder}", style="dim"
        ),
        soft_wrap=True,
    )
    try:
        with run_view(console, plain=plain) as view:
            from dunwu.pipeline.run import run_recipe  # here, so that the view is up while torch loads

            quiet_libraries()
            run_recipe(recipe, folder, view, selection, rerun_changed=rerun_changed, profile=profile)
    except KeyboardInterrupt:
        error_console().print(
            Text(f"\ninterrupted; the same command continues the run:\n  {this_command()}", style="yellow"),
            soft_wrap=True,
        )
        raise typer.Exit(EXIT_INTERRUPTED) from None
    from dunwu.analysis.curves import draw_curves
    from dunwu.analysis.report import write_report
    from dunwu.pipeline.doubts import find_doubts
    from dunwu.runs.disk import disk_faults
    from dunwu.runs.folder import RunFolder

    finished = RunFolder.read(folder)
    doubts = find_doubts(finished)
    with disk_faults(folder):
        draw_curves(finished, folder / "curves.png")
        write_report(finished, folder, damaged=doubts.damaged, outdated=doubts.outdated)
    print_doubts(doubts.lines)
    print_report(console, folder)
