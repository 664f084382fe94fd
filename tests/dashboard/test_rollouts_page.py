"""The pages Rollouts and Self-evolution in a real browser."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from rollout_runs import CORRECTED, HOSTILE, STEPS, add_rollouts, make_run, open_run

ROUTES = (
    "rollouts?stage=r1_zero",
    "rollouts?stage=r1_zero&by=group",
    "rollouts?stage=r1_zero&rollout=9&group=0&sample=0",
    "rollouts?stage=r1_zero&problem=again",
    "evolution?stage=r1_zero",
)
READY = (".rolls .roll", ".rolls .roll-group", ".member.chosen", ".diff", ".moment")


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with rollouts, not to be changed."""
    return make_run(tmp_path_factory.mktemp("rollouts") / "small")


@pytest.fixture
def opened(small_run: Path, dashboard: Callable[..., str], look: Callable[..., Any]) -> Callable[..., Page]:
    """Open a page of the run."""
    base = dashboard(small_run)

    def open_page(route: str, **options: Any) -> Page:
        page: Page = look(f"{base}/#/run/small/{route}", **options).page
        return page

    return open_page


def count_of(page: Page, text: str) -> None:
    expect(page.locator(".list-line")).to_contain_text(text)


def test_every_completion_is_listed_newest_first_and_more_come_as_one_scrolls(
    opened: Callable[..., Page],
) -> None:
    page = opened(ROUTES[0])
    count_of(page, f"{8 * STEPS} rollouts")
    expect(page.locator(".roll").first).to_contain_text(f"step {STEPS}, group 0, sample 0")
    expect(page.locator(".roll").first.locator(".part-thinking")).to_contain_text("7+8=16. Wait")
    expect(page.locator(".roll").first.locator(".part-answer")).to_contain_text("15")
    expect(page.locator(".roll").first.locator("mark.m-reflect").first).to_have_text("Wait")
    expect(page.locator(".roll").nth(2).locator("mark.m-switch").first).to_contain_text("所以")
    expect(page.locator(".roll").nth(3).locator(".flag")).to_have_text("cut at the limit")
    page.locator(".list-foot").scroll_into_view_if_needed()
    expect(page.locator(".roll")).not_to_have_count(30)
    for _ in range(6):
        page.mouse.wheel(0, 20_000)
        page.wait_for_timeout(100)
    expect(page.locator(".rolls > li")).to_have_count(8 * STEPS)


def test_what_is_typed_while_a_cleared_list_loads_is_kept(opened: Callable[..., Page]) -> None:
    page = opened(ROUTES[0])
    page.get_by_label("Cut off").select_option("yes")
    count_of(page, f"{STEPS} rollouts")
    held: list[Any] = []
    page.route("**/api/**/rollouts?*", lambda route: held.append(route))
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_label("Cut off")).to_have_value("")
    page.get_by_label("Reward at least").fill("2")
    for route in held:
        route.continue_()
    page.unroute("**/api/**/rollouts?*")
    count_of(page, f"{8 * STEPS} rollouts")
    expect(page.get_by_label("Reward at least")).to_have_value("2")


def test_filters_narrow_the_list_and_stand_in_the_address(opened: Callable[..., Page]) -> None:
    page = opened(ROUTES[0])
    count_of(page, f"{8 * STEPS} rollouts")
    page.get_by_role("group", name="Answer").get_by_role("button", name="right", exact=True).click()
    count_of(page, f"{3 * STEPS + STEPS // 2} rollouts · of {8 * STEPS}")
    page.get_by_label("Question's language").select_option("en")
    count_of(page, f"{STEPS // 2} rollouts")
    page.get_by_label("Self-correction").select_option("recomputed")
    count_of(page, f"{STEPS // 2} rollouts")
    assert all(part in page.url for part in ("verdict=right", "language=en", "correction=recomputed"))
    page.reload()
    count_of(page, f"{STEPS // 2} rollouts")
    expect(page.get_by_label("Self-correction")).to_have_value("recomputed")
    page.get_by_role("button", name="Clear").click()
    count_of(page, f"{8 * STEPS} rollouts")
    page.get_by_label("Cut off").select_option("yes")
    count_of(page, f"{STEPS} rollouts")
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("Reward at least").fill("2")
    page.get_by_label("Reward at least").press("Enter")
    count_of(page, f"{3 * STEPS + STEPS // 2} rollouts")
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("Step", exact=True).fill("4")
    page.get_by_label("Step", exact=True).press("Enter")
    count_of(page, "8 rollouts")
    page.get_by_role("button", name="Next step").click()
    expect(page.locator(".roll").first).to_contain_text("step 5,")
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("Sort").select_option("tokens/up")
    expect(page.locator(".roll").first).to_contain_text("5 tokens")


def test_no_rollout_that_fits_is_said(opened: Callable[..., Page]) -> None:
    page = opened(f"{ROUTES[0]}&verdict=right&truncated=yes")
    expect(page.get_by_role("heading", name="None is like that")).to_be_visible()


def test_search_looks_into_texts_and_questions(opened: Callable[..., Page]) -> None:
    page = opened(ROUTES[0])
    page.get_by_role("searchbox", name="Search").fill("step 7: so")
    expect(page.locator(".list-line")).to_contain_text("1 found")
    expect(page.locator(".roll")).to_contain_text("step 7: so 16")
    page.get_by_role("searchbox", name="Search").fill("第11题")
    expect(page.locator(".list-line")).to_contain_text("4 found")


def test_text_of_a_completion_is_shown_and_never_run(opened: Callable[..., Page]) -> None:
    page = opened("rollouts?stage=r1_zero&rollout=3&group=1")
    shown = page.locator("#sample-0 .completion")
    expect(shown).to_contain_text(
        "<script>window.broken = 1</script> <img src=x onerror='window.broken = 2'>"
    )
    expect(page.locator(".problem h2")).to_have_text("第3题：<b>多少</b>？")
    assert page.evaluate("window.broken") is None
    assert page.locator("main script, main img, main style, main b").count() == 0
    text = "".join(page.locator("#sample-0 .part-text").all_text_contents())
    assert "".join(text.split()) == "".join(HOSTILE.split())
    page.goto(page.url.split("#")[0] + "#/run/small/rollouts?stage=r1_zero&text=onerror")
    expect(page.locator(".roll").first).to_contain_text("window.broken = 2")
    assert page.evaluate("window.broken") is None


def test_a_group_shows_rewards_advantages_and_the_graders_reasons(opened: Callable[..., Page]) -> None:
    page = opened("rollouts?stage=r1_zero&by=group&step=9")
    expect(page.locator(".roll-group")).to_have_count(2)
    expect(page.locator(".roll-group").first.locator(".dots")).to_have_attribute("aria-label", "1 of 4 right")
    page.locator(".roll-group").first.get_by_role("link", name="step 9, group 0").click()
    rows = page.locator(".group-table tbody tr")
    expect(rows).to_have_count(4)
    expect(rows.first).to_contain_text("+0.75")
    expect(rows.nth(1)).to_contain_text("−0.25")
    expect(page.locator("#sample-1 .reasons")).to_contain_text("accuracy 0: 16 is not 15")
    expect(page.locator("#sample-0 mark.turn-wrong")).to_have_text("7+8=16")
    expect(page.locator("#sample-0 mark.turn-right")).to_have_text("7+8=15")
    expect(page.locator("#sample-0 .flag")).to_contain_text("7+8 is 15, not 16")
    page.get_by_role("link", name="next group").click()
    expect(page.locator(".problem h2")).to_have_text("第9题：<b>多少</b>？")
    page.go_back()
    expect(page.locator(".problem h2")).to_have_text("What is 7 + 8?")
    page.get_by_role("link", name="All rollouts").click()
    expect(page.locator(".roll-group")).to_have_count(2)


def test_one_problem_through_time_with_what_changed(opened: Callable[..., Page]) -> None:
    page = opened(ROUTES[0])
    page.locator(".roll").first.get_by_role("link", name="through time").click()
    expect(page.locator(".list-line")).to_contain_text(f"Answered {STEPS} times, from step 1 to step {STEPS}")
    expect(page.locator(".timeline circle")).to_have_count(STEPS)
    page.get_by_label("Before: a sample of step 1", exact=True).select_option(label="#0 wrong")
    page.get_by_label(f"After: a sample of step {STEPS}", exact=True).select_option(label="#0 right")
    expect(page.locator(".diff ins").first).to_contain_text("Wait")
    kept = page.locator(".diff").evaluate(
        "e => [...e.childNodes].filter(n => n.nodeName !== 'DEL').map(n => n.textContent).join('')"
    )
    assert kept == CORRECTED
    expect(page.locator(".sides .roll")).to_have_count(2)


def test_samples_of_evaluations_can_be_chosen(opened: Callable[..., Page]) -> None:
    page = opened(ROUTES[0])
    count_of(page, f"{8 * STEPS} rollouts")
    page.get_by_role("combobox", name="From", exact=True).select_option(label="evaluation after")
    count_of(page, "8 rollouts")
    expect(page.locator(".roll").first).to_contain_text("evaluation after, group 0")
    page.locator(".roll").first.get_by_role("link", name="through time").click()
    expect(page.locator(".list-line")).to_contain_text("from evaluation before to evaluation after")


def test_rollouts_appear_while_the_stage_runs(
    tmp_path: Path, dashboard: Callable[..., str], look: Callable[..., Any]
) -> None:
    with open_run(tmp_path / "small") as run:
        run.stage("r1_zero").begin({"recipe": {}, "seed": 1, "models": {}, "data": {}})
        page = look(f"{dashboard(tmp_path / 'small')}/#/run/small/rollouts").page
        expect(page.get_by_role("heading", name="No rollouts yet")).to_be_visible()
        add_rollouts(run, 1, 1)
        count_of(page, "8 rollouts")
        add_rollouts(run, 2, 2)
        count_of(page, "16 rollouts")
        expect(page.locator(".roll").first).to_contain_text("step 2,")


def test_self_evolution_shows_words_moments_and_their_evidence(opened: Callable[..., Page]) -> None:
    page = opened(ROUTES[4])
    expect(page.locator(".list-line")).to_contain_text(f"{8 * STEPS} completions of {STEPS} rollouts")
    wait = page.locator(".word-table tr", has=page.get_by_role("link", name="wait", exact=True))
    expect(wait).to_contain_text("2×")
    moment = page.locator(".moment").first
    expect(moment).to_contain_text(f"step {STEPS // 2 + 1}, group 0, sample 0")
    expect(moment.locator("mark.turn-wrong")).to_have_text("7+8=16")
    expect(moment.locator(".judge-for")).to_contain_text("Arithmetic proves it: 7+8 is 15, not 16.")
    for title in (
        "Length",
        "Right answers",
        "Corrected itself",
        "Held-out problems by level",
        "Training problems by level",
        "Mixed languages",
    ):
        expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
    expect(page.locator(".chart canvas")).not_to_have_count(0)
    moment.locator("a").click()
    expect(page.locator(".member.chosen")).to_contain_text("7+8=15")
    page.go_back()
    page.locator(".word-table").get_by_role("link", name="wait", exact=True).click()
    count_of(page, "rollouts · of")
    assert "word=wait" in page.url


@pytest.mark.parametrize("width", [320, 768, 2560])
def test_nothing_is_wider_than_the_window(opened: Callable[..., Page], width: int) -> None:
    for route, ready in zip(ROUTES, READY, strict=True):
        page = opened(route, width=width)
        page.locator(ready).first.wait_for()
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, route


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing(
    opened: Callable[..., Page], violations: Callable[[Page], list[str]], dark: bool
) -> None:
    for route, ready in zip(ROUTES, READY, strict=True):
        page = opened(route, dark=dark)
        page.locator(ready).first.wait_for()
        page.wait_for_timeout(300)
        assert violations(page) == [], route


def test_the_keyboard_alone_reaches_a_group_and_its_history(opened: Callable[..., Page]) -> None:
    page = opened(f"{ROUTES[0]}&step=9&verdict=right&language=en")
    count_of(page, "1 rollout")
    page.locator("#main").focus()
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className") == "roll-where":
            break
    page.keyboard.press("Enter")
    expect(page.locator(".group-table")).to_be_visible()
    for _ in range(60):
        page.keyboard.press("Tab")
        if "through time" in page.evaluate("document.activeElement.textContent"):
            break
    page.keyboard.press("Enter")
    expect(page.locator(".timeline")).to_be_visible()
