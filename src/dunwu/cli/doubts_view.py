"""What speaks against a run's figures, in yellow before them. Reads nothing."""

from collections.abc import Sequence

from rich.text import Text

from dunwu.cli.errors import error_console


def print_doubts(lines: Sequence[str]) -> None:
    """Print a line for each sentence on stderr, which keeps what goes to a file or a pipe as it is."""
    for line in lines:
        error_console().print(Text(f"warning: {line}", style="bold yellow"), soft_wrap=True)
