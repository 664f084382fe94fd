import json

import pytest

from dunwu.cli.status import key_figures
from dunwu.pipeline.lineage import read_inputs
from dunwu.runs.folder import RunFolder
from dunwu.runs.hash_cache import HashCache


@pytest.fixture
def running(tmp_path, recipe):
    """A run whose stage is half done, open for writing."""
    run = RunFolder.open(tmp_path / "run", recipe)
    stage = run.stage("r1_zero")
    stage.begin(read_inputs(recipe.stages[0], run, HashCache(None)).reads)
    run.log("stage started", stage="r1_zero", num_steps=4, done_steps=0)
    for step in (1, 2):
        stage.append_metrics(step, {"reward": 0.25, "accuracy": 0.125})
        stage.append_timings(step, {"wall_seconds": 30.0})
        stage.save_checkpoint(
            step, lambda folder: (folder / "w").write_text("w"), 1, keep_best=True, score=1 / step
        )
    return run


def test_a_running_stage(invoke, running):
    result = invoke("status", running.path, env={"COLUMNS": "200"})
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    assert "run test in" in text
    assert ": running, " in text
    assert "r1_zero running 2/4, 1 min 00 s left right 12.5%, reward 0.25" in text
    assert "r1_zero keeps checkpoints of step 1, 2: " in text
    assert "it is running" in text


def test_a_stopped_run_says_how_to_go_on(invoke, running):
    running.close()
    result = invoke("status", running.path)
    assert "stopped" in result.stdout
    assert f"go on: dunwu run {running.path}/recipe.toml --run-dir {running.path}" in result.stdout


def test_a_finished_run_as_text_and_json(invoke, finished_run):
    text = " ".join(invoke("status", finished_run).stdout.split())
    assert "pass@1 25.0% -> 87.5%" in text
    data = json.loads(invoke("status", finished_run, "--json").stdout)
    assert data["path"] == str(finished_run)
    assert data["stages"][0]["figures"]["after"]["pass_at_1"] == 0.875
    assert set(data) == {
        "name",
        "path",
        "live",
        "failure",
        "stages",
        "aside",
        "strays",
        "num_bytes",
        "next_action",
    }


def test_verifying_says_so_or_names_the_file(invoke, running, recipe):
    stage = running.stage("r1_zero")
    stage.save_model(lambda folder: (folder / "weights").write_text("abc"))
    stage.finish({"name": "r1_zero", "before": {}, "after": {}})
    running.close()
    assert (
        "every file of the finished stages is as it was made"
        in invoke("status", running.path, "--verify").stdout
    )
    (stage.model_path / "weights").write_text("abd")
    text = " ".join(invoke("status", running.path, "--verify").stdout.split())
    assert "r1_zero was made with something else: " in text
    assert "weights has changed since the stage finished" in text
    assert "--rerun-changed" in text


def test_a_failure_is_told(invoke, tmp_path, recipe):
    with pytest.raises(OSError, match="full"), RunFolder.open(tmp_path / "run", recipe):
        raise OSError("disk full")
    assert "the last run failed: OSError: disk full" in " ".join(
        invoke("status", tmp_path / "run").stdout.split()
    )


def test_what_is_no_run_is_told(invoke, tmp_path):
    result = invoke("status", tmp_path)
    assert result.exit_code == 2
    assert "is not a run folder" in result.stderr


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"before": {"nll": 2.0, "x": 1}, "after": {"nll": 0.51234}}, "loss 2 -> 0.5123"),
        ({"before": {"pass_at_1": None}, "after": {"pass_at_1": 0.5}}, ""),
        ({"step": 3, "reward": 1.5, "accuracy": 0.5, "kl": 1.0}, "right 50.0%, reward 1.5"),
        ({"name": "cold_start", "rows": 1234, "dropped": 5, "wall_seconds": 1.0}, "rows 1,234, dropped 5"),
        ({}, ""),
    ],
)
def test_key_figures(figures, said):
    assert key_figures(figures) == said


def test_what_a_stage_warned_of_is_shown(invoke, running):
    seen = {"step": 2, "text": "reward hacking suspected at step 2"}
    running.stage("r1_zero").write_evaluation("step-000002", {"reward_hacking": seen}, [], step=2)
    running.stage("r1_zero").write_evaluation("before", {"reward_hacking": None}, [], step=0)
    result = invoke("status", running.path, env={"COLUMNS": "200"})
    assert "r1_zero: reward hacking suspected at step 2" in result.stdout
    data = json.loads(invoke("status", running.path, "--json").stdout)
    assert data["stages"][0]["warnings"] == ["reward hacking suspected at step 2"]
