"""The first "aha moments" of a stage: completions that went wrong, noticed it, and ended right, each with evidence to judge it.

A rule finds them (`self_correction`); whether one is an insight is for the reader. So each comes with its places in the text,
with how common the same thing was before and at the end, how often it did not help, and with what speaks against it. Called by
the dashboard.

Source: DeepSeek-R1 v1, Table 3 and section 2.2.4, where one moment is shown.
Departures: the paper does not say how it was found; the rule and the evidence are ours (docs/departures.md).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from dunwu.analysis.index_store import Snapshot
from dunwu.analysis.rollout_query import read_rows
from dunwu.analysis.rollout_rows import thinking_end
from dunwu.analysis.self_correction import KINDS, Correction, Kind, find_correction

_PER_KIND = 4
_CONTEXT = 160
_COLUMNS = (
    "prompt_id",
    "question",
    "reference",
    "answer",
    "completion",
    "sample_index",
    "group",
    "reward",
    "advantage",
    "num_tokens",
)
_EDGE_FRAC = 0.1
_EASY, _COMMON = 0.75, 0.02


def first_moments(snapshot: Snapshot, per_kind: int = _PER_KIND) -> list[dict[str, Any]]:
    """Return the earliest self-corrections that ended right, of each kind a few, the strongest evidence first.

    Of one problem only the first is taken; problems that most of the group solved come after the others of their kind.
    """
    key = ("aha", per_kind)
    if key not in snapshot.cache:
        snapshot.cache[key] = [moment for kind in KINDS for moment in _moments(snapshot, kind, per_kind)]
    found: list[dict[str, Any]] = snapshot.cache[key]
    return found


def _moments(snapshot: Snapshot, kind: Kind, most: int) -> Iterator[dict[str, Any]]:
    place = 1 + KINDS.index(kind)
    found = snapshot.column("correction") == place
    rows = np.flatnonzero(found & (snapshot.column("correct") == 1))
    if not len(rows):
        return
    candidates = _one_of_each_problem(snapshot, rows, 4 * most)
    shares = {row: _share_right(snapshot, row) for row in candidates}
    chosen = sorted(candidates, key=lambda row: (shares[row] > _EASY, row))[:most]
    records = read_rows(snapshot, chosen, _COLUMNS)
    habit = _habit(snapshot, found)
    for row, record in zip(chosen, records, strict=True):
        text = record["completion"]
        correction = find_correction(text, record["answer"], thinking_end(text))
        if correction is not None and correction.kind == kind:
            yield _moment(snapshot, row, record, correction, {**habit, "group_right": shares[row]})


def _moment(
    snapshot: Snapshot, row: int, record: dict[str, Any], correction: Correction, evidence: dict[str, Any]
) -> dict[str, Any]:
    place = snapshot.place(row)
    fact = snapshot.files[place]
    earlier = slice(0, int(snapshot.starts[place]))
    kind = 1 + KINDS.index(correction.kind)
    before = (snapshot.column("correction")[earlier] == kind) & (snapshot.column("correct")[earlier] == 1)
    evidence = {**evidence, "share_before": _mean(before), "completions_before": len(before)}
    text = record["completion"]
    return {
        "kind": correction.kind,
        "step": fact.first_step,
        "rollout": fact.number,
        "row": record["row"],
        **{name: record[name] for name in _COLUMNS if name not in ("completion", "sample_index")},
        "sample": record["sample_index"],
        "reason": correction.reason,
        "pieces": list(_quoted(text, correction)),
        "evidence": evidence,
        "for": list(_speaks_for(correction, evidence)),
        "against": list(_speaks_against(text, correction, evidence)),
    }


def _speaks_for(correction: Correction, evidence: dict[str, Any]) -> Iterator[str]:
    if correction.kind == "recomputed":
        yield f"Arithmetic proves it: {correction.reason}."
    elif correction.kind == "restated":
        yield f"It stated an answer and gave another: {correction.reason}, which the grader found right."
    else:
        yield "The final answer was graded right, and comes after the attempt that it called wrong."
    if evidence["group_right"] <= 0.5:
        yield f"The problem was hard at that time: {evidence['group_right']:.0%} of its group were right."
    if evidence["completions_before"] and evidence["share_before"] < _COMMON / 4:
        yield f"It was rare until then: {evidence['share_before']:.2%} of {evidence['completions_before']:,} completions before."
    if evidence["share_end"] > 2 * max(evidence["share_start"], 1e-9):
        start, end = evidence["share_start"], evidence["share_end"]
        yield f"It grew into a habit: {start:.2%} of completions at the start, {end:.2%} at the end."


def _speaks_against(text: str, correction: Correction, evidence: dict[str, Any]) -> Iterator[str]:
    if correction.kind == "rejected":
        yield "A rejected attempt may be plain search: trying one candidate after the other needs no insight."
    if not evidence["completions_before"]:
        yield "It is among the first rollouts, before anything was learned in this stage."
    if evidence["share_start"] >= _COMMON:
        share = evidence["share_start"]
        yield f"The policy did so from the start, in {share:.1%} of completions: it was learned before this stage."
    if evidence["group_right"] > _EASY:
        yield f"The problem was easy by then: {evidence['group_right']:.0%} of its group were right."
    if evidence["helped"] is not None and evidence["helped"] < 0.5:
        yield f"More often than not it did not help: of completions that did the same, {evidence['helped']:.0%} ended right."
    repeated = text.count(text[correction.wrong.start : correction.wrong.end])
    if repeated > 1:
        yield f"What was wrong stands there {repeated} times; it may be repetition."


def _habit(snapshot: Snapshot, found: np.ndarray) -> dict[str, Any]:
    right = snapshot.column("correct") == 1
    graded = snapshot.column("correct") >= 0
    edge = max(1, round(_EDGE_FRAC * len(snapshot.files)))
    start = slice(0, int(snapshot.starts[edge]))
    end = slice(int(snapshot.starts[-1 - edge]), None)
    return {
        "share_start": _mean((found & right)[start]),
        "share_end": _mean((found & right)[end]),
        "helped": float(right[found & graded].mean()) if (found & graded).any() else None,
        "times": int((found & right).sum()),
    }


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0


def _one_of_each_problem(snapshot: Snapshot, rows: np.ndarray, most: int) -> list[int]:
    seen: set[int] = set()
    chosen = []
    for row in rows:
        problem = int(snapshot.column("prompt_id")[row])
        if problem not in seen:
            seen.add(problem)
            chosen.append(int(row))
            if len(chosen) == most:
                break
    return chosen


def _share_right(snapshot: Snapshot, row: int) -> float:
    place = snapshot.place(row)
    here = slice(int(snapshot.starts[place]), int(snapshot.starts[place + 1]))
    same = snapshot.column("group")[here] == snapshot.column("group")[row]
    correct = snapshot.column("correct")[here][same]
    return float((correct == 1).mean())


def _quoted(text: str, correction: Correction) -> Iterator[dict[str, str]]:
    """Cut the three places out with what stands around them; a gap is a piece of its own."""
    place = 0
    spans = sorted(correction.spans)
    start, end = max(0, spans[0].start - _CONTEXT), min(len(text), spans[-1].end + _CONTEXT)
    if start:
        yield {"text": "…", "turn": "gap"}
    place = start
    for span in spans:
        between = text[place : span.start]
        if len(between) > 2 * _CONTEXT:
            yield {"text": between[:_CONTEXT], "turn": ""}
            yield {"text": f"… {len(between) - 2 * _CONTEXT:,} characters …", "turn": "gap"}
            between = between[-_CONTEXT:]
        if between:
            yield {"text": between, "turn": ""}
        yield {"text": text[span.start : span.end], "turn": span.kind}
        place = span.end
    if text[place:end]:
        yield {"text": text[place:end], "turn": ""}
    if end < len(text):
        yield {"text": "…", "turn": "gap"}
