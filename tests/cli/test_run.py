import sys
import types
from pathlib import Path

import pytest

from dunwu.cli.views import PlainView
from dunwu.config.check import recipe_problems
from dunwu.config.load import load_recipe
from dunwu.config.shipped import shipped_recipes
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

    def run_recipe(recipe, folder, progress, selection, *, rerun_changed, profile=False):
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
    assert Path("runs/test/report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_run_folder_can_be_chosen_and_is_continued(invoke, file, pipeline):
    assert "new run in elsewhere" in invoke("run", file, "--run-dir", "elsewhere").stdout
    assert "continuing run in elsewhere" in invoke("run", file, "--run-dir", "elsewhere").stdout
    assert [folder for _, folder, _ in pipeline.calls] == [Path("elsewhere")] * 2


def test_the_report_of_a_finished_run_is_printed(invoke, file, pipeline, finished_run):
    pipeline.behave = lambda recipe, folder, progress: finished_run.rename(folder)
    result = invoke("run", file, "--run-dir", file.parent / "moved")
    assert "right answers (pass@1)" in result.stdout
    assert "─ after ─" in result.stdout
    assert result.stderr == ""


def test_what_speaks_against_the_figures_is_told_at_the_end_and_in_the_report(
    invoke, file, pipeline, finished_run
):
    recipe = finished_run / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("num_steps = 4", "num_steps = 8"))
    pipeline.behave = lambda recipe, folder, progress: finished_run.rename(folder)
    result = invoke("run", file, "--run-dir", file.parent / "moved")
    assert result.exit_code == 0
    line = "r1_zero was made with something else: num_steps: was 4, is now 8"
    assert result.stderr == f"warning: {line}\n"
    assert line in (file.parent / "moved" / "report.html").read_text(encoding="utf-8")


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
    assert "--rerun-changed" in result.stderr
    assert len(pipeline.calls) == 1
    assert invoke("run", file, "-s", "seed=9", "--rerun-changed").exit_code == 0
    assert pipeline.asked == (Selection(), True)


CHAIN = (
    RECIPE
    + """\
[models.student]
path = "micro"
[[stages]]
kind = "sft"
name = "sft_1"
start = "r1_zero"
template = {kind = "r1"}
data = {kind = "messages", train = ["rows.jsonl"]}
[[stages]]
kind = "sft"
name = "sft_2"
start = "student"
template = {kind = "r1"}
data = {kind = "messages", train = ["rows.jsonl"], held_out = "held.jsonl"}
"""
)


@pytest.fixture
def chain(file):
    Path("rows.jsonl").write_text("{}")
    Path("held.jsonl").write_text("{}")
    file.write_text(CHAIN)
    return file


def test_part_of_a_chain_is_handed_to_the_pipeline(invoke, chain, pipeline):
    for options, selection in (
        (("--until", "r1_zero"), Selection(None, "r1_zero")),
        (("--from", "r1_zero", "--until", "sft_1"), Selection("r1_zero", "sft_1")),
        (("--only", "sft_2"), Selection("sft_2", "sft_2")),
    ):
        assert invoke("run", chain, *options).exit_code == 0
        assert pipeline.asked == (selection, False)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--from", "sft_3"), "no stage sft_3; did you mean sft_2"),
        (("--only", "sft_1", "--until", "sft_2"), "--only names the one stage"),
        (("--from", "sft_1"), "sft_1 reads stage r1_zero, which is left out and has not run"),
        (("-s", "stages.sft_2.start=nobody"), "names neither a model nor a stage"),
        (
            ("-s", 'stages.sft_2.data.train="stage:r1_zero"'),
            "makes a language model, and data is needed here",
        ),
    ],
)
def test_what_cannot_be_run_is_told_before_the_pipeline_is_touched(invoke, chain, pipeline, options, said):
    result = invoke("run", chain, *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert pipeline.calls == []
    assert not Path("runs").exists()


def test_a_dry_run_shows_the_chain(invoke, chain, pipeline):
    result = invoke("run", chain, "--dry-run", "--until", "sft_1", env={"COLUMNS": "150"})
    assert result.exit_code == 0, result.stderr
    rows = [" ".join(line.split()) for line in result.stderr.splitlines()]
    assert "r1_zero base a model runs" in rows
    assert "sft_1 r1_zero a model runs" in rows
    assert "sft_2 student a model is left out" in rows
    assert rows.count("data.train: rows.jsonl") == 2
    assert "data.held_out: held.jsonl" in rows


def test_a_dry_run_of_a_changed_recipe_shows_the_chain_and_ends_as_the_run_would(invoke, chain, pipeline):
    assert invoke("run", chain).exit_code == 0
    result = invoke("run", chain, "--dry-run", "-s", "stages.r1_zero.group_size=4", env={"COLUMNS": "150"})
    assert result.exit_code == 2
    text = " ".join(result.stderr.split())
    assert "r1_zero base a model runs again" in text
    assert "group_size: was 16, is now 4" in text
    assert "--rerun-changed" in text


def test_a_dry_run_prints_a_recipe_that_loads_and_a_plan_and_makes_nothing(invoke, file, pipeline):
    result = invoke("run", file, "--dry-run", "-s", "stages.0.kl.refresh_every_steps=none")
    assert result.exit_code == 0, result.stderr
    assert pipeline.calls == []
    assert not Path("runs").exists()
    Path("resolved.toml").write_text(result.stdout)
    assert load_recipe("resolved.toml") == load_recipe(file, ["stages.0.kl.refresh_every_steps=none"])
    assert "plan: a new run in runs/test" in result.stderr
    assert "memory at most" in result.stderr


def test_a_dry_run_says_what_the_dtype_auto_is_here(invoke, file, pipeline):
    result = invoke("run", file, "--dry-run", "-s", "model.dtype=auto", "-s", "model.device=cpu")
    assert result.exit_code == 0, result.stderr
    Path("resolved.toml").write_text(result.stdout)
    assert load_recipe("resolved.toml").model.dtype in ("float32", "bfloat16")


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
    assert invoke("run", "zero-micro").exit_code == 0
    assert pipeline.calls[0][0].name == "zero-micro"


ROOT = Path(__file__).parents[2]
WHOLE_CHAINS = [name for name in shipped_recipes() if name.startswith("r1-")]


@pytest.mark.parametrize("name", WHOLE_CHAINS)
def test_a_dry_run_of_a_whole_chain_prints_it_and_ends_well_with_what_is_missing(
    invoke, pipeline, monkeypatch, name
):
    monkeypatch.chdir(ROOT)
    result = invoke("run", name, "--dry-run", "--run-dir", "runs/never-made", env={"COLUMNS": "150"})
    assert result.exit_code == 0, result.stderr
    assert pipeline.calls == []
    assert not Path("runs/never-made").exists()
    recipe = load_recipe(name)
    assert all(f"stage {stage.name}\n" in result.stderr for stage in recipe.stages)
    assert ("not here yet; a run needs it:" in result.stderr) == bool(recipe_problems(recipe).missing)


def test_what_is_missing_is_listed_by_a_dry_run_and_refused_by_a_run(invoke, file, pipeline):
    options = ("-s", 'stages.r1_zero.task={kind="file", train="absent.jsonl", held_out="absent.jsonl"}')
    result = invoke("run", file, "--dry-run", *options, env={"COLUMNS": "150"})
    assert result.exit_code == 0, result.stderr
    assert "plan: a new run in" in result.stderr
    lines = [" ".join(line.split()) for line in result.stderr.splitlines()]
    keys = "stages.r1_zero.task.train, stages.r1_zero.task.held_out"
    assert lines[-1] == f"there is no file absent.jsonl (seen from {Path.cwd()}): {keys}"
    result = invoke("run", file, *options)
    assert result.exit_code == 2
    assert "2 things cannot run" in result.stderr
    assert pipeline.calls == []


def test_what_is_wrong_is_refused_by_a_dry_run_too(invoke, file, pipeline):
    result = invoke("run", file, "--dry-run", "-s", "stages.r1_zero.optimizer.schedule.warmup_steps=16")
    assert result.exit_code == 2
    assert "the learning rate would never reach its peak" in result.stderr
    assert result.stdout == ""
