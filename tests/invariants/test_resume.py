"""A run killed with SIGKILL and continued by the same call ends with the same bytes as one that was never killed.

Each run is a forked child, so that it can be killed at any instant. Besides random instants, children kill themselves at
chosen calls of `sync`, which lie inside the writing of checkpoints, rollouts and evaluations.
"""

import random
import signal
import time
import warnings
from pathlib import Path

import pytest
from killed import HANG_SECONDS, die_at_sync, finish, start

from dunwu.config.recipe import Recipe
from dunwu.errors import RunError
from dunwu.pipeline.run import run_recipe
from dunwu.runs.checkpoints import found
from dunwu.runs.progress import QuietProgress

NUM_RANDOM_KILLS = 20

RECIPE = Recipe.model_validate(
    {
        "name": "killed",
        "seed": 7,
        "model": {"path": "micro"},
        "stages": [
            {
                "kind": "r1_zero",
                "num_steps": 8,
                "prompts_per_step": 3,
                "group_size": 4,
                "steps_per_rollout": 2,
                "inner_epochs": 2,
                "refill_rounds": 1,
                # 5 training problems: the order of prompts passes an epoch boundary
                "task": {"kind": "world", "num_train": 5, "num_held_out": 4},
                "sampling": {"max_new_tokens": 16},
                "optimizer": {"learning_rate": 1e-3},
                "kl": {"coef": 0.05, "refresh_every_steps": 3},
                "evaluation": {"num_problems": 4, "samples_per_problem": 2, "every_steps": 3},
                "checkpoint": {"every_steps": 1, "keep_last": 2, "keep_finished": 2},
                "engine": {"max_sequences": 8},
            }
        ],
    }
)


@pytest.fixture(scope="module")
def unkilled(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], float]:
    """The digest of a run that was never killed, and how long it took."""
    path = tmp_path_factory.mktemp("unkilled") / "run"
    begin = time.monotonic()
    return finish(RECIPE, path), time.monotonic() - begin


def test_the_run_did_everything(unkilled: tuple[dict[str, str], float]) -> None:
    names = unkilled[0].keys()
    assert "r1_zero/metrics.jsonl" in names
    assert "r1_zero/rollouts/rollout-000002.parquet" in names
    assert "r1_zero/checkpoints/step-000008/optimizer.pt" in names
    assert "r1_zero/evaluation/step-000006.json" in names
    assert "r1_zero/model/model.safetensors" in names
    assert "summary.json" in names


@pytest.mark.parametrize("number", range(NUM_RANDOM_KILLS))
def test_killed_at_a_random_instant(
    number: int, unkilled: tuple[dict[str, str], float], tmp_path: Path
) -> None:
    expected, seconds = unkilled
    process = start(RECIPE, tmp_path / "run")
    time.sleep(random.Random(number).uniform(0.05, 0.95) * seconds)
    process.kill()
    process.join()
    assert finish(RECIPE, tmp_path / "run") == expected


@pytest.mark.parametrize("number", [1, 2, 5, 11, 17, 23, 31, 40])
def test_killed_while_writing(number: int, unkilled: tuple[dict[str, str], float], tmp_path: Path) -> None:
    process = start(RECIPE, tmp_path / "run", die_at_sync(number))
    process.join(HANG_SECONDS)
    assert process.exitcode == -signal.SIGKILL
    assert finish(RECIPE, tmp_path / "run") == unkilled[0]


def test_killed_again_and_again(unkilled: tuple[dict[str, str], float], tmp_path: Path) -> None:
    deaths = 0
    for number in (25, 13, 14, 15, 16):
        process = start(RECIPE, tmp_path / "run", die_at_sync(number))
        process.join(HANG_SECONDS)
        deaths += process.exitcode == -signal.SIGKILL
    assert deaths >= 3
    assert finish(RECIPE, tmp_path / "run") == unkilled[0]


def test_an_rl_stage_is_never_compared_with_a_before_of_its_trained_policy(tmp_path: Path) -> None:
    process = start(RECIPE, tmp_path / "run", die_at_sync(54))
    process.join(HANG_SECONDS)
    evaluations = tmp_path / "run" / "r1_zero" / "evaluation"
    (evaluations / "before.json").write_text('{"pass')
    with pytest.raises(
        RunError, match=r"before\.json is damaged .*delete .*r1_zero to start the stage again"
    ):
        run_recipe(RECIPE, tmp_path / "run", QuietProgress())
    (evaluations / "before.json").unlink()
    with pytest.raises(RunError, match=r"before.* is missing"):
        run_recipe(RECIPE, tmp_path / "run", QuietProgress())


def test_a_changed_recipe_names_the_difference(tmp_path: Path) -> None:
    process = start(RECIPE, tmp_path / "run", die_at_sync(20))
    process.join(HANG_SECONDS)
    changed = RECIPE.model_copy(update={"seed": 8})
    with pytest.raises(RunError, match=r"r1_zero \(is not finished\):\n    seed: was 7, is now 8"):
        run_recipe(changed, tmp_path / "run", QuietProgress())


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_serves(
    unkilled: tuple[dict[str, str], float], tmp_path: Path
) -> None:
    process = start(RECIPE, tmp_path / "run", die_at_sync(54))
    process.join(HANG_SECONDS)
    checkpoints = found(tmp_path / "run" / "r1_zero" / "checkpoints")
    assert len(checkpoints) == 2
    with (checkpoints[0].path / "optimizer.pt").open("r+b") as file:
        file.truncate(100)
    # the child's warnings are errors under pytest, as here in the parent: the damage must be said aloud
    process = start(RECIPE, tmp_path / "run")
    process.join(HANG_SECONDS)
    assert process.exitcode == 1
    assert finish(RECIPE, tmp_path / "run", lambda: warnings.simplefilter("ignore")) == unkilled[0]
