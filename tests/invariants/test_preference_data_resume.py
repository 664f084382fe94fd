"""Preference data, killed with SIGKILL and continued by the same call, end with the same bytes as if they were never killed.

Children kill themselves at the border between two steps, where one model gives over to the next and sampling to judging too, and
at chosen calls of `sync`, which lie inside the writing of rollouts, chunks and rows.
"""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from killed import die, die_at_sync, finish, outcome
from preference_recipes import preference_recipe

import dunwu.runs.stage_folder
from dunwu.config.recipe import Recipe
from dunwu.errors import RunError
from dunwu.pipeline.run import run_recipe
from dunwu.runs.progress import QuietProgress

NUM_STEPS = 6  # two chunks, sampled by one model, then by the other, then judged


def make_recipe(**changes: Any) -> Recipe:
    return preference_recipe(
        models=["second"],
        samples_per_prompt=2,
        prompts_per_chunk=5,
        sampling={"max_new_tokens": 24},
        **changes,
    )


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
        "rollouts/rollout-000004.parquet",
        "chunks/chunk-000002.jsonl",
        "data/safety.jsonl",
        "data/pairs.jsonl",
    ):
        assert f"preference_data/{name}" in unkilled


QUICK = {(2, True), (3, False), (5, True)}


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
    "number", [pytest.param(n, marks=[] if n == 12 else pytest.mark.slow) for n in range(5, 18)]
)
def test_killed_while_writing(number: int, unkilled: dict[str, str], tmp_path: Path) -> None:
    assert outcome(make_recipe(), tmp_path / "run", die_at_sync(number)) == -signal.SIGKILL
    assert finish(make_recipe(), tmp_path / "run") == unkilled


def test_killed_again_and_again(unkilled: dict[str, str], tmp_path: Path) -> None:
    for step in (1, 4, 6):
        assert outcome(make_recipe(), tmp_path / "run", die_in_step(step, after=False)) == -signal.SIGKILL
    assert finish(make_recipe(), tmp_path / "run") == unkilled


def test_another_judge_is_an_error_on_resume(tmp_path: Path) -> None:
    assert outcome(make_recipe(), tmp_path / "run", die_in_step(2, after=True)) == -signal.SIGKILL
    other = make_recipe(judge={"by": {"kind": "world", "noise": 0.1}})
    with pytest.raises(RunError, match=r"judge\.by\.noise"):
        run_recipe(other, tmp_path / "run", QuietProgress())
