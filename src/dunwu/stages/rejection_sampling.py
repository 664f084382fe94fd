"""Rejection sampling (DeepSeek-R1, section 2.3.3): of many completions only correct and readable ones, joined with other data.

Correct is what the rule accepts; where no rule can tell, a generative judge holds the answer against the reference.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

from dunwu.config.rejection_sampling import RejectionSamplingStage
from dunwu.rollout.asking import Asker, filled, open_asker
from dunwu.stages.candidates import Candidate, capped, drop_repeated, drop_unreadable, drop_wrong
from dunwu.stages.context import StageContext
from dunwu.stages.sampled_data import Settle, run_sampled_data

Correctness = Literal["correct", "incorrect"]
JUDGE_PROMPT = """\
You are to judge whether an answer to a question is correct. You are given the question, a reference answer that is right, and \
the answer to be judged.

There are two levels:
- correct: The answer fully aligns with the reference answer in both reasoning process and final conclusion, and address the \
question without any errors or omissions.
- incorrect: anything else.

## Question

{question}

## Reference answer

{reference}

## Answer

{answer}

---

Reply with one JSON object and nothing else. It has two keys: "analysis", a short text that compares the answer with the \
reference, and "correctness", which is "correct" or "incorrect"."""
"""After DeepSeek-R1 v2, Listing 4: its inputs, its two levels with the definition of the first, its JSON keys."""


def run_rejection_sampling(config: RejectionSamplingStage, context: StageContext) -> dict[str, Any]:
    """Run or continue the stage to its end and return its record for summary.json (`run_sampled_data`)."""
    return run_sampled_data(config, context, lambda: _open_settle(config, context), judged_graders(config))


def judged_graders(config: RejectionSamplingStage) -> frozenset[str]:
    """Return the graders whose problems go to the judge."""
    return frozenset(config.judge.graders) if config.judge else frozenset()


@contextmanager
def _open_settle(config: RejectionSamplingStage, context: StageContext) -> Iterator[Settle]:
    graders = judged_graders(config)

    def fit(candidates: list[Candidate]) -> list[Candidate]:
        return drop_repeated(drop_unreadable(drop_wrong(candidates, graders), config))

    if config.judge is None:
        yield lambda candidates: capped(fit(candidates), config.max_per_prompt, list)
        return
    with open_asker(config.judge.by, context.models, context.seed) as asker:

        def finish(candidates: list[Candidate]) -> list[Candidate]:
            return judge(candidates, asker, graders, context)

        yield lambda candidates: capped(fit(candidates), config.max_per_prompt, finish)


def judge(
    candidates: Sequence[Candidate], asker: Asker, graders: frozenset[str], context: StageContext
) -> list[Candidate]:
    """Let the judge decide on candidates that no rule has accepted; the others stay as they are.

    An answer that it calls incorrect is dropped as "judged_incorrect", one without a verdict that can be read as
    "judge_unparseable", "judge_cut", "judge_empty" or "judge_too_long".
    """
    found = list(candidates)
    open_ = [
        i for i, c in enumerate(found) if c.dropped is None and c.problem.grader in graders and not c.correct
    ]
    questions = [
        filled(
            JUDGE_PROMPT,
            question=found[i].problem.question,
            reference=found[i].problem.reference,
            answer=found[i].content,
        )
        for i in open_
    ]
    for i, answer in zip(open_, asker.ask(questions, context.progress.generation), strict=True):
        verdict = parse_verdict(answer.text)
        if verdict == "correct":
            found[i] = replace(found[i], graded_by="judge")
        elif verdict == "incorrect":
            found[i] = found[i].without("judged_incorrect")
        else:
            found[i] = found[i].without(f"judge_{answer.fault or 'unparseable'}")
    return found


def parse_verdict(reply: str) -> Correctness | None:
    """Return the verdict of the last JSON object in a reply that has both keys; None where there is none.

    Worked example: 'Sure. {"analysis": "same", "correctness": "correct"}' gives "correct".
    """
    decoder = json.JSONDecoder()
    verdict: Correctness | None = None
    position = reply.find("{")
    while position >= 0:
        try:
            found, end = decoder.raw_decode(reply, position)
        except (ValueError, RecursionError):
            end = position + 1
        else:
            if isinstance(found, dict) and isinstance(found.get("analysis"), str):
                said = str(found.get("correctness")).strip().lower()
                verdict = said if said in ("correct", "incorrect") else None  # type: ignore[assignment]
        position = reply.find("{", end)
    return verdict
