import sys
import types
from pathlib import Path

import pytest

from dunwu.cli.views import PlainView
from dunwu.config.load import load_recipe
from dunwu.pipeline.lineage import read_inputs
from dunwu.pipeline.selection import Selection
from dunwu.runs.folder import RunFolder
from dunwu.runs.hash_cache import HashCache

RECIPE = """\
# A recipe for tests.
name = "test"
[model]
path = "micro"
[[stages]]
kind = "r1_zero"
num_steps = 16
[stages.sampling]
max_new_tokens = 64
[stages.task]
kind = "world"
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test.toml").write_text(RECIPE)
    return tmp_path / "test.toml"


def make_one_step(recipe, folder, progress):
    with RunFolder.open(folder, recipe) as run:
        stage = run.stages()[0]
        stage.begin(read_inputs(recipe.stages[0], run, HashCache(None)).reads)
        if not stage.read_metrics():
            stage.append_metrics(1, {"reward": 0.5})


@pytest.fixture
def pipeline(monkeypatch):
    """Stands in for the pipeline; `calls` holds what it was asked for, `behave` what it does then."""
    stand_in = types.ModuleType("dunwu.pipeline.run")
    stand_in.calls = []
    stand_in.behave = make_one_step

    def run_recipe(recipe, folder, progress, selection, *, rerun_changed):
        stand_in.asked = selection, rerun_changed
        stand_in.calls.append((recipe, folder, progress))
        stand_in.behave(recipe, folder, progress)

    stand_in.run_recipe = run_recipe
    monkeypatch.setitem(sys.modules, "dunwu.pipeline.run", stand_in)
    return stand_in


def test_a_recipe_is_handed_to_the_pipeline(invoke, file, pipeline):
    result = invoke("run", file, "--set", "seed=5", "-s", "stages.r1_zero.num_steps=32")
    assert result.exit_code == 0, result.stderr
    ((recipe, folder, progress),) = pipeline.calls
    assert pipeline.asked == (Selection(), False)
    assert recipe == load_recipe(file, ["seed=5", "stages.0.num_steps=32"])
    assert folder == Path("runs/test")
    assert isinstance(progress, PlainView)
    assert "new run in runs/test" in result.stdout
    assert "everything is in      runs/test" in result.stdout
    assert Path("runs/test/curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_run_folder_can_be_chosen_and_is_continued(invoke, file, pipeline):
    assert "new run in elsewhere" in invoke("run", file, "--run-dir", "elsewhere").stdout
    assert "continuing run in elsewhere" in invoke("run", file, "--run-dir", "elsewhere").stdout
    assert [folder for _, folder, _ in pipeline.calls] == [Path("elsewhere")] * 2


def test_the_report_of_a_finished_run_is_printed(invoke, file, pipeline, finished_run):
    pipeline.behave = lambda recipe, folder, progress: finished_run.rename(folder)
    result = invoke("run", file, "--run-dir", file.parent / "moved")
    assert "right answers (pass@1)" in result.stdout
    assert "─ after ─" in result.stdout


def test_mistakes_are_told_before_the_pipeline_is_touched(invoke, file, pipeline):
    result = invoke("run", file, "-s", "stages.0.groop_size=3")
    assert result.exit_code == 2
    assert (
        result.stderr.startswith("config error: test.toml has a mistake")
        or "did you mean `group_size`?" in result.stderr
    )
    assert "Traceback" not in result.output
    assert invoke("run", file, "-s", "model.path=micor").exit_code == 2
    assert invoke("run", "absent.toml").exit_code == 2
    assert pipeline.calls == []
    assert not Path("runs").exists()


def test_a_changed_recipe_is_told_before_the_pipeline_is_touched(invoke, file, pipeline):
    assert invoke("run", file).exit_code == 0
    result = invoke("run", file, "-s", "seed=9")
    assert result.exit_code == 2
    assert "seed: was 1, is now 9" in result.stderr
    assert len(pipeline.calls) == 1


def test_a_dry_run_prints_a_recipe_that_loads_and_a_plan_and_makes_nothing(invoke, file, pipeline):
    result = invoke("run", file, "--dry-run", "-s", "stages.0.kl.refresh_every_steps=none")
    assert result.exit_code == 0, result.stderr
    assert pipeline.calls == []
    assert not Path("runs").exists()
    Path("resolved.toml").write_text(result.stdout)
    assert load_recipe("resolved.toml") == load_recipe(file, ["stages.0.kl.refresh_every_steps=none"])
    assert "plan: a new run in runs/test" in result.stderr
    assert "memory at most" in result.stderr


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(invoke, file, pipeline, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    pipeline.behave = interrupt
    monkeypatch.setattr(sys, "argv", ["dunwu", "run", "test.toml"])
    result = invoke("run", file)
    assert result.exit_code == 130
    assert "the same command continues the run:\n  dunwu run test.toml" in result.stderr


def test_a_run_that_made_no_step_is_never_a_success(invoke, file, pipeline):
    pipeline.behave = lambda recipe, folder, progress: RunFolder.open(folder, recipe).close()
    result = invoke("run", file)
    assert result.exit_code == 2
    assert "no finished step" in result.stderr


def test_a_shipped_recipe_runs_by_its_name(invoke, file, pipeline):
    assert invoke("run", "quickstart").exit_code == 0
    assert pipeline.calls[0][0].name == "quickstart"
