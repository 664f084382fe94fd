import json
import tomllib

import pytest

from dunwu.config.recipe import Recipe
from dunwu.errors import RunError
from dunwu.runs.folder import RunFolder, continues_run


def test_a_new_run_holds_its_recipe_and_versions(tmp_path, recipe):
    with RunFolder.open(tmp_path / "a" / "run", recipe) as run:
        assert Recipe.model_validate(tomllib.loads((run.path / "recipe.toml").read_text())) == recipe
        manifest = json.loads((run.path / "manifest.json").read_text())
    assert manifest["format"] == 2
    assert manifest["versions"]["torch"]


def test_a_run_is_continued_and_the_log_says_so(tmp_path, recipe):
    for _ in range(2):
        with RunFolder.open(tmp_path, recipe) as run:
            events = [record["event"] for record in run.read_events()]
    assert events == ["started", "resumed"]


def test_another_recipe_is_adopted_when_told_and_the_log_keeps_the_difference(tmp_path, recipe, make_recipe):
    RunFolder.open(tmp_path, recipe).close()
    changed = make_recipe(num_steps=32, kl={"coef": 0.5})
    with RunFolder.open(tmp_path, changed) as run:
        assert run.recipe == changed
        assert RunFolder.read(tmp_path).recipe == recipe
        assert RunFolder.read(tmp_path, changed).recipe == changed
        run.adopt_recipe()
        run.adopt_recipe()
        events = [record for record in run.read_events() if record["event"] == "recipe changed"]
    assert RunFolder.read(tmp_path).recipe == changed
    assert [sorted(record["changes"]) for record in events] == [
        ["stages.0.kl.coef: was 0.001, is now 0.5", "stages.0.num_steps: was 16, is now 32"]
    ]


def test_two_writers_are_one_too_many_and_a_reader_is_welcome(run, recipe):
    with pytest.raises(RunError, match="is being written by process"):
        RunFolder.open(run.path, recipe)
    assert RunFolder.read(run.path).recipe == recipe


def test_a_reader_sees_whether_the_folder_is_written(tmp_path, recipe):
    run = RunFolder.open(tmp_path, recipe)
    assert run.live
    assert RunFolder.read(tmp_path).live
    run.close()
    assert not RunFolder.read(tmp_path).live
    (tmp_path / ".lock").unlink()
    assert not RunFolder.read(tmp_path).live


def test_a_failed_opening_frees_the_lock(tmp_path, recipe):
    RunFolder.open(tmp_path, recipe).close()
    text = (tmp_path / "manifest.json").read_text()
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(RunError, match="is damaged"):
        RunFolder.open(tmp_path, recipe)
    (tmp_path / "manifest.json").write_text(text)
    RunFolder.open(tmp_path, recipe).close()


def test_a_failure_is_logged_and_frees_the_folder(tmp_path, recipe):
    with pytest.raises(OSError, match="no space"), RunFolder.open(tmp_path, recipe) as run:
        raise OSError("no space")
    last = run.read_events()[-1]
    assert (last["event"], last["error"]) == ("failed", "OSError: no space")
    assert last["time"].endswith("Z")
    RunFolder.open(tmp_path, recipe).close()


def test_an_interrupt_is_logged_and_is_no_failure(tmp_path, recipe):
    with pytest.raises(KeyboardInterrupt), RunFolder.open(tmp_path, recipe) as run:
        raise KeyboardInterrupt
    assert [record["event"] for record in run.read_events()] == ["started", "interrupted"]


def test_a_closed_or_read_folder_cannot_be_written(tmp_path, recipe, make_group):
    RunFolder.open(tmp_path, recipe).close()
    run = RunFolder.read(tmp_path)
    stage = run.stage("r1_zero")
    for write in (
        lambda: run.log("x"),
        lambda: run.adopt_recipe(),
        lambda: run.write_summary(),
        lambda: stage.begin({}),
        lambda: stage.pin({"a": "1"}),
        lambda: stage.prune_checkpoints(0),
        lambda: stage.write_data("a.jsonl", lambda path: None),
        lambda: stage.append_metrics(1, {}),
        lambda: stage.append_timings(1, {}),
        lambda: stage.write_rollouts(1, [make_group()], first_step=1, last_step=1),
        lambda: stage.save_checkpoint(1, lambda path: None, 1),
        lambda: stage.rewind(0),
        lambda: stage.write_evaluation("before", {}, [], step=0),
        lambda: stage.save_model(lambda path: None),
        lambda: stage.finish({}),
    ):
        with pytest.raises(RunError, match="opened for reading only"):
            write()
    assert not (tmp_path / "r1_zero").exists()


def test_opening_and_rewinding_clear_what_a_kill_left(tmp_path, recipe):
    with RunFolder.open(tmp_path, recipe) as run:
        run.stage("r1_zero").begin({})
        run.stage("r1_zero").append_metrics(1, {"reward": 1.0})
        run.stage("r1_zero").append_timings(1, {"wall_seconds": 1.0})
    (tmp_path / "r1_zero" / ".tmp-rollout").write_text("half")
    for name in ("events.jsonl", "r1_zero/metrics.jsonl", "r1_zero/timings.jsonl"):
        with (tmp_path / name).open("a") as file:
            file.write('{"torn": ')
    with RunFolder.open(tmp_path, recipe) as run:
        assert [record["step"] for record in run.stage("r1_zero").read_metrics()] == [1]
        run.stage("r1_zero").rewind(1)
        assert [record["event"] for record in run.read_events()] == [
            "started",
            "stage begun",
            "resumed",
            "rewound",
        ]
    for name in ("events.jsonl", "r1_zero/metrics.jsonl", "r1_zero/timings.jsonl"):
        assert "torn" not in (tmp_path / name).read_text()
    assert not (tmp_path / "r1_zero" / ".tmp-rollout").exists()


@pytest.mark.parametrize("present", [[], [".lock"], [".lock", "recipe.toml"], [".tmp-recipe.toml"]])
def test_a_folder_killed_in_its_first_instant_starts_anew(tmp_path, recipe, present):
    for name in present:
        (tmp_path / name).write_text("half")
    assert continues_run(tmp_path) is False
    RunFolder.open(tmp_path, recipe).close()
    assert continues_run(tmp_path) is True


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


RECORD = {"name": "r1_zero", "before": {"pass_at_1": 0.25}, "num_problems": 512, "wall_seconds": 1.5}


def test_the_summary_comes_back_and_is_empty_before_the_first_stage_ends(run):
    run.write_summary()
    assert run.read_summary() == []
    stage = run.stage("r1_zero")
    stage.begin({})
    run.write_summary()
    assert run.read_summary() == []
    stage.finish(RECORD)
    run.write_summary()
    assert run.read_summary() == [RECORD]
    assert json.loads((run.path / "summary.json").read_text()) == {"stages": [RECORD]}
    run.check_summary()


def test_a_summary_that_says_something_else_than_the_stage_is_named(run):
    run.stage("r1_zero").begin({})
    run.stage("r1_zero").finish(RECORD)
    run.check_summary()  # a run killed before it could write the summary
    run.write_summary()
    text = (run.path / "summary.json").read_text()
    (run.path / "summary.json").write_text(text.replace("0.25", "0.95"))
    with pytest.raises(RunError, match=r"summary\.json has changed: .* stage r1_zero recorded; delete it"):
        run.check_summary()


@pytest.mark.parametrize("text", ["{", "{}", "3"])
def test_a_damaged_summary_is_named(run, text):
    (run.path / "summary.json").write_text(text)
    for read in (run.read_summary, run.check_summary):
        with pytest.raises(RunError, match=r"summary\.json is damaged"):
            read()


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("events.jsonl", lambda run: run.read_events()),
        ("summary.json", lambda run: run.read_summary()),
        ("r1_zero/metrics.jsonl", lambda run: run.stage("r1_zero").read_metrics()),
        ("r1_zero/manifest.json", lambda run: run.stage("r1_zero").manifest),
        ("r1_zero/decontamination.json", lambda run: run.stage("r1_zero").read_decontamination()),
        ("manifest.json", lambda run: RunFolder.read(run.path)),
    ],
)
def test_a_folder_where_a_file_should_be_is_damage(tmp_path, recipe, name, read):
    run = RunFolder.open(tmp_path / "run", recipe)
    run.close()
    (run.path / name).unlink(missing_ok=True)
    (run.path / name).mkdir(parents=True)
    with pytest.raises(RunError, match=f"{run.path / name} is damaged"):
        read(run)


def test_a_run_folder_whose_recipe_cannot_be_read_is_still_one(tmp_path, recipe):
    RunFolder.open(tmp_path, recipe).close()
    (tmp_path / "recipe.toml").unlink()
    with pytest.raises(RunError, match=r"recipe\.toml is missing; restore it"):
        RunFolder.read(tmp_path)
    (tmp_path / "recipe.toml").mkdir()
    with pytest.raises(RunError, match=r"recipe\.toml is damaged \(.*Is a directory"):
        RunFolder.read(tmp_path)
    (tmp_path / "recipe.toml").rmdir()
    (tmp_path / "recipe.toml").write_bytes(b"\xff")
    with pytest.raises(RunError, match=r"recipe\.toml cannot be read by this version"):
        RunFolder.read(tmp_path)
