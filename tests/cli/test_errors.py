import sys
import warnings
from io import StringIO

import pytest
import typer
from rich.console import Console

from dunwu.cli import errors
from dunwu.cli.errors import print_error, reports_errors, shown_warnings, this_command
from dunwu.errors import ConfigError, DunwuError, DunwuWarning, NonFiniteError, RunError


@pytest.mark.parametrize(
    ("error", "title"),
    [
        (ConfigError("a [red] key"), "config error"),
        (RunError("a [red] key"), "run error"),
        (NonFiniteError("a [red] key"), "not finite"),
        (DunwuError("a [red] key"), "error"),
    ],
)
def test_our_errors_end_with_one_message_on_stderr_and_code_2(error, title, capsys):
    @reports_errors
    def command():
        raise error

    with pytest.raises(typer.Exit) as caught:
        command()
    assert caught.value.exit_code == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"{title}: a [red] key\n")


def test_a_terminal_gets_a_panel(monkeypatch):
    console = Console(file=StringIO(), force_terminal=True, width=40, color_system=None)
    monkeypatch.setattr(errors, "error_console", lambda: console)
    print_error(ConfigError("what is wrong"))
    first, second, third = console.file.getvalue().splitlines()
    assert first.startswith("╭─ config error ─")
    assert second.startswith("│ what is wrong ")
    assert third.startswith("╰─")


def test_an_interrupt_ends_with_code_130(capsys):
    @reports_errors
    def command():
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as caught:
        command()
    assert caught.value.exit_code == 130
    assert "interrupted" in capsys.readouterr().err


def test_our_own_faults_keep_their_traceback():
    @reports_errors
    def command():
        raise ValueError("bug")

    with pytest.raises(ValueError, match="bug"):
        command()


def test_values_and_signatures_pass_through():
    @reports_errors
    def command(x: int, *, y: int = 2) -> int:
        """Doc."""
        return x + y

    assert command(1, y=5) == 6
    assert command.__doc__ == "Doc."


def test_our_warnings_are_one_sentence_and_are_never_hidden(capsys):
    with shown_warnings():
        for _ in range(2):
            warnings.warn("the newest checkpoint [3] is damaged", DunwuWarning, stacklevel=1)
    assert capsys.readouterr().err == "warning: the newest checkpoint [3] is damaged\n" * 2


def test_warnings_of_others_keep_their_own_way(monkeypatch):
    shown = []
    monkeypatch.setattr(warnings, "showwarning", lambda message, category, *place: shown.append(message))
    with shown_warnings():
        warnings.showwarning("theirs", UserWarning, "file.py", 3)
        warnings.showwarning("ours", DunwuWarning, "file.py", 3)
    assert shown == ["theirs"]


def test_the_command_can_be_typed_again(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/bin/dunwu", "run", "a b.toml", "-s", "x=[1]"])
    assert this_command() == "dunwu run 'a b.toml' -s 'x=[1]'"
