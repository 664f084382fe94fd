"""A chain of stages killed with SIGKILL, within a stage, between two, and while it writes what it made, ends with the same bytes.

R1-Zero, fine-tuning of what it made, and fine-tuning of that. Each run is a forked child that kills itself at a chosen call.
"""

import json
import signal
from pathlib import Path

import pytest
from killed import die_at, die_at_sync, finish, outcome

import dunwu.pipeline.run
import dunwu.runs.files
import dunwu.runs.stage_lineage
from dunwu.config.recipe import Recipe
from dunwu.errors import RunError
from dunwu.pipeline.run import run_recipe
from dunwu.runs.digest import comparable_digest
from dunwu.runs.folder import RunFolder
from dunwu.runs.progress import QuietProgress

STAGES = ["r1_zero", "sft_1", "sft_2"]


def make_recipe(data: Path, learning_rate: float = 1e-3) -> Recipe:
    r1_zero = {
        "kind": "r1_zero",
        "num_steps": 3,
        "prompts_per_step": 2,
        "group_size": 3,
        "steps_per_rollout": 1,
        "task": {"kind": "world", "num_train": 5, "num_held_out": 3},
        "sampling": {"max_new_tokens": 12},
        "evaluation": {"num_problems": 3, "samples_per_problem": 2, "every_steps": 1},
        "checkpoint": {"every_steps": 1, "keep_last": 1, "keep_best": True},
        "engine": {"max_sequences": 8},
    }
    sft = {
        "kind": "sft",
        "data": {"kind": "messages", "train": str(data), "num_held_out": 3},
        "template": {"kind": "r1"},
        "num_epochs": 1,
        "batch_size": 5,
        "max_tokens": 64,
        "batch": {"micro_batch_tokens": 64},
        "checkpoint": {"every_steps": 1},
    }
    return Recipe.model_validate(
        {
            "name": "chain",
            "seed": 7,
            "model": {"path": "micro"},
            "stages": [
                r1_zero,
                {**sft, "name": "sft_1", "start": "r1_zero", "optimizer": {"learning_rate": learning_rate}},
                {**sft, "name": "sft_2", "start": "sft_1", "template": {"kind": "plain"}},
            ],
        }
    )


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    path = tmp_path_factory.mktemp("data") / "data.jsonl"
    rows = [
        {"messages": [{"role": "user", "content": f"What is {i} + {i % 7}?"}, {"role": "assistant", "content": f"{i + i % 7}"}]}
        for i in range(13)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return make_recipe(path)


@pytest.fixture(scope="module")
def unkilled(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return finish(recipe, tmp_path_factory.mktemp("unkilled") / "run")


def test_the_chain_did_everything(unkilled: dict[str, str]) -> None:
    for name in STAGES:
        assert {
            f"{name}/manifest.json",
            f"{name}/record.json",
            f"{name}/model/model.safetensors",
        } <= unkilled.keys()
    assert unkilled["sft_1/model/model.safetensors"] != unkilled["sft_2/model/model.safetensors"]
    checkpoints = {name.split("/")[2] for name in unkilled if "/checkpoints/" in name}
    assert len(checkpoints) == 1  # the best one of r1_zero, which was asked for; the others are pruned
    assert all(name.startswith("r1_zero/") for name in unkilled if "/checkpoints/" in name)


RECORD, MANIFEST = "write_file", "write_stage_manifest"
LINEAGE = dunwu.runs.stage_lineage
BETWEEN = [
    # of the first stage: its beginning, its data pinned, its end; then the same of the second
    (LINEAGE, MANIFEST, 1, False),
    (LINEAGE, MANIFEST, 1, True),
    (LINEAGE, MANIFEST, 2, True),
    (LINEAGE, RECORD, 1, False),
    (LINEAGE, RECORD, 1, True),
    (LINEAGE, MANIFEST, 3, True),
    (LINEAGE, MANIFEST, 4, True),
    (LINEAGE, RECORD, 2, True),
    (LINEAGE, MANIFEST, 6, True),
    (RunFolder, "write_summary", 1, True),
    (RunFolder, "write_summary", 3, False),
    (RunFolder, "write_summary", 3, True),
    (dunwu.pipeline.run._Runner, "_prune", 1, False),
    (dunwu.pipeline.run._Runner, "_prune", 3, True),
    (RunFolder, "adopt_recipe", 1, True),
]  # fmt: skip
QUICK = (1, 5, 6, 9, 12)


@pytest.mark.parametrize(
    "index", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in range(len(BETWEEN))]
)
def test_killed_between_stages_and_while_one_is_finished(
    index: int, recipe: Recipe, unkilled: dict[str, str], tmp_path: Path
) -> None:
    place, name, number, after = BETWEEN[index]
    assert outcome(recipe, tmp_path / "run", die_at(place, name, number, after=after)) == -signal.SIGKILL
    assert finish(recipe, tmp_path / "run") == unkilled


@pytest.mark.parametrize(
    "number", [n if n in (30, 75) else pytest.param(n, marks=pytest.mark.slow) for n in range(3, 120, 9)]
)
def test_killed_at_any_write(number: int, recipe: Recipe, unkilled: dict[str, str], tmp_path: Path) -> None:
    assert outcome(recipe, tmp_path / "run", die_at_sync(number)) == -signal.SIGKILL
    assert finish(recipe, tmp_path / "run") == unkilled


def test_killed_again_and_again(recipe: Recipe, unkilled: dict[str, str], tmp_path: Path) -> None:
    deaths = 0
    for number in (40, 30, 25, 15):
        deaths += outcome(recipe, tmp_path / "run", die_at_sync(number)) == -signal.SIGKILL
    assert deaths >= 3
    assert finish(recipe, tmp_path / "run") == unkilled


def test_a_rerun_that_is_killed_ends_as_a_new_run(recipe: Recipe, tmp_path: Path) -> None:
    """Of a finished chain the second stage changes; the rerun is killed right after the old folder was set aside."""
    changed = make_recipe(Path(recipe.stages[1].data.train[0]), learning_rate=2e-3)  # type: ignore[union-attr]
    run = tmp_path / "run"
    before = finish(recipe, run)
    with pytest.raises(
        RunError, match=r"sft_1 \(is finished\):\n    optimizer\.learning_rate: was 0\.001, is now 0\.002"
    ):
        run_recipe(changed, run, QuietProgress())
    assert comparable_digest(run) == before
    die = die_at(dunwu.pipeline.run, "set_aside", 1, after=True)
    assert outcome(changed, run, die, rerun_changed=True) == -signal.SIGKILL
    assert not (run / "sft_1").exists()
    assert outcome(changed, run, rerun_changed=True) == 0
    assert finish(changed, tmp_path / "fresh") == comparable_digest(run)
    assert (
        comparable_digest(run)["r1_zero/model/model.safetensors"] == before["r1_zero/model/model.safetensors"]
    )
