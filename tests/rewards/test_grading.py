"""Rewards of whole completions, from wherever they are asked for."""

import asyncio
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dunwu.config.grading import LocalGrading
from dunwu.config.output_form import SpecialTokenForm, ThinkAnswerForm
from dunwu.config.reward import AccuracyReward, FormatReward
from dunwu.errors import ConfigError, DataError
from dunwu.records import Problem, RewardPart
from dunwu.rewards import accuracy, grading
from dunwu.rewards.accuracy import vote_key
from dunwu.rewards.bounded import VerdictCache
from dunwu.rewards.grading import Grader

MakeProblem = Callable[..., Problem]


def completion(answer: str) -> str:
    return f"<think>t</think><answer>{answer}</answer>"


def test_reward_names_its_parts_and_sums_them(grader: Grader, problem: MakeProblem) -> None:
    reward = grader.grade(problem("5"), completion("5.0"))
    assert (reward.total, reward.answer, reward.correct) == (2.0, "5", True)
    assert {name: part.value for name, part in reward.parts.items()} == {"accuracy": 1.0, "format": 1.0}
    reward = grader.grade(problem("5"), "<answer>5</answer>")
    assert (reward.total, reward.parts["format"].detail) == (1.0, "<think> is missing")
    reward = grader.grade(problem("5"), completion("6") + " ")
    assert (reward.total, reward.answer, reward.correct) == (1.0, "6", False)
    reward = grader.grade(problem("5"), "<think>5")
    assert (reward.total, reward.answer) == (0.0, None)
    assert "no <answer>" in reward.parts["accuracy"].detail


def test_weights() -> None:
    rewards = [AccuracyReward(weight=2.0), FormatReward(weight=0.25)]
    with Grader(rewards) as grader:
        problem = Problem("p", "k", "q", "5", "numeric")
        assert grader.grade(problem, completion("5")).total == 2.25
        assert grader.grade(problem, completion("6")).total == 0.25


@pytest.mark.parametrize(
    ("grader_name", "reference", "answer", "value"),
    [
        ("numeric", "1,024", "1024", 1.0),
        ("numeric", "#### 12", "12", 1.0),
        ("numeric", "8", "2^3", 0.0),
        ("exact", "Paris", " Paris ", 1.0),
        ("exact", "Paris", "paris", 0.0),
        ("math", "8", "2^3", 1.0),
    ],
)
def test_each_grader_is_reached(
    grader: Grader, problem: MakeProblem, grader_name: str, reference: str, answer: str, value: float
) -> None:
    part = grader.grade(problem(reference, grader_name), completion(answer)).parts["accuracy"]
    assert part.value == value


def test_operators_are_judged_by_the_world(grader: Grader, problem: MakeProblem) -> None:
    task = problem("2*3+4", "operators", numbers=[2, 3, 4], target=10)
    assert grader.grade(task, completion("2*3+4")).correct is True
    assert grader.grade(task, completion("4+2*3")).correct is False


def test_bad_references_are_not_gradable(grader: Grader, problem: MakeProblem) -> None:
    for task in (problem("many", "numeric"), problem("5", "guess")):
        reward = grader.grade(task, completion("5"))
        assert (reward.total, reward.correct, reward.parts["accuracy"].status) == (None, None, "not_gradable")
        assert reward.parts["format"].value == 1.0


def test_a_bad_reference_is_not_gradable_even_without_an_answer(grader: Grader, problem: MakeProblem) -> None:
    for task in (problem(r"\frac{"), problem("many", "numeric"), problem("5", "guess")):
        assert grader.grade(task, "no tags").parts["accuracy"].status == "not_gradable", task


def test_a_broken_grader_is_an_error_on_its_rollout_alone(
    grader: Grader, problem: MakeProblem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(answer: str, reference: str) -> bool:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(accuracy, "exact_match", broken)
    bad, good = grader.grade_all(
        [(problem("5", "exact"), completion("5"), "stop"), (problem("5", "numeric"), completion("5"), "stop")]
    )
    assert (bad.total, bad.parts["accuracy"].status) == (None, "error")
    assert bad.parts["accuracy"].detail == "ZeroDivisionError: oops"
    assert good.total == 2.0


def test_what_fails_outside_of_the_parts_is_an_error_of_the_whole_rollout(
    problem: MakeProblem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(problem: Problem, answer: str) -> str:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(grading, "vote_key", broken)
    with Grader([AccuracyReward(), FormatReward()], num_workers=1) as grader:
        for reward in (
            grader.grade(problem("5", "exact"), completion("5")),
            grader.submit(problem("5", "exact"), completion("5")).result(20),
        ):
            assert reward.total is None
            assert {part.detail for part in reward.parts.values()} == {"ZeroDivisionError: oops"}
            assert set(reward.parts) == {"accuracy", "format"}


def test_a_grading_past_its_deadline_excludes_its_rollout_and_is_counted(
    problem: MakeProblem, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    monkeypatch.setattr(accuracy, "exact_match", lambda answer, reference: gate.wait(60))
    with Grader([AccuracyReward()], service=LocalGrading(num_workers=1, deadline_seconds=0.2)) as grader:
        stuck = grader.submit(problem("5", "exact"), completion("5"))
        behind = grader.submit(problem("5", "numeric"), completion("5"))
        part = stuck.result(20).parts["accuracy"]
        assert (part.status, part.detail) == ("error", "grading was given up at its deadline")
        assert behind.result(20).total == 1.0
        assert grader.counts == {"late_gradings": 1, "grading_retries": 0}
        gate.set()


def test_the_first_form_that_a_completion_has_gives_the_answer(problem: MakeProblem) -> None:
    forms = AccuracyReward(answer_from=["answer_tag", "boxed", "text"])
    with Grader([forms], num_workers=1) as grader:
        for text in ("<answer>5</answer> \\boxed{4}", "so \\boxed{5}, not 4", "it is 4 + 1 = 5"):
            assert grader.grade(problem("5"), text).total == 1.0
        detail = grader.grade(problem("5"), "<think>5").parts["accuracy"].detail
        assert detail == "no <answer>...</answer> or \\boxed{...} or finished text after thinking has ended"


def test_a_kind_may_occur_twice_under_two_names(problem: MakeProblem) -> None:
    loose = AccuracyReward(name="loose", answer_from=["text"], weight=0.5)
    with Grader([AccuracyReward(), loose], num_workers=1) as grader:
        reward = grader.grade(problem("5"), "it is 5")
        assert {name: part.value for name, part in reward.parts.items()} == {"accuracy": 0.0, "loose": 1.0}
        assert (reward.total, reward.correct, reward.answer) == (0.5, False, None)
    with pytest.raises(ConfigError, match="two rewards are called 'accuracy'"):
        Grader([AccuracyReward(), AccuracyReward()])


def test_answers_in_boxes_and_in_text(problem: MakeProblem) -> None:
    with Grader([AccuracyReward(answer_from="boxed")]) as grader:
        assert grader.grade(problem("5"), r"<think>\boxed{4}</think> \boxed{5}").total == 1.0
        assert "boxed" in grader.grade(problem("5"), "5").parts["accuracy"].detail
    with Grader([AccuracyReward(answer_from="text")]) as grader:
        assert grader.grade(problem("7"), "3 and 4 make\n3 + 4 = 7").total == 1.0
        assert grader.grade(problem("7"), "3 + 4 = 7", "length").total == 0.0
        assert grader.grade(problem("New York", "exact"), "</think>\nNew York\n").total == 1.0


def test_every_part_goes_by_the_output_form(problem: MakeProblem) -> None:
    opened = ThinkAnswerForm(opened_by_prompt=True)
    with Grader([AccuracyReward(), FormatReward()], output_form=opened) as grader:
        assert grader.grade(problem("5"), "t</think><answer>5</answer>").total == 2.0
        assert grader.grade(problem("5"), "<answer>5</answer>").total == 0.0
    tokens = SpecialTokenForm(opening="[R]", separator="[S]")
    with Grader([AccuracyReward(answer_from=("boxed",)), FormatReward()], output_form=tokens) as grader:
        assert grader.grade(problem("5"), r"[R]so \boxed{4}[S]it is \boxed{5}").total == 2.0
        assert grader.grade(problem("5"), r"[R]so \boxed{5}").total == 0.0
        assert grader.grade(problem("5"), r"[R]so[S]it is \boxed{5}", "length").total == 1.0


def test_check_gradable_lists_every_bad_reference_and_why(grader: Grader, problem: MakeProblem) -> None:
    good = [
        problem("5"),
        problem("x+1"),
        problem("5", "numeric"),
        problem("a", "exact"),
        problem("2*3+4", "operators", numbers=[2, 3, 4], target=10),
    ]
    bad = [
        problem(r"\frac{"),
        problem(""),
        problem("5 apples or 6 pears or so", "math"),
        problem("many", "numeric"),
        problem(" ", "exact"),
        problem("2+3+4", "operators", numbers=[2, 3, 4], target=10),
        problem("5", "guess"),
    ]
    found = grader.check_gradable([*good, *bad])
    assert [item.problem for item in found] == bad
    assert all(item.why for item in found)
    grader.require_gradable(good)
    with pytest.raises(DataError, match=r"1 of 1 .*\n  t.jsonl line 3 \(grader math\): it is not a math"):
        grader.require_gradable([problem(r"\frac{", where="t.jsonl line 3")])
    with pytest.raises(
        DataError, match=r"(?s)7 of 12 .*p1 \(grader math\).*and 2 more.*choose another grader"
    ):
        grader.require_gradable([*good, *bad])


def test_without_accuracy_every_reference_is_gradable(problem: MakeProblem) -> None:
    with Grader([FormatReward()]) as grader:
        assert grader.check_gradable([problem("")]) == []


def test_votes_by_grader(problem: MakeProblem) -> None:
    assert vote_key(problem("5"), "$5.0$") == "5"
    assert vote_key(problem("5", "exact"), "$5.0$ ") == "$5.0$"
    countdown = problem("", "countdown", numbers=[2, 3, 4], target=10)
    same = {vote_key(countdown, answer) for answer in ("2*3+4", "4 + (3 × 2) = 10", "The answer is 4+2*3")}
    assert same == {"10 from 2, 3, 4"}
    assert vote_key(countdown, "2*5") == "10 from 2, 5"
    assert vote_key(problem("2*3+4", "operators"), "4+2*3") == "10 from 2, 3, 4"
    for prose in ("no way", "1/0", "1+" * 1000 + "1"):
        assert vote_key(countdown, prose) == prose


CASES = [
    ("8", "2^3"),
    ("8", "2^4"),
    (r"\{1,2\}", r"\{2,1\}"),
    ("x^2-1", "(x-1)(x+1)"),
    (r"\frac{", "8"),
    (r"\sqrt{2}", "1.41421356"),
    ("8", "9^{9^{9^{9}}}"),
]
SCRIPT = """
from dunwu.config.reward import AccuracyReward
from dunwu.records import Problem
from dunwu.rewards.grading import Grader
with Grader([AccuracyReward(timeout_seconds=0.3)], num_workers=1) as grader:
    for reference, answer in {cases!r}:
        problem = Problem("p1", "kind", "What?", reference, "math")
        print(grader.grade(problem, f"<answer>{{answer}}</answer>").parts["accuracy"])
"""


def test_verdicts_are_the_same_from_main_thread_thread_asyncio_and_subprocess(
    problem: MakeProblem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VerdictCache, "get", lambda self, key, judge: judge())  # nothing is remembered
    items = [(problem(reference), f"<answer>{answer}</answer>") for reference, answer in CASES]

    def grade_each(grader: Grader) -> list[RewardPart]:
        return [grader.grade(*item).parts["accuracy"] for item in items]

    async def grade_async(grader: Grader) -> list[RewardPart]:
        rewards = await asyncio.gather(*(asyncio.wrap_future(grader.submit(*item)) for item in items))
        return [reward.parts["accuracy"] for reward in rewards]

    with Grader([AccuracyReward(timeout_seconds=0.3)], num_workers=1) as grader:
        expected = grade_each(grader)
        assert [part.value for part in expected] == [1.0, 0.0, 1.0, 1.0, None, 1.0, 0.0]
        with ThreadPoolExecutor(1) as thread:
            assert thread.submit(grade_each, grader).result() == expected
        assert asyncio.run(grade_async(grader)) == expected
    done = subprocess.run(
        [sys.executable, "-"], input=SCRIPT.format(cases=CASES), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [str(part) for part in expected]


def test_a_thousand_concurrent_calls_have_no_false_time_out(problem: MakeProblem) -> None:
    with Grader([AccuracyReward(timeout_seconds=0.5)], num_workers=2) as grader:
        barrier = threading.Barrier(50)

        def calls(start: int) -> list[float | None]:
            barrier.wait()
            numbers = [n % 250 for n in range(start, start + 20)]
            return [grader.grade(problem(str(n)), f"<answer>{n}^{{1}}</answer>").total for n in numbers]

        with ThreadPoolExecutor(50) as threads:
            totals = [total for found in threads.map(calls, range(0, 1000, 20)) for total in found]
    assert totals == [1.0] * 1000


def test_submit_blocks_while_too_many_wait(problem: MakeProblem, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    service = LocalGrading(max_pending=2)
    monkeypatch.setattr(accuracy, "exact_match", lambda answer, reference: gate.wait(20))
    with Grader([AccuracyReward()], service=service, num_workers=1) as grader:
        item = (problem("5", "exact"), completion("5"))
        futures = [grader.submit(*item), grader.submit(*item)]
        third = threading.Thread(target=lambda: futures.append(grader.submit(*item)), daemon=True)
        third.start()
        third.join(0.3)
        assert third.is_alive()
        gate.set()
        third.join(20)
        assert not third.is_alive()
        assert [future.result().total for future in futures] == [1.0] * 3


def test_closing_cancels_what_waits_and_refuses_more(
    problem: MakeProblem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accuracy, "exact_match", lambda answer, reference: time.sleep(0.3) is None)
    grader = Grader([AccuracyReward()], num_workers=1)
    first, second = [grader.submit(problem("5", "exact"), completion("5")) for _ in range(2)]
    time.sleep(0.1)
    grader.close()
    assert first.result().total == 1.0
    with pytest.raises(CancelledError):
        second.result()
    with pytest.raises(RuntimeError):
        grader.submit(problem("5"), completion("5"))
    part = grader.grade(problem("x+1"), completion("1+x")).parts["accuracy"]
    assert (part.status, part.detail) == ("error", "RuntimeError: the grader is closed")


@pytest.mark.skipif(not shutil.which("bwrap"), reason="programs run in bubblewrap")
def test_closing_starts_no_more_of_an_answers_programs(problem: MakeProblem) -> None:
    task = problem("", "code", language="python", tests=[{"stdin": "", "stdout": "1"}] * 60)
    grader = Grader([AccuracyReward()], num_workers=1)
    running = grader.submit(task, completion("```python\nimport time\ntime.sleep(0.5)\nprint(1)\n```"))
    time.sleep(1.0)
    grader.close()
    part = running.result(0).parts["accuracy"]
    assert (part.status, part.value) == ("error", None)


PIECES = [
    "<think>",
    "</think>",
    "<answer>",
    "</answer>",
    "$",
    "\\boxed{",
    "}",
    "\\",
    "5",
    " ",
    "答案是",
    "/",
    "=",
    ".",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25), st.sampled_from(["answer_tag", "boxed", "text"]))
def test_grading_never_raises_for_what_a_completion_holds(pieces: list[str], source: str) -> None:
    rewards = (AccuracyReward.model_validate({"answer_from": source}), FormatReward())
    with Grader(rewards, num_workers=1) as grader:
        reward = grader.grade(Problem("p", "k", "q", "5", "numeric"), "".join(pieces))
    assert all(part.status == "ok" for part in reward.parts.values())
