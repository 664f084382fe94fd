"""A console for work that is worth more than its display. Called by `dunwu run`, and for what goes to stderr."""

import os

from rich.console import Console


class LastingConsole(Console):
    """Falls silent when nobody reads its output any more, as behind `| head`, where rich would end the program."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, self.file.fileno())  # Python must not try again to write what is left at its end
        os.close(devnull)
