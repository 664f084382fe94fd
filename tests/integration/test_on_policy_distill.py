"""On-policy distillation end to end on `micro`: the student comes nearer to its teacher, and everything is in the run folder."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from dunwu.config.check import check_recipe
from dunwu.config.recipe import Recipe
from dunwu.errors import ConfigError
from dunwu.models.loading import save_policy
from dunwu.pipeline.run import run_recipe
from dunwu.runs.folder import RunFolder
from dunwu.runs.progress import QuietProgress

TEACHER: dict[str, Any] = {
    "kind": "r1_zero",
    "name": "teacher",
    "num_steps": 10,
    "prompts_per_step": 16,
    "group_size": 8,
    "steps_per_rollout": 1,
    "split_rollout_by": "prompt",
    "task": {"kind": "world", "num_train": 256, "num_held_out": 48},
    "sampling": {"max_new_tokens": 96},
    "optimizer": {"learning_rate": 4e-4},
    "evaluation": {"num_problems": 48, "samples_per_problem": 2},
}
TEACHER_FORM = {"kind": "think_answer"}
DISTILL: dict[str, Any] = {
    "kind": "on_policy_distill",
    "start": "base",
    "teacher": "teacher",
    "num_steps": 12,
    "prompts_per_step": 8,
    "group_size": 2,
    "template": {"kind": "r1_zero"},
    "output_form": TEACHER_FORM,
    "rewards": [{"kind": "accuracy"}, {"kind": "format"}],
    "task": TEACHER["task"],
    "sampling": TEACHER["sampling"],
    "optimizer": {"learning_rate": 5e-4},
    "evaluation": {**TEACHER["evaluation"], "every_steps": 6},
    "checkpoint": {"every_steps": 6},
}


def make(*stages: dict[str, Any], **changes: Any) -> Recipe:
    data = {"name": "distilled", "seed": 3, "model": {"path": "micro"}, "stages": list(stages), **changes}
    return Recipe.model_validate(data)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    path = tmp_path_factory.mktemp("on_policy_distill") / "run"
    recipe = make(TEACHER, DISTILL)
    check_recipe(recipe)
    run_recipe(recipe, path, QuietProgress())
    return RunFolder.read(path)


def test_the_student_comes_nearer_to_its_teacher(run: RunFolder) -> None:
    metrics = run.stage("on_policy_distill").read_metrics()
    assert [record["step"] for record in metrics] == list(range(1, 13))
    divergence = [record["reverse_kl"] for record in metrics]
    assert divergence[0] > 0.02
    assert sum(divergence[-3:]) < 0.5 * sum(divergence[:3])
    for record in metrics:
        assert record["loss"] == pytest.approx(record["reverse_kl"], rel=1e-5)  # token_mean
        assert record["reverse_kl_max"] > record["reverse_kl"] > 0
        assert record["entropy"] > 0
        assert record["grad_norm"] > 0
        assert record["trained_sequences"] == 16
        assert record["length_mean"] * 16 == pytest.approx(record["trained_tokens"])
        assert record["zero_spread_frac"] is None
        assert record["note"] is None


def test_it_is_evaluated_before_during_and_after(run: RunFolder) -> None:
    _, student = json.loads((run.path / "summary.json").read_text())["stages"]
    assert student["after"]["pass_at_1"] > student["before"]["pass_at_1"] + 0.05
    assert run.stage("on_policy_distill").evaluation_labels() == ["before", "step-000006", "after"]


def test_rollouts_hold_measured_rewards_and_no_advantages(run: RunFolder) -> None:
    stored = run.stage("on_policy_distill").read_rollouts(3)
    assert (stored.first_step, stored.last_step) == (3, 3)
    for group in stored.groups:
        assert group.advantages == (0.0, 0.0)
        assert all(rollout.reward.total is not None for rollout in group.rollouts)


def test_the_model_is_a_plain_folder_and_the_teacher_is_as_it_was(run: RunFolder) -> None:
    student = load_file(run.stage("on_policy_distill").model_path / "model.safetensors")
    teacher = load_file(run.stage("teacher").model_path / "model.safetensors")
    assert student.keys() == teacher.keys()
    assert any(not torch.equal(student[name], teacher[name]) for name in student)
    AutoModelForCausalLM.from_pretrained(run.stage("on_policy_distill").model_path)
    run_recipe(make(TEACHER, DISTILL), run.path, QuietProgress())  # finds everything as it was made


def other_vocabulary(tiny_policy: Any, folder: Path) -> str:
    save_policy(tiny_policy("llama"), folder)
    return str(folder)


def test_another_vocabulary_is_refused_before_weights_are_loaded(
    tmp_path: Path, tiny_policy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = other_vocabulary(tiny_policy, tmp_path / "other")
    recipe = make({**DISTILL, "teacher": "other"}, models={"other": {"path": path}})
    with pytest.raises(
        ConfigError, match=r"stages\.on_policy_distill\.teacher: other goes back to .*another"
    ):
        check_recipe(recipe)

    def refuse(*_: Any) -> None:
        raise AssertionError("weights were loaded")

    monkeypatch.setattr("dunwu.stages.on_policy_distill.load_policy", refuse)
    monkeypatch.setattr("dunwu.stages.training_run.load_policy", refuse)
    with pytest.raises(ConfigError, match=r"different vocabularies: [\d,]+ and 259 tokens, for example"):
        run_recipe(recipe, tmp_path / "run", QuietProgress())


def test_a_teacher_that_is_the_student_is_refused() -> None:
    with pytest.raises(ValueError, match="teacher and start are both base"):
        make({**DISTILL, "teacher": "base"})
