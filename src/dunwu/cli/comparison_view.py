"""A comparison in the terminal: the stage table with intervals below the figures, and what the paper found. Reads nothing.

Used at the end of `dunwu run`, by `dunwu show` and by `dunwu compare`.
"""

from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from dunwu.functional.comparison_text import cell_texts, check_text, notes, row_name, title

_VERDICT_STYLES = {"holds": "green", "does not hold": "red", "undecided": "yellow"}
_COLUMN_WIDTH = 14  # "100.0 to 100.0"
_NAME_WIDTH = 34


def comparison_view(record: Mapping[str, Any]) -> Group:
    """Show a comparison: table, findings, and how the figures came about."""
    parts: list[Any] = [comparison_table(record)]
    if record["findings"]:
        parts += [Text(), findings_table(record)]
    parts += [Text(), *(Text(note, style="dim") for note in notes(record))]
    return Group(*parts)


def comparison_table(record: Mapping[str, Any]) -> Table:
    """One column for each model, each cell a figure with its interval below."""
    table = Table(title=title(record), title_justify="left", title_style="bold")
    table.add_column("")
    for column in record["columns"]:
        table.add_column(Text(column["label"]), justify="right")
    for row in record["rows"]:
        cells = []
        for cell in row["cells"]:
            value, interval = cell_texts(row["unit"], cell)
            text = Text(value, style="bold" if interval else "dim")
            cells.append(text.append(f"\n{interval}", style="not bold dim") if interval else text)
        table.add_row(Text(row_name(row)), *cells)
    return table


def findings_table(record: Mapping[str, Any]) -> Table:
    """The paper's claims, each with its verdict and the differences behind it."""
    table = Table(
        title="what the paper found", title_justify="left", title_style="bold", box=None, padding=(0, 2)
    )
    for name in ("claim", "verdict", "seen"):
        table.add_column(name, overflow="fold")
    for finding in record["findings"]:
        seen = "\n".join(check_text(check) for check in finding["checks"])
        verdict = Text(finding["verdict"], style=_VERDICT_STYLES[finding["verdict"]])
        table.add_row(Text(finding["claim"]), verdict, Text(seen))
    return table


def print_comparison(console: Console, record: Mapping[str, Any]) -> None:
    """Print a comparison; where nobody's window sets a limit (a file, a pipe) as wide as it is."""
    if not console.is_terminal:
        needed = _NAME_WIDTH + (_COLUMN_WIDTH + 3) * len(record["columns"])
        console = Console(file=console.file, width=max(console.width, needed), color_system=None)
    console.print(comparison_view(record))
