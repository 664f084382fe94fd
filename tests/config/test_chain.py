"""Names of models and stages in a recipe: what is valid, and the sentence for each that is not."""

import tomllib

import pytest

from dunwu.config.chain import downstream, upstream
from dunwu.config.check import check_recipe
from dunwu.config.dump import dump_recipe
from dunwu.config.load import build_recipe
from dunwu.errors import ConfigError


def sft(name, start="base", train="a.jsonl", **changes):
    data = {"kind": "messages", "train": train}
    return {"kind": "sft", "name": name, "start": start, "data": data, **changes}


def r1_zero(**changes):
    return {"kind": "r1_zero", "task": {"kind": "world"}, **changes}


def cold_start(**changes):
    return {"kind": "cold_start", "task": {"kind": "world"}, **changes}


def preference_data(**changes):
    task = {"kind": "world", "kinds": ["manners"]}
    return {"kind": "preference_data", "judge": {"by": {"kind": "world"}}, "task": task, **changes}


def build(*stages, **changes):
    data = {"name": "x", "model": {"path": "micro"}, "models": {"student": {"path": "micro"}}, **changes}
    return build_recipe({**data, "stages": list(stages)}, source="x.toml")


def refusal(*stages, **changes):
    with pytest.raises(ConfigError) as caught:
        build(*stages, **changes)
    return str(caught.value)


def test_stages_start_from_models_and_from_stages_before_them():
    recipe = build(r1_zero(), sft("one", "r1_zero"), sft("two", "student"), sft("three", "one"))
    assert [stage.start for stage in recipe.stages] == ["base", "r1_zero", "student", "one"]
    assert [upstream(stage, recipe.stages) for stage in recipe.stages] == [[], ["r1_zero"], [], ["one"]]
    assert downstream("r1_zero", recipe.stages) == ["one", "three"]
    assert downstream("two", recipe.stages) == []


def test_the_first_model_of_a_chain_of_stages_is_found():
    recipe = build(
        sft("one", "student"), sft("two", "one"), sft("three"), models={"student": {"path": "smollm2"}}
    )
    assert [recipe.first_model(stage).path for stage in recipe.stages] == ["smollm2", "smollm2", "micro"]


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        (
            [r1_zero(), sft("sft", "r1zero")],
            'stages.sft.start = "r1zero"\n    names neither a model nor a stage; did you mean "r1_zero"?',
        ),
        ([sft("sft", "Studnt")], 'did you mean "student"?'),
        ([sft("sft", "qqq")], "names neither a model nor a stage; allowed here: base, student"),
        ([sft("sft", "sft")], "is the stage itself, which cannot wait for its own result"),
        ([sft("sft", "r1_zero"), r1_zero()], "comes after sft; put it before"),
        (
            [sft("one", "two"), sft("two", "three"), sft("three", "one")],
            'stages.one.start = "two"\n    waits for one, which waits for it: they could never begin',
        ),
        (
            [r1_zero(), sft("sft", train=["b.jsonl", "stage:r1_zero"])],
            'stages.sft.data.train.1 = "stage:r1_zero"\n    makes a language model, and data is needed here',
        ),
        ([sft("sft", train="stage:nothing")], 'stages.sft.data.train = "stage:nothing"\n    names no stage'),
        ([sft("sft", train="stage:base")], "names no stage; nothing that could be named here comes before it"),
        ([sft("sft", "stage:base")], "names neither a model nor a stage"),
        (
            [r1_zero(task={"kind": "file", "train": "stage:r1_zero"})],
            'stages.r1_zero.task.train = "stage:r1_zero"\n    is the stage itself',
        ),
        (
            [cold_start(), sft("sft", train="stage:cold_start/trian.jsonl")],
            'names a file that the stage does not make; did you mean "stage:cold_start/train.jsonl"?',
        ),
        (
            [preference_data(), sft("sft", train=["stage:preference_data/x"])],
            'stages.sft.data.train.0 = "stage:preference_data/x"\n    names a file that the stage does not make',
        ),
        (
            [preference_data(), r1_zero(task={"kind": "file", "train": "stage:preference_data"})],
            "means 2 files, and one is needed here; name one: stage:preference_data/pairs.jsonl, "
            "stage:preference_data/safety.jsonl",
        ),
        ([sft("student")], "stages.student.name = \"student\"\n    is the name of [models.student] already"),
        ([sft("base")], "is the name of [model] already"),
        ([sft("one"), sft("one")], "two stages have the same name"),
    ],
)  # fmt: skip
def test_a_name_that_cannot_be_used_is_told_with_the_nearest(stages, said):
    assert said in refusal(*stages)


def test_a_chain_survives_being_written_out():
    recipe = build(r1_zero(), sft("one", "student", ["a.jsonl", "b.jsonl"]))
    text = dump_recipe(recipe)
    assert "[models.student]" in text
    assert build_recipe(tomllib.loads(text), source="written") == recipe


def test_every_mistake_is_told_at_once():
    text = refusal(sft("one", "r1"), sft("two", "r2"), models={"base": {"path": "micro"}})
    assert text.startswith("x.toml has 3 mistakes:")
    assert 'models.base\n    "base" is the name of [model]' in text


def test_keys_of_further_models_are_checked_like_those_of_the_base():
    text = refusal(r1_zero(), models={"student": {"pth": "micro"}})
    assert "models.student.pth" in text
    assert "did you mean `path`?" in text


def test_a_further_model_that_is_not_there_is_told():
    recipe = build(r1_zero(), models={"student": {"path": "micor"}})
    with pytest.raises(
        ConfigError, match=r"models\.student\.path: there is no model micor; did you mean micro"
    ):
        check_recipe(recipe)


def test_a_chat_template_is_looked_for_in_the_model_that_the_stage_starts_from(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tokenizer_config.json").write_text("{}")
    (tmp_path / "a.jsonl").write_text("{}")
    stage = sft("sft", "student", str(tmp_path / "a.jsonl"), template={"kind": "chat"})
    with pytest.raises(ConfigError, match="has no chat template"):
        check_recipe(build(stage, models={"student": {"path": str(tmp_path)}}))
    made = sft("two", "one", str(tmp_path / "a.jsonl"), template={"kind": "chat"})
    first = sft("one", "student", str(tmp_path / "a.jsonl"), template={"kind": "r1"})
    check_recipe(build(first, made, models={"student": {"path": str(tmp_path)}}))
