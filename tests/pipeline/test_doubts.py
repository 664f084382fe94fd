"""What is said against a run's figures before they are shown."""

from pathlib import Path

import pytest

from dunwu.pipeline.doubts import find_doubts
from dunwu.runs.folder import RunFolder


@pytest.fixture
def two(build, stage):
    return build(stage("one"), stage("two", "one"))


def said(chain):
    return find_doubts(RunFolder.read(chain.path))


def test_nothing_speaks_against_a_run_as_it_was_made_and_nothing_is_written(chain, two):
    chain.run(two)
    before = {path: path.stat().st_mtime_ns for path in chain.path.rglob("*")}
    assert said(chain).lines == ()
    assert {path: path.stat().st_mtime_ns for path in chain.path.rglob("*")} == before


def test_damaged_files_are_named_but_for_a_model_of_the_same_size(chain, two):
    chain.run(two)
    data, record, weights = (
        chain.path / "one" / name for name in ("data/rows.jsonl", "record.json", "model/weights")
    )
    data.write_text(data.read_text()[:-1])
    record.write_text(record.read_text().replace("1.0", "0.5", 1))
    weights.write_text("x" * len(weights.read_text()))
    changed = {f"{path} has changed since the stage finished" for path in (data, record)}
    assert set(said(chain).damaged) == changed
    weights.write_text("x")
    assert set(said(chain).damaged) == {*changed, f"{weights} has 1 bytes; it had 64"}


def test_a_manifest_that_cannot_be_read_is_told_and_the_other_stages_are_looked_at(chain, two):
    chain.run(two)
    (chain.path / "one" / "manifest.json").write_text("{")
    (chain.path / "two" / "data" / "rows.jsonl").unlink()
    first, second = said(chain).damaged
    assert "one/manifest.json is damaged" in first
    assert second == f"{chain.path}/two/data/rows.jsonl is missing"


@pytest.fixture
def rerun(chain, build, stage):
    """A chain of three whose first stage was made again, and nothing after it."""

    def recipe(rate):
        first = stage("one", optimizer={"learning_rate": rate})
        return build(first, stage("two", "one"), stage("three", "two"))

    chain.run(recipe(1e-5))
    chain.run(recipe(2e-5), "rerun_changed", first="one", last="one")
    assert chain.ran == ["one"]
    return chain


def test_stages_made_from_what_was_replaced_are_told(rerun):
    assert said(rerun).damaged == ()
    assert said(rerun).outdated == (
        "two was made with something else: start: the content of one has changed",
        "three follows a changed stage: two",
    )


def test_a_stage_whose_input_is_to_be_made_again_is_told(chain, two):
    chain.run(two)
    (chain.path / "one").rename(chain.path.with_name("moved"))
    assert said(chain).outdated == ("two follows a changed stage: one",)


def test_a_run_may_be_looked_at_where_its_data_are_not(chain, two):
    chain.run(two)
    Path("rows.jsonl").unlink()
    assert said(chain).lines == ()
    Path("rows.jsonl").write_text("{} ")
    assert len(said(chain).outdated) == 2


def test_readings_that_are_no_readings_are_damage(chain, two):
    chain.run(two)
    path = chain.path / "two" / "manifest.json"
    path.write_text(path.read_text().replace('"seed"', '"sead"'))
    (line,) = said(chain).lines
    assert line.startswith("the manifest of stage two is damaged")
