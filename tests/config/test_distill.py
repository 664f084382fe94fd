"""The stages of distillation: their figures, what their keys refuse, and what is found wrong before a run starts."""

import json
from pathlib import Path
from typing import Any

import pytest

from dunwu.config.check import Missing, check_recipe, recipe_problems
from dunwu.config.distill import DistillStage
from dunwu.config.load import build_recipe
from dunwu.config.recipe import Recipe
from dunwu.config.references import references
from dunwu.errors import ConfigError

DATA = {"kind": "messages", "train": "rows.jsonl"}


def make(*stages: dict[str, Any], **changes: Any) -> Recipe:
    data = {"name": "t", "model": {"path": "micro"}, "stages": list(stages), **changes}
    return build_recipe(data, source="test")


def on_policy(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "on_policy_distill",
        "teacher": "teacher",
        "task": {"kind": "world"},
        "template": {"kind": "r1_zero"},
        "output_form": {"kind": "think_answer"},
        "sampling": {"max_new_tokens": 64},
        **changes,
    }


def test_distillation_is_fine_tuning_with_the_paper_s_figures() -> None:
    stage = DistillStage.model_validate({"data": DATA, "optimizer": {"learning_rate": 8e-5}})
    assert (stage.batch_size, stage.num_epochs, stage.max_tokens) == (64, 2, 32768)
    assert (stage.optimizer.schedule.kind, stage.optimizer.schedule.final_frac) == ("cosine", 0.1)
    assert stage.makes == {"model"}


@pytest.mark.parametrize("changes", [{}, {"optimizer": {}}, {"optimizer": {"weight_decay": 0.1}}])
def test_distillation_asks_for_a_learning_rate(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="optimizer"):
        make({"kind": "distill", "data": DATA, **changes})


def test_the_fine_tuning_stage_still_has_one() -> None:
    (stage,) = make({"kind": "sft", "data": DATA}).stages
    assert stage.optimizer.learning_rate == 5e-5  # type: ignore[union-attr]
    assert stage.batch_size == 128  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"teacher": "base"}, "teacher and start are both base: a model cannot learn from itself"),
        ({"teacher": "nobody"}, "names neither a model nor a stage"),
        ({"sampling": {"temperature": 0}}, "temperature is 0"),
        ({"rewards": []}, "rewards is empty"),
        ({"num_steps": 3, "steps_per_rollout": 2}, "must be a multiple of steps_per_rollout"),
        ({"kl": {"coef": 0.1}}, "kl"),
        ({"checkpoint": {"keep_best": True}}, "evaluation.every_steps must be set"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make(on_policy(**changes), models={"teacher": {"path": "micro"}})


def test_the_teacher_is_known_to_the_chain() -> None:
    recipe = make(on_policy(), models={"teacher": {"path": "micro"}})
    named = {reference.key: (reference.what, reference.name) for reference in references(recipe.stages[0])}
    assert named == {"start": ("model", "base"), "teacher": ("model", "teacher")}
    check_recipe(recipe)
    assert recipe.stages[0].group_size == 4  # type: ignore[union-attr]


def test_one_completion_of_a_prompt_is_enough() -> None:
    check_recipe(make(on_policy(group_size=1), models={"teacher": {"path": "micro"}}))


def write_model(folder: Path, words: dict[str, int], added: dict[str, int]) -> str:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    tokens = [{"content": content, "id": number} for content, number in added.items()]
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": words}, "added_tokens": tokens}))
    return str(folder)


def test_different_vocabularies_are_told_where_the_files_tell(tmp_path: Path) -> None:
    words = {"a": 0, "b": 1}
    same = write_model(tmp_path / "same", words, {"<end>": 2})
    again = write_model(tmp_path / "again", words, {"<end>": 2})
    other = write_model(tmp_path / "other", words, {"<stop>": 2})

    def problems(teacher: str, *more: dict[str, Any]) -> list[str]:
        recipe = make(*more, on_policy(), model={"path": same}, models={"teacher": {"path": teacher}})
        return [problem for problem in recipe_problems(recipe).mistakes if ".teacher: " in problem]

    assert problems(again) == []
    (problem,) = problems(other)
    assert problem.startswith("stages.on_policy_distill.teacher: teacher goes back to ")
    assert "whose vocabulary is another" in problem
    # tokens may be added on the way there: then the stage itself sees to it
    assert problems(other, {"kind": "sft", "data": DATA, "new_tokens": ["<x>"]}) == []
    # what a hub has is not known here
    assert problems("owner/name") == []


def test_what_is_missing_here_is_told_apart_from_what_is_wrong(tmp_path: Path) -> None:
    stage = {
        "kind": "distill",
        "data": {"kind": "messages", "train": "absent.jsonl"},
        "optimizer": {"learning_rate": 1e-4},
    }
    recipe = make({**stage, "template": {"kind": "r1"}})
    mistakes, missing = recipe_problems(recipe)
    assert mistakes == ()
    assert missing == (f"stages.distill.data.train: there is no file absent.jsonl (seen from {Path.cwd()})",)
    with pytest.raises(
        ConfigError, match=r"This cannot run:\n\n  stages\.distill\.data\.train: there is no file"
    ):
        check_recipe(recipe)
    wrong = make(
        {**stage, "max_steps": 3, "optimizer": {"learning_rate": 1e-4, "schedule": {"warmup_steps": 3}}}
    )
    mistakes, missing = recipe_problems(wrong)
    assert [problem[:48] for problem in mistakes] == [
        "stages.distill.optimizer.schedule.warmup_steps i",
        'stages.distill.template.kind is "chat", and the ',
    ]
    assert len(missing) == 1
    assert not any(isinstance(problem, Missing) for problem in missing)
