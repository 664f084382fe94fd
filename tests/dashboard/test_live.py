"""The dashboard beside a run that is being written: what appears without a reload, and what a rewound stage does to it."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tomli_w
from playwright.sync_api import expect

from dunwu.runs.folder import RunFolder

PATIENCE = 300_000
"""Milliseconds; a busy machine takes long to load what training needs."""
TINY = {
    "name": "tiny",
    "model": {"path": "micro"},
    "stages": [
        {
            "kind": "r1_zero",
            "num_steps": 6,
            "prompts_per_step": 4,
            "group_size": 4,
            "steps_per_rollout": 1,
            "split_rollout_by": "prompt",
            "task": {"kind": "world", "num_train": 64, "num_held_out": 8},
            "sampling": {"max_new_tokens": 48},
            "evaluation": {"num_problems": 8, "samples_per_problem": 2},
        }
    ],
}


def test_a_real_training_run_is_followed_from_before_it_begins_to_its_end(
    tmp_path: Path, dashboard: Callable[..., str], look: Callable[..., Any]
) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    page = look(f"{dashboard(runs)}/#/runs").page
    expect(page.get_by_role("heading", name="No run yet")).to_be_visible()
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(tomli_w.dumps(TINY))
    command = [sys.executable, "-m", "dunwu", "run", str(recipe), "--run-dir", str(runs / "tiny")]
    log = tmp_path / "training.log"
    steps = page.locator(".stage-line")
    seen = set()
    with log.open("wb") as out:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        training = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
    try:
        page.get_by_role("link", name="tiny").click(timeout=PATIENCE)
        expect(page.locator(".where .state")).to_have_text("running", timeout=PATIENCE)
        page.get_by_role("link", name="Training").click()
        while training.poll() is None:
            seen.add(steps.text_content(timeout=PATIENCE))
            page.wait_for_timeout(200)
    finally:
        training.kill()
        training.wait()
    assert training.returncode == 0, log.read_text()
    assert len(seen) >= 2, seen  # it moved while the training went on
    expect(steps).to_contain_text("step 6 of 6", timeout=PATIENCE)
    expect(page.locator(".where .state")).to_have_text("finished", timeout=PATIENCE)
    expect(page.locator(".plot").first).to_have_attribute("aria-label", _over(6))


def test_steps_appear_as_they_are_written_and_go_when_the_stage_is_rewound(
    tmp_path: Path, dashboard: Callable[..., str], look: Callable[..., Any], small_chain: Any
) -> None:
    with RunFolder.open(tmp_path / "live", small_chain.recipe()) as run:
        small_chain.begin_rl(run)
        small_chain.add_rl_steps(run, 1, 5)
        page = look(f"{dashboard(tmp_path / 'live')}/#/run/live/training").page
        plot = page.locator(".plot").first
        expect(plot).to_have_attribute("aria-label", _over(5))
        expect(page.locator(".stage-line")).to_contain_text("step 5 of 40")
        expect(page.locator(".stage-line")).to_contain_text("about 1 min 10 s left")
        page.evaluate("window.same = true")
        small_chain.add_rl_steps(run, 6, 9)
        expect(plot).to_have_attribute("aria-label", _over(9))
        run.stage("r1_zero").rewind(3)
        expect(plot).to_have_attribute("aria-label", _over(3))
        small_chain.add_rl_steps(run, 4, 4)
        expect(plot).to_have_attribute("aria-label", _over(4))
        assert page.evaluate("window.same") is True  # without a reload
    expect(page.locator(".where .state")).to_have_text("stopped")


def test_a_server_that_goes_away_is_told_and_one_that_comes_back_is_used(
    tmp_path: Path, dashboard: Callable[..., str], look: Callable[..., Any], small_chain: Any
) -> None:
    with RunFolder.open(tmp_path / "live", small_chain.recipe()) as run:
        small_chain.begin_rl(run)
        small_chain.add_rl_steps(run, 1, 2)
        watched = look(f"{dashboard(tmp_path / 'live')}/#/run/live/training")
        page = watched.page
        watched.expect("ERR_FAILED")
        page.locator(".chart canvas").first.wait_for()
        page.route("**/api/**", lambda route: route.abort())
        expect(page.locator(".notice")).to_contain_text("does not answer")
        expect(page.locator(".chart canvas").first).to_be_visible()  # what is known stays
        page.unroute("**/api/**")
        expect(page.locator(".notice")).to_have_count(0)


def test_an_ailment_is_marked_where_it_began(
    tmp_path: Path, dashboard: Callable[..., str], look: Callable[..., Any], small_chain: Any
) -> None:
    with RunFolder.open(tmp_path / "ill", small_chain.recipe()) as run:
        small_chain.begin_rl(run)
        small_chain.add_rl_steps(run, 1, 20)
        found = {
            "state": "begins", "step": 12, "name": "KL blow-up", "began": 9, "named": 12, "evidence": "<b>KL</b> rose to 40",
            "meaning": "it runs away", "remedy": "lower the learning rate", "figures": ["kl"],
        }  # fmt: skip
        run.stage("r1_zero").note_diagnosis([found])
    page = look(f"{dashboard(tmp_path / 'ill')}/#/run/ill/overview").page
    page.get_by_role("link", name="KL blow-up, since step 9").click()
    ailment = page.locator(".diagnosis")
    expect(ailment.locator("summary")).to_have_text("KL blow-up since step 9")
    ailment.locator("summary").click()
    expect(ailment).to_contain_text("<b>KL</b> rose to 40")
    ailment.get_by_role("button", name="Show step 9").click()
    expect(page.locator(".step-now")).to_have_text("step 9")


def _over(count: int) -> re.Pattern[str]:
    return re.compile(rf"over {count} steps")
