"""The maths grader: numbers and words are compared here, everything else by math-verify in a grading
process."""

import re
import threading

from dunwu.records import RewardPart
from dunwu.rewards.answers import last_boxed
from dunwu.rewards.bounded import MAX_ANSWER_CHARS, VerdictCache, judge_in_pool, verdict
from dunwu.rewards.maths_form import (
    in_unit_of,
    is_unevaluated,
    same_in_base,
    split_unit,
    with_equal_subscripts,
)
from dunwu.rewards.notation import clean
from dunwu.rewards.numeric import canonical_number, latex_number, parse_quantity, quantities_equal
from dunwu.rewards.statement import expression, word
from dunwu.rewards.worker_pool import JobCrashError, JobLostError, JobTimeoutError, WorkerPool

_ASSIGNMENT = re.compile(r"^[A-Za-z](?:_\{?\w+\}?)? ?= ?(?=[^=<>]+$)")


def reference_text(reference: str) -> str:
    """Return the answer inside a reference that is a worked solution.

    The text behind the last "####" (as in GSM8K), else inside the last `\\boxed{}` (as in MATH), else all of
    it.
    """
    _, marker, final = reference.rpartition("####")
    if marker:
        return final.strip()
    boxed = last_boxed(reference)
    return reference.strip() if boxed is None else boxed.strip()


class MathsGrader:
    """Judges mathematical equality of an answer and a reference.

    Args:
        pool: where gradings that need math-verify run.
        cpu_seconds: processor time of one grading.
    """

    def __init__(self, pool: WorkerPool, cpu_seconds: float) -> None:
        self._pool = pool
        self._cpu_seconds = cpu_seconds
        self._verdicts = VerdictCache()
        self._faults: dict[str, str | None] = {}
        self._lock = threading.Lock()

    def reference_fault(self, reference: str) -> str | None:
        """Return why no answer can be graded against a reference; None if it can be. Remembered.

        Raises:
            JobLostError: it could not be found out.
        """
        cleaned = clean(reference_text(reference))
        if parse_quantity(cleaned) is not None or word(cleaned) is not None:
            return None
        formula = _formula(cleaned)
        if formula is None:
            return "it is empty or prose without exactly one number or formula; free text needs grader exact"
        latex = formula[0]
        with self._lock:
            if latex in self._faults:
                return self._faults[latex]
        try:
            job = {"kind": "math_reference", "reference": latex}
            fault = self._pool.run(job, self._cpu_seconds)["fault"]
        except (JobTimeoutError, JobCrashError) as cause:
            fault = f"it cannot be read: {cause}"
        with self._lock:
            self._faults[latex] = fault
        return fault

    def judge(self, answer: str, reference: str) -> RewardPart:
        """Return 1 if the answer equals the reference, 0 if not; "not_gradable" for a reference with a
        fault."""
        try:
            fault = self.reference_fault(reference)
        except JobLostError as cause:
            return RewardPart(None, "error", str(cause))
        if fault is not None:
            return RewardPart(None, "not_gradable", f"reference {reference!r}: {fault}")
        wanted = clean(reference_text(reference))
        given = clean(answer)
        quick = _quick_verdict(given, wanted)
        if quick is not None:
            return verdict(quick)
        if is_unevaluated(given, wanted):
            return verdict(False, "the answer is a computation that was not carried out")
        given, wanted = with_equal_subscripts(given, wanted)
        formula, wanted_formula = _formula(given), _formula(wanted)
        if formula is None:
            return verdict(False, "the answer is prose without exactly one number or formula")
        assert wanted_formula is not None, "a reference without a fault has a LaTeX form"
        latex, wanted_latex = in_unit_of(formula, wanted_formula), wanted_formula[0]
        if latex is None:
            return verdict(False, f"the answer is in {formula[1]}, the reference in {wanted_formula[1]}")
        job = {"kind": "math", "answer": latex, "reference": wanted_latex}
        return self._verdicts.get(
            (latex, wanted_latex), lambda: judge_in_pool(self._pool, job, self._cpu_seconds)
        )


def canonical_answer(answer: str) -> str:
    """Return one text for answers that are the same number, word or formula in another spelling, for majority
    votes.

    Equal formulas that are written differently ("x+1", "1+x") stay different: no algebra is done here.
    """
    cleaned = _ASSIGNMENT.sub("", clean(answer[:MAX_ANSWER_CHARS]))
    quantity = parse_quantity(cleaned)
    if quantity is not None:
        return canonical_number(quantity)
    return word(cleaned) or cleaned.replace(" ", "")


def _formula(cleaned: str) -> tuple[str, str | None] | None:
    """Return the LaTeX of a cleaned answer and the known unit behind it; None for prose without one formula."""
    quantity = parse_quantity(cleaned)
    if quantity is not None:
        return latex_number(quantity), quantity.unit if quantity.unit not in ("", "%") else None
    latex = expression(cleaned)
    return None if latex is None else split_unit(latex)


def _quick_verdict(given: str, wanted: str) -> bool | None:
    """Compare without math-verify where that is safe; None where it is not."""
    if given == wanted:
        return True
    based = same_in_base(given, wanted)
    if based is not None:
        return based
    if "=" not in given or "=" not in wanted:  # "x = 5" for "5", either way round
        given, wanted = _ASSIGNMENT.sub("", given), _ASSIGNMENT.sub("", wanted)
    numbers = parse_quantity(given), parse_quantity(wanted)
    if numbers[0] is not None and numbers[1] is not None:
        return quantities_equal(numbers[0], numbers[1])
    if word(wanted) is not None:
        return word(given) == word(wanted)
    return None
