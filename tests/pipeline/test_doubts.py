"""What is said against a run's figures before they are shown."""

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
