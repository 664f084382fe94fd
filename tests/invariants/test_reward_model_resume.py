"""A reward model killed with SIGKILL and continued by the same call ends with the same bytes as if it was never killed.

Children kill themselves right after a step, at the border of two epochs among them, and at chosen calls of `sync`, which lie
inside the writing of checkpoints, evaluations and the model.
"""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from killed import die, die_at_sync, finish, outcome
from preference_recipes import reward_recipe, write_pairs

import dunwu.stages.epochs
from dunwu.config.recipe import Recipe
from dunwu.errors import RunError
from dunwu.pipeline.run import run_recipe
from dunwu.runs.progress import QuietProgress

NUM_STEPS = 10  # of two epochs, the second begins with step 6


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return reward_recipe(write_pairs(tmp_path_factory.mktemp("data") / "pairs.jsonl"))


@pytest.fixture(scope="module")
def unkilled(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return finish(recipe, tmp_path_factory.mktemp("unkilled") / "run")


def die_after_step(number: int) -> Callable[[], None]:
    """Dies when the metrics of a step are written and its checkpoint is not."""

    def prepare() -> None:
        def after_update(loop: Any, step: int) -> None:
            if step == number:
                die()
            original(loop, step)

        original = dunwu.stages.epochs.EpochLoop._after_update
        dunwu.stages.epochs.EpochLoop._after_update = after_update  # type: ignore[method-assign]

    return prepare


def test_the_run_did_everything(unkilled: dict[str, str]) -> None:
    for name in (
        "metrics.jsonl",
        "checkpoints/step-000010/optimizer.pt",
        "evaluation/step-000008.json",
        "model/config.json",
    ):
        assert f"reward_model/{name}" in unkilled


def slow_but(quick: tuple[int, ...], numbers: range) -> list[Any]:
    return [n if n in quick else pytest.param(n, marks=pytest.mark.slow) for n in numbers]


@pytest.mark.parametrize("step", slow_but((6,), range(1, NUM_STEPS + 1)))
def test_killed_after_each_step(step: int, recipe: Recipe, unkilled: dict[str, str], tmp_path: Path) -> None:
    assert outcome(recipe, tmp_path / "run", die_after_step(step)) == -signal.SIGKILL
    assert finish(recipe, tmp_path / "run") == unkilled


@pytest.mark.parametrize("number", slow_but((14,), range(2, 44, 3)))
def test_killed_while_writing(number: int, recipe: Recipe, unkilled: dict[str, str], tmp_path: Path) -> None:
    assert outcome(recipe, tmp_path / "run", die_at_sync(number)) == -signal.SIGKILL
    assert finish(recipe, tmp_path / "run") == unkilled


def test_killed_again_and_again(recipe: Recipe, unkilled: dict[str, str], tmp_path: Path) -> None:
    for step in (3, 5, 9):
        assert outcome(recipe, tmp_path / "run", die_after_step(step)) == -signal.SIGKILL
    assert finish(recipe, tmp_path / "run") == unkilled


def test_changed_rows_are_an_error(tmp_path: Path) -> None:
    recipe = reward_recipe(write_pairs(tmp_path / "pairs.jsonl"))
    assert outcome(recipe, tmp_path / "run", die_after_step(3)) == -signal.SIGKILL
    write_pairs(tmp_path / "pairs.jsonl", 46)
    with pytest.raises(RunError, match=r"data\.train\.0: the content of .*pairs\.jsonl has changed"):
        run_recipe(recipe, tmp_path / "run", QuietProgress())
