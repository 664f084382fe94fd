"""pass@1, pass@k and cons@k over a set of problems, each with an interval.

Does not grade: takes verdicts and normalised answers. The interval is about problems: it answers "how far
could the figure be from that of all problems of this kind", given these samples of each. Called by evaluation
and by reports.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True)
class Estimate:
    """A mean over problems, in [0, 1], with the bounds of its confidence interval."""

    mean: float
    low: float
    high: float
    num_problems: int


def pass_at_1(correct: Sequence[Sequence[bool]], *, confidence: float = 0.95) -> Estimate:
    """Average the share of right samples over problems.

        pass@1 = mean over problems of (1/k) sum_i p_i

    Args:
        correct: verdicts of each problem's samples, at least one each.
        confidence: of the interval, in (0, 1).
    Raises:
        ValueError: no problem, or a problem without a sample.
    Source: DeepSeek-R1, section 3.
    """
    return pass_at_k(correct, 1, confidence=confidence)


def pass_at_k(correct: Sequence[Sequence[bool]], k: int, *, confidence: float = 0.95) -> Estimate:
    """Estimate without bias the chance that at least one of k samples is right, averaged over problems.

    Args, Raises: as `pass_at_1`; also ValueError when k < 1 or a problem has fewer than k samples.
    """
    scores = [unbiased_pass_at_k(len(verdicts), sum(verdicts), k) for verdicts in correct]
    return mean_with_interval(scores, confidence=confidence)


def cons_at_k(
    answers: Sequence[Sequence[str | None]],
    correct: Sequence[Sequence[bool]],
    k: int,
    *,
    confidence: float = 0.95,
) -> Estimate:
    """Estimate how often the majority answer of k samples is right, averaged over problems.

    A problem's samples are cut, in order, into as many whole blocks of k as there are; each block votes once,
    and the problem's score is the mean of its blocks. With k samples this is one vote over all of them.

    Args:
        answers: normalised answers of each problem's samples; None: no answer found.
        correct: verdicts, same shape.
        k: samples in a vote, >= 1.
    Raises:
        ValueError: shapes differ, k < 1, a problem has fewer than k samples, or no problem.
    Source: DeepSeek-R1, section 3 (cons@64); self-consistency, arXiv 2203.11171.
    """
    scores = []
    for index, (names, verdicts) in enumerate(zip(answers, correct, strict=True)):
        if k < 1 or len(names) < k or len(names) != len(verdicts):
            raise ValueError(
                f"problem {index} has {len(names)} answers and {len(verdicts)} verdicts; "
                f"cons@{k} needs k >= 1 and at least k of each"
            )
        votes = [
            majority_score(names[i : i + k], verdicts[i : i + k]) for i in range(0, len(names) - k + 1, k)
        ]
        scores.append(math.fsum(votes) / len(votes))
    return mean_with_interval(scores, confidence=confidence)


def unbiased_pass_at_k(num_samples: int, num_correct: int, k: int) -> float:
    """Return the share of all k-subsets of a problem's samples that hold a right one.

        1 - C(n - c, k) / C(n, k) = 1 - prod_{i = n-c+1..n} (1 - k / i)

    Raises:
        ValueError: not 1 <= k <= num_samples, or num_correct outside [0, num_samples].
    Source: Chen et al., "Evaluating large language models trained on code", arXiv 2107.03374, eq. 1.
    """
    if not (1 <= k <= num_samples and 0 <= num_correct <= num_samples):
        raise ValueError(
            f"{num_correct} right of {num_samples} samples at k = {k}: "
            "need 1 <= k <= samples and 0 <= right <= samples"
        )
    if k == 1:
        return num_correct / num_samples
    if num_samples - num_correct < k:
        return 1.0
    return 1.0 - math.prod(1.0 - k / i for i in range(num_samples - num_correct + 1, num_samples + 1))


def majority_score(answers: Sequence[str | None], correct: Sequence[bool]) -> float:
    """Score the answer that most samples gave: 1 right, 0 wrong, the right share of it in a tie.

    Samples without an answer do not vote. In a tie each of the leading answers would be drawn with the same
    chance; the score is the expectation of that draw, so it depends on no order and no seed. Were one answer
    judged both ways, it counts by the share of its samples judged right.

    Raises:
        ValueError: the two differ in length.
    """
    votes: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for answer, verdict in zip(answers, correct, strict=True):
        if answer is not None:
            votes[answer] += 1
            right[answer] += bool(verdict)
    if not votes:
        return 0.0
    most = max(votes.values())
    leaders = [answer for answer, count in votes.items() if count == most]
    return sum(right[answer] for answer in leaders) / (most * len(leaders))


def mean_with_interval(scores: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """Average scores over problems, with Wilson's interval at the effective number of problems.

        n = max(P, m (1 - m) / (s^2 / P))        as many yes-or-no problems would be as uncertain
        interval = Wilson's score interval of mean m with n trials

    s is the sample std over problems; where all scores are equal, n is P. Near the middle it is the usual
    interval, m plus or minus z s / sqrt(P); near 0 and 1, where that one shrinks to nothing, Wilson's does not.

    Args:
        scores: one for each problem, in [0, 1], at least one.
        confidence: in (0, 1).
    Raises:
        ValueError: no scores, a score outside [0, 1], or confidence outside (0, 1).
    Source: Wilson (1927); the effective size as for clustered samples, Korn and Graubard (1998).
    """
    if not scores or not all(0 <= score <= 1 for score in scores):
        raise ValueError(f"{len(scores)} scores; need at least one problem, and every score in [0, 1]")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; it must be between 0 and 1")
    num = len(scores)
    mean = math.fsum(scores) / num
    effective = float(num)
    variance_of_mean = math.fsum((score - mean) ** 2 for score in scores) / max(num - 1, 1) / num
    if variance_of_mean > 0 and min(scores) < max(scores):
        effective = max(effective, mean * (1 - mean) / variance_of_mean)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    shrink = 1 + z * z / effective
    centre = (mean + z * z / (2 * effective)) / shrink
    half = z / shrink * math.sqrt(mean * (1 - mean) / effective + (z / (2 * effective)) ** 2)
    # at 0 and 1 rounding could put the bound a hair to the wrong side of the mean
    return Estimate(mean, max(0.0, min(mean, centre - half)), min(1.0, max(mean, centre + half)), num)
