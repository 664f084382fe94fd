import math

import pytest

from dunwu.errors import DunwuWarning, NonFiniteError, RunError
from dunwu.runs.digest import comparable_digest
from dunwu.runs.folder import RunFolder
from dunwu.runs.stage_lineage import PinError


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
    stage.begin({"seed": 3})
    assert not stage.finished
    stage.save_model(lambda folder: (folder / "weights").write_text("abc"))
    stage.write_data("rows.jsonl", lambda path: path.write_text("{}"))
    stage.append_metrics(1, {})
    stage.append_timings(1, {})
    stage.save_checkpoint(1, state(1), keep_last=1)
    stage.finish({"name": "r1_zero", "wall_seconds": 1.0})
    again = RunFolder.read(stage.run.path).stage("r1_zero")
    assert again.finished
    assert again.read_record() == {"name": "r1_zero", "wall_seconds": 1.0}
    manifest = again.manifest
    assert manifest.reads == {"seed": 3}
    assert manifest.versions["torch"]
    assert list(manifest.made) == ["data/rows.jsonl", "metrics.jsonl", "model/weights", "record.json"]
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert manifest.made["model/weights"] == (abc, 3)
    assert again.damage() == again.damage(thorough=True) == []
    assert again.data_files() == [again.path / "data" / "rows.jsonl"]


def test_beginning_again_keeps_what_was_recorded(stage):
    stage.begin({"seed": 3})
    stage.begin({"seed": 4})
    assert stage.manifest.reads == {"seed": 3}
    assert [record["event"] for record in stage.run.read_events()].count("stage begun") == 1


def test_going_on_with_other_packages_is_warned_of(stage, monkeypatch):
    stage.begin({})
    monkeypatch.setattr("dunwu.runs.stage_lineage.installed_versions", lambda: {"python": "9.9"})
    with pytest.warns(DunwuWarning, match=r'stage r1_zero is continued.*python: was "3.*is now "9\.9"'):
        stage.begin({})


def whole(stage, make_group):
    """A stage of two rollouts, which its metrics name, and an evaluation before them."""
    stage.begin({})
    stage.write_evaluation("before", {"pass_at_1": 0.5}, [make_group()], step=0)
    for step in (1, 2):
        stage.write_rollouts(step, [make_group()], first_step=step, last_step=step)
        stage.append_metrics(step, {"rollout": step})


@pytest.mark.parametrize(
    "harm", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:9])]
)
@pytest.mark.parametrize(
    "name",
    [
        "rollouts/rollout-000001.parquet",
        "rollouts/rollout-000002.parquet",
        "evaluation/before.parquet",
        "evaluation/before.json",
    ],
)
def test_rollouts_and_evaluations_that_are_bad_or_missing_are_named(stage, make_group, name, harm):
    whole(stage, make_group)
    stage.require_samples()
    harm(stage.path / name)
    with pytest.raises(RunError) as caught:
        stage.require_samples()
    assert str(stage.path / name) in str(caught.value)
    assert f"delete {stage.path} to start" in str(caught.value)


def test_samples_that_a_kill_left_without_figures_are_removed(stage, make_group):
    whole(stage, make_group)
    stage.write_evaluation("step-000002", {}, [make_group()], step=2)
    (stage.path / "evaluation" / "step-000002.json").unlink()
    stage.rewind(2)
    assert not (stage.path / "evaluation" / "step-000002.parquet").exists()
    stage.require_samples()


HARMS = [
    (lambda path: path.unlink(), "is missing"),
    (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"!"), "has changed since the stage finished"),
    (lambda path: path.write_bytes(path.read_bytes()[:-2]), "has changed since the stage finished"),
]


@pytest.mark.parametrize(("harm", "said"), HARMS)
@pytest.mark.parametrize(
    "name",
    [
        "model/weights",
        "data/rows.jsonl",
        "evaluation/after.json",
        "evaluation/after.parquet",
        "metrics.jsonl",
        "record.json",
    ],
)
def test_a_finished_output_that_changed_is_named(stage, make_group, name, harm, said):
    stage.begin({})
    stage.save_model(lambda folder: (folder / "weights").write_text("abc"))
    stage.write_data("rows.jsonl", lambda path: path.write_text("{}"))
    stage.write_evaluation("after", {"pass_at_1": 0.5}, [make_group()], step=1)
    stage.append_metrics(1, {"reward": 1.0})
    stage.finish({"name": "r1_zero"})
    harm(stage.path / name)
    assert stage.damage() == [f"{stage.path / name} {said}"]


def test_rollouts_are_compared_by_size_and_hashed_when_asked(stage, make_group):
    stage.begin({})
    stage.write_rollouts(1, [make_group()], first_step=1, last_step=1)
    stage.finish({"name": "r1_zero"})
    path = stage.path / "rollouts" / "rollout-000001.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"!")
    assert stage.damage() == []
    assert stage.damage(weigh_model=True) == []
    assert stage.damage(thorough=True) == [f"{path} has changed since the stage finished"]
    path.write_bytes(whole[:-1])
    assert stage.damage() == [f"{path} has {len(whole) - 1} bytes; it had {len(whole)}"]


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"format": 9}', '{"format": 1, "reads": {}, "pinned": {}, "versions": {}, "made": {"a": 1}}']
)  # fmt: skip
def test_a_damaged_manifest_is_named(stage, text):
    stage.begin({})
    (stage.path / "manifest.json").write_text(text)
    with pytest.raises(RunError, match=r"r1_zero/manifest\.json is damaged"):
        stage.manifest  # noqa: B018  # reading it is what is tested


def test_a_manifest_that_is_gone_is_named_and_an_empty_folder_has_not_begun(stage):
    stage.path.mkdir()
    assert stage.manifest is None
    stage.begin({})
    stage.append_metrics(1, {})
    (stage.path / "manifest.json").unlink()
    with pytest.raises(RunError, match=r"manifest\.json is missing, and .* holds files"):
        stage.finished  # noqa: B018


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_text("{")])
def test_a_record_that_cannot_be_read_is_named(stage, harm):
    stage.begin({})
    stage.finish({"name": "r1_zero"})
    harm(stage.path / "record.json")
    with pytest.raises(RunError, match=r"record\.json is damaged or missing"):
        stage.read_record()


def test_a_file_that_others_put_among_the_rows_is_named_and_not_read(stage):
    stage.begin({})
    stage.write_data("rows.jsonl", lambda path: path.write_text("{}"))
    assert stage.data_files() == []  # not finished
    stage.finish({})
    for name in ("more.jsonl", ".DS_Store"):
        (stage.data_path / name).write_text("{}")
    assert stage.data_files() == [stage.data_path / "rows.jsonl"]
    assert stage.damage() == [f"{stage.data_path / 'more.jsonl'} was not made by the stage"]


@pytest.mark.parametrize("name", ["../rows.jsonl", "rows.txt", ".jsonl"])
def test_a_data_files_name_must_be_plain(stage, name):
    with pytest.raises(ValueError, match="plain file name"):
        stage.write_data(name, lambda path: None)


def test_what_a_stage_works_on_is_pinned_and_must_not_change(stage):
    with pytest.raises(RunError, match="has not begun"):
        stage.pin({"task": "1"})
    stage.begin({})
    stage.pin({"task": "1"})
    stage.pin({"template": "2"})
    assert stage.manifest.pinned == {"task": "1", "template": "2"}
    with pytest.raises(PinError, match=r'template: was "2", is now "3"') as caught:
        stage.pin({"task": "1", "template": "3"})
    assert caught.value.changes == ('template: was "2", is now "3"',)
    assert stage.manifest.pinned == {"task": "1", "template": "2"}
    stage.finish({})
    assert stage.manifest.pinned == {"task": "1", "template": "2"}


@pytest.mark.parametrize("name", ["metrics.jsonl", "timings.jsonl", "diagnosis.jsonl"])
def test_opening_a_run_cuts_nothing_off_a_finished_stage(stage, recipe, name):
    stage.begin({})
    stage.append_metrics(1, {})
    stage.append_timings(1, {})
    stage.note_diagnosis([{"step": 1, "name": "x", "state": "began"}])
    stage.finish({})
    path = stage.path / name
    shorter = path.read_bytes().removesuffix(b"\n")
    path.write_bytes(shorter)
    stage.run.close()
    with RunFolder.open(stage.run.path, recipe) as run:
        damage = run.stage("r1_zero").damage()
    assert path.read_bytes() == shorter
    assert damage == ([] if name == "timings.jsonl" else [f"{path} has changed since the stage finished"])


def test_the_best_checkpoint_stays_beside_the_newest(stage):
    for step, score in ((1, 0.1), (2, 0.7), (3, None), (4, 0.7), (5, 0.2)):
        stage.save_checkpoint(step, state(step), keep_last=1, keep_best=True, score=score)
    assert stage.checkpoint_steps() == [2, 5]
    best, score = stage.best_checkpoint()
    assert (best.step, score) == (2, 0.7)
    stage.clean()
    assert stage.checkpoint_steps() == [2, 5]
    stage.prune_checkpoints(0)
    assert stage.checkpoint_steps() == [2]


def test_without_keep_best_the_newest_stay_alone(stage):
    assert stage.best_checkpoint() is None
    for step, score in ((1, 0.9), (2, 0.1), (3, 0.2)):
        stage.save_checkpoint(step, state(step), keep_last=2, score=score)
    assert stage.checkpoint_steps() == [2, 3]
    stage.prune_checkpoints(1)
    assert stage.checkpoint_steps() == [3]
    stage.prune_checkpoints(0)
    assert stage.checkpoint_steps() == []
    stage.prune_checkpoints(0)
