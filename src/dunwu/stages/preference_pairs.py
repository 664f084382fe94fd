"""From responses to rows for reward models: which pairs are judged, what becomes of each, how lengths are balanced.

Knows no engine and no files. Called by the stage that makes preference data.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Any

from dunwu.config.output_form import OutputForm
from dunwu.functional.seeds import derive_seed, uniforms
from dunwu.records import Problem, Rollout
from dunwu.rewards.preference import judged_text
from dunwu.stages.candidates import normalised
from dunwu.stages.preference_judges import VERDICTS, Judged, Query, Verdict, label_of

SAFETY_LABELS = {"safe": 1, "unsafe": 0}


@dataclass(frozen=True)
class Responses:
    """All responses to one prompt: those that can be judged, and of the others whose they are and why they cannot."""

    problem: Problem
    usable: tuple[Judged, ...]
    dropped: tuple[tuple[str, int, str], ...]


def responses_of(problem: Problem, rollouts: Sequence[tuple[str, Rollout]], form: OutputForm) -> Responses:
    """Take from each rollout what is judged of it.

    A response to a helpful prompt that was cut at the token limit ("response_cut"), or has no summary ("without_summary"), is
    dropped; of a safety prompt, whose whole response is judged, only one that says nothing ("empty_response").

    Args:
        rollouts: each with the name of the model that it is of.
    """
    helpful = problem.metadata["set"] == "helpful"
    usable, dropped = [], []
    for model, rollout in rollouts:
        text = judged_text(problem, rollout.text, form)
        if helpful and rollout.completion.finish_reason == "length":
            dropped.append((model, rollout.sample_index, "response_cut"))
        elif not text:
            reason = "without_summary" if helpful else "empty_response"
            dropped.append((model, rollout.sample_index, reason))
        else:
            usable.append(Judged(model, rollout.sample_index, text))
    return Responses(problem, tuple(usable), tuple(dropped))


def drawn_pairs(responses: Responses, limit: int, seed: int, stage: str) -> list[tuple[Judged, Judged]]:
    """Draw at most `limit` of all pairs of a prompt's responses, in an order that depends on the seed and the prompt alone.

    Two responses that say the same but for capitals, white space and punctuation are no pair.
    """
    texts = {judged.name: normalised(judged.text) for judged in responses.usable}
    pairs = [pair for pair in combinations(responses.usable, 2) if texts[pair[0].name] != texts[pair[1].name]]
    keys = uniforms(derive_seed(seed, stage, "pairs", responses.problem.id), len(pairs))
    chosen = sorted(range(len(pairs)), key=lambda index: keys[index])[:limit]
    return [pairs[index] for index in chosen]


def queries_of(
    problem: Problem, pair: tuple[Judged, Judged], num_queries: int, seed: int, stage: str
) -> tuple[list[Query], list[bool]]:
    """Return the queries about a pair, and of each whether it shows the second response as A; drawn for each query anew."""
    names = [judged.name for judged in pair]
    drawn = uniforms(derive_seed(seed, stage, "order", problem.id, *names), num_queries)
    swapped = [bool(value < 0.5) for value in drawn]
    shown = [(pair[1], pair[0]) if swap else pair for swap in swapped]
    return [Query(problem, *of_query, number) for number, of_query in enumerate(shown)], swapped


def pair_row(
    problem: Problem,
    pair: tuple[Judged, Judged],
    verdicts: Sequence[Verdict],
    swapped: Sequence[bool],
    min_margin: float,
) -> dict[str, Any]:
    """Say what became of a judged pair: its verdicts are averaged, and it is kept if they are further than min_margin from 0.

        margin = (1/n) sum_i v_i,    v_i in {-2, .., 2}, > 0 where the first response is better

    A pair with a verdict that cannot be read is dropped as "verdict_unreadable", one that is too even as "margin_too_small".
    Source: DeepSeek-R1 v2, section 3.1. Departures: the numbers of the labels.
    """
    row: dict[str, Any] = {
        "row": "pair",
        **_facts(problem),
        "first": {"model": pair[0].model, "sample": pair[0].sample, "text": pair[0].text},
        "second": {"model": pair[1].model, "sample": pair[1].sample, "text": pair[1].text},
        "verdicts": [label_of(verdict, VERDICTS) for verdict in verdicts],
        "swapped": list(swapped),
        "margin": None,
        "dropped": None,
    }
    values = [
        -verdict.value if swap else verdict.value
        for verdict, swap in zip(verdicts, swapped, strict=True)
        if verdict.value is not None
    ]
    if len(values) < len(verdicts):
        return {**row, "dropped": "verdict_unreadable"}
    margin = fmean(values)
    return {**row, "margin": margin, "dropped": None if abs(margin) > min_margin else "margin_too_small"}


def label_row(problem: Problem, judged: Judged, verdict: Verdict) -> dict[str, Any]:
    """Say what became of a labelled response; without a label that can be read it is dropped as "label_unreadable"."""
    return {
        "row": "label",
        **_facts(problem),
        "model": judged.model,
        "sample": judged.sample,
        "response": judged.text,
        "verdicts": [label_of(verdict, SAFETY_LABELS)],
        "safe": None if verdict.value is None else bool(verdict.value),
        "dropped": "label_unreadable" if verdict.value is None else None,
    }


def dropped_rows(responses: Responses, pairs: int) -> Iterator[dict[str, Any]]:
    """Yield a row for each response that cannot be judged, and one for a helpful prompt of whose responses no two differ."""
    facts = _facts(responses.problem)
    for model, sample, reason in responses.dropped:
        yield {"row": "response", **facts, "model": model, "sample": sample, "dropped": reason}
    if responses.problem.metadata["set"] == "helpful" and not pairs:
        yield {"row": "prompt", **facts, "dropped": "no_pair"}


def _facts(problem: Problem) -> dict[str, Any]:
    return {
        "problem_id": problem.id,
        "problem_kind": problem.kind,
        "language": problem.language,
        "question": problem.question,
    }


def preference(row: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return the row of data/pairs.jsonl that a kept pair becomes."""
    first_is_better = row["margin"] > 0
    chosen, rejected = (row["first"], row["second"]) if first_is_better else (row["second"], row["first"])
    return {
        "question": row["question"],
        "chosen": chosen["text"],
        "rejected": rejected["text"],
        "margin": abs(row["margin"]),
        "source": source,
        "problem_id": row["problem_id"],
        "problem_kind": row["problem_kind"],
        "language": row["language"],
        "chosen_from": {"model": chosen["model"], "sample": chosen["sample"]},
        "rejected_from": {"model": rejected["model"], "sample": rejected["sample"]},
    }


def labelled(row: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return the row of data/safety.jsonl that a labelled response becomes."""
    return {
        "question": row["question"],
        "response": row["response"],
        "safe": row["safe"],
        "source": source,
        "problem_id": row["problem_id"],
        "problem_kind": row["problem_kind"],
        "language": row["language"],
        "model": row["model"],
        "sample": row["sample"],
    }


def unbalancing(lengths: Sequence[tuple[int, int]], max_gap: float) -> set[int]:
    """Choose the pairs to leave out so that chosen and rejected responses are about equally long over the whole set.

    The pair whose removal leaves the smallest difference of the sums goes, one after the other, ties to the lower index, until

        |sum chosen - sum rejected| <= max_gap * max(sum chosen, sum rejected)

    or no removal makes the difference smaller.

    Worked example: (9, 2), (3, 2), (2, 3) with max_gap 0.1: the sums are 14 and 7, and without the first pair 5 and 5.

    Args:
        lengths: of each pair's chosen and rejected response, in characters.
        max_gap: in [0, 1].
    Returns:
        The indices of the pairs to be left out.
    Source: DeepSeek-R1 v2, section 3.1: lengths comparable over the whole set. Departures: the rule.
    """
    chosen, rejected = (sum(pair[side] for pair in lengths) for side in (0, 1))
    left = sorted((pair[0] - pair[1], index) for index, pair in enumerate(lengths))
    out: set[int] = set()
    while abs(chosen - rejected) > max_gap * max(chosen, rejected):
        gap = chosen - rejected
        place = _nearest(left, gap)
        difference, index = left[place]
        if abs(gap - difference) >= abs(gap):
            break
        del left[place]
        out.add(index)
        chosen, rejected = chosen - lengths[index][0], rejected - lengths[index][1]
    return out


def _nearest(left: Sequence[tuple[int, int]], gap: int) -> int:
    """The place of the first entry whose difference is nearest to `gap`."""
    above = bisect_left(left, (gap, -1))
    if above == len(left) or (above > 0 and gap - left[above - 1][0] <= left[above][0] - gap):
        return bisect_left(left, (left[above - 1][0], -1))
    return above
