"""Both kinds of distillation, killed with SIGKILL and continued by the same call, end with the same bytes as if never killed.

The teacher is fine-tuned first; then a student learns from its data, and another one on completions of its own. Each run is a
forked child that kills itself at a chosen call: within the writing of files, and right after chosen updates, in the middle of a
rollout among them.
"""

import json
import signal
from pathlib import Path

import pytest
from killed import die_at, die_at_sync, finish, outcome

import dunwu.stages.epochs
import dunwu.stages.rl_loop
from dunwu.config.recipe import Recipe


def make_recipe(data: Path) -> Recipe:
    sft = {
        "data": {"kind": "messages", "train": str(data), "num_held_out": 3},
        "template": {"kind": "r1"},
        "num_epochs": 1,
        "batch_size": 5,
        "max_tokens": 64,
        "optimizer": {"learning_rate": 1e-3},
        "batch": {"micro_batch_tokens": 64},
        "checkpoint": {"every_steps": 1},
    }
    on_policy = {
        "kind": "on_policy_distill",
        "teacher": "teacher",
        "num_steps": 4,
        "prompts_per_step": 2,
        "group_size": 2,
        "steps_per_rollout": 2,  # a kill after the first of two updates goes on in the middle of a rollout
        "template": {"kind": "r1_zero"},
        "output_form": {"kind": "think_answer"},
        "rewards": [{"kind": "accuracy"}, {"kind": "format"}],
        "task": {"kind": "world", "num_train": 5, "num_held_out": 3},
        "sampling": {"max_new_tokens": 12},
        "optimizer": {"learning_rate": 1e-3},
        "evaluation": {"num_problems": 3, "samples_per_problem": 2, "every_steps": 2},
        "checkpoint": {"every_steps": 1, "keep_finished": 1},
        "engine": {"max_sequences": 8},
    }
    stages = [{"kind": "sft", "name": "teacher", **sft}, {"kind": "distill", **sft}, on_policy]
    return Recipe.model_validate({"name": "distill", "seed": 7, "model": {"path": "micro"}, "stages": stages})


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


def test_the_run_did_everything(unkilled: dict[str, str]) -> None:
    assert {
        "distill/model/model.safetensors",
        "on_policy_distill/rollouts/rollout-000002.parquet",
        "on_policy_distill/checkpoints/step-000004/optimizer.pt",
        "on_policy_distill/evaluation/step-000002.json",
        "on_policy_distill/model/model.safetensors",
        "summary.json",
    } <= unkilled.keys()
    assert "on_policy_distill/checkpoints/step-000004/reference.safetensors" not in unkilled
    # the same data, batches and rate as the teacher's, but for the names of the stages that draws go by
    assert unkilled["distill/metrics.jsonl"] != unkilled["teacher/metrics.jsonl"]


@pytest.mark.parametrize("number", [1, pytest.param(2, marks=pytest.mark.slow), 3])
def test_on_policy_distillation_killed_after_an_update(
    number: int, recipe: Recipe, unkilled: dict[str, str], tmp_path: Path
) -> None:
    """The metrics of the update are written, its checkpoint is not."""
    die = die_at(dunwu.stages.rl_loop._Loop, "_after_update", number)
    assert outcome(recipe, tmp_path / "run", die) == -signal.SIGKILL
    assert finish(recipe, tmp_path / "run") == unkilled


def test_distillation_killed_after_an_update(
    recipe: Recipe, unkilled: dict[str, str], tmp_path: Path
) -> None:
    die = die_at(
        dunwu.stages.epochs.EpochLoop, "_after_update", 4
    )  # two of the teacher's steps, then the student's second
    assert outcome(recipe, tmp_path / "run", die) == -signal.SIGKILL
    assert (tmp_path / "run" / "distill" / "checkpoints").is_dir()
    assert finish(recipe, tmp_path / "run") == unkilled


@pytest.mark.parametrize(
    "number", [pytest.param(n, marks=pytest.mark.slow) for n in range(30, 110, 16)] + [70]
)
def test_killed_while_writing(number: int, recipe: Recipe, unkilled: dict[str, str], tmp_path: Path) -> None:
    assert outcome(recipe, tmp_path / "run", die_at_sync(number)) == -signal.SIGKILL
    assert finish(recipe, tmp_path / "run") == unkilled
