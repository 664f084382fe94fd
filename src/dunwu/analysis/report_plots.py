"""The pictures of a report that are not curves of one stage: the models of a stage table beside each other. PNG by matplotlib.

Called by `report`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_ROWS = (
    ("right answers", (("accuracy", "each answer counts"), ("majority", "majority vote"))),
    ("helpful and harmless", (("helpfulness", "helpful"), ("harmlessness", "harmless"))),
)
_COLOURS = ("#1d4ed8", "#d97706")
_INK, _FAINT = "#1f2937", "#e5e7eb"


def draw_models(table: Mapping[str, Any], path: Path) -> None:
    """Write a picture of the table's models: their right answers, and how helpful and harmless they are, with intervals."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = {row["key"]: row for row in table["rows"]}
    panels = [
        (title, drawn)
        for title, wanted in _ROWS
        if (drawn := [(label, rows[key]) for key, label in wanted if key in rows])
    ]
    labels = [column["label"] for column in table["columns"]]
    figure = Figure(figsize=(5.2 * len(panels), 0.42 * len(labels) + 1.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, drawn) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _panel(axes, title, labels, drawn)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, metadata={"Software": "dunwu"})


def _panel(
    axes: Any, title: str, labels: Sequence[str], drawn: Sequence[tuple[str, Mapping[str, Any]]]
) -> None:
    for number, (label, row) in enumerate(drawn):
        offset = 0.18 * (number - (len(drawn) - 1) / 2)
        points = [(place + offset, cell) for place, cell in enumerate(row["cells"]) if cell]
        values = [100 * cell["value"] for _, cell in points]
        errors = [
            [max(0.0, 100 * (cell["value"] - cell["low"])) for _, cell in points],
            [max(0.0, 100 * (cell["high"] - cell["value"])) for _, cell in points],
        ]
        axes.errorbar(
            values,
            [place for place, _ in points],
            xerr=errors,
            fmt="o" if number == 0 else "D",
            markersize=5,
            capsize=3,
            linewidth=1.4,
            color=_COLOURS[number],
            label=label,
        )
    axes.set_yticks(range(len(labels)), labels, fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(-3, 103)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f}%")
    axes.tick_params(axis="x", labelsize=8, colors=_INK)
    axes.grid(axis="x", color=_FAINT)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_title(title, fontsize=10, loc="left", color=_INK)
    axes.legend(fontsize=8, frameon=False, loc="best")
