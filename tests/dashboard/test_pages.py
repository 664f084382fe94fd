"""The pages Runs, Chain, Training, Stage table and Compare in a real browser."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

PAGES = ("#/runs", "#/run/whole/overview", "#/run/whole/training?stage=r1_zero", "#/run/whole/table")
WIDTHS = (320, 768, 1280, 2560)


def settled(page: Page, route: str) -> None:
    """Wait until a page has drawn what it shows."""
    ready = {
        "#/runs": ".run", "overview": ".stage-row", "training": ".chart canvas", "table": ".stage-table td",
        "compare": ".chart canvas",
    }  # fmt: skip
    page.locator(next(place for name, place in ready.items() if name in route)).first.wait_for()


def test_the_chain_is_shown_with_states_and_the_figures_that_matter(
    finished_run: Path, dashboard: Callable[..., str], look: Callable[..., Any]
) -> None:
    page = look(f"{dashboard(finished_run.parent)}/#/runs").page
    expect(page.locator(".run h2")).to_have_text("whole")
    expect(page.locator(".run .state")).to_have_text("finished")
    expect(page.locator(".run .strip")).to_have_attribute("aria-label", "4 of 4 stages finished")
    page.locator(".run h2 a").click()
    rows = page.locator(".stage-row")
    expect(rows).to_have_count(4)
    expect(rows.nth(0)).to_contain_text("20.0%→90.0%")
    expect(rows.nth(0)).to_contain_text("87.0% to 93.0%")
    expect(rows.nth(2)).to_contain_text("reads cold_start")
    expect(page.locator(".rail .node")).to_have_count(4)
    expect(page.locator(".rail .edge")).to_have_count(4)  # zero - cold - sft - table, and zero - table
    rows.nth(3).hover()
    expect(page.locator(".rail .edge.on")).to_have_count(2)
    rows.nth(3).locator("a").click()
    expect(page).to_have_title("Stage table · whole · dunwu")


def test_curves_have_steps_smoothing_zoom_and_a_shared_cursor(
    finished_run: Path, dashboard: Callable[..., str], look: Callable[..., Any]
) -> None:
    page = look(f"{dashboard(finished_run)}/#/run/whole/training?stage=r1_zero").page
    settled(page, "training")
    for title in ("Reward", "Right answers", "Length", "Entropy", "Distance to the reference", "Clipped tokens", "Memory",
                  "Sampler against trainer", "Groups without spread", "Tokens per second"):  # fmt: skip
        expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
    reward = page.locator(".chart", has=page.get_by_role("heading", name="Reward", exact=True))
    entropy = page.locator(".chart", has=page.get_by_role("heading", name="Entropy", exact=True))
    page.get_by_role("slider", name="Smoothing").fill("0")
    assert "smooth=0" in page.url
    expect(reward.locator(".value").first).to_have_text("1.96")  # the last step, as it is
    reward.locator(".u-over").hover(position={"x": 1, "y": 50})
    expect(page.locator(".step-now")).to_have_text("step 1")
    expect(reward.locator(".value").first).to_have_text("1.08")
    expect(entropy.locator(".value").first).to_have_text("0.576")  # the cursor of one is that of all
    box = reward.locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40, steps=4)
    page.mouse.up()
    expect(page.get_by_role("button", name="Whole run")).to_be_enabled()
    expect(page.locator(".step-now")).not_to_have_text("all steps")
    page.get_by_role("button", name="Whole run").click()
    expect(page.locator(".step-now")).to_have_text("all steps")


def test_figures_and_pictures_can_be_taken_away(
    finished_run: Path, dashboard: Callable[..., str], look: Callable[..., Any], tmp_path: Path
) -> None:
    page = look(f"{dashboard(finished_run)}/#/run/whole/training?stage=r1_zero").page
    settled(page, "training")
    with page.expect_download() as download:
        page.get_by_role("button", name="Right answers: download as CSV").click()
    download.value.save_as(tmp_path / "figures.csv")
    lines = (tmp_path / "figures.csv").read_text().splitlines()
    assert lines[0].startswith("step,accuracy,held_out_pass_at_1,held_out_pass_at_1_low")
    assert lines[1].startswith("0,,0.2,0.17")
    assert len(lines) == 42
    with page.expect_download() as download:
        page.get_by_role("button", name="Right answers: download as PNG").click()
    download.value.save_as(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    with page.expect_download() as download:
        page.get_by_role("link", name="All figures as CSV").click()
    assert download.value.suggested_filename == "whole-r1_zero.csv"


def test_the_keyboard_alone_reaches_and_moves_everything(
    finished_run: Path, dashboard: Callable[..., str], look: Callable[..., Any]
) -> None:
    page = look(f"{dashboard(finished_run.parent)}/#/runs").page
    settled(page, "#/runs")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    while page.evaluate("document.activeElement.textContent") != "whole":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator(".stage-row").first.wait_for()
    page.get_by_role("link", name="Training").focus()
    page.keyboard.press("Enter")
    settled(page, "training")
    plot = page.locator(".plot").first
    plot.focus()
    page.keyboard.press("Home")
    expect(page.locator(".step-now")).to_have_text("step 1")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".step-now")).to_have_text("step 2")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator(".step-now")).to_have_text("step 12")
    page.keyboard.press("+")
    expect(page.get_by_role("button", name="Whole run")).to_be_enabled()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Whole run")).to_be_disabled()
    log = page.get_by_role("button", name="Reward: logarithmic scale")
    log.focus()
    page.keyboard.press("Enter")
    expect(log).to_have_attribute("aria-pressed", "true")
    hide = page.locator(".legend button").first
    hide.focus()
    page.keyboard.press("Space")
    expect(page.locator(".legend button").first).to_have_attribute("aria-pressed", "false")


def test_the_table_shows_intervals_findings_and_what_was_not_measured(
    finished_run: Path, dashboard: Callable[..., str], look: Callable[..., Any]
) -> None:
    page = look(
        f"{dashboard(finished_run)}/#/run/whole/table?stage=r1_zero"
    ).page  # a stage chosen elsewhere does not disturb
    settled(page, "table")
    first = page.locator(".stage-table tbody tr").first.locator("td")
    expect(first.nth(1)).to_contain_text("90.0%")
    expect(first.nth(1)).to_contain_text("87.0% to 93.0%")
    expect(page.locator(".stage-table tbody tr").nth(1).locator("td").nth(1)).to_have_text("–")
    expect(page.get_by_text("right answers: <b>sum</b>")).to_be_visible()  # text of a run is text
    expect(page.locator(".finding-head .verdict")).to_have_text("holds")
    expect(page.locator(".findings")).to_contain_text("+60.0 points")


def test_text_of_a_run_is_never_markup(
    finished_run: Path, dashboard: Callable[..., str], look: Callable[..., Any]
) -> None:
    watched = look(f"{dashboard(finished_run)}/#/run/whole/training?stage=r1_zero")
    watched.expect("TrustedHTML")  # what the last line tries
    page = watched.page
    settled(page, "training")
    page.get_by_text("Everything else").click()
    expect(page.get_by_role("heading", name="<img src=x onerror=alert(1)>")).to_be_visible()
    assert page.locator("main img").count() == 0
    with pytest.raises(Exception, match="TrustedHTML"):
        page.evaluate("document.body.innerHTML = '<b>x</b>'")


def test_light_and_dark_follow_the_system_and_the_choice(
    finished_run: Path, dashboard: Callable[..., str], look: Callable[..., Any]
) -> None:
    address = dashboard(finished_run)
    paper = "getComputedStyle(document.body).backgroundColor"
    light = look(f"{address}/#/runs").page.evaluate(paper)
    page = look(f"{address}/#/run/whole/training", dark=True).page
    dark = page.evaluate(paper)
    assert light != dark
    settled(page, "training")
    page.get_by_role("button", name="Colours: light").click()
    assert page.evaluate(paper) == light
    page.reload()
    assert page.evaluate(paper) == light
    page.get_by_role("button", name="Colours: as the system").click()
    assert page.evaluate(paper) == dark


@pytest.mark.parametrize("route", PAGES)
def test_a_page_fits_every_width(
    route: str, finished_run: Path, dashboard: Callable[..., str], look: Callable[..., Any]
) -> None:
    page = look(f"{dashboard(finished_run)}/{route}").page
    settled(page, route)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function("innerWidth => window.innerWidth === innerWidth", arg=width)
        page.wait_for_function(
            "width => document.documentElement.scrollWidth <= width", arg=width
        )  # once it is laid out


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("route", PAGES)
def test_axe_finds_nothing(
    route: str,
    dark: bool,
    finished_run: Path,
    dashboard: Callable[..., str],
    look: Callable[..., Any],
    violations: Callable[[Page], list[str]],
) -> None:
    page = look(f"{dashboard(finished_run)}/{route}", dark=dark, reduced_motion="reduce").page
    settled(page, route)
    assert violations(page) == []


def test_two_runs_are_chosen_and_compared(
    finished_run: Path,
    dashboard: Callable[..., str],
    look: Callable[..., Any],
    small_chain: Any,
    tmp_path: Path,
    violations: Callable[[Page], list[str]],
) -> None:
    small_chain.finished(tmp_path / "other", seed=2, learning_rate=1e-3)
    page = look(f"{dashboard(finished_run, tmp_path)}/#/runs", reduced_motion="reduce").page
    for name in ("whole", "other"):
        page.get_by_role("checkbox", name=f"Compare {name}").check()
    page.get_by_role("link", name="Compare 2 runs").click()
    settled(page, "compare")
    differing = page.get_by_role("region", name="Differences of the recipes").locator("tbody tr")
    expect(differing).to_have_count(2)
    expect(differing.nth(1)).to_contain_text("stages.r1_zero.optimizer.learning_rate")
    expect(page.locator(".chart .legend").first).to_contain_text("whole")
    expect(page.locator(".compared").first).to_be_visible()
    page.get_by_role("combobox", name="Stage").select_option("sft")
    expect(page.get_by_role("heading", name="Loss", exact=True)).to_be_visible()
    assert violations(page) == []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function("innerWidth => window.innerWidth === innerWidth", arg=width)
        page.wait_for_function(
            "width => document.documentElement.scrollWidth <= width", arg=width
        )  # once it is laid out


def test_many_runs_are_filtered_and_odd_names_lead_to_their_runs(
    tmp_path: Path, dashboard: Callable[..., str], look: Callable[..., Any]
) -> None:
    odd = "<i>50% #1?, new"
    for name in (odd, *(f"seed-{i}" for i in range(9))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "events.jsonl").touch()
    page = look(f"{dashboard(tmp_path)}/#/runs").page
    expect(page.locator(".run")).to_have_count(10)
    page.get_by_role("searchbox", name="Filter runs").fill("50%")
    expect(page.locator(".run")).to_have_count(1)
    page.locator(".run h2 a").click()
    expect(page.locator("h1")).to_contain_text("<i>50% #1?")
    page.get_by_role("link", name="Training").click()
    expect(page.get_by_role("heading", name="No stage yet")).to_be_visible()
    page.go_back()
    page.go_back()
    page.get_by_role("searchbox", name="Filter runs").fill("none such")
    expect(page.get_by_text("No run matches “none such”.")).to_be_visible()


def test_an_address_that_leads_nowhere_is_told(
    finished_run: Path, dashboard: Callable[..., str], look: Callable[..., Any]
) -> None:
    address = dashboard(finished_run)
    watched = look(f"{address}/#/run/gone/overview")
    watched.expect("404")
    expect(watched.page.locator(".failure")).to_contain_text("there is no run 'gone'")
    watched.page.goto(f"{address}/#/nothing")
    expect(watched.page.locator(".failure")).to_contain_text("There is no page at #/nothing")
    watched.page.get_by_role("link", name="All runs", exact=True).click()
    expect(watched.page.locator(".run")).to_have_count(1)
