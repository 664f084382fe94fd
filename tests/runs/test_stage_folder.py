import math

import pytest

from dunwu.errors import DunwuWarning, NonFiniteError, RunError
from dunwu.runs.digest import comparable_digest
from dunwu.runs.folder import RunFolder


@pytest.fixture
def stage(run):
    return run.stage("r1_zero")


def state(step):
    return lambda folder: (folder / "state").write_text(f"state {step}")


def live(stage, first, last, make_group):
    """Act like a trainer with two steps per rollout and a checkpoint and an evaluation every third step."""
    for step in range(first, last + 1):
        if step % 2:
            groups, dropped = [make_group(step)], [make_group(-step)]
            stage.write_rollouts(step // 2 + 1, groups, first_step=step, last_step=step + 1, dropped=dropped)
        stage.append_metrics(step, {"reward": step / 8})
        stage.append_timings(step, {"wall_seconds": 0.1})
        if step % 3 == 0:
            stage.write_evaluation(f"step-{step}", {"pass_at_1": step / 16}, [make_group(step)], step=step)
            stage.save_checkpoint(step, state(step), keep_last=2)


def test_metrics_and_timings_come_back_by_step(stage):
    stage.append_metrics(1, {"reward": 0.5, "length_mean": None})
    stage.append_metrics(2, {"reward": 0.75, "parts": {"format": 1}})
    stage.append_timings(2, {"wall_seconds": 1.5})
    assert stage.read_metrics() == [
        {"step": 1, "reward": 0.5, "length_mean": None},
        {"step": 2, "reward": 0.75, "parts": {"format": 1}},
    ]
    assert stage.read_timings() == [{"step": 2, "wall_seconds": 1.5}]


@pytest.mark.parametrize("step", [0, 1, 3])
def test_metrics_of_a_step_out_of_order_are_refused(stage, recipe, step):
    stage.append_metrics(1, {})
    with pytest.raises(ValueError, match=f"step {step} cannot follow step 1"):
        stage.append_metrics(step, {})
    stage.run.close()
    with RunFolder.open(stage.run.path, recipe) as run, pytest.raises(ValueError, match="cannot follow"):
        run.stage("r1_zero").append_metrics(step, {})


def test_a_metric_that_is_not_finite_stops_and_is_not_written(stage):
    with pytest.raises(NonFiniteError, match=r"metrics of step 1\.kl is nan"):
        stage.append_metrics(1, {"kl": math.nan})
    assert stage.read_metrics() == []
    stage.append_metrics(1, {"kl": 0.0})


def test_rollouts_come_back_and_are_found_by_step(stage, make_group):
    live(stage, 1, 6, make_group)
    assert stage.rollout_indices() == [1, 2, 3]
    assert [stage.rollout_index_of_step(step) for step in (1, 2, 3, 6, 7)] == [1, 1, 2, 3, None]
    stored = stage.read_rollouts(2)
    assert (stored.index, stored.first_step, stored.last_step) == (2, 3, 4)
    assert stored.groups == (make_group(3),)
    assert stored.dropped == (make_group(-3),)


def test_a_rollout_that_is_not_there_is_named(stage):
    with pytest.raises(RunError, match=r"rollout-000007\.parquet"):
        stage.read_rollouts(7)


def test_the_latest_checkpoint_is_the_newest_whole_one(stage):
    assert stage.latest_checkpoint() is None
    for step in (3, 6):
        stage.save_checkpoint(step, state(step), keep_last=2)
    step, path = stage.latest_checkpoint()
    assert (step, (path / "state").read_text()) == (6, "state 6")


def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_is_used(stage):
    for step in (3, 6):
        path = stage.save_checkpoint(step, state(step), keep_last=2)
    (path / "state").write_text("spoiled")
    with pytest.warns(DunwuWarning, match="step-000006 is damaged: state has changed.*from step 3"):
        assert stage.latest_checkpoint().step == 3


def test_when_every_checkpoint_is_damaged_nothing_is_started_over_silently(stage):
    for step in (3, 6):
        (stage.save_checkpoint(step, state(step), keep_last=2) / "state").unlink()
    with pytest.raises(RunError, match=r"no checkpoint .*step-000006 .*step-000003 .*delete .*r1_zero"):
        stage.latest_checkpoint()


def test_a_checkpoint_is_never_newer_than_its_metrics_on_disk(stage, monkeypatch):
    from dunwu.runs import stage_folder

    stage.append_metrics(1, {})
    synced = []
    monkeypatch.setattr(stage_folder, "sync", lambda path: synced.append(path.name))
    stage.save_checkpoint(1, lambda folder: synced.append("checkpoint"), keep_last=1)
    assert synced == ["metrics.jsonl", "checkpoint"]


@pytest.mark.parametrize("killed_after", range(0, 8))
def test_killed_and_rewound_ends_with_the_bytes_of_an_unkilled_run(
    tmp_path, recipe, make_group, killed_after
):
    with RunFolder.open(tmp_path / "whole", recipe) as run:
        live(run.stage("r1_zero"), 1, 8, make_group)
    with RunFolder.open(tmp_path / "killed", recipe) as run:
        live(run.stage("r1_zero"), 1, killed_after, make_group)
    with RunFolder.open(tmp_path / "killed", recipe) as run:
        stage = run.stage("r1_zero")
        checkpoint = stage.latest_checkpoint()
        done = checkpoint.step if checkpoint else 0
        assert done == killed_after // 3 * 3
        stage.rewind(done)
        live(stage, done + 1, 8, make_group)
        assert len(stage.read_timings()) == 8
    assert comparable_digest(tmp_path / "killed") == comparable_digest(tmp_path / "whole")


def test_rewind_removes_what_came_later_and_keeps_a_rollout_in_use(stage, make_group):
    live(stage, 1, 8, make_group)
    stage.write_evaluation("one-later", {}, [make_group(4)], step=4)
    stage.save_model(lambda folder: (folder / "weights").write_text("w"))
    stage.rewind(3)
    assert [record["step"] for record in stage.read_metrics()] == [1, 2, 3]
    assert [record["step"] for record in stage.read_timings()] == [1, 2, 3]
    assert stage.rollout_indices() == [1, 2]
    assert stage.evaluation_labels() == ["step-3"]
    assert not (stage.path / "evaluation" / "step-6.parquet").exists()
    assert stage.latest_checkpoint().step == 3
    assert not stage.model_path.exists()
    assert stage.run.read_events()[-1]["event"] == "rewound"
    stage.append_metrics(4, {})


def test_rewind_past_missing_metrics_names_the_steps(stage):
    for step in (1, 2, 3):
        stage.append_metrics(step, {})
    path = stage.path / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + lines[2])
    with pytest.raises(RunError, match=r"steps 1 to 3 once each; missing: \[2\]"):
        stage.rewind(3)
    path.write_text("".join([*lines, lines[2]]))
    with pytest.raises(RunError, match="missing: none, lines: 4"):
        stage.rewind(3)


def test_evaluations_come_back_in_order_of_their_steps(stage, make_group):
    assert stage.read_evaluation("before") is None
    stage.write_evaluation("before", {"pass_at_1": 0.25}, [make_group(1)], step=0)
    stage.write_evaluation("after", {"pass_at_1": 0.75}, [make_group(2)], step=16)
    stage.write_evaluation("middle", {"pass_at_1": 0.5}, [make_group(3)], step=8)
    assert stage.evaluation_labels() == ["before", "middle", "after"]
    assert stage.read_evaluation("after") == {"pass_at_1": 0.75, "step": 16}
    assert stage.read_evaluation_samples("after") == (make_group(2),)


def test_an_evaluation_without_its_figures_was_not_finished(stage, make_group):
    stage.write_evaluation("before", {}, [make_group(1)], step=0)
    (stage.path / "evaluation" / "before.json").unlink()
    assert stage.read_evaluation("before") is None


def test_a_damaged_evaluation_is_named(stage):
    stage.write_evaluation("before", {}, [], step=0)
    (stage.path / "evaluation" / "before.json").write_text("{")
    with pytest.raises(RunError, match=r"before\.json is damaged"):
        stage.read_evaluation("before")


@pytest.mark.parametrize("label", ["", "../x", ".hidden", "a b"])
def test_an_evaluation_label_must_be_a_plain_name(stage, label):
    with pytest.raises(ValueError, match="evaluation label"):
        stage.write_evaluation(label, {}, [], step=0)


def test_a_finished_stage_records_what_it_read_and_made(stage):
    assert not stage.finished
    stage.save_model(lambda folder: (folder / "weights").write_text("abc"))
    stage.mark_finished({"model": "base-hash"})
    again = RunFolder.read(stage.run.path).stage("r1_zero")
    assert again.finished
    record = again.run.manifest["stages"]["r1_zero"]
    assert record["inputs"] == {"model": "base-hash"}
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert record["outputs"] == {"model/weights": abc}
    again.check_outputs()


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_text("x")])
def test_a_finished_model_that_changed_is_named(stage, harm):
    stage.save_model(lambda folder: (folder / "weights").write_text("abc"))
    stage.mark_finished({})
    harm(stage.model_path / "weights")
    with pytest.raises(RunError, match="weights is missing or has changed since stage r1_zero"):
        stage.check_outputs()
