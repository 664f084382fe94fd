"""Run folders that are empty, half-written or damaged: what is broken is said, the rest is shown, in API and pages."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from starlette.testclient import TestClient

from dunwu.dashboard.app import create_app
from dunwu.dashboard.run_view import RunView
from dunwu.dashboard.series import stage_series
from dunwu.runs.folder import RunFolder


@pytest.fixture
def run(tmp_path: Path, small_chain: Any) -> Path:
    """A whole run that a test may break."""
    return Path(small_chain.finished(tmp_path / "runs" / "broken"))


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] + b"\xff{")


def faults_of(path: Path) -> str:
    return "\n".join(RunView(path).overview()["faults"])


def test_a_whole_run_has_no_faults(run: Path) -> None:
    view = RunView(run).overview()
    assert view["faults"] == []
    assert view["state"] == "finished"
    assert [stage["state"] for stage in view["stages"]] == ["finished"] * 4


@pytest.mark.parametrize("name", ["recipe.toml", "manifest.json"])
def test_without_one_of_its_files_a_run_is_still_shown(run: Path, name: str) -> None:
    (run / name).unlink()
    assert f"{name} is missing" in faults_of(run)
    assert {"r1_zero", "sft"} <= {stage["name"] for stage in RunView(run).overview()["stages"]}


@pytest.mark.parametrize(
    "name", ["recipe.toml", "manifest.json", "r1_zero/manifest.json", "r1_zero/record.json"]
)
def test_a_damaged_file_is_named(run: Path, name: str) -> None:
    damage(run / name)
    assert f"{run / name} cannot be read" in faults_of(run)
    assert RunView(run).overview()["stages"]


def test_a_recipe_of_another_version_keeps_its_stages(run: Path) -> None:
    text = (run / "recipe.toml").read_text()
    (run / "recipe.toml").write_text(text + '\n[[stages]]\nkind = "dreaming"\n')
    view = RunView(run).overview()
    assert "is not a recipe of this version of dunwu" in view["faults"][0]
    assert [stage["name"] for stage in view["stages"]] == [
        "r1_zero",
        "cold_start",
        "sft",
        "comparison",
        "dreaming",
    ]
    assert view["stages"][4]["state"] == "waiting"


def test_lines_that_are_damaged_are_counted_and_the_others_shown(run: Path) -> None:
    metrics = run / "r1_zero" / "metrics.jsonl"
    lines = metrics.read_bytes().split(b"\n")
    lines[4] = b"\x00\x00\x00"
    metrics.write_bytes(b"\n".join(lines)[:-20])  # the last line is cut short, as by a kill
    data = stage_series(RunView(run), "r1_zero", since=0, epoch=None)
    assert data["steps"] == [step for step in range(1, 40) if step != 5]
    assert data["faults"] == [f"{metrics}: line 5 of 39 is not a JSON object; the others are shown"]


def test_figures_of_strange_kinds_are_left_out(run: Path) -> None:
    metrics = run / "r1_zero" / "metrics.jsonl"
    metrics.write_text(
        '{"step": 1, "kl": NaN, "reward": "high", "x": true, "y": [1], "z": 1e400}\n{"step": "two"}\n'
    )
    data = stage_series(RunView(run), "r1_zero", since=0, epoch=None)
    assert data["steps"] == [1]
    assert "reward" not in data["columns"]
    assert "x" not in data["columns"]


def test_a_damaged_evaluation_and_diagnosis_are_named(run: Path) -> None:
    damage(run / "r1_zero" / "evaluation" / "after.json")
    (run / "r1_zero" / "diagnosis.jsonl").write_text('{"state": "begins"}\n')
    data = stage_series(RunView(run), "r1_zero", since=0, epoch=None)
    assert [record["label"] for record in data["evaluations"]] == ["before"]
    assert "after.json cannot be read" in data["faults"][0]
    assert "what ails it cannot be told" in data["faults"][1]


def test_pages_of_a_run_that_is_damaged_everywhere_say_so(
    run: Path, dashboard: Callable[..., str], look: Callable[..., Any]
) -> None:
    for path in (
        run / "r1_zero" / "metrics.jsonl",
        run / "comparison" / "comparison.json",
        run / "sft" / "record.json",
    ):
        damage(path)
    address = dashboard(run)
    page = look(f"{address}/#/runs").page
    expect(page.locator(".run")).to_contain_text("broken")
    page.goto(f"{address}/#/run/broken/overview")
    expect(page.locator(".faults li").first).to_contain_text("cannot be read")
    expect(page.locator(".stage-row")).to_have_count(4)
    page.goto(f"{address}/#/run/broken/training?stage=r1_zero")
    page.locator(".chart canvas").first.wait_for()
    page.goto(f"{address}/#/run/broken/table")
    expect(page.locator(".faults")).to_contain_text("comparison.json cannot be read")


def test_pages_of_a_run_killed_in_its_first_second(
    tmp_path: Path, dashboard: Callable[..., str], look: Callable[..., Any]
) -> None:
    run = tmp_path / "young"
    run.mkdir()
    (run / ".lock").write_text("")
    address = dashboard(tmp_path)
    page = look(f"{address}/#/run/young/overview").page
    expect(page.locator(".faults")).to_contain_text("recipe.toml is missing")
    expect(page.get_by_role("heading", name="No stage yet")).to_be_visible()
    page.get_by_role("link", name="Training").click()
    expect(page.get_by_role("heading", name="No stage yet")).to_be_visible()
    page.get_by_role("link", name="Stage table").click()
    expect(page.get_by_role("heading", name="No stage table")).to_be_visible()


def test_a_failed_run_says_why(
    tmp_path: Path, dashboard: Callable[..., str], look: Callable[..., Any], small_chain: Any
) -> None:
    def fail() -> None:
        with RunFolder.open(tmp_path / "sad", small_chain.recipe()) as run:
            small_chain.begin_rl(run)
            raise ValueError("<script>burnt</script>")

    with pytest.raises(ValueError, match="burnt"):
        fail()
    page = look(f"{dashboard(tmp_path)}/#/run/sad/overview").page
    expect(page.locator(".faults.bad")).to_contain_text("ValueError: <script>burnt</script>")
    expect(page.locator(".stage-row .state").first).to_have_text("failed")


def test_a_run_that_is_deleted_while_it_is_shown(
    run: Path, dashboard: Callable[..., str], look: Callable[..., Any]
) -> None:
    watched = look(f"{dashboard(run.parent)}/#/run/broken/overview")
    watched.page.locator(".stage-row").first.wait_for()
    watched.expect("404")
    run.rename(run.parent.parent / "away")
    expect(watched.page.locator(".failure")).to_contain_text("moved or deleted", timeout=20_000)


def test_a_table_of_another_form_is_no_table(run: Path, small_chain: Any) -> None:
    table = small_chain.table()
    table["rows"][0]["cells"].pop()
    (run / "comparison" / "comparison.json").write_text(json.dumps(table))
    answer = TestClient(create_app([run]), base_url="http://localhost").get("/api/runs/broken/table").json()
    assert answer["table"] is None
    assert "is not a stage table" in answer["faults"][0]
