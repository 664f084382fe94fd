"""`--profile` says where time went in stages that train, and changes nothing of what they make."""

from pathlib import Path
from typing import Any

import pytest

from dunwu.config.recipe import Recipe
from dunwu.pipeline.run import run_recipe
from dunwu.runs.digest import comparable_digest
from dunwu.runs.folder import RunFolder
from dunwu.runs.profiles import PROFILE_FOLDER, read_profiles
from dunwu.runs.progress import QuietProgress


def make_recipe() -> Recipe:
    rl: dict[str, Any] = {
        "kind": "r1_zero",
        "num_steps": 2,
        "prompts_per_step": 4,
        "group_size": 4,
        "steps_per_rollout": 1,
        "task": {"kind": "world", "kinds": ["sum"], "num_train": 8, "num_held_out": 2},
        "sampling": {"max_new_tokens": 12},
        "evaluation": {"num_problems": 2, "samples_per_problem": 1},
    }
    sft: dict[str, Any] = {
        "kind": "sft",
        "data": {"kind": "world", "kinds": ["program"], "num_conversations": 24, "num_held_out": 2},
        "template": {"kind": "r1"},
        "num_epochs": 1,
        "batch_size": 8,
        "max_tokens": 256,
    }
    data = {"name": "profiled", "seed": 2, "model": {"path": "micro"}, "stages": [rl, sft]}
    return Recipe.model_validate(data)


@pytest.fixture(scope="module")
def profiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, QuietProgress]:
    path, progress = tmp_path_factory.mktemp("profiled") / "run", QuietProgress()
    run_recipe(make_recipe(), path, progress, profile=True)
    return RunFolder.read(path), progress


def test_the_second_and_third_step_are_profiled(profiled: tuple[RunFolder, QuietProgress]) -> None:
    run, progress = profiled
    (rl,) = read_profiles(run.stage("r1_zero").path / PROFILE_FOLDER)
    assert rl["step"] == 2
    names = {phase["name"] for phase in rl["phases"]}
    assert names >= {
        "sample / prefill",
        "sample / decode",
        "sample / draw tokens",
        "wait for grades",
        "advantages",
    }
    assert names >= {
        "write rollouts",
        "reference / layers",
        "layers",
        "head",
        "backward",
        "optimizer",
        "checkpoint",
    }
    steps = [profile["step"] for profile in read_profiles(run.stage("sft").path / PROFILE_FOLDER)]
    assert steps == [2, 3]
    table = (run.stage("sft").path / PROFILE_FOLDER / "step-000002.md").read_text()
    assert table.startswith("# Where the time went: sft, from step 2\n")
    assert "| backward | " in table
    assert sum(message.startswith("profile of step ") for message in progress.messages) == 3


def test_a_profiled_run_is_the_same_run(profiled: tuple[RunFolder, QuietProgress], tmp_path: Path) -> None:
    run_recipe(make_recipe(), tmp_path / "plain", QuietProgress())
    assert comparable_digest(profiled[0].path) == comparable_digest(tmp_path / "plain")
    assert not list((tmp_path / "plain").rglob(PROFILE_FOLDER))
    progress = QuietProgress()
    run_recipe(
        make_recipe(), profiled[0].path, progress
    )  # profiles are no outputs that could have been tampered with
    assert not progress.steps
