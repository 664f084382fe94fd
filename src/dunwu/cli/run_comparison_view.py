"""A comparison of runs in the terminal. Reads nothing. Used by `dunwu compare RUN RUN`."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from dunwu.analysis.run_comparison_text import diagnosis_texts, fault_texts, notes, row_texts, value_text

_SEEN_STYLES = {"higher": "bold", "lower": "bold", "no difference seen": "dim"}
_MOST_KEYS = 30
_NAME_WIDTH, _CELL_WIDTH = 34, 42


def print_run_comparison(console: Console, comparison: Mapping[str, Any], *, full: bool = False) -> None:
    """Print what is damaged, the runs stage by stage, then where their recipes differ.

    Args:
        full: print every key that differs, not only the first ones.
    """
    if not console.is_terminal:
        needed = _NAME_WIDTH + (_CELL_WIDTH + 3) * (2 * len(comparison["runs"]) - 1)
        console = Console(file=console.file, width=max(console.width, needed), color_system=None)
    console.print(run_comparison_view(comparison, full=full))


def run_comparison_view(comparison: Mapping[str, Any], *, full: bool) -> Group:
    """Show a comparison of runs."""
    labels = [run["label"] for run in comparison["runs"]]
    parts: list[Any] = [Text(text, style="bold yellow") for text in fault_texts(comparison)]
    for stage in comparison["stages"]:
        table = Table(title=stage["name"], title_justify="left", title_style="bold")
        table.add_column("")
        for index, label in enumerate(labels):
            table.add_column(Text(label), justify="right")
            if index:
                table.add_column(Text("difference"), justify="right")
        for row in stage["rows"]:
            texts = [Text(text) for text in row_texts(row)]
            for index, difference in enumerate(row["differences"][1:]):
                texts[2 * index + 2].stylize(_SEEN_STYLES[difference["seen"]] if difference else "dim")
            table.add_row(Text(row["name"]), *texts)
        parts += [table, *(Text(text, style="yellow") for text in diagnosis_texts(stage, labels)), Text()]
    parts.append(_recipes(comparison, labels, full=full))
    return Group(*parts, Text(), *(Text(note, style="dim") for note in notes(comparison)))


def _recipes(comparison: Mapping[str, Any], labels: list[str], *, full: bool) -> Group | Table | Text:
    entries = comparison["recipe"]
    if not entries:
        return Text("the recipes are the same", style="dim")
    table = Table(title="where the recipes differ", title_justify="left", title_style="bold")
    table.add_column("key")
    for label in labels:
        table.add_column(Text(label), overflow="fold")
    shown = entries if full else entries[:_MOST_KEYS]
    for entry in shown:
        table.add_row(Text(entry["key"]), *(Text(value_text(value)) for value in entry["values"]))
    if len(shown) < len(entries):
        return Group(
            table, Text(f"{len(entries) - len(shown)} more; --full shows all {len(entries)}", style="dim")
        )
    return table
