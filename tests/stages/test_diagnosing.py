"""Ailments of real training: said when they begin, kept in the run folder, found again by who has no record of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dunwu.config.recipe import Recipe
from dunwu.errors import RunError
from dunwu.pipeline.run import run_recipe
from dunwu.runs.digest import comparable_digest
from dunwu.runs.folder import RunFolder
from dunwu.runs.progress import QuietProgress
from dunwu.runs.stage_folder import StageFolder

RECIPE = {
    "name": "ill",
    "seed": 3,
    "model": {"path": "micro"},
    "stages": [
        {
            "kind": "r1_zero",
            "num_steps": 9,
            "prompts_per_step": 2,
            "group_size": 4,
            "steps_per_rollout": 1,
            "task": {"kind": "world", "num_train": 16, "num_held_out": 4},
            "sampling": {"max_new_tokens": 2},  # nobody can answer in two tokens
            "evaluation": {"num_problems": 4, "samples_per_problem": 2},
            "checkpoint": {"every_steps": 4},
        }
    ],
}


@pytest.fixture(scope="module")
def ill(tmp_path_factory: pytest.TempPathFactory) -> tuple[StageFolder, QuietProgress]:
    path = tmp_path_factory.mktemp("ill") / "run"
    progress = QuietProgress()
    run_recipe(Recipe.model_validate(RECIPE), path, progress)
    return RunFolder.read(path).stage("r1_zero"), progress


def test_what_ails_training_is_said_once_and_kept(ill: tuple[StageFolder, QuietProgress]) -> None:
    folder, progress = ill
    truncated, no_spread = folder.diagnoses()
    assert (truncated.name, truncated.began, truncated.named) == ("all truncated", 1, 4)
    assert (no_spread.name, no_spread.began, no_spread.named) == ("zero-spread groups", 1, 8)
    said = [text for text in progress.messages if "diagnosis: " in text]
    assert said == [
        f"step 4: diagnosis: {truncated.text}",
        f"step 8: diagnosis: {no_spread.text}",
    ]
    events = [event for event in folder.run.read_events() if event["event"] == "diagnosis begins"]
    assert [(event["stage"], event["step"], event["name"]) for event in events] == [
        ("r1_zero", 4, "all truncated"),
        ("r1_zero", 8, "zero-spread groups"),
    ]


def test_a_stage_without_a_record_is_diagnosed_from_its_figures(
    ill: tuple[StageFolder, QuietProgress],
) -> None:
    folder, _ = ill
    recorded = folder.diagnoses()
    record = folder.path / "diagnosis.jsonl"
    lines = record.read_bytes()
    record.unlink()
    try:
        assert folder.diagnoses() == recorded
        record.write_text('{"state": "ends", "name": "nothing"}\n', encoding="utf-8")
        with pytest.raises(RunError, match=r"diagnosis\.jsonl is damaged"):
            folder.diagnoses()
    finally:
        record.write_bytes(lines)


def test_the_record_goes_back_with_the_stage(ill: tuple[StageFolder, QuietProgress], tmp_path: Path) -> None:
    folder, _ = ill
    recipe = Recipe.model_validate(RECIPE)
    with RunFolder.open(tmp_path, recipe) as run:
        stage = run.stage("r1_zero")
        assert stage.diagnoses() == []
        records = [
            {
                "state": "begins",
                "step": step,
                "name": name,
                "began": 1,
                "named": step,
                "evidence": "e",
                "meaning": "m",
            }
            | {"remedy": "r", "figures": []}
            for step, name in ((1, "repetition"), (2, "all truncated"))
        ]
        assert stage.note_diagnosis(records) == records
        assert stage.note_diagnosis(records) == []  # a continued stage says again what is there already
        for step in (1, 2):
            stage.append_metrics(step, {"rollout": step})
        stage.rewind(1)
        assert [diagnosis.name for diagnosis in stage.diagnoses()] == ["repetition"]
    assert folder.path.parent != tmp_path


@pytest.mark.parametrize("dies_at", [3, 6, 9])
def test_a_run_that_broke_off_and_goes_on_has_the_same_record(
    dies_at: int, ill: tuple[StageFolder, QuietProgress], tmp_path: Path
) -> None:
    """The record holds lines of steps 4 and 8; checkpoints are made after 4 and 8."""

    class Dies(QuietProgress):
        def step(self, step: int, metrics: Mapping[str, Any], timings: Mapping[str, Any]) -> None:
            if step == dies_at:
                raise KeyboardInterrupt

    recipe = Recipe.model_validate(RECIPE)
    with pytest.raises(KeyboardInterrupt):
        run_recipe(recipe, tmp_path / "run", Dies())
    progress = QuietProgress()
    run_recipe(recipe, tmp_path / "run", progress)
    assert comparable_digest(tmp_path / "run") == comparable_digest(ill[0].run.path)
    said = [text for text in progress.messages if "diagnosis: " in text]
    assert len(said) == sum(step > (dies_at - 1) // 4 * 4 for step in (4, 8))
