"""How a comparison asks its models is among what it reads."""

import json
from pathlib import Path

import pytest

from dunwu.config.load import build_recipe
from dunwu.pipeline.lineage import changes, read_inputs
from dunwu.runs.folder import RunFolder
from dunwu.runs.hash_cache import HashCache

WORLD = {"kind": "world"}
CHAT = {"template": {"kind": "chat"}, "output_form": {"kind": "think", "opened_by_prompt": False}}
OTHERWISE = {**CHAT, "rewards": [{"kind": "accuracy", "answer_from": ["boxed"]}]}
COLUMNS = [
    {"label": "base", "model": "base"},
    {"label": "unknown", "model": "other"},
    {"label": "own", "model": "base", **CHAT},
]


@pytest.fixture(autouse=True)
def other_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("other").mkdir()
    Path("other/config.json").write_text("{}")


def inputs_of(folder, name="r1_zero", **changed):
    recipe = build_recipe(
        {
            "name": "chain",
            "model": {"path": "micro"},
            "models": {"other": {"path": "other"}},
            "stages": [
                {"kind": "r1_zero", "name": name, "task": WORLD, **changed},
                {"kind": "comparison", "task": WORLD, "columns": COLUMNS},
            ],
        },
        source="chain.toml",
    )
    with RunFolder.open(folder, recipe) as run:
        return read_inputs(recipe.stages[1], run, HashCache(None)), recipe.stages[1]


def recorded(folder):
    return json.loads(json.dumps(inputs_of(folder)[0].reads))


def test_only_what_other_stages_or_models_tell_is_read(tmp_path):
    assert recorded(tmp_path / "a")["asked"] == {
        "base": {
            "template": {"kind": "r1_zero"},
            "output_form": {"kind": "think_answer", "opened_by_prompt": False},
            "answer_from": ["answer_tag"],
            "finds_opening": False,
        }
    }


def test_a_stage_that_asks_otherwise_changes_the_comparison(tmp_path):
    before = recorded(tmp_path / "a")
    assert changes(before, *inputs_of(tmp_path / "b")) == []
    found = changes(before, *inputs_of(tmp_path / "c", **OTHERWISE))
    assert {
        'asked.base.template.kind: was "r1_zero", is now "chat"',
        'asked.base.output_form.kind: was "think_answer", is now "think"',
        'asked.base.answer_from.0: was "answer_tag", is now "boxed"',
    } <= set(found)
    assert all(line.startswith("asked.base.") for line in found)


def test_what_does_not_change_how_models_are_asked_changes_nothing(tmp_path):
    before = recorded(tmp_path / "a")
    assert changes(before, *inputs_of(tmp_path / "b", name="zero", num_steps=32)) == []
    Path("other/tokenizer_config.json").write_text("{}")  # now it is known how to ask that one
    found = changes(before, *inputs_of(tmp_path / "c"))
    assert found == ["columns.1.model: the content of other has changed"]


def test_a_manifest_of_an_older_dunwu_is_no_change(tmp_path):
    before = recorded(tmp_path / "a")
    del before["asked"]["base"]["output_form"]["opened_by_prompt"]
    assert changes(before, *inputs_of(tmp_path / "b")) == []
    del before["asked"]
    assert changes(before, *inputs_of(tmp_path / "c", **OTHERWISE)) == []
