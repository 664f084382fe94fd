"""The few figures of a stage that matter, and the one curve: what a person asks first about a stage of its kind.

Pure: takes what was read, in whatever state. Called by `run_view`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

_SPARK_POINTS = 60
_SPARKS = ("accuracy", "nll", "kept_frac", "reward", "loss")
"""The first of these that a stage has is its curve."""


def headlines(record: Mapping[str, Any] | None, last: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return up to three figures, each {label, unit, value, before, low, high}; the last four may be None.

    Args:
        record: of the finished stage.
        last: metrics of the last step.
    """
    if record:
        return _of_record(record)[:3]
    if not last:
        return []
    shown = (
        ("accuracy", "right answers", "share"),
        ("reward", "reward", "number"),
        ("length_mean", "tokens", "tokens"),
        ("nll", "loss", "number"),
        ("kept_frac", "kept", "share"),
    )
    return [_figure(label, unit, last[key]) for key, label, unit in shown if _known(last.get(key))][:3]


def _of_record(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    before, after = _table(record.get("before")), _table(record.get("after"))
    if "pass_at_1" in after:
        majority = next((k for k in after if k.startswith("cons_at_") and not k.endswith("_interval")), None)
        found = [_held_out("right, held out", "share", "pass_at_1", before, after)]
        if majority:
            found.append(
                _held_out(f"majority of {majority.rpartition('_')[2]}", "share", majority, before, after)
            )
        return [*found, _held_out("tokens", "tokens", "length_mean", before, after)]
    if "nll" in after:
        return [
            _held_out("loss, held out", "number", "nll", before, after),
            _held_out("right tokens", "share", "token_accuracy", before, after),
        ]
    if "accuracy" in after:
        return [_held_out("ranked rightly, held out", "share", "accuracy", before, after)]
    found = []
    if _known(record.get("rows")):
        found.append(_figure("rows", "count", record["rows"]))
    if _known(record.get("samples")):
        found.append(_figure("samples", "count", record["samples"]))
    for key, label in (("columns", "models"), ("findings", "findings")):
        if isinstance(record.get(key), list):
            found.append(_figure(label, "count", len(record[key])))
    return found


def _held_out(
    label: str, unit: str, key: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, Any]:
    interval = after.get(f"{key}_interval")
    low, high = interval if isinstance(interval, list) and len(interval) == 2 else (None, None)
    return {**_figure(label, unit, after.get(key)), "before": before.get(key), "low": low, "high": high}


def _figure(label: str, unit: str, value: Any) -> dict[str, Any]:
    return {"label": label, "unit": unit, "value": value, "before": None, "low": None, "high": None}


def spark(records: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the curve of a stage in at most 60 means over equally many steps; None if it has none."""
    for key in _SPARKS:
        values = [record[key] for record in records if _known(record.get(key))]
        if len(values) >= 2:
            count = min(len(values), _SPARK_POINTS)
            bins = [values[i * len(values) // count : (i + 1) * len(values) // count] for i in range(count)]
            return {"key": key, "values": [float(f"{sum(b) / len(b):.5g}") for b in bins]}
    return None


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _known(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
