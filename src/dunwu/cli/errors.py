"""Errors and warnings as a user should see them: one panel, no traceback, an exit code that scripts can
read."""

import functools
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from dunwu.cli.console import LastingConsole
from dunwu.errors import DunwuError, DunwuWarning

EXIT_FAULT = 2
EXIT_INTERRUPTED = 130

_P = ParamSpec("_P")
_R = TypeVar("_R")


def error_console() -> Console:
    """Return a console on stderr, which is looked up at each call so that it can be redirected."""
    return LastingConsole(stderr=True)


def reports_errors(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let a command end with a panel and exit code 2 on a `DunwuError`, and with 130 on Ctrl-C.

    Anything else is our own fault and keeps its traceback.
    """

    @functools.wraps(command)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            with shown_warnings():
                return command(*args, **kwargs)
        except DunwuError as error:
            print_error(error)
            raise typer.Exit(EXIT_FAULT) from None
        except KeyboardInterrupt:
            error_console().print(Text("\ninterrupted", style="yellow"))
            raise typer.Exit(EXIT_INTERRUPTED) from None

    return wrapped


def print_error(error: DunwuError) -> None:
    """Print an error in a panel; in a log, where boxes and line breaks get in the way, as plain text."""
    name = type(error).__name__.removesuffix("Error").lower()
    title = {"dunwu": "error", "nonfinite": "not finite"}.get(name, f"{name} error")
    console = error_console()
    if console.is_terminal:
        console.print(Panel(Text(str(error)), title=title, border_style="red", title_align="left"))
    else:
        console.print(Text(f"{title}: {error}"), soft_wrap=True)


@contextmanager
def shown_warnings() -> Iterator[None]:
    """Print each `DunwuWarning` as one yellow sentence; leave other warnings as they are."""
    before = warnings.showwarning

    def show(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, DunwuWarning):
            error_console().print(Text(f"warning: {message}", style="yellow"))
        else:
            before(message, category, *place, **more)

    with warnings.catch_warnings():
        warnings.simplefilter("always", DunwuWarning)
        warnings.showwarning = show
        yield


def this_command() -> str:
    """Return the command line that the user typed, ready to be typed again."""
    return shlex.join(["dunwu", *sys.argv[1:]])
