import os
import shutil
import subprocess
import sys
import time

import pytest

from dunwu.analysis import index_store, index_worker, rollout_index
from dunwu.analysis.index_store import IndexStore, StageIndex
from dunwu.analysis.rollout_query import RolloutFilter, matching
from dunwu.runs.derived import DERIVED_NAME, derived_folder
from dunwu.runs.digest import comparable_digest
from dunwu.runs.rollout_files import rollout_files


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(rollout_index, "BLOCK_FILES", 2)
    monkeypatch.setattr(index_worker, "BLOCK_FILES", 2)


@pytest.fixture
def filled(run, make_rollout, make_group):
    """Five rollouts of two groups; the number of right ones grows with the step."""
    for step in range(1, 6):
        groups = [
            make_group(
                f"p{g}", [make_rollout(i, f"wait {step} {g} {i}", i < step, answer="4") for i in range(4)]
            )
            for g in range(2)
        ]
        run.rollouts(step, groups)
    return run.path


def wait_for_all(index, seconds=60):
    deadline = time.monotonic() + seconds
    while not (snapshot := index.snapshot()).complete:
        assert time.monotonic() < deadline, "the index was not finished"
    return snapshot


def columns_of(snapshot):
    texts = {
        name: [snapshot.values(name)[code] for code in snapshot.column(name)]
        for name in ("prompt_id", "kind")
    }
    numbers = {
        name: snapshot.column(name).tolist() for name in ("group", "sample", "correct", "words", "tokens")
    }
    return {**texts, **numbers, "files": [fact.number for fact in snapshot.files]}


def test_every_rollout_is_in_the_index_in_the_order_of_the_files(filled):
    snapshot = StageIndex(filled, "zero").complete_snapshot()
    assert snapshot.num_rows == 40
    assert [fact.first_step for fact in snapshot.files] == [1, 2, 3, 4, 5]
    assert snapshot.column("correct").reshape(5, 8).sum(axis=1).tolist() == [2, 4, 6, 8, 8]
    file, row = snapshot.path(8 * 2 + 5)
    assert (file.number, row) == (3, 5)


def test_blocks_and_loose_files_together_say_what_the_files_say(filled, small_blocks):
    plain = columns_of(StageIndex(filled, "zero").complete_snapshot())
    assert index_worker.build(filled, "zero") == 2
    assert len(rollout_index.block_paths(filled / DERIVED_NAME / "rollouts" / "zero")) == 2
    index = StageIndex(filled, "zero")
    assert columns_of(wait_for_all(index)) == plain
    index.close()
    assert index_worker.build(filled, "zero") == 0


def test_the_store_has_whole_blocks_built_beside_it(filled, small_blocks, monkeypatch):
    plain = columns_of(StageIndex(filled, "zero").complete_snapshot())
    monkeypatch.setattr(
        index_store.StageIndex, "_start_worker", lambda self: index_worker.build(self._run, self._stage)
    )
    store = IndexStore()
    index = store.index(filled, "zero")
    assert store.index(filled, "zero") is index
    assert columns_of(wait_for_all(index)) == plain
    store.close()


def test_the_worker_is_a_program(filled):
    command = [sys.executable, "-m", "dunwu.analysis.index_worker", str(filled), "zero"]
    assert subprocess.run(command, timeout=120).returncode == 0


def test_a_copy_of_the_run_brings_its_index_along(filled, small_blocks, tmp_path, monkeypatch):
    index_worker.build(filled, "zero")
    copy = tmp_path / "copy"
    shutil.copytree(filled, copy, copy_function=shutil.copy)  # new times
    for file in rollout_files(copy / "zero"):
        os.utime(file.path, ns=(1, time.time_ns() - 10**9))
    assert index_worker.build(copy, "zero") == 0
    expected = columns_of(StageIndex(filled, "zero").complete_snapshot())
    drawn = []
    monkeypatch.setattr(
        index_store, "draw_file", lambda file: drawn.append(file.number) or rollout_index.draw_file(file)
    )
    assert columns_of(StageIndex(copy, "zero").complete_snapshot()) == expected
    assert drawn == [5]


def test_a_file_that_was_written_anew_is_read_anew(filled, small_blocks, run, make_rollout, make_group):
    index_worker.build(filled, "zero")
    run.rollouts(1, [make_group("other", [make_rollout(0, "a b c", True)])])
    snapshot = StageIndex(filled, "zero").complete_snapshot()
    assert snapshot.files[0].num_rows == 1
    assert "other" in snapshot.values("prompt_id")
    assert index_worker.build(filled, "zero") == 1


def test_blocks_of_rollouts_that_are_gone_are_removed(filled, small_blocks):
    index_worker.build(filled, "zero")
    for number in (3, 4, 5):
        (filled / "zero" / "rollouts" / f"rollout-{number:06d}.parquet").unlink()
    assert [f.number for f in StageIndex(filled, "zero").complete_snapshot().files] == [1, 2]
    (filled / DERIVED_NAME / "rollouts" / "zero" / "block-000001.parquet").unlink()
    index_worker.build(filled, "zero")
    assert [p.name for p in rollout_index.block_paths(filled / DERIVED_NAME / "rollouts" / "zero")] == [
        "block-000001.parquet"
    ]


def test_a_damaged_block_is_made_again_and_a_damaged_file_is_named(filled, small_blocks):
    index_worker.build(filled, "zero")
    block = filled / DERIVED_NAME / "rollouts" / "zero" / "block-000001.parquet"
    block.write_bytes(b"PAR1 no more")
    assert StageIndex(filled, "zero").complete_snapshot().num_rows == 40
    (filled / "zero" / "rollouts" / "rollout-000002.parquet").write_bytes(b"half")
    snapshot = StageIndex(filled, "zero").complete_snapshot()
    assert snapshot.num_rows == 32
    assert "rollout-000002.parquet cannot be read" in snapshot.files[1].damage


def test_what_is_derived_is_no_part_of_the_run(filled):
    before = comparable_digest(filled)
    index_worker.build(filled, "zero")
    (derived_folder(filled) / "anything").write_text("x")
    assert comparable_digest(filled) == before


def test_a_run_that_cannot_be_written_has_its_index_in_the_users_cache(filled, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (filled / DERIVED_NAME).write_text("a file where a folder should be")
    folder = derived_folder(filled)
    assert (tmp_path / "cache") in folder.parents
    assert folder.is_dir()


def test_new_rollouts_appear_while_the_stage_runs(filled, run, make_rollout, make_group, monkeypatch):
    monkeypatch.setattr(index_store, "_LOOK_AGAIN_SECONDS", 0.0)
    index = StageIndex(filled, "zero")
    first = wait_for_all(index)
    run.rollouts(6, [make_group("new", [make_rollout(0, "x", True)])])
    second = wait_for_all(index)
    assert (first.num_rows, second.num_rows) == (40, 41)
    assert len(matching(second, RolloutFilter(prompt_id="new"))) == 1
    index.close()


def test_samples_of_evaluations_are_indexed_by_their_labels(run, make_rollout, make_group):
    for label, step in (("before", 0), ("after", 9)):
        run.evaluation(label, step, [make_group("p", [make_rollout(0, "x", step > 0)])])
    snapshot = wait_for_all(StageIndex(run.path, "zero", evaluations=True))
    assert [(f.label, f.first_step) for f in snapshot.files] == [("before", 0), ("after", 9)]


def test_a_stage_without_rollouts_is_empty(tmp_path):
    snapshot = StageIndex(tmp_path, "nothing").snapshot()
    assert snapshot.complete
    assert snapshot.num_rows == 0
    assert matching(snapshot, RolloutFilter(verdict="right", word="wait", kind="sum")).tolist() == []


def test_a_worker_whose_parent_is_gone_leaves_the_rest(filled, small_blocks):
    assert index_worker.build(filled, "zero", lambda: False) == 0
    command = [sys.executable, "-m", "dunwu.analysis.index_worker", str(filled), "zero"]
    assert (
        subprocess.run([*command, "1"], timeout=120).returncode == 0
    )  # our child, and no child of process 1
    assert not (filled / DERIVED_NAME / "rollouts" / "zero" / "block-000001.parquet").exists()
