"""The reasoning-gym grader, through real grading processes."""

import warnings
from collections.abc import Callable
from dataclasses import replace

import pytest

pytest.importorskip("reasoning_gym")

from dunwu.config.task import ReasoningGymTask
from dunwu.data import gym_generator, task_reasoning_gym
from dunwu.data.task_reasoning_gym import load_gym_problems
from dunwu.errors import DataError, DunwuWarning
from dunwu.records import Problem
from dunwu.rewards.grading import Grader


@pytest.fixture(scope="module")
def problems() -> Callable[[str], list[Problem]]:
    made: dict[str, list[Problem]] = {}

    def load(dataset: str) -> list[Problem]:
        if dataset not in made:
            task = ReasoningGymTask(dataset=dataset, num_train=6, num_held_out=2)
            with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
                warnings.simplefilter("ignore", DunwuWarning)
                patch.setattr(task_reasoning_gym, "run_generator", gym_generator.generate)
                made[dataset] = load_gym_problems(task, seed=1)[0]
        return made[dataset]

    return load


def test_own_scorer_judges(grader: Grader, problems: Callable[[str], list[Problem]]) -> None:
    for problem in problems("countdown"):
        reward = grader.grade(problem, f"<think>t</think><answer>{problem.reference}</answer>")
        assert reward.total == 2.0
        reward = grader.grade(problem, "<think>t</think><answer>1</answer>")
        assert (reward.total, reward.parts["accuracy"].detail[:5]) == (1.0, "score")
        assert reward.answer == "1"


@pytest.mark.parametrize(
    "dataset", ["zebra_puzzles", "cryptarithm", "countdown", "puzzle24", "knights_knaves"]
)
def test_logic_is_judged_by_the_own_scorers(
    grader: Grader, problems: Callable[[str], list[Problem]], dataset: str
) -> None:
    tasks = problems(dataset)[:3]
    assert grader.check_gradable(tasks) == []
    for task in tasks:
        others = [other.reference for other in problems(dataset) if other.reference != task.reference]
        assert others
        assert grader.grade(task, f"<think>t</think><answer>{task.reference}</answer>").correct is True
        for answer in (others[0], f"{task.reference} or {others[0]}", "", "42", "nonsense"):
            assert grader.grade(task, f"<think>t</think><answer>{answer}</answer>").correct is False, answer


def test_verdict_belongs_to_a_problem_and_an_answer(
    grader: Grader, problems: Callable[[str], list[Problem]]
) -> None:
    first, second = problems("countdown")[:2]
    text = f"<answer>{first.reference}</answer>"
    assert grader.grade(first, text).correct is True
    assert grader.grade(second, text).correct is False
    assert grader.grade(first, text).correct is True


def test_endless_answer_to_an_evaluating_scorer_is_wrong(
    strict_grader: Grader, problems: Callable[[str], list[Problem]]
) -> None:
    part = strict_grader.grade(problems("countdown")[0], "<answer>9**9**9**9**9</answer>").parts["accuracy"]
    assert (part.value, part.status) == (0.0, "ok")


def test_an_answer_that_asks_for_too_much_memory_is_wrong(
    grader: Grader, problems: Callable[[str], list[Problem]]
) -> None:
    part = grader.grade(problems("string_insertion")[0], "<answer>[0] * 10**10</answer>").parts["accuracy"]
    assert (part.value, part.status) == (0.0, "ok")


def test_references_are_checked_with_the_own_answer_and_with_nonsense(
    grader: Grader, problems: Callable[[str], list[Problem]]
) -> None:
    good = problems("countdown")
    assert grader.check_gradable(good) == []
    wrong = replace(good[0], reference="1")
    broken = replace(good[1], metadata={**good[1].metadata, "dataset": "none"})
    found = {item.problem.id: item.why for item in grader.check_gradable([wrong, broken, *good[2:]])}
    assert "does not get the full score" in found[wrong.id]
    assert "fails on its own answer" in found[broken.id]
    assert len(found) == 2


def test_scorer_that_pays_for_nonsense_is_refused(
    grader: Grader, problems: Callable[[str], list[Problem]]
) -> None:
    with pytest.raises(DataError, match="full score to the answer 'this is no answer'"):
        grader.require_gradable(problems("game_of_life_halting"))


def test_answers_are_not_needed_to_score(grader: Grader, problems: Callable[[str], list[Problem]]) -> None:
    unanswered = problems("propositional_logic")
    assert {problem.reference for problem in unanswered} == {""}
    assert grader.check_gradable(unanswered) == []
