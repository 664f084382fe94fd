"""Chunks of candidates in the run folder."""

import pytest

from dunwu.config.load import build_recipe
from dunwu.errors import RunError
from dunwu.runs.chunks import ChunkFiles
from dunwu.runs.folder import RunFolder


@pytest.fixture
def chunks(tmp_path):
    stage = {"kind": "cold_start", "task": {"kind": "world"}}
    recipe = build_recipe({"name": "t", "model": {"path": "micro"}, "stages": [stage]}, source="t")
    with RunFolder.open(tmp_path / "run", recipe) as run:
        yield ChunkFiles(run.stage("cold_start"))


def test_rows_come_back_as_they_were_written(chunks):
    rows = [{"a": 1, "text": "行\u2028x\n"}, {"a": None}]
    chunks.write(1, rows)
    chunks.write(2, [])
    assert chunks.read(1) == rows
    assert chunks.read(2) == []
    assert chunks.indices() == [1, 2]


def test_what_comes_after_the_last_whole_step_is_removed(chunks):
    for index in (1, 2, 3):
        chunks.write(index, [{"a": index}])
    chunks.keep(1)
    assert chunks.indices() == [1]


def test_a_damaged_chunk_is_named(chunks, tmp_path):
    chunks.write(1, [{"a": 1}])
    path = tmp_path / "run" / "cold_start" / "chunks" / "chunk-000001.jsonl"
    path.write_text('{"a": ')
    with pytest.raises(RunError, match=r"chunk-000001\.jsonl is damaged"):
        chunks.read(1)
    with pytest.raises(RunError, match=r"chunk-000002\.jsonl is damaged or missing"):
        chunks.read(2)
