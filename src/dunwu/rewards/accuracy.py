"""The accuracy part: a problem's own grader judges the final answer. The one place where graders are matched.

A grader is one function in a file of its own and one case in each of the three methods here. Called by
`grading`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import get_args

from dunwu.config.task import PreferenceSet
from dunwu.data.world.problems import score_operators
from dunwu.records import Problem, RewardPart
from dunwu.rewards.answers import AnswerSource
from dunwu.rewards.bounded import MAX_ANSWER_CHARS, verdict
from dunwu.rewards.choice import choice_fault, chosen, judge_choice, options_of
from dunwu.rewards.code_grader import CodeGrader
from dunwu.rewards.countdown import countdown_fault, expression_key, judge_countdown
from dunwu.rewards.exact import accepted_references, exact_match, text_fault, text_key, text_match
from dunwu.rewards.instructions import instructions_fault, judge_instructions
from dunwu.rewards.item import GradingItem
from dunwu.rewards.maths import MathsGrader, canonical_answer, reference_text
from dunwu.rewards.notation import normalise_text
from dunwu.rewards.numeric import judge_numeric
from dunwu.rewards.reasoning_gym import GymGrader
from dunwu.rewards.worker_pool import JobLostError, WorkerPool

GRADERS = (
    *("math", "numeric", "exact", "text", "choice", "countdown", "instructions", "operators"),
    *("reasoning_gym", "code", "preference"),
)


def preference_fault(problem: Problem) -> str | None:
    """Return why no reward model can be chosen for a general prompt; None if one can."""
    found, known = problem.metadata.get("set"), get_args(PreferenceSet)
    return None if found in known else f"its set is {found!r}; it must be one of {', '.join(known)}"


_FAULTS: Mapping[str, Callable[[Problem], str | None]] = {
    "exact": text_fault,
    "text": text_fault,
    "choice": choice_fault,
    "countdown": countdown_fault,
    "instructions": instructions_fault,
    "preference": preference_fault,
}
"""What is wrong with a problem's own data, cheap enough to be looked at in every grading."""
_WHERE: Mapping[AnswerSource, str] = {
    "answer_tag": "<answer>...</answer>",
    "boxed": "\\boxed{...}",
    "text": "finished text",
}


class ProblemGraders:
    """Every grader that a problem may name, those with processes of their own sharing one pool.

    Args:
        pool: where gradings that must be bounded run.
        cpu_seconds: processor time of one grading.
        code: judges programs; the caller closes it.
    """

    def __init__(self, pool: WorkerPool, cpu_seconds: float, code: CodeGrader) -> None:
        self._code = code
        self._maths = MathsGrader(pool, cpu_seconds)
        self._gym = GymGrader(pool, cpu_seconds)

    def judge(self, item: GradingItem, answer_from: Sequence[AnswerSource]) -> RewardPart:
        """Return 1 if the problem's grader accepts the answer, 0 if not; "not_gradable" for a bad reference, "not_applicable"
        for a prompt that no rule can grade.

        Args:
            item: `answer` was looked for in the forms `answer_from`.
        """
        problem, answer, reference = item.problem, item.answer, item.problem.reference
        if problem.grader in _FAULTS and (fault := _FAULTS[problem.grader](problem)) is not None:
            return RewardPart(None, "not_gradable", fault)
        if problem.grader == "preference":
            return RewardPart(None, "not_applicable", "no rule grades this prompt")
        if problem.grader == "instructions":  # the whole response is judged, not an answer within it
            return judge_instructions(item.summary, problem)
        if problem.grader == "code":  # has bounds of its own
            return self._code.judge(problem, answer)
        if answer is None:
            return self._wrong(problem, _no_answer(answer_from))
        if len(answer) > max(MAX_ANSWER_CHARS, 2 * len(reference)):
            return self._wrong(
                problem, f"the answer has {len(answer)} characters; {MAX_ANSWER_CHARS} at most are graded"
            )
        match problem.grader:
            case "math":
                return self._maths.judge(answer, reference)
            case "reasoning_gym":
                return self._gym.judge(answer, problem)
            case "numeric":
                right = judge_numeric(answer, reference_text(reference))
                if right is None:
                    return RewardPart(None, "not_gradable", f"reference {reference!r} is not a number")
                return verdict(right)
            case "exact":
                return verdict(any(exact_match(answer, text) for text in accepted_references(problem)))
            case "text":
                return verdict(any(text_match(answer, text) for text in accepted_references(problem)))
            case "choice":
                return verdict(*judge_choice(answer, problem))
            case "countdown":
                return verdict(*judge_countdown(answer, problem))
            case "operators":
                return verdict(score_operators(answer, problem))
        return RewardPart(None, "not_gradable", _unknown(problem))

    def _wrong(self, problem: Problem, why: str) -> RewardPart:
        """Return 0 for an answer that need not be looked at, if another could have been right."""
        checked_below = problem.grader in ("math", "numeric") or problem.grader not in GRADERS
        fault = self.reference_fault(problem) if checked_below else None
        return verdict(False, why) if fault is None else RewardPart(None, "not_gradable", fault)

    def reference_fault(self, problem: Problem) -> str | None:
        """Return why no answer to a problem can be judged; None if it can."""
        reference = problem.reference
        match problem.grader:
            case "math":
                try:
                    return self._maths.reference_fault(reference)
                except JobLostError as cause:
                    return f"it could not be checked: {cause}"
            case "reasoning_gym":
                return self._gym.reference_fault(problem)
            case "code":
                return self._code.reference_fault(problem)
            case "numeric":
                is_number = judge_numeric("", reference_text(reference)) is not None
                return None if is_number else f"{reference!r} is not a number"
            case "exact" | "text" | "choice" | "countdown" | "instructions" | "preference":
                return _FAULTS[problem.grader](problem)
            case "operators":
                return None if score_operators(reference, problem) else f"{reference!r} does not solve it"
        return _unknown(problem)


def vote_key(problem: Problem, answer: str) -> str:
    """Return the form of an answer under which votes are counted."""
    match problem.grader:
        case "math" | "numeric":
            return canonical_answer(answer)
        case "text":
            return text_key(answer)
        case "countdown" | "operators":
            return expression_key(answer) or normalise_text(answer)
        case "choice":
            options = options_of(problem)
            return (None if isinstance(options, str) else chosen(answer, options)) or normalise_text(answer)
    return normalise_text(answer)


def _no_answer(answer_from: Sequence[AnswerSource]) -> str:
    forms = " or ".join(_WHERE[form] for form in answer_from)
    return f"no {forms} after thinking has ended"


def _unknown(problem: Problem) -> str:
    return f"no grader is called {problem.grader!r}; there are {', '.join(GRADERS)}"
