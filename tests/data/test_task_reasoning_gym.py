"""Problems from reasoning-gym."""

import importlib.util
import json
import subprocess
from typing import Any

import pytest

pytest.importorskip("reasoning_gym")

from dunwu.config.task import ReasoningGymTask
from dunwu.data import gym_generator, task_reasoning_gym
from dunwu.data.gym_entries import decode_entry
from dunwu.data.separation import normalise_question
from dunwu.data.task_reasoning_gym import load_gym_held_out, load_gym_problems
from dunwu.errors import DataError, DependencyError, DunwuWarning


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Generate here instead of in a process of its own, which takes seconds to start."""

    def run(request: dict[str, Any]) -> dict[str, Any]:
        reply = json.loads(json.dumps(gym_generator.generate(request)))
        return task_reasoning_gym.checked_reply(request, reply)

    monkeypatch.setattr(task_reasoning_gym, "run_generator", run)


def task(**changes: Any) -> ReasoningGymTask:
    return ReasoningGymTask(**{"dataset": "chain_sum", "num_train": 20, "num_held_out": 8, **changes})


@pytest.mark.usefixtures("in_process")
def test_problems_hold_what_their_scorer_needs() -> None:
    wide = task(params={"min_terms": 3, "max_terms": 3}, answer_instruction="Write only the number.")
    train, held_out, num_repeated = load_gym_problems(wide, seed=1)
    assert (len(train), len(held_out), num_repeated) == (20, 8, 0)
    problem = train[0]
    entry = decode_entry(problem.metadata["entry"])
    assert problem.question == entry["question"] + "\n\nWrite only the number."
    assert problem.reference == entry["answer"]
    assert (problem.grader, problem.kind, problem.language) == ("reasoning_gym", "chain_sum", "en")
    assert problem.metadata["params"] == {"min_terms": 3, "max_terms": 3}
    assert problem.metadata["dataset"] == "chain_sum"
    assert problem.question.count("+") + problem.question.count(" - ") >= 2
    json.dumps(dict(problem.metadata))


@pytest.mark.usefixtures("in_process")
def test_another_seed_gives_other_train_problems_and_the_same_held_out() -> None:
    first, again, other = (load_gym_problems(task(), seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first[1] == other[1] == load_gym_held_out(task())
    assert {p.id for p in first[0]} != {p.id for p in other[0]}


@pytest.mark.usefixtures("in_process")
def test_a_small_data_set_shares_no_question_and_says_how_many_it_has() -> None:
    small = task(
        params={"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1},
        num_train=500,
        num_held_out=40,
    )
    with pytest.warns(DunwuWarning, match=r"gave \d+ different questions for num_train = 500"):
        train, held_out, num_repeated = load_gym_problems(small, seed=1)
    questions = [normalise_question(p.question) for p in [*train, *held_out]]
    assert len(set(questions)) == len(questions)
    assert len(held_out) == 40
    assert 0 < len(train) < 500
    assert num_repeated > 0


@pytest.mark.usefixtures("in_process")
def test_nothing_left_to_train_on() -> None:
    narrow = task(params={"min_terms": 1, "max_terms": 1, "min_digits": 1, "max_digits": 1}, num_held_out=50)
    with pytest.raises(DataError, match="only about 10 different questions"):
        load_gym_problems(narrow, seed=1)


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "chain_sums"}, "no data set 'chain_sums'; did you mean 'chain_sum'"),
        ({"dataset": "qqqq"}, "no data set 'qqqq'; there are .*zebra_puzzles"),
        ({"dataset": "composite"}, "no data set 'composite'"),
        ({"params": {"min_term": 2}}, "no parameter 'min_term'; did you mean 'min_terms'"),
        ({"params": {"zzz": 2}}, "no parameter 'zzz'; there are allow_negation"),
        ({"params": {"min_terms": 0}}, "refuses the parameters {'min_terms': 0}: min_terms must be positive"),
        ({"params": {"seed": 2}}, "task.params sets seed"),
        ({"params": {"size": 2, "seed": 1}}, "task.params sets seed, size"),
    ],
)
def test_mistakes_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_gym_problems(task(**changes), seed=1)


def test_the_same_problems_whatever_the_hash_seed_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """isomorphic_strings walks through sets of letters, whose order follows PYTHONHASHSEED."""
    letters = task(dataset="isomorphic_strings", num_train=4, num_held_out=2)
    monkeypatch.setenv("PYTHONHASHSEED", "1")
    first = load_gym_problems(letters, seed=1)
    monkeypatch.setenv("PYTHONHASHSEED", "2")
    assert load_gym_problems(letters, seed=1) == first


def test_a_generator_that_crashes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        assert "PYTHONHASHSEED" in options["env"]
        return subprocess.CompletedProcess(command, 1, "", "Traceback\nKeyError: 'x'\n")

    monkeypatch.setattr(task_reasoning_gym.subprocess, "run", run)
    with pytest.raises(DataError, match=r"chain_sum fails to generate with {}: KeyError: 'x'"):
        load_gym_problems(task(), seed=1)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DependencyError, match=r"pip install 'dunwu\[tasks\]'"):
        load_gym_problems(task(), seed=1)
