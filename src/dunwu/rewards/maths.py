"""The maths grader: numbers and words are compared here, everything else by math-verify in a grading
process."""

import re
import threading

from dunwu.records import RewardPart
from dunwu.rewards.answers import last_boxed
from dunwu.rewards.bounded import MAX_ANSWER_CHARS, VerdictCache, judge_in_pool, verdict
from dunwu.rewards.notation import clean, expression, word
from dunwu.rewards.numeric import canonical_number, latex_number, parse_quantity, quantities_equal
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
        latex = expression(cleaned)
        if latex is None:
            return "it is empty or prose without exactly one number or formula; free text needs grader exact"
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
        latex, wanted_latex = _latex(given), _latex(wanted)
        if latex is None:
            return verdict(False, "the answer is prose without exactly one number or formula")
        assert wanted_latex is not None, "a reference without a fault has a LaTeX form"
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


def _latex(cleaned: str) -> str | None:
    quantity = parse_quantity(cleaned)
    return expression(cleaned) if quantity is None else latex_number(quantity)


def _quick_verdict(given: str, wanted: str) -> bool | None:
    """Compare without math-verify where that is safe; None where it is not."""
    if given == wanted:
        return True
    if "=" not in given or "=" not in wanted:  # "x = 5" for "5", either way round
        given, wanted = _ASSIGNMENT.sub("", given), _ASSIGNMENT.sub("", wanted)
    numbers = parse_quantity(given), parse_quantity(wanted)
    if numbers[0] is not None and numbers[1] is not None:
        return quantities_equal(numbers[0], numbers[1])
    if word(wanted) is not None:
        return word(given) == word(wanted)
    return None
