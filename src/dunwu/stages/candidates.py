"""Sampled completions as candidates for data: thinking and answer without marks, and what became of each.

Called by the stages that make data, through `stages.sampled_data`.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dunwu.config.sampled_data import SampledDataConfig
from dunwu.records import Problem, Rollout, RolloutGroup
from dunwu.rewards.answers import extract_answer, final_summary
from dunwu.rewards.output_form import split
from dunwu.rewards.readability import unreadable

_UNIT = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+|[^\s.,;:!?。、'\"“”‘’]")
"""Numbers, words and signs; not the punctuation between them."""


@dataclass(frozen=True)
class Candidate:
    """One completion on its way into the data.

    Args:
        thinking: without marks, "" where nothing was thought.
        content: what the user is to read, without marks.
        answer: the final answer alone, "" where none was found.
        correct: by the rule; None where no rule could tell.
        dropped: why it goes no further; None while it does.
        graded_by: who found it correct.
    """

    problem: Problem
    sample: int
    thinking: str
    content: str
    answer: str
    correct: bool | None
    dropped: str | None = None
    graded_by: str = "rule"

    def without(self, reason: str) -> "Candidate":
        """Return it as dropped for a reason."""
        return replace(self, dropped=reason)

    def as_row(self) -> dict[str, Any]:
        """Return what is written about it into the chunk's file."""
        return {
            "problem_id": self.problem.id,
            "problem_kind": self.problem.kind,
            "language": self.problem.language,
            "question": self.problem.question,
            "sample": self.sample,
            "dropped": self.dropped,
            "graded_by": self.graded_by,
            "thinking": self.thinking,
            "content": self.content,
        }


def candidates_of(groups: Iterable[RolloutGroup], config: SampledDataConfig) -> list[Candidate]:
    """Turn rollouts into candidates, those that were cut at the token limit or have no closed thinking already dropped."""
    return [
        _candidate(group.prompt.problem, rollout, config) for group in groups for rollout in group.rollouts
    ]


def _candidate(problem: Problem, rollout: Rollout, config: SampledDataConfig) -> Candidate:
    parts = split(rollout.text, config.output_form)
    summary = parts.summary
    part = rollout.reward.parts[config.accuracy.part_name]
    answers_alone = config.output_form.kind == "plain" and not config.plain_is_thinking
    thinking = "" if parts.reasoning is None or answers_alone else parts.reasoning
    found = (extract_answer(summary, form) for form in config.accuracy.answer_from)
    candidate = Candidate(
        problem=problem,
        sample=rollout.sample_index,
        thinking=thinking.strip(),
        content=final_summary(rollout.text, config.output_form) or "",
        answer=next((answer for answer in found if answer is not None), ""),
        correct=None if part.value is None else part.value >= 1.0,
    )
    if rollout.completion.finish_reason == "length":
        return candidate.without("cut")
    return candidate if summary is not None else candidate.without("thinking_not_closed")


def drop_wrong(candidates: Iterable[Candidate], judged: frozenset[str] = frozenset()) -> list[Candidate]:
    """Drop what the rule calls wrong or cannot grade.

    Args:
        judged: problems with these graders are left for a judge.
    """
    found = []
    for candidate in candidates:
        if candidate.dropped is None and candidate.problem.grader not in judged and not candidate.correct:
            candidate = candidate.without("ungraded" if candidate.correct is None else "incorrect")
        found.append(candidate)
    return found


def drop_unreadable(candidates: Iterable[Candidate], config: SampledDataConfig) -> list[Candidate]:
    """Drop what is not fit to be read, for the reasons of `rewards.readability`."""
    found = []
    for candidate in candidates:
        if candidate.dropped is None:
            reason = unreadable(
                candidate.problem,
                candidate.thinking,
                candidate.content,
                config.readability,
                config.output_form,
            )
            candidate = candidate if reason is None else candidate.without(reason)
        found.append(candidate)
    return found


def drop_repeated(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Drop what another candidate for the same problem already says, letter by letter or normalised."""
    exact: set[tuple[str, ...]] = set()
    alike: set[tuple[str, ...]] = set()
    found = []
    for candidate in candidates:
        if candidate.dropped is None:
            text = (candidate.problem.id, candidate.thinking, candidate.content)
            same = tuple(map(normalised, text))
            if text in exact:
                candidate = candidate.without("duplicate")
            elif same in alike:
                candidate = candidate.without("near_duplicate")
            exact.add(text)
            alike.add(same)
        found.append(candidate)
    return found


def normalised(text: str) -> str:
    """Return a text without what does not tell two texts apart: capitals, white space, punctuation, widths of letters."""
    return " ".join(_UNIT.findall(unicodedata.normalize("NFKC", text).casefold()))


def capped(
    candidates: Sequence[Candidate],
    limit: int,
    settle: Callable[[list[Candidate]], list[Candidate]],
) -> list[Candidate]:
    """Let `settle` finish candidates until each problem has `limit` that were not dropped, or none is left.

    Those not needed are dropped as "over_cap" without `settle` having seen them, so that no work goes into them.

    Args:
        settle: returns each candidate it is given, in order, finished or dropped.
    """
    done = list(candidates)
    waiting = [index for index, candidate in enumerate(done) if candidate.dropped is None]
    kept: Counter[str] = Counter()
    while True:
        chosen = list(_next_of_each(done, waiting, kept, limit))
        if not chosen:
            break
        for index, settled in zip(chosen, settle([done[index] for index in chosen]), strict=True):
            done[index] = settled
            kept[settled.problem.id] += settled.dropped is None
        waiting = [index for index in waiting if index not in set(chosen)]
    for index in waiting:
        done[index] = done[index].without("over_cap")
    return done


def _next_of_each(
    candidates: Sequence[Candidate], waiting: Sequence[int], kept: Counter[str], limit: int
) -> Iterator[int]:
    room = {candidates[index].problem.id: limit - kept[candidates[index].problem.id] for index in waiting}
    for index in waiting:
        problem = candidates[index].problem.id
        if room[problem] > 0:
            room[problem] -= 1
            yield index
