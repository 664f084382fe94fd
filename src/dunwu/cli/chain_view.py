"""The chain of a recipe's stages as a table: what each reads and makes, and what running would do to it. Prints nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from dunwu.config.references import references

if TYPE_CHECKING:
    from dunwu.config.stage import Stage
    from dunwu.pipeline.plan import Action, Link

_MADE = {"model": "a model", "reward_model": "a reward model", "data": "data"}
_ACTIONS: dict[Action, tuple[str, str]] = {
    "keep": ("is finished, and kept", "green"),
    "run": ("runs", ""),
    "continue": ("goes on where it stopped", ""),
    "rerun": ("runs again", "yellow"),
    "compare": ("runs again if what it reads comes out different", "yellow"),
    "leave": ("is left out", "dim"),
}


def chain_table(links: Sequence[Link]) -> Table:
    """Show the chain, one row per stage, with the reasons below a stage that would run again."""
    table = Table(box=None, padding=(0, 2), title="chain", title_justify="left", title_style="bold")
    for column in ("stage", "reads", "makes", "now"):
        table.add_column(column, overflow="fold")
    for link in links:
        what, style = _ACTIONS[link.action]
        now = Text(what, style=style)
        for reason in link.reasons:
            now.append(f"\n{reason}")
        table.add_row(Text(link.name), Text("\n".join(read_by(link.stage))), Text(made_by(link.stage)), now)
    return table


def read_by(stage: Stage) -> list[str]:
    """List what a stage reads, one line per key; a model that it starts from stands without its key."""
    lines: dict[str, list[str]] = {}
    for reference in references(stage):
        if reference.what != "function":
            key = ".".join(str(part) for part in reference.location if isinstance(part, str))
            lines.setdefault(key, []).append(reference.name)
    return [
        ", ".join(names) if key == "start" else f"{key}: {', '.join(names)}" for key, names in lines.items()
    ]


def made_by(stage: Stage) -> str:
    """Say what a stage makes."""
    return ", ".join(words for product, words in _MADE.items() if product in stage.makes) or "figures"
