import pytest

from dunwu.errors import RunError
from dunwu.runs.digest import comparable_digest
from dunwu.runs.hash_cache import CACHE_NAME, HashCache


def test_wall_clock_does_not_count(run):
    stage = run.stage("r1_zero")
    stage.begin({})
    stage.append_metrics(1, {"reward": 0.5})
    stage.append_timings(1, {"wall_seconds": 1.0})
    stage.finish({"name": "r1_zero", "wall_seconds": 3.0, "after": {"pass_at_1": 0.9}})
    run.write_summary()
    before = comparable_digest(run.path)
    run.log("anything")
    stage.append_timings(2, {"wall_seconds": 9.0})
    stage.finish({"name": "r1_zero", "wall_seconds": 14.0, "after": {"pass_at_1": 0.9}})
    run.write_summary()
    (run.path / ".tmp-half").write_text("x")
    HashCache(run.path / CACHE_NAME).save()
    (run.path / "r1_zero.replaced-1").mkdir()
    (run.path / "r1_zero.replaced-1" / "metrics.jsonl").write_text("x")
    assert comparable_digest(run.path) == before
    assert list(before) == [
        "manifest.json",
        "r1_zero/manifest.json",
        "r1_zero/metrics.jsonl",
        "r1_zero/record.json",
        "recipe.toml",
        "summary.json",
    ]


def test_every_other_figure_counts(run):
    run.stage("r1_zero").begin({})
    run.stage("r1_zero").finish({"name": "r1_zero", "after": {"pass_at_1": 0.9}})
    run.write_summary()
    before = comparable_digest(run.path)
    run.stage("r1_zero").append_metrics(1, {"reward": 0.5})
    run.stage("r1_zero").finish({"name": "r1_zero", "after": {"pass_at_1": 0.8}})
    run.write_summary()
    after = comparable_digest(run.path)
    assert {name for name in after if after[name] != before.get(name)} == {
        "r1_zero/manifest.json",
        "r1_zero/record.json",
        "summary.json",
        "r1_zero/metrics.jsonl",
    }


def test_a_path_that_is_no_folder_is_named(tmp_path):
    with pytest.raises(RunError, match="absent is not a folder"):
        comparable_digest(tmp_path / "absent")
