"""Profiles of a stage's steps: what the route answers, and what the page Training shows of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from starlette.testclient import TestClient

from dunwu.dashboard.app import create_app
from dunwu.runs.profiles import PROFILE_FOLDER, write_profile

PATH = "/api/runs/profiled/stages/r1_zero/profiles"
NAMES = ("sample / decode", "backward", "layers", "head", "sample", "optimizer", "<b>odd</b>", "other")


def record(step: int) -> dict[str, Any]:
    """A profile of eight phases, the longest first."""
    phases = [
        {"name": name, "seconds": (8 - place) * step / 2, "share": (8 - place) / 36, "calls": 1000 * (place + 1),
         "peak_memory_bytes": None if place == 7 else 10**9, "operations": [["aten::mm", 0.5], ["aten::add", 0.25]]}
        for place, name in enumerate(NAMES)
    ]  # fmt: skip
    return {"seconds": 18.0 * step, "phases": phases, "memory": [[0.0, 10**9]]}


@pytest.fixture
def profiled(tmp_path: Path, small_chain: Any) -> Path:
    """A run whose RL stage has the profiles of two steps."""
    run = Path(small_chain.finished(tmp_path / "runs" / "profiled"))
    for step in (3, 2):
        write_profile(run / "r1_zero" / PROFILE_FOLDER, step, record(step), "table\n", Path.touch)
    return run


def ask(run: Path, path: str) -> Any:
    return TestClient(create_app([run]), base_url="http://localhost").get(path)


def opened(run: Path, dashboard: Callable[..., str], look: Callable[..., Any], **options: Any) -> Page:
    page: Page = look(f"{dashboard(run)}/#/run/profiled/training?stage=r1_zero", **options).page
    page.locator(".profile").wait_for()
    return page


def test_profiles_are_told_in_the_order_of_their_steps(profiled: Path) -> None:
    answer = ask(profiled, PATH).json()
    assert answer["faults"] == []
    assert [(p["step"], p["seconds"]) for p in answer["profiles"]] == [(2, 36.0), (3, 54.0)]
    first = answer["profiles"][0]["phases"][0]
    assert first == {
        "name": "sample / decode", "seconds": 8.0, "share": pytest.approx(8 / 36), "calls": 1000, "peak_memory_bytes": 10**9,
        "operations": [["aten::mm", 0.5], ["aten::add", 0.25]],
    }  # fmt: skip
    assert answer["profiles"][0]["phases"][7]["peak_memory_bytes"] is None


def test_a_stage_that_was_not_profiled_has_none(profiled: Path) -> None:
    assert ask(profiled, PATH.replace("r1_zero", "sft")).json() == {"profiles": [], "faults": []}
    assert ask(profiled, PATH.replace("r1_zero", ".hidden")).status_code == 400
    assert ask(profiled, PATH.replace("profiled", "gone")).status_code == 404


def test_a_damaged_profile_is_named_and_the_others_are_shown(profiled: Path) -> None:
    folder = profiled / "r1_zero" / PROFILE_FOLDER
    (folder / "step-000003.json").write_text("{")
    (folder / "step-000004.json").write_text('{"phases": 3}')
    (folder / "step-000005.json").write_text(
        '{"phases": [7, {"seconds": "long", "operations": 3}], "seconds": true}'
    )
    answer = ask(profiled, PATH).json()
    assert [profile["step"] for profile in answer["profiles"]] == [2, 5]
    assert answer["profiles"][1]["seconds"] is None
    (odd,) = answer["profiles"][1]["phases"]
    assert (odd["name"], odd["seconds"], odd["operations"]) == ("None", None, [])
    assert "step-000003.json cannot be read" in answer["faults"][0]
    assert "step-000004.json is not a profile" in answer["faults"][1]


def test_the_page_shows_a_bar_for_each_step_and_the_phases_of_one(
    profiled: Path, dashboard: Callable[..., str], look: Callable[..., Any], tmp_path: Path
) -> None:
    page = opened(profiled, dashboard, look)
    bars = page.locator(".profile-bars button")
    expect(bars).to_have_count(2)
    expect(bars.nth(1)).to_have_attribute("aria-pressed", "true")
    expect(bars.nth(0)).to_have_accessible_name("step 2 sample / decode 22%, backward 19%, layers 17% 36 s")
    expect(bars.nth(0).locator("i")).to_have_count(7)  # six phases with a colour, and the others
    widths = [
        bar.evaluate("bar => bar.getBoundingClientRect().width")
        for bar in bars.locator("i:first-child").all()
    ]
    assert widths[0] / widths[1] == pytest.approx(2 / 3, rel=0.02)
    rows = page.get_by_role("region", name="Phases of step 3").locator("tbody tr")
    expect(rows).to_have_count(8)
    for text in ("sample / decode", "22.2%", "12", "1,000", "1.0 GB", "aten::mm 0.5 s"):
        expect(rows.nth(0)).to_contain_text(text)
    expect(rows.nth(6)).to_contain_text("<b>odd</b>")
    bars.nth(0).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Phases of step 2")).to_be_visible()
    expect(bars.nth(0)).to_be_focused()
    with page.expect_download() as download:
        page.get_by_role("button", name="Seconds by phase: download as CSV").click()
    download.value.save_as(tmp_path / "profile.csv")
    lines = (tmp_path / "profile.csv").read_text().splitlines()
    assert lines[0] == "step,name,seconds,share,calls,peak_memory_bytes"
    assert lines[1].startswith("2,sample / decode,8,0.2222")
    assert len(lines) == 17
    page.get_by_role("combobox", name="Stage").select_option("sft")
    expect(page.locator(".profile")).to_have_count(0)


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_and_every_width_is_fitted(
    dark: bool,
    profiled: Path,
    dashboard: Callable[..., str],
    look: Callable[..., Any],
    violations: Callable[[Page], list[str]],
) -> None:
    page = opened(profiled, dashboard, look, dark=dark, reduced_motion="reduce")
    assert violations(page) == []
    for width in (320, 768, 2560):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width)
