"""Cold start (DeepSeek-R1, section 2.3.1): correct and readable completions of R1-Zero, each with a summary.

The paper's data were refined by DeepSeek-V3 and by people; here rules, a model or an endpoint write the summary, and what they
write is checked again: the answer by grading, the form and the language by rules.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from dunwu.config.asking import AskedEndpoint, AskedModel
from dunwu.config.cold_start import ColdStartStage, NoRewrite, RulesRewrite
from dunwu.config.output_form import ThinkForm
from dunwu.config.reward import AccuracyReward
from dunwu.data.restating import LANGUAGES, in_first_person, summary_of
from dunwu.rewards.answers import last_boxed
from dunwu.rewards.grading import Grader
from dunwu.rewards.readability import unreadable
from dunwu.rollout.asking import Asker, filled, open_asker
from dunwu.stages.candidates import Candidate, capped, drop_repeated, drop_unreadable, drop_wrong
from dunwu.stages.context import StageContext
from dunwu.stages.sampled_data import Settle, run_sampled_data

LISTING_1 = """\
## Question

{question}

## Thought process

{thought_process}

---

Based on the above thought process, provide a clear, easy-to-follow, and well-formatted solution to the question. Use the same \
language as the question.

The solution must strictly follow these requirements:
- Stay faithful and consistent with the given thought process. Do not add new reasoning steps or conclusions not shown in the \
original.
- Show key steps leading to final answer(s) in clear, well-formatted LaTeX.
- Use \\boxed{} for final answer(s).
- Be clean and concise. Avoid colloquial language. Do not use phrases like "thought process" in the solution.

Your response should start with the solution right away, and do not include anything else. Your task is solely to write the \
solution based on the provided thought process. Do not try to solve the question yourself."""
"""DeepSeek-R1 v2, Listing 1."""
WRITTEN_FORM = ThinkForm(opened_by_prompt=False)
_UNBOXED = ("code", "text", "instructions")  # whose answers are no single expression

Rewrite = Callable[[Sequence[Candidate]], list[Candidate]]


def run_cold_start(config: ColdStartStage, context: StageContext) -> dict[str, Any]:
    """Run or continue the stage to its end and return its record for summary.json (`run_sampled_data`)."""
    return run_sampled_data(config, context, lambda: _open_settle(config, context))


@contextmanager
def _open_settle(config: ColdStartStage, context: StageContext) -> Iterator[Settle]:
    accuracy = config.accuracy.model_copy(update={"answer_from": ("boxed", "text")})
    with (
        _open_rewrite(config, context) as rewrite,
        Grader([accuracy], output_form=WRITTEN_FORM, service=config.grading) as grader,
    ):

        def finish(candidates: list[Candidate]) -> list[Candidate]:
            return _checked(rewrite(candidates), config, accuracy, grader)

        def settle(candidates: list[Candidate]) -> list[Candidate]:
            fit = drop_repeated(drop_unreadable(drop_wrong(candidates), config))
            return capped(fit, config.max_per_prompt, finish)

        yield settle


@contextmanager
def _open_rewrite(config: ColdStartStage, context: StageContext) -> Iterator[Rewrite]:
    match config.rewriter:
        case NoRewrite():
            yield list
        case RulesRewrite() as rules:
            yield lambda candidates: [by_rules(candidate, rules) for candidate in candidates]
        case AskedModel() | AskedEndpoint() as asked:
            with open_asker(asked, context.models, context.seed) as asker:
                yield lambda candidates: by_asking(candidates, asker, context.progress.generation)


def by_rules(candidate: Candidate, rules: RulesRewrite) -> Candidate:
    """Rewrite thinking and summary by rules; dropped as "no_rules_for_language" where there are none."""
    language = candidate.problem.language
    if language not in LANGUAGES:
        return candidate.without("no_rules_for_language")
    boxed = candidate.problem.grader not in _UNBOXED
    answer = candidate.answer if boxed else candidate.content
    inner = last_boxed(answer)
    answer = answer if inner is None else inner.strip()
    thinking = in_first_person(candidate.thinking, language)
    summary = summary_of(candidate.thinking, answer, language, boxed=boxed, max_steps=rules.max_steps)
    return replace(candidate, thinking=thinking, content=summary)


def by_asking(
    candidates: Sequence[Candidate], asker: Asker, on_progress: Callable[[int, int], None] | None = None
) -> list[Candidate]:
    """Let another model write each summary from question and thinking; the thinking stays as it is."""
    questions = [
        filled(LISTING_1, question=candidate.problem.question, thought_process=candidate.thinking)
        for candidate in candidates
    ]
    answers = asker.ask(questions, on_progress)
    return [
        replace(candidate, content=answer.text)
        if answer.fault is None
        else candidate.without(f"rewrite_{answer.fault}")
        for candidate, answer in zip(candidates, answers, strict=True)
    ]


def _checked(
    candidates: Sequence[Candidate], config: ColdStartStage, accuracy: AccuracyReward, grader: Grader
) -> list[Candidate]:
    """Drop what the rewriting spoilt: the form, the language, the box, or the answer."""
    found = []
    for candidate in candidates:
        if candidate.dropped is None:
            reason = _spoilt(candidate, config, accuracy, grader)
            candidate = candidate if reason is None else candidate.without(f"rewritten_{reason}")
        found.append(candidate)
    return found


def _spoilt(
    candidate: Candidate, config: ColdStartStage, accuracy: AccuracyReward, grader: Grader
) -> str | None:
    problem, content = candidate.problem, candidate.content
    reason = unreadable(problem, candidate.thinking, content, config.readability, WRITTEN_FORM)
    if reason is not None:
        return reason
    needs_box = not isinstance(config.rewriter, NoRewrite) and problem.grader not in _UNBOXED
    if needs_box and not (last_boxed(content) or "").strip():
        return "without_box"
    text = f"<think>\n{candidate.thinking}\n</think>\n\n{content}"
    part = grader.grade(problem, text).parts[accuracy.part_name]
    if part.value is None:
        return "ungraded"
    return None if part.value >= 1.0 else "incorrect"
