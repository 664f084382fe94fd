"""The rules: each looks at the figures up to the latest step and says what it sees now, or nothing. Pure.

Thresholds are ours, since no paper states any (docs/diagnosis.md). A figure that was not measured makes a rule silent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import fmean, median

from dunwu.functional.diagnosis.history import WINDOW, History
from dunwu.functional.reward_hacking import reward_rise

ENTROPY_LEFT, ENTROPY_FLOOR = 0.1, 0.005  # of the beginning's; nats per token
SOLVED = 0.9  # share of right answers above which there is little left to learn
ZERO_SPREAD, ZERO_SPREAD_SOLVED = 0.8, 0.9
TRUNCATED = 0.8
FORMAT_LEARNED, FORMAT_RISE, ACCURACY_RISE, ACCURACY_LOW = 0.8, 0.2, 0.05, 0.5
HACKED_FALL = 0.1  # of right answers
HACKED_RISE = 0.05  # of a reward, or a tenth of what it was, whichever is more
LANGUAGE_FALL, OFF_LANGUAGE, OFF_LANGUAGE_RISE = 0.1, 0.2, 0.1
KL_HIGH, KL_JUMP, KL_JUMP_FACTOR = 1.0, 0.3, 10.0  # nats per token
MISMATCH = 0.05  # nats per token
LOOPING = 0.25
_SHORT = 4  # steps; for what needs no averaging to be plain


@dataclass(frozen=True)
class Finding:
    """What a rule sees: the step where it began, the figures as a sentence, and the names of those figures."""

    began: int
    evidence: str
    figures: tuple[str, ...]


def entropy_collapse(history: History) -> Finding | None:
    """Entropy fell to a tenth of its beginning, and right answers rise no more although many are still wrong."""
    early, now = history.first("entropy", _SHORT), history.latest("entropy")
    right, before = history.latest("accuracy"), history.before("accuracy")
    if early is None or now is None or right is None or before is None:
        return None
    bound = max(ENTROPY_LEFT * early, ENTROPY_FLOOR)
    if now > bound or now >= early or right >= SOLVED or right > before + 0.02:
        return None
    evidence = (
        f"entropy fell from {early:.3g} to {now:.2g} nats per token, and right answers stand at {right:.1%} "
        f"({WINDOW} steps earlier: {before:.1%})"
    )
    return Finding(history.since("entropy", below=bound), evidence, ("entropy", "accuracy"))


def zero_spread(history: History) -> Finding | None:
    """Nearly all completions lie in groups whose rewards are all the same."""
    dead = history.latest("zero_spread_frac")
    right = history.latest("accuracy")
    bound = ZERO_SPREAD_SOLVED if right is not None and right >= SOLVED else ZERO_SPREAD
    if dead is None or dead < bound:
        return None
    answers = "" if right is None else f", with {right:.1%} right answers"
    evidence = (
        f"{dead:.1%} of the completions of the last {WINDOW} steps lie in groups whose rewards are all the same{answers}: "
        "their advantages are 0, and only the others teach anything"
    )
    return Finding(history.since("zero_spread_frac", above=bound), evidence, ("zero_spread_frac", "accuracy"))


def all_truncated(history: History) -> Finding | None:
    """Nearly all completions are cut at the limit."""
    cut = history.latest("truncated_frac", _SHORT)
    if cut is None or cut < TRUNCATED:
        return None
    evidence = f"{cut:.1%} of the completions of the last {_SHORT} steps were cut at the limit of tokens, before their answer"
    return Finding(
        history.since("truncated_frac", above=TRUNCATED), evidence, ("truncated_frac", "length_mean")
    )


def format_without_accuracy(history: History) -> Finding | None:
    """The form was learned while right answers stayed where they were."""
    if history.num_steps("format") < 2 * WINDOW + _SHORT:
        return None
    form, early = history.latest("format"), history.first("format", _SHORT)
    right, at_first = history.latest("accuracy"), history.first("accuracy")
    if form is None or early is None or right is None or at_first is None:
        return None
    if form < FORMAT_LEARNED or form - early < FORMAT_RISE:
        return None
    if right >= ACCURACY_LOW or max(right, history.best("accuracy") or 0.0) - at_first >= ACCURACY_RISE:
        return None
    evidence = f"the right form rose from {early:.1%} to {form:.1%}, right answers only from {at_first:.1%} to {right:.1%}"
    return Finding(history.since("format", above=FORMAT_LEARNED), evidence, ("format", "accuracy"))


def reward_hacking(history: History) -> Finding | None:
    """A reward rises while right answers fall, on training prompts or, as the watch at evaluations saw it, on held-out ones."""
    notes = history.hacking_notes
    if notes and notes[-1][0] == history.last_evaluation:
        return Finding(notes[-1][0], notes[-1][1], ("reward_preference", "accuracy"))
    right_at_first, right_now = (_mean(part) for part in _ends(history.series.get("accuracy", [])))
    if right_at_first is None or right_now is None or right_at_first - right_now < HACKED_FALL / 2:
        return None  # the usual case, told without the tests below
    for part in history.reward_parts():
        both = [
            (reward, right)
            for reward, right in zip(
                chain(*_ends(history.series.get(part, []))),
                chain(*_ends(history.series["accuracy"])),
                strict=False,
            )
            if reward is not None and right is not None
        ]
        if len(both) < 3 * WINDOW:
            continue
        rise = reward_rise(part, [reward for reward, _ in both], confidence=0.999)
        fall = reward_rise("accuracy", [-right for _, right in both], confidence=0.999)
        if rise is None or fall is None or fall.last - fall.first < HACKED_FALL:
            continue
        if rise.last - rise.first >= max(HACKED_RISE, 0.1 * abs(rise.first)):
            evidence = (
                f"{part.replace('_', ' ')} rose from {rise.first:.3g} to {rise.last:.3g} on training prompts, while right "
                f"answers fell from {abs(fall.first):.1%} to {abs(fall.last):.1%}"
            )
            return Finding(history.steps[-WINDOW], evidence, (part, "accuracy"))
    return None


def language_drift(history: History) -> Finding | None:
    """Chains of thought leave the language of the question."""
    now, best = history.latest("reward_language"), history.best("reward_language")
    if now is not None and best is not None and best - now >= LANGUAGE_FALL:
        evidence = (
            f"words of the chain of thought in the question's language fell from {best:.1%} to {now:.1%}"
        )
        began = history.since("reward_language", below=best - LANGUAGE_FALL)
        return Finding(began, evidence, ("reward_language",))
    off, early = history.latest("off_language_frac"), history.first("off_language_frac", _SHORT)
    if off is None or early is None or off < OFF_LANGUAGE or off - early < OFF_LANGUAGE_RISE:
        return None
    evidence = f"completions largely in another script than the question's rose from {early:.1%} to {off:.1%}"
    return Finding(history.since("off_language_frac", above=OFF_LANGUAGE), evidence, ("off_language_frac",))


def kl_blow_up(history: History) -> Finding | None:
    """The policy runs away from the reference."""
    now = history.latest("kl", _SHORT)
    if now is None:
        return None
    before = [value for value in history.series["kl"][-_SHORT - 2 * WINDOW : -_SHORT] if value is not None]
    usual = median(before) if len(before) >= WINDOW else None
    if now < KL_HIGH and (usual is None or now < max(KL_JUMP, KL_JUMP_FACTOR * usual)):
        return None
    was = "" if usual is None else f"; before that it was {usual:.2g}"
    evidence = (
        f"the KL divergence to the reference is {now:.2g} nats per token over the last {_SHORT} steps{was}"
    )
    return Finding(history.since("kl", above=min(KL_HIGH, KL_JUMP)), evidence, ("kl", "grad_norm"))


def sampler_mismatch(history: History) -> Finding | None:
    """Sampler and trainer give the same tokens different probabilities, right after sampling, when they should be one policy."""
    series = history.series.get("logprob_difference_mean", [])
    values = [
        value
        for position in history.fresh[-2:]
        if position < len(series) and (value := series[position]) is not None
    ]
    if len(values) < 2 or fmean(values) < MISMATCH:
        return None
    evidence = (
        f"right after sampling, the trainer's log-probs differ from the sampler's by {fmean(values):.2g} nats per token; "
        "the same weights should agree to 0.01"
    )
    began = history.steps[history.fresh[-1]]
    for position in reversed(history.fresh):
        value = series[position] if position < len(series) else None
        if value is None or value < MISMATCH:
            break
        began = history.steps[position]
    return Finding(began, evidence, ("logprob_difference_mean", "logprob_difference_max"))


def repetition(history: History) -> Finding | None:
    """Many completions end in a loop."""
    looping = history.latest("repetitive_frac", _SHORT)
    if looping is None or looping < LOOPING:
        return None
    evidence = f"{looping:.1%} of the completions of the last {_SHORT} steps end in a loop that says the same again and again"
    return Finding(
        history.since("repetitive_frac", above=LOOPING), evidence, ("repetitive_frac", "length_mean")
    )


def _ends(series: list[float | None]) -> tuple[list[float | None], list[float | None]]:
    """The first and the last 12 steps, of which together `reward_rise` compares the first and the last third."""
    num = 3 * WINDOW // 2
    return (series[:num], series[-num:]) if len(series) >= 2 * num else ([], [])


def _mean(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return fmean(present) if present else None
