"""What a run's folder tells about how it stands, also while it is written."""

from pathlib import Path

import pytest

from dunwu.errors import RunError
from dunwu.pipeline.status import run_status
from dunwu.runs.folder import RunFolder


@pytest.fixture
def two(build, stage):
    return build(stage("one"), stage("two", "one"))


def situations(path, **options):
    return [found.situation for found in run_status(path, **options).stages]


def test_a_finished_run(chain, two):
    chain.run(two)
    found = run_status(chain.path)
    assert (found.name, found.path, found.live, found.failure) == ("chain", chain.path, False, None)
    assert [stage.situation for stage in found.stages] == ["finished", "finished"]
    one = found.stages[0]
    assert (one.name, one.kind, one.steps, one.num_steps) == ("one", "sft", 0, 4)
    assert one.figures == {
        "name": "one",
        "kind": "sft",
        "before": {"nll": 2.0},
        "after": {"nll": 1.0},
        "wall_seconds": 1.0,
    }
    assert one.num_bytes > one.checkpoint_bytes == 0
    assert found.num_bytes > sum(stage.num_bytes for stage in found.stages)
    assert found.next_action == f"everything is finished; see it with: dunwu show {chain.path}"
    assert found.aside == {}


def test_commands_quote_a_path_with_spaces(chain, two):
    chain.path = chain.path.with_name("my run")
    chain.run(two, last="one")
    found = run_status(chain.path)
    assert found.next_action == f"go on: dunwu run '{chain.path}/recipe.toml' --run-dir '{chain.path}'"


def test_nothing_is_written(chain, two):
    chain.run(two)
    before = {path: path.stat().st_mtime_ns for path in chain.path.rglob("*")}
    run_status(chain.path, verify=True)
    assert {path: path.stat().st_mtime_ns for path in chain.path.rglob("*")} == before


def test_a_run_that_failed_and_what_to_do(chain, two):
    chain.failing = {"two"}
    with pytest.raises(OSError, match="no space"):
        chain.run(two)
    found = run_status(chain.path)
    assert [stage.situation for stage in found.stages] == ["finished", "failed"]
    assert found.failure == "OSError: no space left"
    assert found.next_action == f"go on: dunwu run {chain.path}/recipe.toml --run-dir {chain.path}"


def test_an_interrupted_run_has_stopped_and_did_not_fail(chain, two, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("dunwu.pipeline.run.run_stage", interrupt)
    with pytest.raises(KeyboardInterrupt):
        chain.run(two)
    found = run_status(chain.path)
    assert [stage.situation for stage in found.stages] == ["stopped", "waiting"]
    assert found.failure is None


def test_a_stage_that_has_not_begun_waits(chain, two):
    chain.run(two, last="one")
    assert situations(chain.path) == ["finished", "waiting"]


def live_run(path, recipe, *, steps, seconds):
    run = RunFolder.open(path, recipe)
    stage = run.stage("one")
    stage.begin({"recipe": {}, "seed": 1, "models": {}, "data": {}})
    run.log("stage started", stage="one", num_steps=10, done_steps=0)
    for step in range(1, steps + 1):
        stage.append_metrics(step, {"nll": 1 / step})
        stage.append_timings(step, {"wall_seconds": seconds})
        stage.save_checkpoint(step, lambda folder: (folder / "state").write_text("12345"), keep_last=2)
    return run


def test_a_run_that_is_running(chain, two):
    run = live_run(chain.path, two, steps=4, seconds=2.0)
    found = run_status(chain.path)
    assert found.live
    assert "it is running" in found.next_action
    one, second = found.stages
    assert (one.situation, second.situation) == ("running", "waiting")
    assert (one.steps, one.num_steps, one.seconds_left) == (4, 10, 12.0)
    assert one.figures["nll"] == 0.25
    assert one.checkpoint_steps == (3, 4)
    assert one.checkpoint_bytes > 10
    assert one.best_step is None
    assert (second.num_steps, second.seconds_left) == (None, None)
    run.close()
    assert run_status(chain.path).stages[0].situation in ("stopped", "changed")


def test_a_stopped_stage_has_no_time_left(chain, two):
    chain.failing = {"one"}
    with pytest.raises(OSError, match="no space"):
        chain.run(two)
    with RunFolder.open(chain.path, two) as run:
        run.stage("one").append_timings(1, {"wall_seconds": 2.0})
    found = run_status(chain.path)
    assert found.stages[0].situation == "stopped"  # the process after the one that failed ended well
    assert found.stages[0].seconds_left is None
    assert found.failure is None


def test_changed_data_and_damaged_outputs_show(chain, two):
    chain.run(two)
    weights = chain.path / "two" / "model" / "weights"
    weights.write_text("x")
    assert situations(chain.path) == ["finished", "finished"]
    found = run_status(chain.path, verify=True)
    assert [stage.situation for stage in found.stages] == ["finished", "changed"]
    assert found.stages[1].changes == (f"{weights} has changed since the stage finished",)
    assert found.next_action.endswith("--rerun-changed")
    Path("rows.jsonl").write_text("{} ")
    assert situations(chain.path) == ["changed", "changed"]


def test_what_follows_a_changed_stage_is_not_simply_finished(chain, build, stage):
    def recipe(rate):
        first = stage("one", optimizer={"learning_rate": rate})
        return build(first, stage("two", "one"), stage("three", "two"))

    chain.run(recipe(1e-5))
    chain.run(recipe(2e-5), "rerun_changed", first="one", last="one")
    found = run_status(chain.path)
    assert [at.situation for at in found.stages] == ["finished", "changed", "follows a changed stage"]
    assert [at.follows for at in found.stages] == [(), (), ("two",)]
    assert found.next_action.endswith("--rerun-changed")


def test_what_was_set_aside_is_counted(chain, build, stage):
    chain.run(build(stage("one")))
    chain.run(build(stage("one", turns="last")), "rerun_changed")
    (name, num_bytes), = run_status(chain.path).aside.items()  # fmt: skip
    assert name == "one.replaced-1"
    assert num_bytes > 100


def test_a_stage_that_the_recipe_lost_is_counted(chain, build, stage):
    chain.run(build(stage("one"), stage("two")))
    chain.run(build(stage("two")))
    found = run_status(chain.path)
    assert [link.name for link in found.stages] == ["two"]
    assert list(found.strays) == ["one"]
    assert found.strays["one"] > 100


def test_a_data_file_that_is_gone_is_not_called_changed(chain, two):
    chain.run(two)
    Path("rows.jsonl").unlink()
    (change, *_) = run_status(chain.path).stages[0].changes
    assert change == f"data.train.0: rows.jsonl is not there (seen from {Path.cwd()})"


def test_what_is_no_run_is_told(tmp_path):
    with pytest.raises(RunError, match="is not a run folder"):
        run_status(tmp_path)
