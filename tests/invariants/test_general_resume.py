"""RL for all scenarios killed with SIGKILL and continued ends with the same bytes as if it had never been killed.

General prompts begin in the middle of the run, and rollouts serve two updates, so that kills lie within either sort of rollout,
and in evaluations of both sets.
"""

import random
import signal
import time
from pathlib import Path

import pytest
from killed import die_at_sync, finish, outcome, start
from reward_folders import general_recipe

from dunwu.config.recipe import Recipe


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return Recipe.model_validate(general_recipe(tmp_path_factory.mktemp("models")))


@pytest.fixture(scope="module")
def unkilled(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], float]:
    path = tmp_path_factory.mktemp("unkilled") / "run"
    begin = time.monotonic()
    return finish(recipe, path), time.monotonic() - begin


def test_the_run_did_everything(unkilled: tuple[dict[str, str], float]) -> None:
    assert {
        "general_rl/rollouts/rollout-000004.parquet",
        "general_rl/evaluation/step-000003.json",
        "general_rl/checkpoints/step-000006/counters.json",
        "general_rl/model/model.safetensors",
    } <= unkilled[0].keys()


@pytest.mark.parametrize(
    "number", [n if n < 3 else pytest.param(n, marks=pytest.mark.slow) for n in range(12)]
)
def test_killed_at_a_random_instant(
    number: int, recipe: Recipe, unkilled: tuple[dict[str, str], float], tmp_path: Path
) -> None:
    expected, seconds = unkilled
    process = start(recipe, tmp_path / "run")
    time.sleep(random.Random(number).uniform(0.2, 0.95) * seconds)
    process.kill()
    process.join()
    assert finish(recipe, tmp_path / "run") == expected


@pytest.mark.parametrize(
    "number",
    [n if n in (24, 40) else pytest.param(n, marks=pytest.mark.slow) for n in (6, 12, 18, 24, 32, 40, 48)],
)
def test_killed_while_writing(
    number: int, recipe: Recipe, unkilled: tuple[dict[str, str], float], tmp_path: Path
) -> None:
    assert outcome(recipe, tmp_path / "run", die_at_sync(number)) == -signal.SIGKILL
    assert finish(recipe, tmp_path / "run") == unkilled[0]
