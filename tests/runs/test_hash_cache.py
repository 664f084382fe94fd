import json
import os

import pytest

from dunwu.runs import hash_cache
from dunwu.runs.files import fingerprint
from dunwu.runs.hash_cache import HashCache


@pytest.fixture
def counted(monkeypatch):
    seen = []

    def count(path):
        seen.append(path.name)
        return fingerprint(path)

    monkeypatch.setattr(hash_cache, "fingerprint", count)
    return seen


def test_a_fingerprint_is_remembered_until_a_file_changes(tmp_path, counted):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a").write_text("one")
    cache = HashCache(tmp_path / "cache.json")
    first = cache.fingerprint(folder)
    assert first == fingerprint(folder)
    assert cache.fingerprint(folder) == first
    cache.save()
    later = HashCache(tmp_path / "cache.json")
    assert later.fingerprint(folder) == first
    assert counted == ["model"]
    (folder / "a").write_text("two!")
    assert later.fingerprint(folder) == fingerprint(folder) != first
    (folder / "b").write_text("")
    assert later.fingerprint(folder) == fingerprint(folder)
    os.utime(folder / "b", ns=(1, 1))
    later.fingerprint(folder)
    assert counted == ["model"] * 4


def test_a_file_has_a_fingerprint_too_and_nothing_is_written_without_a_path(tmp_path, counted):
    (tmp_path / "rows.jsonl").write_text("{}")
    cache = HashCache(None)
    assert cache.fingerprint(tmp_path / "rows.jsonl") == fingerprint(tmp_path / "rows.jsonl")
    cache.save()
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"a": 1}), json.dumps({"a": ["b"]})])
def test_a_cache_that_cannot_be_read_is_an_empty_one(tmp_path, counted, text):
    (tmp_path / "cache.json").write_text(text)
    (tmp_path / "rows.jsonl").write_text("{}")
    HashCache(tmp_path / "cache.json").fingerprint(tmp_path / "rows.jsonl")
    assert counted == ["rows.jsonl"]
