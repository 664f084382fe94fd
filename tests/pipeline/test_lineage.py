"""What a stage reads, by content, and the words for how that has changed."""

import copy
from pathlib import Path

import pytest

from dunwu.pipeline.lineage import Inputs, changes, read_inputs, rounding_changes
from dunwu.runs.folder import RunFolder
from dunwu.runs.hash_cache import HashCache


@pytest.fixture
def reads(chain, tmp_path):
    """Reads a recipe's stage in a new run folder."""
    counter = iter(range(1000))

    def read(recipe, index=0):
        with RunFolder.open(tmp_path / f"run-{next(counter)}", recipe) as run:
            return read_inputs(recipe.stages[index], run, HashCache(None))

    return read


def recorded(inputs):
    return copy.deepcopy(dict(inputs.reads))


def test_a_stage_reads_its_recipe_the_seed_models_and_files(reads, build, stage):
    Path("template.jinja").write_text("{{ x }}")
    template = {"kind": "chat", "file": "template.jinja"}
    inputs = reads(build(stage("one", template=template), seed=7))
    assert inputs.waits_for == ()
    assert inputs.reads["seed"] == 7
    assert inputs.reads["recipe"]["optimizer"]["learning_rate"] == 5e-5
    assert list(inputs.reads["models"]) == ["start"]
    assert inputs.reads["models"]["start"]["dtype"] == "float32"
    assert list(inputs.reads["data"]) == ["data.train.0", "template.file"]
    hashes = [facts["sha256"] for group in ("models", "data") for facts in inputs.reads[group].values()]
    assert len(set(hashes)) == 3
    assert all(len(value) == 64 for value in hashes)


def test_what_other_stages_are_yet_to_make_is_waited_for(reads, build, stage):
    recipe = build(stage("one"), stage("two", "one", ["stage:one", "rows.jsonl"]))
    inputs = reads(recipe, 1)
    assert inputs.waits_for == ("one",)
    assert "sha256" not in inputs.reads["models"]["start"]
    assert "sha256" not in inputs.reads["data"]["data.train.0"]
    assert (
        changes(
            recorded(reads(build(stage("two", "base", ["rows.jsonl", "rows.jsonl"])))),
            inputs,
            recipe.stages[1],
        )
        == []
    )


def test_the_same_is_no_change(reads, build, stage):
    recipe = build(stage("one"))
    assert changes(recorded(reads(recipe)), reads(recipe), recipe.stages[0]) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_epochs": 3}, ["num_epochs: was 2, is now 3"]),
        (
            {"optimizer": {"schedule": {"warmup_steps": 2}}},
            ["optimizer.schedule.warmup_steps: was 0, is now 2"],
        ),
        (
            {"new_tokens": ["<a>"]},
            ['new_tokens.0: was absent, is now "<a>"'],
        ),
        ({"template": {"kind": "plain"}}, None),
        ({"evaluation": {"every_steps": 3}}, ['evaluation.every_steps: was "none", is now 3']),
        ({"checkpoint": {"every_steps": 3, "keep_last": 9}}, []),
        ({"batch": {"gradient_checkpointing": True}}, []),
        ({"name": "renamed"}, []),
    ],
)
def test_changed_keys_are_named_if_they_change_the_result(reads, build, stage, change, said):
    recipe = build(stage("one", **{key: value for key, value in change.items() if key != "name"}))
    if "name" in change:
        recipe = build(stage(change["name"]))
    found = changes(recorded(reads(build(stage("one")))), reads(recipe), recipe.stages[0])
    assert found == said if said is not None else 'template.kind: was "chat", is now "plain"' in found


def test_keys_that_change_the_rounding_are_told_apart(reads, build, stage):
    before = recorded(reads(build(stage("one"))))
    recipe = build(
        stage("one", batch={"gradient_checkpointing": True}, num_epochs=5, checkpoint={"keep_last": 9})
    )
    assert rounding_changes(before, recipe.stages[0]) == [
        "batch.gradient_checkpointing: was false, is now true"
    ]


def test_a_key_that_the_recorded_recipe_does_not_know_yet_counts_as_its_default(reads, build, stage):
    recipe = build(stage("one"))
    before = recorded(reads(recipe))
    del before["recipe"]["turns"], before["recipe"]["optimizer"]["weight_decay"]
    assert changes(before, reads(recipe), recipe.stages[0]) == []
    before["recipe"]["a_key_that_was_dropped"] = 1
    assert "a_key_that_was_dropped: was 1, is now absent" in changes(before, reads(recipe), recipe.stages[0])
    assert rounding_changes(before, recipe.stages[0]) == []


def test_files_are_compared_by_content_in_their_order(reads, build, stage):
    Path("more.jsonl").write_text("{} {}")
    Path("copy.jsonl").write_text("{} {}")
    before = recorded(reads(build(stage("one", train=["rows.jsonl", "more.jsonl"]))))

    def after(*train):
        recipe = build(stage("one", train=list(train)))
        return changes(before, reads(recipe), recipe.stages[0])

    assert after("rows.jsonl", "copy.jsonl") == []
    assert after("more.jsonl", "rows.jsonl") == [
        "data.train.0: was rows.jsonl, is now more.jsonl, which has other content",
        "data.train.1: was more.jsonl, is now rows.jsonl, which has other content",
    ]
    assert after("rows.jsonl") == ["data.train.1: more.jsonl is no longer read"]
    assert after("rows.jsonl", "more.jsonl", "rows.jsonl") == ["data.train.2: rows.jsonl was not read before"]


def test_what_only_a_hub_has_is_known_by_its_name(reads, build, stage):
    hub = {"model": {"path": "owner/model"}}
    before = recorded(reads(build(stage("one", train="owner/rows"), **hub)))
    assert before["models"]["start"]["sha256"] is None

    def after(train, model):
        recipe = build(stage("one", train=train), model={"path": model})
        return changes(before, reads(recipe), recipe.stages[0])

    assert after("owner/rows", "owner/model") == []
    assert after("owner/others", "owner/model-2") == [
        "start: was owner/model, is now owner/model-2, which has other content",
        "data.train.0: was owner/rows, is now owner/others, which has other content",
    ]


def test_the_number_format_of_a_model_counts(reads, build, stage):
    before = recorded(reads(build(stage("one"))))
    recipe = build(stage("one"), model={"path": "base-model", "dtype": "bfloat16", "device": "cpu"})
    assert changes(before, reads(recipe), recipe.stages[0]) == ["start.dtype: was float32, is now bfloat16"]


def test_a_models_files_that_are_not_fetched_yet_say_nothing(reads, build, stage, tmp_path, monkeypatch):
    recipe = build(stage("one"))
    before = recorded(reads(recipe))
    monkeypatch.setenv("DUNWU_CACHE", str(tmp_path / "empty"))
    later = build(stage("one"), model={"path": "smollm2"})
    assert "sha256" not in reads(later).reads["models"]["start"]
    assert changes(before, reads(later), later.stages[0]) == []


def test_a_reward_functions_file_is_read(reads, build):
    Path("mine.py").write_text("def f(completion): return 1.0")
    rewards = [
        {"kind": "function", "path": "mine.py:f"},
        {"kind": "function", "path": "package.module:f", "name": "g"},
    ]
    recipe = build({"kind": "r1_zero", "task": {"kind": "world"}, "rewards": rewards})
    before = reads(recipe)
    assert isinstance(before, Inputs)
    Path("mine.py").write_text("def f(completion): return 2.0")
    assert changes(recorded(before), reads(recipe), recipe.stages[0]) == [
        "rewards.0.path: the content of mine.py:f has changed"
    ]
