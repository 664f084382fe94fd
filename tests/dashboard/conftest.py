"""A dashboard on a free port over run folders that are made here, and a real browser that looks at it.

Whatever the browser's console says against a page fails the test, unless the test says that it expects it.
"""

import math
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from dunwu.config.recipe import Recipe
from dunwu.dashboard.app import create_app
from dunwu.runs.comparison_files import write_comparison
from dunwu.runs.folder import RunFolder

AXE = Path(__file__).parent / "axe" / "axe.min.js"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_ARGUMENTS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--disable-gpu",
]


def make_recipe(seed: int = 1, num_steps: int = 40, learning_rate: float = 3e-4) -> Recipe:
    """A chain of RL, cold-start data, fine-tuning and the comparison of three models."""
    return Recipe.model_validate(
        {
            "name": "small-chain",
            "seed": seed,
            "model": {"path": "micro"},
            "stages": [
                {
                    "kind": "r1_zero",
                    "num_steps": num_steps,
                    "steps_per_rollout": 1,
                    "split_rollout_by": "prompt",
                    "task": {"kind": "world"},
                    "optimizer": {"learning_rate": learning_rate},
                },
                {"kind": "cold_start", "start": "r1_zero", "task": {"kind": "world"}},
                {"kind": "sft", "start": "base", "data": {"kind": "messages", "train": "stage:cold_start"}},
                {
                    "kind": "comparison",
                    "task": {"kind": "world"},
                    "columns": [
                        {"label": "base", "model": "base"},
                        {"label": "R1-Zero", "model": "r1_zero"},
                        {"label": "Dev1", "model": "sft"},
                    ],
                },
            ],
        }
    )


def rl_metrics(step: int) -> dict[str, Any]:
    """The figures of one RL step that gets better and longer with time."""
    share = 1 - math.exp(-step / 12)
    return {
        "reward": 1 + share, "reward_accuracy": share, "reward_format": 1.0, "reward_format_ok": 64, "accuracy": share,
        "format": 0.9, "length_mean": 20 + 2 * step, "length_mean_right": 18 + 2 * step,
        "length_mean_wrong": None if step == 7 else 40 + step, "length_max": 224, "self_check_frac": share / 2,
        "truncated_frac": 0.05, "repetitive_frac": 0.01, "off_language_frac": 0.0, "zero_spread_frac": 0.25,
        "entropy": 0.6 - 0.3 * share, "kl": 0.001 * step, "clip_high_frac": 0.01, "clip_low_frac": 0.0, "dual_clip_frac": 0.0,
        "logprob_difference_mean": 4e-7, "logprob_difference_max": 1e-5, "ratio_mean": 1.0, "ratio_max": 1.1, "grad_norm": 0.4,
        "loss": 0.0, "policy_loss": 0.0, "learning_rate": 3e-4, "rollout": step, "trained_tokens": 9000, "computed_tokens": 12000,
        "<img src=x onerror=alert(1)>": 1.0,
    }  # fmt: skip


def timings(step: int) -> dict[str, Any]:
    """What one step took."""
    return {
        "wall_seconds": 2.0, "sampling_seconds": 1.2, "training_seconds": 0.8, "generation_tokens_per_second": 9000.0,
        "training_tokens_per_second": 8000.0, "peak_memory_bytes": 1_800_000_000, "timeline": {"generation": [[0.0, 1.2]]},
    }  # fmt: skip


def held_out(share: float) -> dict[str, Any]:
    """The figures of a held-out evaluation."""
    return {
        "pass_at_1": share, "pass_at_1_interval": [share - 0.03, share + 0.03], "cons_at_4": share + 0.04,
        "cons_at_4_interval": [share, share + 0.08], "length_mean": 50.0, "format": 0.9, "self_check_frac": 0.3,
        "truncated_frac": 0.02, "num_problems": 48,
    }  # fmt: skip


def add_rl_steps(run: RunFolder, first: int, last: int) -> None:
    """Write steps of the RL stage as training does."""
    stage = run.stage("r1_zero")
    for step in range(first, last + 1):
        stage.append_metrics(step, rl_metrics(step))
        stage.append_timings(step, timings(step))


def begin_rl(run: RunFolder, num_steps: int = 40) -> None:
    """Begin the RL stage as the pipeline does."""
    run.stage("r1_zero").begin({"recipe": {}, "seed": 1, "models": {}, "data": {}})
    run.log("stage started", stage="r1_zero", num_steps=num_steps, done_steps=0)
    run.stage("r1_zero").write_evaluation("before", held_out(0.2), [], step=0)


def stage_table() -> dict[str, Any]:
    """A stage table of three models, one figure of which is missing."""

    def cell(value: float) -> dict[str, Any]:
        return {
            "value": value,
            "low": max(0.0, value - 0.03),
            "high": min(1.0, value + 0.03),
            "num_problems": 96,
        }

    columns = [
        {"label": label, "model": model, "role": model, "template": "r1_zero", "output_form": "think_answer",
         "answer_from": ["answer_tag"], "why": "as in stage r1_zero"}
        for label, model in (("base", "base"), ("R1-Zero", "r1_zero"), ("Dev1", "sft"))
    ]  # fmt: skip
    check = {
        "first": "R1-Zero", "second": "base", "rows": ["accuracy"], "difference": 0.6, "low": 0.55, "high": 0.65, "margin": 0.1,
        "num_problems": 96, "verdict": "holds",
    }  # fmt: skip
    return {
        "name": "comparison", "num_problems": 96, "samples_per_problem": 4, "num_general": 0, "samples_per_general": 4,
        "judged_by": None, "readability": {}, "columns": columns,
        "sampling": {"temperature": 0.6, "top_p": 0.95, "max_new_tokens": 256},
        "rows": [
            {"key": "accuracy", "name": "right answers (pass@1)", "unit": "share", "cells": [cell(0.3), cell(0.9), cell(0.8)]},
            {"key": "accuracy.sum", "name": "right answers: <b>sum</b>", "unit": "share", "cells": [cell(0.3), None, cell(0.8)]},
            {"key": "length", "name": "length in tokens", "unit": "tokens",
             "cells": [{"value": v, "low": v - 3, "high": v + 3, "num_problems": 96} for v in (20.0, 66.0, 127.0)]},
        ],
        "findings": [{"key": "k", "claim": "R1-Zero is far above the base model", "verdict": "holds", "checks": [check]}],
    }  # fmt: skip


def make_finished_run(path: Path, **changes: Any) -> Path:
    """A run whose stages are all finished."""
    reads: dict[str, Any] = {"recipe": {}, "seed": 1, "models": {}, "data": {}}
    with RunFolder.open(path, make_recipe(**changes)) as run:
        begin_rl(run)
        add_rl_steps(run, 1, 40)
        after = held_out(0.9)
        run.stage("r1_zero").write_evaluation("after", after, [], step=40)
        run.stage("r1_zero").finish(
            {
                "name": "r1_zero",
                "kind": "r1_zero",
                "wall_seconds": 90.0,
                "before": held_out(0.2),
                "after": after,
            }
        )
        cold = run.stage("cold_start")
        cold.begin(reads)
        cold.append_metrics(1, {"candidates": 64, "kept": 32, "kept_frac": 0.5})
        cold.finish(
            {"name": "cold_start", "kind": "cold_start", "wall_seconds": 9.0, "rows": 32, "samples": 64}
        )
        sft = run.stage("sft")
        sft.begin(reads)
        for step in range(1, 31):
            sft.append_metrics(
                step,
                {"nll": 3 / step, "entropy": 0.2, "grad_norm": 1.0, "learning_rate": 1e-4, "loss": 3 / step},
            )
        for label, step, nll in (("before", 0, 4.0), ("after", 30, 0.1)):
            sft.write_evaluation(label, {"nll": nll, "token_accuracy": 0.9, "perplexity": 1.1}, [], step=step)
        sft.finish(
            {
                "name": "sft",
                "kind": "sft",
                "wall_seconds": 20.0,
                "before": {"nll": 4.0},
                "after": {"nll": 0.1},
            }
        )
        table = run.stage("comparison")
        table.begin(reads)
        write_comparison(table, stage_table(), "table\n")
        table.finish(
            {
                "name": "comparison",
                "kind": "comparison",
                "wall_seconds": 5.0,
                "columns": [1, 2, 3],
                "findings": [1],
            }
        )
        run.log("finished")
    return path


class SmallChain:
    """Makes the runs that tests of the dashboard look at."""

    recipe = staticmethod(make_recipe)
    begin_rl = staticmethod(begin_rl)
    add_rl_steps = staticmethod(add_rl_steps)
    finished = staticmethod(make_finished_run)
    table = staticmethod(stage_table)


@pytest.fixture
def small_chain() -> SmallChain:
    """The maker of runs."""
    return SmallChain()


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run, not to be changed."""
    return make_finished_run(tmp_path_factory.mktemp("dashboard") / "runs" / "whole")


@pytest.fixture
def dashboard() -> Iterator[Callable[..., str]]:
    """Start dashboards: `dashboard(path, ...)` returns the address of one over these folders."""
    running: list[tuple[uvicorn.Server, threading.Thread, socket.socket]] = []

    def start(*paths: Path, **options: Any) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(create_app(paths, **options), log_level="error", lifespan="off")
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        running.append((server, thread, listener))
        until = time.monotonic() + 30
        while not server.started and time.monotonic() < until:
            time.sleep(0.01)
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for server, thread, listener in running:
        server.should_exit = True
        thread.join()
        listener.close()


def _chromium() -> str | None:
    return os.environ.get("DUNWU_CHROMIUM") or next(filter(None, map(shutil.which, _BROWSERS)), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium; a test that needs it is skipped where there is none."""
    path = _chromium()
    if path is None:
        pytest.skip(
            "no Chromium: install it (Debian: sudo apt install chromium), or set DUNWU_CHROMIUM to its path"
        )
    arguments = [*_ARGUMENTS, "--no-sandbox"] if hasattr(os, "getuid") and os.getuid() == 0 else _ARGUMENTS
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


class Watched:
    """A page, and what its console said."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.expected: list[str] = []
        page.on(
            "console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error.stack or error}"))
        page.on("request", self._request)

    def _request(self, request: Any) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "blob:", "data:")):
            self.complaints.append(f"a request to the outside: {request.url}")

    def expect(self, text: str) -> None:
        """Let the console say something that holds `text`."""
        self.expected.append(text)

    def unexpected(self) -> list[str]:
        """What was said against the page."""
        return [said for said in self.complaints if not any(text in said for text in self.expected)]


@pytest.fixture
def look(browser: Browser) -> Iterator[Callable[..., Watched]]:
    """Open pages: `look(address, width=..., dark=...)` returns the page and its console, which must stay silent."""
    opened: list[tuple[BrowserContext, Watched]] = []

    def open_page(
        address: str, *, width: int = 1280, height: int = 900, dark: bool = False, **options: Any
    ) -> Watched:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", **options
        )
        context.set_default_timeout(15_000)
        watched = Watched(context.new_page())
        opened.append((context, watched))
        watched.page.goto(address)
        return watched

    yield open_page
    said = [text for _, watched in opened for text in watched.unexpected()]
    for context, _ in opened:
        context.close()
    assert said == []


@pytest.fixture(scope="session")
def violations() -> Callable[[Page], list[str]]:
    """What axe finds wrong in a page, each as "rule: where"."""
    source = AXE.read_text(encoding="utf-8")

    def check(page: Page) -> list[str]:
        page.evaluate(source)
        found: list[Mapping[str, Any]] = page.evaluate("async () => (await axe.run(document)).violations")
        return [
            f"{rule['id']}: {node['target']} {node['failureSummary']}"
            for rule in found
            for node in rule["nodes"]
        ]

    return check


def free_port() -> int:
    """A port that was free a moment ago."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return int(listener.getsockname()[1])
