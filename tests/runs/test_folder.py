import json
import tomllib

import pytest

from dunwu.config.recipe import Recipe
from dunwu.errors import DunwuWarning, RunError
from dunwu.runs import folder as folder_module
from dunwu.runs.folder import RunFolder, ensure_continues


def test_a_new_run_holds_its_recipe_versions_and_fingerprints(tmp_path, recipe):
    with RunFolder.open(tmp_path / "a" / "run", recipe, fingerprints={"model": "abc"}) as run:
        assert Recipe.model_validate(tomllib.loads((run.path / "recipe.toml").read_text())) == recipe
        manifest = json.loads((run.path / "manifest.json").read_text())
    assert manifest["fingerprints"] == {"model": "abc"}
    assert manifest["versions"]["torch"]
    assert manifest["stages"] == {}


def test_an_unchanged_recipe_continues_and_the_log_says_so(tmp_path, recipe):
    for _ in range(2):
        with RunFolder.open(tmp_path, recipe, fingerprints={"model": "abc"}) as run:
            events = [record["event"] for record in run.read_events()]
    assert events == ["started", "resumed"]


def test_a_changed_recipe_names_each_key_with_both_values(tmp_path, recipe, make_recipe):
    RunFolder.open(tmp_path, recipe).close()
    changed = make_recipe(num_steps=32, kl={"coef": 0.5})
    with pytest.raises(RunError) as caught:
        RunFolder.open(tmp_path, changed)
    text = str(caught.value)
    assert "stages.0.num_steps: was 16, is now 32" in text
    assert "stages.0.kl.coef: was 0.001, is now 0.5" in text
    assert "--run-dir" in text
    assert text.count("is now") == 2


def test_a_changed_fingerprint_is_an_error_and_is_not_recorded(tmp_path, recipe):
    RunFolder.open(tmp_path, recipe, fingerprints={"model": "abc", "data": "1"}).close()
    with pytest.raises(RunError, match='data: was "1", is now "2"'):
        RunFolder.open(tmp_path, recipe, fingerprints={"model": "abc", "data": "2"})
    with RunFolder.open(tmp_path, recipe, fingerprints={"data": "1"}) as run:
        assert run.manifest["fingerprints"] == {"model": "abc", "data": "1"}


def test_fingerprints_can_be_pinned_as_stages_come_to_need_them(run):
    run.pin({"first": "1"})
    run.pin({"second": "2"})
    assert RunFolder.read(run.path).manifest["fingerprints"] == {"first": "1", "second": "2"}
    with pytest.raises(RunError, match='second: was "2", is now "3"'):
        run.pin({"first": "1", "second": "3"})


def test_other_package_versions_warn_and_go_on(tmp_path, recipe, monkeypatch):
    RunFolder.open(tmp_path, recipe).close()
    monkeypatch.setattr(folder_module, "installed_versions", lambda: {"python": "9.9"})
    with pytest.warns(DunwuWarning, match=r'python: was "3.*is now "9\.9"'):
        RunFolder.open(tmp_path, recipe).close()


def test_two_writers_are_one_too_many_and_a_reader_is_welcome(run, recipe):
    with pytest.raises(RunError, match="is being written by process"):
        RunFolder.open(run.path, recipe)
    assert RunFolder.read(run.path).recipe == recipe


def test_a_failed_opening_frees_the_lock(tmp_path, recipe):
    RunFolder.open(tmp_path, recipe, fingerprints={"data": "1"}).close()
    for _ in range(2):
        with pytest.raises(RunError, match="data: was"):
            RunFolder.open(tmp_path, recipe, fingerprints={"data": "2"})


def test_a_failure_is_logged_and_frees_the_folder(tmp_path, recipe):
    with pytest.raises(OSError, match="no space"), RunFolder.open(tmp_path, recipe) as run:
        raise OSError("no space")
    last = run.read_events()[-1]
    assert (last["event"], last["error"]) == ("failed", "OSError: no space")
    assert last["time"].endswith("Z")
    RunFolder.open(tmp_path, recipe).close()


def test_a_closed_or_read_folder_cannot_be_written(tmp_path, recipe, make_group):
    RunFolder.open(tmp_path, recipe).close()
    run = RunFolder.read(tmp_path)
    stage = run.stage("r1_zero")
    for write in (
        lambda: run.log("x"),
        lambda: run.pin({"a": "1"}),
        lambda: run.write_summary([]),
        lambda: run.record_stage("r1_zero", {}),
        lambda: stage.append_metrics(1, {}),
        lambda: stage.append_timings(1, {}),
        lambda: stage.write_rollouts(1, [make_group()], first_step=1, last_step=1),
        lambda: stage.save_checkpoint(1, lambda path: None, 1),
        lambda: stage.rewind(0),
        lambda: stage.write_evaluation("before", {}, [], step=0),
        lambda: stage.save_model(lambda path: None),
        lambda: stage.mark_finished({}),
    ):
        with pytest.raises(RunError, match="opened for reading only"):
            write()
    assert not (tmp_path / "r1_zero").exists()


def test_opening_clears_what_a_kill_left(tmp_path, recipe):
    with RunFolder.open(tmp_path, recipe) as run:
        run.stage("r1_zero").append_metrics(1, {"reward": 1.0})
        run.stage("r1_zero").append_timings(1, {"wall_seconds": 1.0})
    (tmp_path / "r1_zero" / ".tmp-rollout").write_text("half")
    for name in ("events.jsonl", "r1_zero/metrics.jsonl", "r1_zero/timings.jsonl"):
        with (tmp_path / name).open("a") as file:
            file.write('{"torn": ')
    with RunFolder.open(tmp_path, recipe) as run:
        assert [record["step"] for record in run.stage("r1_zero").read_metrics()] == [1]
        assert [record["event"] for record in run.read_events()] == ["started", "resumed"]
    for name in ("events.jsonl", "r1_zero/metrics.jsonl", "r1_zero/timings.jsonl"):
        assert "torn" not in (tmp_path / name).read_text()
    assert not (tmp_path / "r1_zero" / ".tmp-rollout").exists()


@pytest.mark.parametrize("present", [[], [".lock"], [".lock", "recipe.toml"], [".tmp-recipe.toml"]])
def test_a_folder_killed_in_its_first_instant_starts_anew(tmp_path, recipe, present):
    for name in present:
        (tmp_path / name).write_text("half")
    assert ensure_continues(tmp_path, recipe) is False
    RunFolder.open(tmp_path, recipe).close()
    assert ensure_continues(tmp_path, recipe) is True


def test_a_strangers_folder_is_refused_and_left_alone(tmp_path, recipe):
    (tmp_path / "thesis.tex").write_text("dear")
    with pytest.raises(RunError, match=r"not a run folder \(it holds thesis\.tex\)"):
        RunFolder.open(tmp_path, recipe)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(RunError, match="it holds a file"):
        RunFolder.open(tmp_path / "thesis.tex", recipe)


def test_reading_what_is_no_run_names_it(tmp_path):
    with pytest.raises(RunError, match="is not a run folder"):
        RunFolder.read(tmp_path)


def test_a_lost_or_unreadable_recipe_is_named(tmp_path, recipe):
    RunFolder.open(tmp_path, recipe).close()
    text = (tmp_path / "recipe.toml").read_text()
    for spoiled in ("not toml [", text.replace("group_size", "groop_size")):
        (tmp_path / "recipe.toml").write_text(spoiled)
        with pytest.raises(RunError, match=r"recipe\.toml cannot be read by this version"):
            RunFolder.read(tmp_path)
    (tmp_path / "recipe.toml").unlink()
    with pytest.raises(RunError, match=r"recipe\.toml is missing"):
        RunFolder.open(tmp_path, recipe)


def test_an_unknown_stage_names_those_there_are(run):
    with pytest.raises(RunError, match=r"no stage 'sft'; its stages are r1_zero"):
        run.stage("sft")
    assert [stage.name for stage in run.stages()] == ["r1_zero"]


def test_the_summary_comes_back_and_is_empty_before_the_first_stage_ends(run):
    assert run.read_summary() == []
    record = {"name": "r1_zero", "before": {"pass_at_1": 0.25}, "num_problems": 512, "wall_seconds": 1.5}
    run.write_summary([record])
    assert run.read_summary() == [record]
    assert json.loads((run.path / "summary.json").read_text()) == {"stages": [record]}


@pytest.mark.parametrize("text", ["{", "{}", "3"])
def test_a_damaged_summary_is_named(run, text):
    (run.path / "summary.json").write_text(text)
    with pytest.raises(RunError, match=r"summary\.json is damaged"):
        run.read_summary()
