"""A disk that does not take what is written; a limit on the size of files stands in for one that is full."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from safetensors.torch import save_file

from dunwu.errors import DiskError, DunwuError
from dunwu.runs.disk import disk_faults
from dunwu.runs.files import write_file, write_file_with, write_folder
from dunwu.runs.folder import RunFolder
from dunwu.runs.jsonl import append_line, read_lines

LIMIT_BYTES = 10_000


@contextmanager
def small_disk(limit_bytes: int = LIMIT_BYTES) -> Iterator[None]:
    """No file of this process can grow over `limit_bytes`. Not a fixture: pytest's own output may be a longer file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    "save",
    [
        lambda path: path.write_bytes(bytes(2 * LIMIT_BYTES)),
        lambda path: torch.save({"a": torch.zeros(LIMIT_BYTES)}, path),
        lambda path: save_file({"a": torch.zeros(LIMIT_BYTES)}, path),
    ],
    ids=["bytes", "torch", "safetensors"],
)
def test_a_full_disk_is_one_error_whoever_writes_and_leaves_what_was_there(tmp_path, save):
    file, folder = tmp_path / "file", tmp_path / "folder"
    write_file(file, "old")
    write_folder(folder, lambda temporary: (temporary / "old").write_text("old"))
    with (
        small_disk(),
        pytest.raises(DiskError, match=rf"{file} cannot be written: .*MB are left on the disk of {tmp_path}"),
    ):
        write_file_with(file, save)
    with small_disk(), pytest.raises(DiskError, match=f"{folder} cannot be .*the same command goes on"):
        write_folder(folder, lambda temporary: save(temporary / "new"))
    assert file.read_text() == "old"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder", "old"]


def test_a_line_that_does_not_fit_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "lines.jsonl"
    with small_disk():
        append_line(path, {"a": "b" * (LIMIT_BYTES - 20)}, "long")
        with pytest.raises(DiskError, match="No space left"):
            append_line(path, {"a": "b" * 20}, "one too many")
        append_line(path, {}, "short")
    assert [len(record) for record in read_lines(path)] == [1, 0]


def test_other_errors_stay_what_they_are(tmp_path):
    for error in (RuntimeError("a fault of ours"), DunwuError("told already")):
        with pytest.raises(type(error)) as caught, disk_faults(tmp_path):
            raise error
        assert caught.value is error


def test_a_run_folder_that_cannot_be_made_or_locked(tmp_path, recipe):
    (tmp_path / "file").write_text("")
    (tmp_path / "locked" / ".lock").mkdir(parents=True)
    for place in (tmp_path / "file" / "run", tmp_path / "locked"):
        with pytest.raises(DiskError, match=f"{place} cannot be written: "):
            RunFolder.open(place, recipe)


def test_a_run_that_ends_because_the_disk_is_full_says_so_though_it_cannot_log_it(tmp_path, recipe):
    run = RunFolder.open(tmp_path, recipe)
    with (
        small_disk((tmp_path / "events.jsonl").stat().st_size),
        pytest.raises(DiskError, match=r"metrics\.jsonl cannot be written"),
        run,
    ):
        run.stage("r1_zero").append_metrics(1, {"reward": "r" * LIMIT_BYTES})
    assert [record["event"] for record in run.read_events()] == ["started"]
    RunFolder.open(tmp_path, recipe).close()
