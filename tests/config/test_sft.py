"""The paper's figures are the defaults of fine-tuning, and what cannot work is said in the recipe's words."""

import pytest

from dunwu.config.check import check_recipe
from dunwu.config.dump import dump_recipe
from dunwu.config.load import build_recipe
from dunwu.config.recipe import Recipe
from dunwu.config.sft import R1Template, SftStage
from dunwu.errors import ConfigError

DATA = {"kind": "messages", "train": "org/data"}


def build(model="micro", **stage) -> Recipe:
    stage = {"kind": "sft", "data": DATA, **stage}
    return build_recipe({"name": "t", "model": {"path": model}, "stages": [stage]}, source="test")


def sft(recipe: Recipe) -> SftStage:
    (stage,) = recipe.stages
    assert isinstance(stage, SftStage)
    return stage


def test_the_defaults_are_the_papers_figures():
    """facts.md section 6: 2-3 epochs, 5e-5 to 5e-6 by cosine, context 32,768, batch 128."""
    stage = sft(build())
    assert (stage.num_epochs, stage.batch_size, stage.max_tokens) == (2, 128, 32768)
    optimizer = stage.optimizer
    assert optimizer.learning_rate * optimizer.schedule.final_frac == pytest.approx(5e-6)
    assert (optimizer.learning_rate, optimizer.schedule.kind) == (5e-5, "cosine")
    assert stage.name == "sft"


def test_one_part_of_a_table_leaves_the_other_defaults():
    stage = sft(build(optimizer={"schedule": {"warmup_steps": 3}}, batch={"gradient_checkpointing": True}))
    assert (stage.optimizer.schedule.kind, stage.optimizer.schedule.warmup_steps) == ("cosine", 3)
    assert stage.batch.micro_batch_tokens == 32768


def test_one_file_needs_no_list():
    assert sft(build()).data.train == ("org/data",)
    assert sft(build(data={**DATA, "train": ["a/b", "c/d"], "held_out": "e/f"})).data.held_out == ("e/f",)


def test_a_written_recipe_is_the_same_recipe():
    recipe = build(
        template={"kind": "chat", "system": "Be brief.", "variables": {"date_string": "x", "n": 1}},
        data={"kind": "pairs", "train": ["a/b"], "reasoning_column": "why"},
        new_tokens=["<think>"],
        max_steps=4,
    )
    import tomllib

    assert build_recipe(tomllib.loads(dump_recipe(recipe)), source="written") == recipe
    assert sft(build(template={"kind": "r1"})).template == R1Template()


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ({"data": {"kind": "messages"}}, r"data.train\s+is missing"),
        ({"data": {**DATA, "train": []}}, "is empty; give at least one entry"),
        ({"data": {"kind": "message", "train": "x"}}, "did you mean `messages`"),
        ({"turns": "first"}, "Allowed: all, last"),
        ({"too_long": "ignore"}, "Allowed: drop, cut, error"),
        ({"new_tokens": ["<a>", "<b>", "<a>"]}, r"new_tokens names a token twice: \['<a>', '<b>', '<a>'\]"),
        (
            {"batch": {"micro_batch_tokens": 4096}},
            "micro_batch_tokens is 4096, and a sample may have max_tokens = 32768",
        ),
        ({"learning_rate": 1e-4}, "did you mean `optimizer.learning_rate`"),
    ],
)
def test_mistakes_are_told_in_the_recipes_words(stage, message):
    with pytest.raises(ConfigError, match=message):
        build(**stage)


def problems(recipe: Recipe) -> str:
    with pytest.raises(ConfigError) as caught:
        check_recipe(recipe)
    return str(caught.value)


def test_files_that_are_not_there_are_told_before_anything_is_loaded(tmp_path):
    (tmp_path / "conversations.jsonl").write_text("{}\n")
    data = {
        "kind": "messages",
        "train": [str(tmp_path / "conversation.jsonl"), str(tmp_path / "conversations.jsonl")],
        "held_out": str(tmp_path / "held.parquet"),
    }
    text = problems(build(data=data, template={"kind": "chat", "file": str(tmp_path / "chat.jinja")}))
    assert "stages.sft.data.train: there is no file" in text
    assert "did you mean" in text
    assert "conversations.jsonl?" in text
    assert "stages.sft.data.held_out: there is no file" in text
    assert "stages.sft.template.file: there is no file" in text


def test_a_base_model_has_no_chat_template_of_its_own():
    assert "has no chat template" in problems(build(template={"kind": "chat"}))
    check_recipe(build(template={"kind": "r1"}))
    check_recipe(build(template={"kind": "r1_zero"}))


def test_a_warm_up_that_never_ends_is_told_where_the_steps_are_known():
    stage = {"template": {"kind": "r1"}, "max_steps": 5, "optimizer": {"schedule": {"warmup_steps": 5}}}
    assert "warmup_steps is 5, and the stage has at most 5 steps" in problems(build(**stage))
    check_recipe(build(**{**stage, "max_steps": 6}))
