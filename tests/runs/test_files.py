import os

import numpy as np
import pytest

from dunwu.errors import NonFiniteError
from dunwu.runs import files


def test_equal_values_have_one_spelling_whatever_their_order_and_number_types():
    first = files.canonical_json({"b": (1, np.float32(0.5)), "a": {"中": None, "n": np.int64(3)}})
    second = files.canonical_json({"a": {"n": 3, "中": None}, "b": [1, 0.5]})
    assert first == second == '{"a": {"n": 3, "中": null}, "b": [1, 0.5]}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("-inf")])
def test_a_figure_that_is_not_finite_is_refused_by_its_full_name(value):
    with pytest.raises(NonFiniteError, match=r"metrics of step 3\.parts\.kl\[1\] is (nan|-?inf)"):
        files.canonical_json({"parts": {"kl": [0.0, value]}}, "metrics of step 3")


@pytest.mark.parametrize("value", [b"bytes", {1: "a"}, object()])
def test_what_json_cannot_hold_is_a_type_error(value):
    with pytest.raises(TypeError, match="thing"):
        files.canonical_json(value, "thing")


def test_write_file_replaces_and_leaves_no_temporary_file(tmp_path):
    path = tmp_path / "new" / "file.txt"
    files.write_file(path, "one")
    files.write_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(path.parent) == ["file.txt"]


def test_a_failing_writer_leaves_the_old_file_and_no_temporary_one(tmp_path):
    path = tmp_path / "file.txt"
    files.write_file(path, "old")

    def fail(temporary):
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        files.write_file_with(path, fail)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_write_folder_replaces_the_whole_folder(tmp_path):
    target = tmp_path / "model"
    files.write_folder(target, lambda folder: (folder / "old").write_text("1"))
    files.write_folder(target, lambda folder: (folder / "new").write_text("2"))
    assert os.listdir(target) == ["new"]
    assert os.listdir(tmp_path) == ["model"]


def test_a_failing_folder_writer_leaves_the_old_folder(tmp_path):
    target = tmp_path / "model"
    files.write_folder(target, lambda folder: (folder / "old").write_text("1"))

    def fail(folder):
        (folder / "half").write_text("x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_folder(target, fail)
    assert os.listdir(target) == ["old"]
    assert os.listdir(tmp_path) == ["model"]


def test_a_file_is_synced_before_the_rename_and_its_folder_after(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(files, "sync", lambda path: calls.append((path.name, (tmp_path / "target").exists())))
    files.write_file(tmp_path / "target", "data")
    assert calls == [(".tmp-target", False), (tmp_path.name, True)]


def test_every_file_and_folder_is_synced_before_the_rename(tmp_path, monkeypatch):
    calls = []
    real = files.sync

    def record(path):
        calls.append((path.name, (tmp_path / "target").exists()))
        real(path)

    monkeypatch.setattr(files, "sync", record)

    def write(folder):
        (folder / "sub").mkdir()
        (folder / "sub" / "a").write_text("1")

    files.write_folder(tmp_path / "target", write)
    assert calls == [("sub", False), ("a", False), (".tmp-target", False), (tmp_path.name, True)]


def test_remove_leftovers_finds_them_at_any_depth_and_nothing_else(tmp_path):
    (tmp_path / "a" / ".tmp-step" / "deep").mkdir(parents=True)
    (tmp_path / "a" / ".tmp-step" / "deep" / ".tmp-x").write_text("")
    (tmp_path / "a" / "kept").write_text("")
    (tmp_path / ".tmp-file").write_text("")
    removed = files.remove_leftovers(tmp_path)
    assert {path.name for path in removed} == {".tmp-step", ".tmp-x", ".tmp-file"}
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a", "kept"]


def test_hashes_are_sha256_by_relative_path_and_pass_over_leftovers(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "abc").write_text("abc")
    (tmp_path / ".tmp-x").write_text("")
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert files.hash_folder(tmp_path) == {"sub/abc": abc}
    assert files.fingerprint(tmp_path / "sub" / "abc") == abc


def test_a_folder_fingerprint_changes_with_content_and_with_names(tmp_path):
    (tmp_path / "a").write_text("1")
    before = files.fingerprint(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    renamed = files.fingerprint(tmp_path)
    (tmp_path / "b").write_text("2")
    assert len({before, renamed, files.fingerprint(tmp_path)}) == 3
