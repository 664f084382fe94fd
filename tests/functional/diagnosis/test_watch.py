"""Each ailment is named on a run that has it, at the step where it begins, and on no healthy one."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dunwu.functional.diagnosis.watch import AILMENTS, Diagnosis, Watch, diagnoses_of

HEALTHY = Path(__file__).parent
"""Holds the figures of r1-micro's stages r1_zero and reasoning_rl as they were run."""

Figures = dict[str, Any]
Change = Callable[[int, float, Figures], None]


def a_run(change: Change = lambda step, done, figures: None, num_steps: int = 60) -> list[Figures]:
    """A run that learns, with noise; `change` is told step and share done, and makes it ill."""
    draw = random.Random(7)
    steps = []
    for step in range(1, num_steps + 1):
        done = step / num_steps
        figures: Figures = {
            "step": step,
            "rollout": step,
            "accuracy": 0.2 + 0.5 * done + draw.gauss(0, 0.02),
            "format": min(1.0, 0.7 + 0.4 * done),
            "entropy": 0.5 - 0.3 * done + draw.gauss(0, 0.01),
            "kl": 0.04 * done + abs(draw.gauss(0, 0.005)),
            "zero_spread_frac": 0.2 + 0.3 * done + draw.gauss(0, 0.03),
            "truncated_frac": 0.05,
            "length_mean": 50 + 50 * done,
            "repetitive_frac": 0.02,
            "off_language_frac": 0.03,
            "reward_language": 0.95 + 0.04 * done,
            "reward_preference.helpful": 0.4 + 0.1 * done + draw.gauss(0, 0.02),
            "logprob_difference_mean": 1e-3,
            "note": "of no matter",
        }
        change(step, done, figures)
        figures["reward"] = figures["accuracy"] + figures["format"]
        steps.append(figures)
    return steps


def diagnosed(steps: list[Figures], evaluations: list[Figures] | None = None) -> list[Diagnosis]:
    return diagnoses_of(Watch().replay(steps, evaluations or []))


def collapse(step: int, done: float, figures: Figures) -> None:
    if step > 25:
        figures["entropy"], figures["accuracy"] = 0.02, 0.4


def all_wrong(step: int, done: float, figures: Figures) -> None:
    if step > 10:
        figures["zero_spread_frac"], figures["accuracy"] = 0.95, 0.01
    figures["format"], figures["reward_preference.helpful"] = 0.75, 0.4


def all_right(step: int, done: float, figures: Figures) -> None:
    if step > 30:
        figures["zero_spread_frac"], figures["accuracy"] = 0.97, 0.99


def cut(step: int, done: float, figures: Figures) -> None:
    figures["format"], figures["reward_preference.helpful"] = 0.75, 0.4
    figures["truncated_frac"], figures["accuracy"] = (1.0, 0.0) if step > 5 else (0.1, 0.2)


def only_form(step: int, done: float, figures: Figures) -> None:
    figures["format"], figures["accuracy"] = min(1.0, 0.2 + 0.05 * step), 0.1 + 0.01 * (step % 3)


def hacked(step: int, done: float, figures: Figures) -> None:
    if step > 20:
        figures["accuracy"] = max(0.1, 0.4 - 0.02 * (step - 20)) + 0.01 * (step % 3)
        figures["reward_preference.helpful"] = 0.4 + 0.015 * (step - 20) + 0.01 * (step % 2)


def drift(step: int, done: float, figures: Figures) -> None:
    if step > 20:
        figures["reward_language"] = max(0.4, 0.95 - 0.03 * (step - 20))


def drift_without_language_reward(step: int, done: float, figures: Figures) -> None:
    figures["reward_language"] = None
    figures["off_language_frac"] = 0.02 if step <= 20 else 0.4


def runaway(step: int, done: float, figures: Figures) -> None:
    if step > 30:
        figures["kl"] = 0.03 * 1.5 ** (step - 30)


def mismatch(step: int, done: float, figures: Figures) -> None:
    figures["rollout"] = (step + 3) // 4  # four updates for each rollout; the policy drifts within it
    figures["logprob_difference_mean"] = 0.2 if (step + 3) % 4 == 0 else 0.4


def loops(step: int, done: float, figures: Figures) -> None:
    if step > 40:
        figures["repetitive_frac"] = 0.5


ILL = [
    (collapse, "entropy collapse", 26, "from 0.48", ("entropy", "accuracy")),
    (all_wrong, "zero-spread groups", 11, "with 4.7% right answers", ("zero_spread_frac", "accuracy")),
    (all_right, "zero-spread groups", 31, "right answers", ("zero_spread_frac", "accuracy")),
    (cut, "all truncated", 6, "100.0% of the completions", ("truncated_frac", "length_mean")),
    (only_form, "format without accuracy", 12, "right answers only from", ("format", "accuracy")),
    (
        hacked,
        "reward hacking",
        0,
        "reward preference.helpful rose",
        ("reward_preference.helpful", "accuracy"),
    ),
    (drift, "language drift", 23, "in the question's language fell", ("reward_language",)),
    (drift_without_language_reward, "language drift", 21, "to ", ("off_language_frac",)),
    (runaway, "KL blow-up", 36, "nats per token", ("kl", "grad_norm")),
    (
        mismatch,
        "sampler/trainer mismatch",
        1,
        "0.2 nats",
        ("logprob_difference_mean", "logprob_difference_max"),
    ),
    (loops, "repetition", 41, "end in a loop", ("repetitive_frac", "length_mean")),
]


@pytest.mark.parametrize(("change", "name", "began", "evidence", "figures"), ILL)
def test_the_ailment_is_named_with_evidence_and_remedy(
    change: Change, name: str, began: int, evidence: str, figures: tuple[str, ...]
) -> None:
    (found,) = [diagnosis for diagnosis in diagnosed(a_run(change)) if diagnosis.name == name]
    if began:
        assert found.began == began
    assert found.began <= found.named <= found.began + 20
    assert evidence in found.evidence
    assert found.figures == figures
    assert found.ended is None
    assert found.when == f"since step {found.began}"
    (ailment,) = [ailment for ailment in AILMENTS if ailment.name == name]
    assert found.text == (
        f"{name}, since step {found.began}: {found.evidence}. That means: {ailment.meaning}. What helps: {ailment.remedy}"
    )


def test_every_ailment_has_a_run_that_shows_it() -> None:
    assert {name for _, name, *_ in ILL} == {ailment.name for ailment in AILMENTS}


@pytest.mark.parametrize("change", [change for change, *_ in ILL])
def test_an_ill_run_is_told_of_nothing_else(change: Change) -> None:
    (name,) = {named for of, named, *_ in ILL if of is change}
    assert {diagnosis.name for diagnosis in diagnosed(a_run(change))} == {name}


@pytest.mark.parametrize("num_steps", [60, 400])
def test_a_healthy_run_is_left_in_peace(num_steps: int) -> None:
    assert diagnosed(a_run(num_steps=num_steps)) == []


@pytest.mark.parametrize(("stage", "num_steps"), [("r1_zero", 60), ("reasoning_rl", 30)])
def test_a_real_healthy_run_is_left_in_peace(stage: str, num_steps: int) -> None:
    lines = (HEALTHY / f"healthy_{stage}.jsonl").read_text(encoding="utf-8").splitlines()
    steps = [json.loads(line) for line in lines]
    assert len(steps) == num_steps
    assert diagnosed(steps) == []


def test_a_run_of_which_little_is_measured_is_left_in_peace() -> None:
    assert diagnosed([{"step": step, "rollout": step, "reward": None} for step in range(1, 50)]) == []
    assert diagnosed([]) == []


def test_an_ailment_that_passes_ends_and_may_come_again() -> None:
    def comes_and_goes(step: int, done: float, figures: Figures) -> None:
        figures["truncated_frac"] = 1.0 if 10 <= step < 20 or step >= 45 else 0.0

    first, second = diagnosed(a_run(comes_and_goes))
    assert (first.began, first.ended, first.when) == (10, 19, "steps 10 to 19")
    assert (second.began, second.ended) == (45, None)


def test_what_the_watch_at_evaluations_saw_is_a_diagnosis_until_an_evaluation_sees_it_no_more() -> None:
    evaluations: list[Figures] = [
        {"step": 0, "reward_hacking": None},
        {"step": 20, "reward_hacking": {"step": 20, "text": "helpfulness rose, pass@1 fell"}},
        {"step": 40, "reward_hacking": None},
    ]
    (found,) = diagnosed(a_run(), evaluations)
    assert (found.name, found.began, found.evidence) == (
        "reward hacking",
        20,
        "helpfulness rose, pass@1 fell",
    )
    assert found.ended == 40


def test_told_step_by_step_and_afterwards_is_the_same() -> None:
    steps = a_run(hacked)
    evaluations: list[Figures] = [{"step": step, "reward_hacking": None} for step in (0, 30, 60)]
    live, watch = [], Watch()
    live += watch.add_evaluation(0, evaluations[0])
    for figures in steps:
        live += watch.add_step(figures)
        if figures["step"] in (30, 60):
            live += watch.add_evaluation(figures["step"], {"reward_hacking": None})
    assert live == Watch().replay(steps, evaluations)
    for cut_at in (10, 35, 50):  # continued after a kill: what was seen before is taken in again
        watch = Watch()
        records = watch.replay(
            steps[:cut_at], [figures for figures in evaluations if figures["step"] <= cut_at]
        )
        records += watch.add_evaluation(
            0, evaluations[0]
        )  # the stage evaluates "before" again; it was taken in
        for figures in steps[cut_at:]:
            records += watch.add_step(figures)
        assert [r for r in records if r["state"] == "begins"] == [r for r in live if r["state"] == "begins"]


def test_the_updates_within_a_rollout_are_no_mismatch() -> None:
    def drifts_within(step: int, done: float, figures: Figures) -> None:
        figures["rollout"] = (step + 3) // 4
        figures["logprob_difference_mean"] = 1e-4 if (step + 3) % 4 == 0 else 0.4

    assert diagnosed(a_run(drifts_within)) == []
