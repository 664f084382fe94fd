"""A stage table as text: how figures, intervals and findings are written, and the whole as Markdown. Imports no torch.

Called by the comparison, by the report of a run, and by the command line, which draws the same in a terminal.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

NOTHING = "-"


def figure(unit: str, value: float) -> str:
    """Write a figure: a share in per cent, a number of tokens with one digit."""
    return f"{100 * value:.1f}" if unit == "share" else f"{value:.1f}"


def row_name(row: Mapping[str, Any]) -> str:
    """Name a row with its unit."""
    return f"{row['name']}, %" if row["unit"] == "share" else str(row["name"])


def cell_texts(unit: str, cell: Mapping[str, Any] | None) -> tuple[str, str]:
    """Write a cell's figure and its interval; a figure that was not measured is "-"."""
    if cell is None:
        return NOTHING, ""
    return figure(unit, cell["value"]), f"{figure(unit, cell['low'])} to {figure(unit, cell['high'])}"


def title(record: Mapping[str, Any]) -> str:
    """Say what was asked."""
    asked = f"{record['num_problems']:,} held-out problems with {record['samples_per_problem']:,} completions each"
    if record["num_general"]:
        asked += f", {record['num_general']:,} general prompts with {record['samples_per_general']:,}"
    return f"{record['name']}: {asked}"


def check_text(check: Mapping[str, Any]) -> str:
    """Write one comparison of a finding: "readability: Dev1 - R1-Zero = +12.0 points [7.1, 16.9]"."""
    rows = check["rows"]
    measured = rows[0] if len(rows) == 1 else f"mean of {', '.join(rows[:-1])} and {rows[-1]}"
    what = f"{measured}: {check['first']} - {check['second']}"
    if check["difference"] is None:
        return f"{what}: not measured"
    low, high = (f"{100 * check[key]:+.1f}" for key in ("low", "high"))
    text = f"{what} = {100 * check['difference']:+.1f} points [{low}, {high}]"
    return text + (f", more than {100 * check['margin']:+.0f} asked for" if check["margin"] else "")


def notes(record: Mapping[str, Any]) -> Iterator[str]:
    """Say how the figures came about, one sentence each."""
    sampling = record["sampling"]
    yield (
        f"Sampled at temperature {sampling['temperature']:g}, top-p {sampling['top_p']:g}, at most "
        f"{sampling['max_new_tokens']:,} tokens; all models with the same random numbers. "
        "Intervals: 95%, over problems."
    )
    for column in record["columns"]:
        yield (
            f"{column['label']} ({column['model']}): template {column['template']}, form {column['output_form']}, answers from "
            f"{', '.join(column['answer_from'])}; {column['why']}."
        )
    counted = [
        (row["name"], max((c["num_problems"] for c in row["cells"] if c), default=0))
        for row in record["rows"]
    ]
    few = [f"{name} {number:,}" for name, number in counted if number and number < record["num_problems"]]
    if few:
        yield f"Rows that rest on fewer problems or requests: {', '.join(few)}."
    if record["judged_by"]:
        yield f"Helpfulness and harmlessness: {record['judged_by']}."


def markdown(record: Mapping[str, Any]) -> str:
    """Write the whole comparison as Markdown."""
    labels = [_escaped(column["label"]) for column in record["columns"]]
    lines = [f"# {title(record)}", "", _line(["", *labels]), _line(["---", *["---:"] * len(labels)])]
    for row in record["rows"]:
        cells = []
        for cell in row["cells"]:
            value, interval = cell_texts(row["unit"], cell)
            cells.append(f"{value} ({interval})" if interval else value)
        lines.append(_line([_escaped(row_name(row)), *cells]))
    lines += ["", *(f"- {note}" for note in notes(record))]
    if record["findings"]:
        lines += ["", "## What the paper found", "", _line(["claim", "verdict", "seen"]), _line(["---"] * 3)]
    for finding in record["findings"]:
        seen = "<br>".join(_escaped(check_text(check)) for check in finding["checks"])
        lines.append(_line([_escaped(finding["claim"]), f"**{finding['verdict']}**", seen]))
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
