"""Names an ailment when it begins, and says when it is over. Pure: the same figures give the same diagnoses, live or afterwards.

Called by the RL loop after each step and each evaluation, and by readers of runs that left no record of it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from dunwu.functional.diagnosis import rules
from dunwu.functional.diagnosis.history import WINDOW, History
from dunwu.functional.diagnosis.rules import Finding


@dataclass(frozen=True)
class Ailment:
    """What the rules look for: its name, what it does to training, and the usual remedy."""

    name: str
    meaning: str
    remedy: str
    rule: Callable[[History], Finding | None]


AILMENTS = (
    Ailment(
        "entropy collapse",
        "the policy has become sure of what it writes before it has learned to solve the problems, and tries nothing new",
        "go back to a checkpoint before it began; raise objective.clip_high above clip_low, sampling.temperature or kl.coef, or "
        "lower optimizer.learning_rate",
        rules.entropy_collapse,
    ),
    Ailment(
        "zero-spread groups",
        "within a group all answers are rewarded the same, so that none is better and nothing is learned from them",
        "take harder problems where nearly all are right and easier ones where nearly all are wrong, or a larger group_size; "
        "refill_rounds replaces such groups by others",
        rules.zero_spread,
    ),
    Ailment(
        "all truncated",
        "completions are cut before their answer, so that nearly none can be right",
        "raise sampling.max_new_tokens; check that the model knows its end-of-sequence token and that the template lets it end",
        rules.all_truncated,
    ),
    Ailment(
        "format without accuracy",
        "the policy has learned how an answer looks, and not how to find it",
        "lower the weight of the format reward; take easier problems or a larger group_size, so that some answers are right; "
        "check with `dunwu score` that right answers are graded as right",
        rules.format_without_accuracy,
    ),
    Ailment(
        "reward hacking",
        "the policy learns what the reward likes instead of what it should stand for",
        "take the model as it was before it began (checkpoint.keep_best keeps it); lower that reward's weight or general.steps, "
        "raise kl.coef, or train the reward model on responses of this policy",
        rules.reward_hacking,
    ),
    Ailment(
        "language drift",
        "chains of thought mix languages or leave that of the question, which makes them hard to read",
        'add the language reward ({ kind = "language" }) or raise its weight; begin from a model that was fine-tuned on chains '
        "of thought in one language (cold start)",
        rules.language_drift,
    ),
    Ailment(
        "KL blow-up",
        "the policy runs away from its reference, mostly on the way to nonsense",
        "go back to a checkpoint before it began; lower optimizer.learning_rate, raise kl.coef, or lower optimizer.max_grad_norm",
        rules.kl_blow_up,
    ),
    Ailment(
        "sampler/trainer mismatch",
        "the policy that samples is not the one that is trained, so that the gradient belongs to another policy's completions",
        "compare dtype, attention and sampling settings of engine and trainer; sampling in float32 or with the embedded engine "
        "tells which of them is off",
        rules.sampler_mismatch,
    ),
    Ailment(
        "repetition",
        "completions end in loops, which fill the limit of tokens and answer nothing",
        'add the repetition reward ({ kind = "repetition" }), lower optimizer.learning_rate, or go back to a checkpoint before '
        "it began; in fine-tuning data, drop what repeats itself (readability.max_repeated_share)",
        rules.repetition,
    ),
)
"""In the order in which they are told."""


@dataclass(frozen=True)
class Diagnosis:
    """An ailment of a stage.

    Args:
        began: the step at which its figures first were beyond their bound.
        named: the step after which it was named.
        ended: the last step at which it was still seen; None: it lasts.
        evidence: the figures, as they were when it was named.
        figures: the names of those figures in metrics.jsonl.
    """

    name: str
    began: int
    named: int
    evidence: str
    meaning: str
    remedy: str
    figures: tuple[str, ...] = ()
    ended: int | None = None

    @property
    def when(self) -> str:
        """The steps it lasted."""
        return f"since step {self.began}" if self.ended is None else f"steps {self.began} to {self.ended}"

    @property
    def text(self) -> str:
        """One paragraph for a person."""
        return f"{self.name}, {self.when}: {self.evidence}. That means: {self.meaning}. What helps: {self.remedy}"


class Watch:
    """Follows a stage; it is told of every step and evaluation in their order."""

    def __init__(self) -> None:
        self._history = History()
        self._open: dict[
            str, tuple[int, int]
        ] = {}  # when it was named, and the last step at which it was seen
        self._evaluated: set[int] = set()

    def add_step(self, metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Take in a step; return what begins or ends with it, as plain records (see `diagnoses_of`)."""
        self._history.add_step(metrics)
        return self._look(self._history.steps[-1])

    def add_evaluation(self, step: int, figures: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Take in an evaluation made after `step`; return as `add_step`."""
        if step in self._evaluated:
            return []
        self._evaluated.add(step)
        self._history.add_evaluation(step, figures)
        return self._look(step) if self._history.steps else []

    def replay(
        self, steps: Iterable[Mapping[str, Any]], evaluations: Iterable[Mapping[str, Any]] = ()
    ) -> list[dict[str, Any]]:
        """Take in steps and evaluations in the order in which they happened, and return all that `add_step` and
        `add_evaluation` did; each evaluation holds the `step` after which it was made."""
        waiting = sorted(evaluations, key=lambda figures: figures["step"])
        records: list[dict[str, Any]] = []
        for metrics in steps:
            while waiting and waiting[0]["step"] < metrics["step"]:
                figures = waiting.pop(0)
                records += self.add_evaluation(figures["step"], figures)
            records += self.add_step(metrics)
        for figures in waiting:
            records += self.add_evaluation(figures["step"], figures)
        return records

    def _look(self, step: int) -> list[dict[str, Any]]:
        records = []
        for ailment in AILMENTS:
            finding = ailment.rule(self._history)
            begun = self._open.get(ailment.name)
            if finding is not None:
                self._open[ailment.name] = (begun[0] if begun else step, step)
                if begun is None:
                    found = Diagnosis(
                        name=ailment.name,
                        named=step,
                        meaning=ailment.meaning,
                        remedy=ailment.remedy,
                        **asdict(finding),
                    )
                    records.append(_begins(found))
            elif begun is not None and step - begun[1] >= WINDOW:
                del self._open[ailment.name]
                records.append({"state": "ends", "name": ailment.name, "step": step, "ended": begun[1]})
        return records


def diagnoses_of(records: Iterable[Mapping[str, Any]]) -> list[Diagnosis]:
    """Put records together to diagnoses, in the order in which they were named.

    A record that begins one holds state ("begins"), step and all of `Diagnosis` but `ended`; one that ends one holds state
    ("ends"), name, step and ended.
    """
    found: list[Diagnosis] = []
    for record in records:
        if record["state"] == "begins":
            known = {key: record[key] for key in ("name", "began", "named", "evidence", "meaning", "remedy")}
            found.append(Diagnosis(**known, figures=tuple(record["figures"])))
        else:
            last = max(i for i, diagnosis in enumerate(found) if diagnosis.name == record["name"])
            found[last] = replace(found[last], ended=record["ended"])
    return found


def spoken(record: Mapping[str, Any]) -> str:
    """Write a record as a message for whoever watches the training."""
    if record["state"] == "begins":
        return f"step {record['step']}: diagnosis: {diagnoses_of([record])[0].text}"
    return f"step {record['step']}: diagnosis: {record['name']} is over; it was last seen at step {record['ended']}"


def heard(message: str) -> tuple[str, bool] | None:
    """Tell from a message of `spoken` which ailment begins (True) or is over (False); None for any other message."""
    match = re.match(
        r"step \d+: diagnosis: (?:(?P<begins>[^:]+?), since step|(?P<ends>[^:]+?) is over;)", message
    )
    if match is None:
        return None
    return (match["begins"], True) if match["begins"] else (match["ends"], False)


def _begins(found: Diagnosis) -> dict[str, Any]:
    record = {key: value for key, value in asdict(found).items() if key != "ended"}
    return {"state": "begins", "step": found.named, **record, "figures": list(found.figures)}
