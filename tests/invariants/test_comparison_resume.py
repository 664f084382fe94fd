"""A comparison killed with SIGKILL and continued by the same call ends with the same bytes as one that was never killed.

Children kill themselves when a step's figures are written, before and after, and at chosen calls of `sync`, which lie inside the
writing of evaluations and of the table.
"""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from comparison_recipe import make_recipe
from killed import die, die_at_sync, finish, outcome

import dunwu.runs.stage_folder
from dunwu.errors import RunError
from dunwu.pipeline.run import run_recipe
from dunwu.runs.progress import QuietProgress

SMALL: dict[str, Any] = {
    "num_problems": 3,
    "num_general": 2,
    "sampling": {"max_new_tokens": 24},
    "columns": [
        {"label": "base", "model": "base"},
        {
            "label": "other",
            "model": "base",
            "template": {"kind": "plain", "text": "Q: {question}\n"},
            "output_form": {"kind": "plain"},
        },
    ],
}
NUM_STEPS = 4  # two columns sampled, then judged


def die_in_step(number: int, *, after: bool) -> Callable[[], None]:
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
    return finish(make_recipe(**SMALL), tmp_path_factory.mktemp("unkilled") / "run")


def test_the_run_did_everything(unkilled: dict[str, str]) -> None:
    for name in (
        "metrics.jsonl",
        "evaluation/base.parquet",
        "evaluation/other.general.json",
        "evaluation/other.judged.parquet",
        "comparison.json",
        "comparison.md",
    ):
        assert f"comparison/{name}" in unkilled


@pytest.mark.parametrize(
    ("step", "after"),
    [
        pytest.param(step, after, marks=[] if (step, after) in {(2, False), (3, True)} else pytest.mark.slow)
        for step in range(1, NUM_STEPS + 1)
        for after in (False, True)
    ],
)
def test_killed_at_the_border_of_steps(
    step: int, after: bool, unkilled: dict[str, str], tmp_path: Path
) -> None:
    recipe = make_recipe(**SMALL)
    assert outcome(recipe, tmp_path / "run", die_in_step(step, after=after)) == -signal.SIGKILL
    assert finish(recipe, tmp_path / "run") == unkilled


@pytest.mark.parametrize(
    "number", [pytest.param(n, marks=[] if n == 12 else pytest.mark.slow) for n in range(6, 34, 3)]
)
def test_killed_while_writing(number: int, unkilled: dict[str, str], tmp_path: Path) -> None:
    recipe = make_recipe(**SMALL)
    assert outcome(recipe, tmp_path / "run", die_at_sync(number)) == -signal.SIGKILL
    assert finish(recipe, tmp_path / "run") == unkilled


def test_other_problems_are_an_error_on_resume(tmp_path: Path) -> None:
    recipe = make_recipe(**SMALL)
    assert outcome(recipe, tmp_path / "run", die_in_step(1, after=True)) == -signal.SIGKILL
    with pytest.raises(RunError, match="num_problems"):
        run_recipe(make_recipe(**{**SMALL, "num_problems": 4}), tmp_path / "run", QuietProgress())
