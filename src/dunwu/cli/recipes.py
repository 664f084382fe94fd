"""`dunwu recipes` and `dunwu version`: what comes with this dunwu."""

import typer

from dunwu import __version__
from dunwu.cli.errors import reports_errors
from dunwu.config.shipped import shipped_recipes


@reports_errors
def recipes() -> None:
    """List the recipes that come with dunwu; `dunwu run NAME` runs one."""
    shipped = shipped_recipes()
    width = max((len(name) for name in shipped), default=0)
    for name, path in shipped.items():
        first = path.read_text(encoding="utf-8").partition("\n")[0]
        about = first.lstrip("# ") if first.startswith("#") else ""
        typer.echo(f"{name:<{width}}  {about}".rstrip())


def version() -> None:
    """Print the version."""
    typer.echo(f"dunwu {__version__}")
