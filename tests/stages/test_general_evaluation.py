"""The watch reads the run folder: what counts are the rollouts with general prompts, and the evaluations since they began."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dunwu.config.recipe import Recipe
from dunwu.config.stage import GeneralRlStage
from dunwu.runs.folder import RunFolder
from dunwu.runs.stage_folder import StageFolder
from dunwu.stages.general_evaluation import watch

GENERAL_TASK = {"kind": "file", "train": "x.jsonl", "grader": "preference", "preference_set": "helpful"}
RECIPE = Recipe.model_validate(
    {
        "name": "watched",
        "model": {"path": "micro"},
        "models": {"rm": {"path": "rm"}},
        "stages": [
            {
                "kind": "general_rl",
                "num_steps": 20,
                "steps_per_rollout": 1,
                "task": {"kind": "world"},
                "general": {"task": GENERAL_TASK, "steps": 12},
                "rewards": [{"kind": "preference", "helpful": "rm", "safety": "rm"}],
            }
        ],
    }
)


def figures(right: float, helpful: float | None = None) -> dict[str, Any]:
    general = (
        {}
        if helpful is None
        else {"helpfulness": helpful, "helpfulness_interval": [helpful - 0.02, helpful + 0.02]}
    )
    return {"pass_at_1": right, "pass_at_1_interval": [right - 0.02, right + 0.02], "general": general}


@pytest.fixture
def config() -> GeneralRlStage:
    (stage,) = RECIPE.stages
    assert isinstance(stage, GeneralRlStage)
    return stage


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[StageFolder]:
    with RunFolder.open(tmp_path / "run", RECIPE) as run:
        stage = run.stage("general_rl")
        stage.path.mkdir()
        yield stage


def write_steps(folder: StageFolder, last: int, slope: float) -> None:
    """The safety reward rises in the first 8 steps too, where it must not count; there are none of the other set."""
    for step in range(len(folder.read_metrics()) + 1, last + 1):
        value = 0.2 + slope * (step - 8) if step > 8 else None
        folder.append_metrics(
            step, {"rollout": step, "reward_preference.safety": value, "reward_preference": value}
        )


def test_it_is_quiet_before_general_prompts_begin(config: GeneralRlStage, folder: StageFolder) -> None:
    folder.write_evaluation("before", figures(0.9), [], step=0)
    write_steps(folder, 8, 0.05)
    assert watch(config, folder, 8, figures(0.3)) is None


def test_it_fires_and_is_noted(config: GeneralRlStage, folder: StageFolder) -> None:
    folder.write_evaluation("before", figures(0.9), [], step=0)
    folder.write_evaluation("step-000008", figures(0.7, 0.5), [], step=8)
    write_steps(folder, 14, 0.05)
    folder.write_evaluation("step-000014", figures(0.71, 0.6), [], step=14)
    write_steps(folder, 20, 0.05)
    # 0.9 to 0.7 was before general prompts: no matter for this watch
    assert watch(config, folder, 20, figures(0.70, 0.61)) is None
    seen = watch(config, folder, 20, figures(0.60, 0.61))
    assert seen is not None
    assert seen["step"] == 20
    assert [fall["name"] for fall in seen["falls"]] == ["pass@1"]
    assert seen["falls"][0]["best"]["step"] == 14
    assert [(rise["name"], rise["first"]) for rise in seen["rises"]] == [
        ("preference.safety", pytest.approx(0.325))
    ]
    assert "preference.safety rose" in seen["text"]
    truth = watch(config, folder, 20, figures(0.71, 0.4))
    assert truth is not None
    assert [fall["name"] for fall in truth["falls"]] == ["helpfulness"]

    folder.write_evaluation("after", {**figures(0.60, 0.61), "reward_hacking": seen}, [], step=20)
    (note,) = folder.reward_hacking_notes()
    assert (note["evaluation"], note["text"]) == ("after", seen["text"])


def test_a_reward_that_stays_is_no_hacking(config: GeneralRlStage, folder: StageFolder) -> None:
    folder.write_evaluation("step-000008", figures(0.9), [], step=8)
    write_steps(folder, 20, 0.0)
    assert watch(config, folder, 20, figures(0.3)) is None


def test_without_an_evaluation_where_they_begin_the_last_before_it_counts(
    config: GeneralRlStage, folder: StageFolder
) -> None:
    folder.write_evaluation("before", figures(0.9), [], step=0)
    folder.write_evaluation("step-000004", figures(0.8), [], step=4)
    write_steps(folder, 20, 0.05)
    seen = watch(config, folder, 20, figures(0.7))
    assert seen is not None
    assert seen["falls"][0]["best"]["step"] == 4
