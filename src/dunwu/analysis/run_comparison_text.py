"""A comparison of runs as text: how figures, intervals and differences are written, and the whole as Markdown. Pure.

Called by `dunwu compare`, which draws the same in a terminal.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dunwu.analysis.run_comparison import Unit

NOTHING = "-"


def figure(unit: Unit, value: float) -> str:
    """Write a figure: a share in per cent, a count whole, the rest with the digits that matter."""
    if unit == "share":
        return f"{100 * value:.1f}%"
    if unit in ("tokens", "seconds"):
        return f"{value:.1f}"
    return f"{value:,.0f}" if unit == "count" else f"{value:.4g}"


def cell_text(unit: Unit, cell: Mapping[str, Any] | None) -> str:
    """Write a figure with its interval: "94.9% [93.0, 96.4]"."""
    if cell is None:
        return NOTHING
    value = figure(unit, cell["value"])
    if cell["low"] is None:
        return value
    low, high = (figure(unit, cell[bound]).removesuffix("%") for bound in ("low", "high"))
    return f"{value} [{low}, {high}]"


def difference_text(unit: Unit, difference: Mapping[str, Any] | None) -> str:
    """Write a difference with its interval: "+1.3 points [-1.3, +3.9], no difference seen"."""
    if difference is None:
        return NOTHING
    scale, digits = (100, 1) if unit == "share" else (1, 1 if unit == "tokens" else 3)
    value, low, high = (f"{scale * difference[key]:+.{digits}f}" for key in ("value", "low", "high"))
    points = " points" if unit == "share" else ""
    return f"{value}{points} [{low}, {high}], {difference['seen']}"


def diagnosis_texts(stage: Mapping[str, Any], labels: Sequence[str]) -> Iterator[str]:
    """Say of each run what ailed the stage."""
    for label, diagnoses in zip(labels, stage["diagnoses"], strict=True):
        for diagnosis in diagnoses:
            yield f"{label}: {diagnosis['name']}, {diagnosis['when']}: {diagnosis['evidence']}"


def fault_texts(comparison: Mapping[str, Any]) -> Iterator[str]:
    """Say of each run what speaks against its figures; to be told before them."""
    for run in comparison["runs"]:
        for fault in run["faults"]:
            yield f"{run['label']}: {fault}"


def notes(comparison: Mapping[str, Any]) -> Iterator[str]:
    """Say how to read the figures."""
    differences = [
        difference
        for stage in comparison["stages"]
        for row in stage["rows"]
        for difference in row["differences"]
        if difference is not None
    ]
    if differences:
        first = comparison["runs"][0]["label"]
        how = (
            "problem by problem"
            if all(d["paired"] for d in differences)
            else "problem by problem where they have the same"
        )
        yield (
            f"Differences are to {first}, {how}; intervals: 95%, over problems. They say nothing of how far another seed would "
            "lead: one run is one draw."
        )


def markdown(comparison: Mapping[str, Any]) -> str:
    """Write the whole comparison as Markdown."""
    labels = [run["label"] for run in comparison["runs"]]
    lines = [
        f"# {' and '.join(labels)}",
        "",
        *(f"- {text}" for text in (*fault_texts(comparison), *notes(comparison))),
    ]
    for stage in comparison["stages"]:
        lines += ["", f"## {stage['name']}", ""]
        columns = ["", labels[0], *(text for label in labels[1:] for text in (label, "difference"))]
        lines += [_line(columns), _line(["---"] * len(columns))]
        for row in stage["rows"]:
            lines.append(_line([row["name"], *row_texts(row)]))
        lines += [f"- {text}" for text in diagnosis_texts(stage, labels)]
    lines += ["", "## Recipes", "", _line(["key", *labels]), _line(["---"] * (1 + len(labels)))]
    for entry in comparison["recipe"]:
        lines.append(_line([f"`{entry['key']}`", *(value_text(value) for value in entry["values"])]))
    return "\n".join(lines) + "\n"


def row_texts(row: Mapping[str, Any]) -> list[str]:
    """Write a row's cells, each but the first followed by its difference to the first."""
    texts = [cell_text(row["unit"], row["cells"][0])]
    for cell, difference in zip(row["cells"][1:], row["differences"][1:], strict=True):
        texts += [cell_text(row["unit"], cell), difference_text(row["unit"], difference)]
    return texts


def value_text(value: str | None) -> str:
    """Write a recipe's value."""
    return NOTHING if value is None else value


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
