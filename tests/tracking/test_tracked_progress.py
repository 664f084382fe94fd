"""Trackers are told everything, in order; one that fails, exits or hangs is said once, and training goes on."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from dunwu.config.recipe import Recipe
from dunwu.config.tracking import MlflowTracker, TensorBoardTracker, TrackioTracker, WandbTracker
from dunwu.runs.progress import QuietProgress
from dunwu.tracking import tracked_progress
from dunwu.tracking.tracked_progress import TrackedProgress, Worker, numbers, open_tracker, tracked
from dunwu.tracking.tracker import StageFacts

RECIPE = Recipe.model_validate(
    {
        "name": "r",
        "model": {"path": "micro"},
        "stages": [{"kind": "r1_zero", "task": {"kind": "world"}}],
        "trackers": ["tensorboard"],
    }
)


class Told:
    """A tracker that keeps what it is told, and fails at a call of one's choice."""

    def __init__(self, fails_at: str = "", error: BaseException | None = None) -> None:
        self.calls: list[Any] = []
        self.fails_at, self.error = fails_at, error or RuntimeError("no network")

    def start(self, stage: StageFacts) -> None:
        self._take("start", stage.name, stage.done_steps, stage.recipe["name"])

    def log(self, step: int, figures: Any) -> None:
        self._take("log", step, dict(figures))

    def finish(self) -> None:
        self._take("finish")

    def _take(self, *call: Any) -> None:
        if call[0] == self.fails_at:
            raise self.error
        self.calls.append(call)


def train(progress: Any) -> None:
    progress.stage_started("r1_zero", 2, 0)
    progress.evaluation("before", 1, 2)
    progress.generation(1, 2)
    for step in (1, 2):
        progress.step(
            step, {"step": step, "reward": step / 2, "note": "x", "kl": None, "ok": True}, {"wall_seconds": 1}
        )
    progress.message("a word")
    progress.stage_finished(
        "r1_zero", {"before": {"pass_at_1": 0.1, "step": 0}, "after": {"pass_at_1": 0.5, "step": 2}}
    )


def telling(*trackers: Told) -> tuple[TrackedProgress, QuietProgress]:
    inner = QuietProgress()
    workers = [Worker(f"t{number}", tracker) for number, tracker in enumerate(trackers)]
    return TrackedProgress(inner, workers, RECIPE, Path("run")), inner


def test_everything_is_told_in_order() -> None:
    tracker = Told()
    progress, inner = telling(tracker)
    train(progress)
    progress.close()
    assert tracker.calls == [
        ("start", "r1_zero", 0, "r"),
        ("log", 1, {"train/reward": 0.5, "time/wall_seconds": 1.0}),
        ("log", 2, {"train/reward": 1.0, "time/wall_seconds": 1.0}),
        ("log", 0, {"held_out_before/pass_at_1": 0.1}),
        ("log", 2, {"held_out_after/pass_at_1": 0.5}),
        ("finish",),
    ]
    assert inner.steps == [1, 2]
    assert inner.messages == ["a word"]


@pytest.mark.parametrize("fails_at", ["start", "log", "finish"])
@pytest.mark.parametrize("error", [RuntimeError("no network"), SystemExit(1)])
def test_a_failing_tracker_is_said_once_and_the_others_go_on(fails_at: str, error: BaseException) -> None:
    bad, good = Told(fails_at, error), Told()
    progress, inner = telling(bad, good)
    train(progress)
    progress.close()
    assert inner.steps == [1, 2]
    (said,) = [text for text in inner.messages if text != "a word"]
    assert said.startswith(f"the tracker t0 failed ({type(error).__name__}: ")
    assert "training goes on without it" in said
    assert good.calls[-1] == ("finish",)
    assert len(good.calls) == 6


def test_a_tracker_that_hangs_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    class Hangs(Told):
        def log(self, step: int, figures: Any) -> None:
            release.wait(60)

    monkeypatch.setattr(tracked_progress, "CLOSE_SECONDS", 0.2)
    progress, inner = telling(Hangs())
    begin = time.monotonic()
    train(progress)
    progress.close()
    release.set()
    assert time.monotonic() - begin < 30
    assert inner.steps == [1, 2]
    assert any("it did not finish within 0 s" in text for text in inner.messages)


def test_a_queue_that_is_full_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracked_progress, "_MOST_WAITING", 1)
    monkeypatch.setattr(tracked_progress, "CLOSE_SECONDS", 0.1)
    release = threading.Event()

    class Slow(Told):
        def start(self, stage: StageFacts) -> None:
            release.wait(60)

    progress, inner = telling(Slow())
    train(progress)
    progress.close()
    release.set()
    assert any("calls behind" in text for text in inner.messages)


def test_a_stage_that_breaks_off_is_ended() -> None:
    tracker = Told()
    progress, _ = telling(tracker)
    progress.stage_started("r1_zero", 2, 1)
    progress.close()
    assert tracker.calls == [("start", "r1_zero", 1, "r"), ("finish",)]


def test_without_trackers_the_progress_is_the_same_one(tmp_path: Path) -> None:
    inner = QuietProgress()
    with tracked(inner, RECIPE.model_copy(update={"trackers": ()}), tmp_path) as progress:
        assert progress is inner


def test_each_configuration_opens_its_tracker(tmp_path: Path) -> None:
    configs = (TensorBoardTracker(), WandbTracker(), MlflowTracker(), TrackioTracker())
    names = [type(open_tracker(config, tmp_path)).__name__ for config in configs]
    assert names == ["ToTensorBoard", "ToWandb", "ToMlflow", "ToTrackio"]


def test_only_numbers_are_sent() -> None:
    assert numbers({"a": 1, "b": None, "c": "x", "d": True, "e": [1], "step": 3}, "p") == {"p/a": 1.0}
