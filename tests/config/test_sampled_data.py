"""The stages that make data: what their keys refuse, and what is found wrong on this machine before a run starts."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from dunwu.config.check import check_recipe
from dunwu.config.recipe import Recipe
from dunwu.config.references import references
from dunwu.errors import ConfigError


def make(kind: str = "cold_start", **changes: Any) -> Recipe:
    stage = {"kind": kind, "task": {"kind": "world"}, "sampling": {"max_new_tokens": 64}, **changes}
    if kind == "rejection_sampling":
        stage.setdefault("template", {"kind": "r1_zero"})
    return Recipe.model_validate({"name": "t", "model": {"path": "micro"}, "stages": [stage]})


def refusal(recipe: Recipe) -> str:
    with pytest.raises(ConfigError) as caught:
        check_recipe(recipe)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["cold_start", "rejection_sampling"])
def test_a_stage_needs_no_more_than_a_task(kind: str) -> None:
    recipe = make(kind)
    check_recipe(recipe)
    assert recipe.stages[0].makes == {"data"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sampling": {"temperature": 0}}, "samples_per_prompt is 8, and at sampling.temperature 0"),
        (
            {"readability": {"min_thinking_chars": 9, "max_thinking_chars": 8}},
            "max_thinking_chars is 8, less than min_thinking_chars = 9",
        ),
        (
            {"rewriter": {"kind": "endpoint", "base_url": "localhost:1", "model": "m"}},
            "begins with http:// or",
        ),
        ({"rewriter": {"kind": "endpoint", "base_url": "http://a", "model": "m", "api_key": "x"}}, "api_key"),
        ({"joined": [{"label": "a b", "sources": "x.jsonl"}]}, "label"),
        ({"rewriter": {"kind": "model", "model": "nobody"}}, "nobody"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make(**changes)


def test_greedy_needs_one_sample() -> None:
    recipe = make(sampling={"temperature": 0, "max_new_tokens": 64}, samples_per_prompt=1)
    check_recipe(recipe)


def test_rejection_sampling_is_stricter_by_default() -> None:
    strict = make("rejection_sampling").stages[0].readability  # type: ignore[union-attr]
    assert (strict.code_blocks, strict.max_paragraph_chars) == ("drop", 2000)
    with pytest.raises(ValidationError):
        make("rejection_sampling", judge={"by": {"kind": "model"}, "graders": []})


def test_all_that_a_stage_names_is_known_to_the_chain(tmp_path: Path) -> None:
    judge = {"by": {"kind": "model", "model": "base"}}
    recipe = make(
        "rejection_sampling", judge=judge, few_shot="a.txt", joined=[{"sources": ["b.jsonl", "c.jsonl"]}]
    )
    named = {reference.key: reference.name for reference in references(recipe.stages[0])}
    assert named == {
        "start": "base",
        "few_shot": "a.txt",
        "joined.0.sources.0": "b.jsonl",
        "joined.0.sources.1": "c.jsonl",
        "judge.by.model": "base",
    }


def test_files_that_are_not_there_are_told(tmp_path: Path) -> None:
    assert "stages.cold_start.few_shot: there is no file nowhere.txt" in refusal(make(few_shot="nowhere.txt"))
    empty = tmp_path / "empty.txt"
    empty.write_text("\n")
    assert "few_shot: " in (said := refusal(make(few_shot=str(empty))))
    assert "is empty" in said
    said = refusal(make(joined=[{"sources": "nowhere.jsonl"}]))
    assert "stages.cold_start.joined.0.sources: there is no file nowhere.jsonl" in said
    said = refusal(make(task={"kind": "file", "train": "nowhere.jsonl"}))
    assert "task.train: there is no file nowhere.jsonl" in said


def test_no_held_out_problems_are_needed(tmp_path: Path) -> None:
    data = tmp_path / "a.jsonl"
    data.write_text('{"question": "1+1", "answer": "2"}\n')
    check_recipe(make(task={"kind": "file", "train": str(data), "num_held_out": 0}))


@pytest.mark.parametrize(("kind", "key"), [("cold_start", "rewriter"), ("rejection_sampling", "judge.by")])
def test_a_key_that_is_not_set_is_told(kind: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {
        "kind": "endpoint",
        "base_url": "http://localhost:1/v1",
        "model": "m",
        "api_key_env": "NO_SUCH_KEY",
    }
    recipe = make(kind, **({"rewriter": asked} if kind == "cold_start" else {"judge": {"by": asked}}))
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    assert f"stages.{kind}.{key}.api_key_env names the environment variable NO_SUCH_KEY" in refusal(recipe)
    monkeypatch.setenv("NO_SUCH_KEY", "k")
    check_recipe(recipe)


def test_sizes_that_cannot_work_are_told() -> None:
    said = refusal(make(task={"kind": "world", "num_train": 8}, num_prompts=9))
    assert "num_prompts is 9, and the task has 8 (task.num_train)" in said
    assert "sampling.max_new_tokens is 99999" in refusal(make(sampling={"max_new_tokens": 99999}))
