"""Where a run fell short, found in its facts: claims that do not hold, figures that got worse, ailments, limits. Pure.

Called by `report_facts`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from dunwu.functional.comparison_text import check_text, figure, row_name

_MUCH_CUT = 0.05
_CEILING = 0.995
_GOOD_ROWS = ("accuracy", "majority", "format", "readability", "language", "helpfulness", "harmlessness")


def shortfalls(facts: Mapping[str, Any]) -> list[str]:
    """Return what a reader should know before believing the rest, one sentence each, the gravest first."""
    return [
        *_unfinished(facts),
        *_claims(facts),
        *_worse(facts),
        *_never(facts),
        *_shorter(facts),
        *_no_gain(facts),
        *_ailing(facts),
        *_cut(facts),
        *_limits(facts),
    ]


def _unfinished(facts: Mapping[str, Any]) -> Iterator[str]:
    waiting = [stage["name"] for stage in facts["stages"] if stage["state"] != "finished"]
    if waiting:
        verb = "is" if len(waiting) == 1 else "are"
        yield f"The run is not finished: {', '.join(waiting)} {verb} still to be done. All that follows is of what there is."


def _claims(facts: Mapping[str, Any]) -> Iterator[str]:
    for finding in (facts["table"] or {}).get("findings", ()):
        if finding["verdict"] != "holds":
            seen = "; ".join(check_text(check) for check in finding["checks"] if check["verdict"] != "holds")
            what = "does not hold here" if finding["verdict"] == "does not hold" else "could not be decided"
            ceiling = _at_ceiling(facts["table"], finding)
            yield f"The paper's finding that {_lower(finding['claim'])} {what} ({seen}).{ceiling}"


def _at_ceiling(table: Mapping[str, Any], finding: Mapping[str, Any]) -> str:
    """A sentence if a check of a finding compares two models that have nothing left to gain."""
    places = {column["label"]: index for index, column in enumerate(table["columns"])}
    rows = {row["key"]: row["cells"] for row in table["rows"]}
    for check in finding["checks"]:
        if check["verdict"] != "undecided" or not {check["first"], check["second"]} <= places.keys():
            continue
        found = [
            rows[name][places[check[side]]]
            for name in check["rows"]
            if name in rows
            for side in ("first", "second")
        ]
        if found and all(cell and cell["value"] >= _CEILING for cell in found):
            return (
                f" {check['first']} and {check['second']} are at the top already: a rise cannot be seen here."
            )
    return ""


def _never(facts: Mapping[str, Any]) -> Iterator[str]:
    """Good things that a model did not do once."""
    table = facts["table"]
    for row in (table or {}).get("rows", ()):
        none = [
            column["label"]
            for column, cell in zip(table["columns"], row["cells"], strict=True)
            if cell and cell["value"] == 0
        ]
        if row["key"] in _GOOD_ROWS and none:
            asked = max(cell["num_problems"] for cell in row["cells"] if cell)
            yield f"{_upper(row['name'])} is 0% for {', '.join(none)}: not one answer to {asked} requests was as it should be."


def _shorter(facts: Mapping[str, Any]) -> Iterator[str]:
    """R1-Zero that thinks less than the base model, where the paper saw its thinking grow."""
    table = facts["table"]
    row = next((row for row in (table or {}).get("rows", ()) if row["key"] == "length"), None)
    if row is None:
        return
    cells = {column["role"]: cell for column, cell in zip(table["columns"], row["cells"], strict=True)}
    base, zero = cells.get("base"), cells.get("r1_zero")
    if base and zero and zero["high"] < base["low"]:
        yield (
            f"R1-Zero's answers became shorter, {base['value']:.0f} tokens before and {zero['value']:.0f} after: it learned to "
            "answer, not to think longer, which the paper saw grow."
        )


def _worse(facts: Mapping[str, Any]) -> Iterator[str]:
    """Figures of the result that are below the base model's, interval and all."""
    table = facts["table"]
    if table is None:
        return
    roles = {column["role"]: index for index, column in enumerate(table["columns"]) if column["role"]}
    if not {"base", "r1"} <= roles.keys():
        return
    for row in table["rows"]:
        base, result = row["cells"][roles["base"]], row["cells"][roles["r1"]]
        if row["key"] in _GOOD_ROWS and base and result and result["high"] < base["low"]:
            values = [figure(row["unit"], cell["value"]) for cell in (base, result)]
            yield f"{_upper(row_name(row))}: the result is below the base model, {values[0]} before and {values[1]} after."


def _no_gain(facts: Mapping[str, Any]) -> Iterator[str]:
    """Reinforcement learning stages whose right answers before and after are not told apart, or fell."""
    for stage in facts["stages"]:
        found = [
            e for e in stage["evaluated"] if e.get("pass_at_1") is not None and e.get("pass_at_1_interval")
        ]
        if not stage["watched"] or len(found) < 2:
            continue
        first, last = found[0], found[-1]
        if last["pass_at_1_interval"][0] > first["pass_at_1_interval"][1]:
            continue
        fell = last["pass_at_1_interval"][1] < first["pass_at_1_interval"][0]
        yield (
            f"Stage {stage['name']} {'lost' if fell else 'shows in its own evaluation no certain gain in'} right answers: "
            f"{first['pass_at_1']:.1%} before and {last['pass_at_1']:.1%} after"
            f"{'' if fell else ', with intervals that overlap'}."
        )


def _ailing(facts: Mapping[str, Any]) -> Iterator[str]:
    for stage in facts["stages"]:
        for diagnosis in stage["diagnoses"]:
            yield f"{_upper(diagnosis.name)} in {stage['name']}, {diagnosis.when}: {diagnosis.evidence}."


def _cut(facts: Mapping[str, Any]) -> Iterator[str]:
    table = facts["table"]
    row = next((row for row in (table or {}).get("rows", ()) if row["key"] == "cut"), None)
    if row is None:
        return
    cut = [
        f"{column['label']} {100 * cell['value']:.0f}%"
        for column, cell in zip(table["columns"], row["cells"], strict=True)
        if cell and cell["value"] >= _MUCH_CUT
    ]
    if cut:
        limit = table["sampling"]["max_new_tokens"]
        yield (
            f"Some answers were cut at {limit:,} tokens before they ended, and count as wrong: {', '.join(cut)} of the answers. "
            "With a higher limit these models could do better."
        )


def _limits(facts: Mapping[str, Any]) -> Iterator[str]:
    if facts["embedded"]:
        yield (
            f"The models ({', '.join(facts['embedded'])}) are tiny and live in a small world of sums, remainders, puzzles and "
            "polite requests in English and Chinese. That the recipe works here does not say that it works on a large model, nor "
            "by how much."
        )
    yield (
        f"This is one run with one seed ({facts['seed']}). The intervals are about the problems; another seed would train other "
        "models, and how far they differ is not measured here. Run it with other seeds, and compare with `dunwu compare`."
    )
    if facts["table"] is None and any(stage["evaluated"] for stage in facts["stages"]):
        yield "The models were not compared on one set of problems: the recipe has no finished stage of the kind comparison."


def _lower(text: str) -> str:
    first = text.split(maxsplit=1)[0] if text else ""
    return text if any(letter.isupper() for letter in first) else text[:1].lower() + text[1:]


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
