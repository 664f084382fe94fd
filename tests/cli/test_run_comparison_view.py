"""`dunwu compare RUN RUN` on the command line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from dunwu.cli.run_comparison_view import run_comparison_view
from dunwu.config.recipe import Recipe
from dunwu.runs.folder import RunFolder

Invoke = Callable[..., Result]


def two_runs(finished_run: Path) -> tuple[Path, Path]:
    other = finished_run.with_name("other")
    shutil.copytree(finished_run, other)
    recipe = other / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("num_steps = 4", "num_steps = 8"))
    return finished_run, other


def test_two_runs_in_a_terminal_as_markdown_and_as_json(invoke: Invoke, finished_run: Path) -> None:
    one, other = two_runs(finished_run)
    shown = invoke("compare", one, other)
    assert shown.exit_code == 0, shown.output
    assert "seconds of work" in shown.stdout
    assert "stages.r1_zero.num_steps" in shown.stdout
    assert invoke("compare", one, other, "--markdown").stdout.startswith("# run and other\n")
    data = json.loads(invoke("compare", one, other, "--json").stdout)
    assert [run["label"] for run in data["runs"]] == ["run", "other"]
    assert data["recipe"] == [{"key": "stages.r1_zero.num_steps", "values": ["4", "8"]}]


def test_what_cannot_be_compared(invoke: Invoke, finished_run: Path, tmp_path: Path) -> None:
    one, other = two_runs(finished_run)
    refused = invoke("compare", one, other, "--stage", "x")
    assert refused.exit_code != 0
    assert "--stage chooses a stage table of one run" in refused.stderr
    for named in ((one, tmp_path / "a"), (tmp_path / "a", one), (one, other, tmp_path), (tmp_path, tmp_path)):
        nothing = invoke("compare", *named)
        assert nothing.exit_code == 2
        assert "is not a run folder" in nothing.stderr
        assert nothing.stdout == ""


@pytest.mark.parametrize("name", ["manifest.json", "recipe.toml"])
def test_a_run_that_cannot_be_read_is_refused(invoke: Invoke, finished_run: Path, name: str) -> None:
    one, other = two_runs(finished_run)
    (other / name).write_text("{")
    refused = invoke("compare", one, other)
    assert refused.exit_code == 2
    assert f"{name} " in refused.stderr
    assert refused.stdout == ""


def test_a_damaged_stage_is_told_first_and_the_rest_shown(invoke: Invoke, finished_run: Path) -> None:
    one, other = two_runs(finished_run)
    (other / "r1_zero" / "manifest.json").write_text("{")
    shown = invoke("compare", one, other)
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.startswith(f"other: {other}/r1_zero/manifest.json is damaged")
    assert "seconds of work" in shown.stdout


def test_a_run_that_has_not_finished_is_compared(
    invoke: Invoke, finished_run: Path, tmp_path: Path, recipe: Recipe
) -> None:
    RunFolder.open(tmp_path / "new", recipe).close()
    shown = invoke("compare", finished_run, tmp_path / "new")
    assert shown.exit_code == 0, shown.output
    assert "the recipes are the same" in shown.stdout


def test_many_keys_are_cut_and_told(console) -> None:
    entries = [{"key": f"k{number:02}", "values": ["1", None]} for number in range(40)]
    runs = [{"label": label, "faults": []} for label in ("a", "b")]
    comparison = {"runs": runs, "stages": [], "recipe": entries}
    console.print(run_comparison_view(comparison, full=False))
    text = console.file.getvalue()
    assert "k29" in text
    assert "k30" not in text
    assert "10 more; --full shows all 40" in text
    console.print(run_comparison_view(comparison, full=True))
    assert "k39" in console.file.getvalue()
    console.print(run_comparison_view({**comparison, "recipe": []}, full=True))
    assert "the recipes are the same" in console.file.getvalue()
