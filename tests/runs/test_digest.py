import pytest

from dunwu.errors import RunError
from dunwu.runs.digest import comparable_digest


def test_wall_clock_does_not_count(run):
    stage = run.stage("r1_zero")
    stage.append_metrics(1, {"reward": 0.5})
    stage.append_timings(1, {"wall_seconds": 1.0})
    run.write_summary([{"name": "r1_zero", "wall_seconds": 3.0, "after": {"pass_at_1": 0.9}}])
    before = comparable_digest(run.path)
    run.log("anything")
    stage.append_timings(2, {"wall_seconds": 9.0})
    run.write_summary([{"name": "r1_zero", "wall_seconds": 4.0, "after": {"pass_at_1": 0.9}}])
    (run.path / ".tmp-half").write_text("x")
    assert comparable_digest(run.path) == before
    assert list(before) == ["manifest.json", "r1_zero/metrics.jsonl", "recipe.toml", "summary.json"]


def test_every_other_figure_counts(run):
    run.write_summary([{"name": "r1_zero", "after": {"pass_at_1": 0.9}}])
    before = comparable_digest(run.path)
    run.write_summary([{"name": "r1_zero", "after": {"pass_at_1": 0.8}}])
    run.stage("r1_zero").append_metrics(1, {"reward": 0.5})
    after = comparable_digest(run.path)
    assert {name for name in after if after[name] != before.get(name)} == {
        "summary.json",
        "r1_zero/metrics.jsonl",
    }


def test_a_path_that_is_no_folder_is_named(tmp_path):
    with pytest.raises(RunError, match="absent is not a folder"):
        comparable_digest(tmp_path / "absent")
