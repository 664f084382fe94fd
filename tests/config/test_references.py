"""Names are found in a recipe's part wherever its keys' types say that they stand."""

from typing import Any

import pytest

from dunwu.config.base import ConfigModel
from dunwu.config.references import (
    DataSource,
    DataSources,
    FileName,
    FunctionPath,
    ModelName,
    RewardModelName,
    references,
    replace_sources,
    stage_of_source,
)


class Inner(ConfigModel):
    source: DataSource | None = None
    template: FileName | None = None


class Part(ConfigModel):
    name: str = "base"
    start: ModelName = "base"
    judges: tuple[RewardModelName, ...] = ()
    sources: DataSources = ("a.jsonl",)
    more: DataSources | None = None
    inner: Inner = Inner()
    several: tuple[Inner, ...] = ()
    by_name: dict[str, ModelName] = {}  # noqa: RUF012  # pydantic copies defaults
    functions: tuple[FunctionPath, ...] | None = None
    params: dict[str, Any] = {}  # noqa: RUF012


def found(part: Part) -> list[tuple[str, str, str]]:
    return [(reference.key, reference.what, reference.name) for reference in references(part)]


def test_every_marked_text_is_found_with_its_key_and_no_other():
    part = Part(
        judges=("rm",),
        more="stage:x",
        inner={"source": "b.jsonl", "template": "t.jinja"},
        several=[{"source": "stage:y/c.jsonl"}],
        by_name={"left": "m"},
        functions=["f.py:g"],
        params={"source": "stage:no"},
    )
    assert found(part) == [
        ("start", "model", "base"),
        ("judges.0", "reward_model", "rm"),
        ("sources.0", "data", "a.jsonl"),
        ("more.0", "data", "stage:x"),
        ("inner.source", "data", "b.jsonl"),
        ("inner.template", "file", "t.jinja"),
        ("several.0.source", "data", "stage:y/c.jsonl"),
        ("by_name.left", "model", "m"),
        ("functions.0", "function", "f.py:g"),
    ]


def test_the_stage_of_a_source():
    assert stage_of_source("stage:x") == stage_of_source("stage:x/y.jsonl") == "x"
    assert stage_of_source("stages/x.jsonl") is None
    assert [r.stage for r in references(Part(start="stage:x", more=["stage:y"])) if r.what == "model"] == [
        None
    ]


def test_sources_are_replaced_by_files_and_lists_grow():
    part = Part(
        sources=["a", "stage:x", "b", "stage:y"],
        inner={"source": "stage:one"},
        several=[{"source": "stage:one"}, {"template": "stage:t"}],
    )
    files = {"stage:x": ["1", "2"], "stage:y": ["3"], "stage:one": ["only"]}
    replaced = replace_sources(part, files.__getitem__)
    assert replaced.sources == ("a", "1", "2", "b", "3")
    assert replaced.inner.source == replaced.several[0].source == "only"
    assert replaced.several[1].template == "stage:t"
    assert part.sources == ("a", "stage:x", "b", "stage:y")
    assert replace_sources(Part(), files.__getitem__) == Part()


def test_one_source_cannot_be_several_files():
    with pytest.raises(
        ValueError, match=r'inner\.source takes one file.*name one, for example "stage:x/1\.jsonl"'
    ):
        replace_sources(Part(inner={"source": "stage:x"}), lambda source: ["d/1.jsonl", "d/2.jsonl"])
