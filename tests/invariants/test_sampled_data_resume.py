"""Data by sampling, killed with SIGKILL and continued by the same call, ends with the same bytes as if it was never killed.

Children kill themselves at chosen calls of `sync`, which lie inside the writing of rollouts and chunks, at the border between two
steps, where the sampling half gives over to the settling one too, and before the last file is written.
"""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from killed import die, die_at_sync, finish, outcome

import dunwu.runs.files
import dunwu.runs.stage_folder
from dunwu.config.recipe import Recipe
from dunwu.errors import RunError
from dunwu.pipeline.run import run_recipe
from dunwu.runs.progress import QuietProgress

NUM_STEPS = 6  # three chunks are sampled, then settled


def make_recipe(**changes: Any) -> Recipe:
    stage = {
        "kind": "cold_start",
        "task": {"kind": "world", "kinds": ["sum"], "num_train": 9, "num_held_out": 2},
        "samples_per_prompt": 8,
        "prompts_per_chunk": 3,
        "sampling": {"max_new_tokens": 32},
        **changes,
    }
    return Recipe.model_validate({"name": "killed", "seed": 7, "model": {"path": "micro"}, "stages": [stage]})


def die_in_step(number: int, *, after: bool) -> Callable[[], None]:
    """Dies when a step's rollouts or chunk are written, before or after its metrics are."""

    def prepare() -> None:
        def append(folder: Any, step: int, metrics: Any) -> None:
            if step == number and not after:
                die()
            original(folder, step, metrics)
            if step == number:
                die()

        original = dunwu.runs.stage_folder.StageFolder.append_metrics
        dunwu.runs.stage_folder.StageFolder.append_metrics = append  # type: ignore[method-assign]

    return prepare


@pytest.fixture(scope="module")
def unkilled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return finish(make_recipe(), tmp_path_factory.mktemp("unkilled") / "run")


def test_the_run_did_everything(unkilled: dict[str, str]) -> None:
    for name in (
        "metrics.jsonl",
        "rollouts/rollout-000003.parquet",
        "chunks/chunk-000003.jsonl",
        "data/train.jsonl",
    ):
        assert f"cold_start/{name}" in unkilled


QUICK = {(2, True), (3, True), (4, False), (6, True)}


@pytest.mark.parametrize(
    ("step", "after"),
    [
        pytest.param(step, after, marks=[] if (step, after) in QUICK else pytest.mark.slow)
        for step in range(1, NUM_STEPS + 1)
        for after in (False, True)
    ],
)
def test_killed_at_the_border_of_steps(
    step: int, after: bool, unkilled: dict[str, str], tmp_path: Path
) -> None:
    assert outcome(make_recipe(), tmp_path / "run", die_in_step(step, after=after)) == -signal.SIGKILL
    assert finish(make_recipe(), tmp_path / "run") == unkilled


@pytest.mark.parametrize(
    "number", [pytest.param(n, marks=[] if n in (9, 14) else pytest.mark.slow) for n in range(5, 18)]
)
def test_killed_while_writing(number: int, unkilled: dict[str, str], tmp_path: Path) -> None:
    assert outcome(make_recipe(), tmp_path / "run", die_at_sync(number)) == -signal.SIGKILL
    assert finish(make_recipe(), tmp_path / "run") == unkilled


def test_killed_again_and_again(unkilled: dict[str, str], tmp_path: Path) -> None:
    for step in (1, 3, 4, 6):
        assert outcome(make_recipe(), tmp_path / "run", die_in_step(step, after=False)) == -signal.SIGKILL
    assert finish(make_recipe(), tmp_path / "run") == unkilled


def test_other_settings_are_an_error_on_resume(tmp_path: Path) -> None:
    assert outcome(make_recipe(), tmp_path / "run", die_in_step(2, after=True)) == -signal.SIGKILL
    with pytest.raises(RunError, match="samples_per_prompt"):
        run_recipe(make_recipe(samples_per_prompt=2), tmp_path / "run", QuietProgress())
