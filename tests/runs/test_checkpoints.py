import json

import pytest

from dunwu.runs import checkpoints


def write(folder):
    (folder / "weights").write_text("w")
    (folder / "sub").mkdir()
    (folder / "sub" / "state").write_text("s")


@pytest.fixture
def saved(tmp_path):
    checkpoints.save(tmp_path, 20, write, checkpoints.Retention(2))
    return checkpoints.found(tmp_path)[0]


def test_a_saved_checkpoint_is_whole(saved, tmp_path):
    assert saved == (20, tmp_path / "step-000020")
    assert (saved.path / "sub" / "state").read_text() == "s"
    assert checkpoints.damage(saved) is None


def test_only_the_newest_stay(tmp_path):
    for step in (8, 9, 10, 1_000_000):
        checkpoints.save(tmp_path, step, write, checkpoints.Retention(2))
    assert [checkpoint.step for checkpoint in checkpoints.found(tmp_path)] == [1_000_000, 10]


def test_what_is_not_a_checkpoint_is_not_found(tmp_path):
    assert checkpoints.found(tmp_path / "absent") == []
    (tmp_path / ".tmp-step-000020").mkdir()
    (tmp_path / "step-x").mkdir()
    assert checkpoints.found(tmp_path) == []


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda p: (p / "weights").write_text("W"), "weights has changed"),
        (lambda p: (p / "sub" / "state").unlink(), "sub/state is missing"),
        (lambda p: (p / "checkpoint.json").unlink(), r"checkpoint.json is missing or damaged"),
        (lambda p: (p / "checkpoint.json").write_text("{"), r"checkpoint.json is missing or damaged"),
        (lambda p: (p / "checkpoint.json").write_text("[]"), r"checkpoint.json is missing or damaged"),
    ],
)
def test_each_kind_of_damage_is_named(saved, harm, said):
    harm(saved.path)
    assert said in checkpoints.damage(saved)


def test_foreign_files_in_a_checkpoint_are_passed_over(saved):
    (saved.path / ".DS_Store").write_text("")
    (saved.path / "sub" / "notes").write_text("")
    assert checkpoints.damage(saved) is None


def test_a_checkpoint_renamed_to_another_step_is_damaged(saved):
    moved = saved.path.rename(saved.path.parent / "step-000040")
    assert checkpoints.damage(checkpoints.Checkpoint(40, moved)) is not None


def test_pruning_that_a_kill_prevented_is_made_up_for(tmp_path):
    for step in (20, 40, 60):
        checkpoints.save(tmp_path, step, write, checkpoints.Retention(3))
    seal = tmp_path / "step-000060" / "checkpoint.json"
    seal.write_text(json.dumps({**json.loads(seal.read_text()), "keep_last": 1}))
    checkpoints.prune(tmp_path)
    assert [checkpoint.step for checkpoint in checkpoints.found(tmp_path)] == [60]


def test_a_damaged_newest_seal_prunes_nothing(tmp_path):
    for step in (20, 40):
        checkpoints.save(tmp_path, step, write, checkpoints.Retention(2))
    (tmp_path / "step-000040" / "checkpoint.json").unlink()
    checkpoints.prune(tmp_path)
    assert len(checkpoints.found(tmp_path)) == 2
    checkpoints.prune(tmp_path, keep_last=0)
    assert checkpoints.found(tmp_path) == []
