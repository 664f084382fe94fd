"""The `dunwu` command: its subcommands and nothing else. Heavy imports happen inside the commands that need
them."""

import os

import typer

from dunwu.cli.compare import compare
from dunwu.cli.dashboard import dashboard
from dunwu.cli.data_check import data_app
from dunwu.cli.doctor import doctor
from dunwu.cli.evaluate import evaluate
from dunwu.cli.generate import generate
from dunwu.cli.openmp import wait_briefly
from dunwu.cli.plot import plot
from dunwu.cli.recipes import recipes, version
from dunwu.cli.report_file import report
from dunwu.cli.run import run
from dunwu.cli.score import score
from dunwu.cli.show import show
from dunwu.cli.status import status

app = typer.Typer(
    name="dunwu",
    help="dunwu (顿悟) turns a base language model into a reasoning model, and shows it happen.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run)
app.command("status")(status)
app.command("show")(show)
app.command("compare")(compare)
app.command("report")(report)
app.command("plot")(plot)
app.command("dashboard")(dashboard)
app.command("eval")(evaluate)
app.command("generate")(generate)
app.command("score")(score)
app.add_typer(data_app, name="data")
app.command("recipes")(recipes)
app.command("doctor")(doctor)
app.command("version")(version)


def main() -> None:
    """Run the command line of this process."""
    wait_briefly(os.environ)
    app()
