"""Progress that also sends the figures of each step to trackers. Training never waits for one, and goes on when one fails.

Each tracker works in a thread of its own, fed by a queue: a server that does not answer holds nothing up. Called by the pipeline.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from typing import Any

from dunwu.config.dump import plain
from dunwu.config.recipe import Recipe
from dunwu.config.tracking import (
    MlflowTracker,
    TensorBoardTracker,
    TrackerConfig,
    TrackioTracker,
    WandbTracker,
)
from dunwu.runs.progress import Progress
from dunwu.tracking.to_mlflow import ToMlflow
from dunwu.tracking.to_tensorboard import ToTensorBoard
from dunwu.tracking.to_trackio import ToTrackio
from dunwu.tracking.to_wandb import ToWandb
from dunwu.tracking.tracker import StageFacts, Tracker

FOLDER = "tracking.files"
"""Where trackers write in a run folder; left out of what a killed and an unkilled run have in common."""
CLOSE_SECONDS = 60.0
"""How long the end of a run waits for what a tracker still has to send."""
_MOST_WAITING = 10_000


@contextmanager
def tracked(progress: Progress, recipe: Recipe, run_path: Path) -> Iterator[Progress]:
    """Hand out a progress that tells the recipe's trackers, too; with none, the one that was given."""
    if not recipe.trackers:
        yield progress
        return
    workers = [
        Worker(config.kind, open_tracker(config, run_path / FOLDER / config.kind))
        for config in recipe.trackers
    ]
    telling = TrackedProgress(progress, workers, recipe, run_path)
    try:
        yield telling
    finally:
        telling.close()


def open_tracker(config: TrackerConfig, folder: Path) -> Tracker:
    """Return the tracker of a configuration; nothing is loaded or opened before its first stage."""
    match config:
        case TensorBoardTracker():
            return ToTensorBoard(config, folder)
        case WandbTracker():
            return ToWandb(config, folder)
        case MlflowTracker():
            return ToMlflow(config, folder)
        case TrackioTracker():
            return ToTrackio(config)
    raise AssertionError(f"no tracker for {config!r}")


class Worker:
    """One tracker in its thread. After its first failure it takes in nothing more."""

    def __init__(self, name: str, tracker: Tracker) -> None:
        self.name = name
        self.tracker = tracker
        self.failure: str | None = None
        self.told = False
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._work, name=f"tracker-{name}", daemon=True)
        self._thread.start()

    def put(self, call: Callable[[], None]) -> None:
        """Have a call made in the thread, in order."""
        if self.failure is None:
            try:
                self._queue.put_nowait(call)
            except queue.Full:
                self.failure = f"it lags {_MOST_WAITING:,} calls behind"

    def close(self, deadline: float) -> None:
        """Wait for what is left, until `deadline` (of time.monotonic)."""
        try:
            self._queue.put(None, timeout=max(0.0, deadline - time.monotonic()))
        except queue.Full:
            self.failure = self.failure or "it did not take in what was left"
            return
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive() and self.failure is None:
            self.failure = (
                f"it did not finish within {CLOSE_SECONDS:.0f} s; what it had not sent is lost to it"
            )

    def _work(self) -> None:
        while (call := self._queue.get()) is not None:
            if self.failure is not None:
                continue
            try:
                call()
            except (
                BaseException
            ) as error:  # a library may even exit; the run folder has every figure all the same
                self.failure = f"{type(error).__name__}: {error}"


class TrackedProgress:
    """Hands everything on to another `Progress`, and the figures to trackers; says once of each that it failed."""

    def __init__(self, progress: Progress, workers: Sequence[Worker], recipe: Recipe, run_path: Path) -> None:
        self._progress = progress
        self._workers = workers
        self._recipe = recipe
        self._run_path = run_path
        self._open = False

    def stage_started(self, name: str, num_steps: int, done_steps: int = 0) -> None:
        self._progress.stage_started(name, num_steps, done_steps)
        self._end_stage()
        stage = StageFacts(self._recipe.name, self._run_path, name, done_steps, plain(self._recipe))
        self._open = True
        self._each(lambda tracker: tracker.start(stage))

    def evaluation(self, label: str, done: int, total: int) -> None:
        self._progress.evaluation(label, done, total)

    def generation(self, done: int, total: int) -> None:
        self._progress.generation(done, total)

    def step(self, step: int, metrics: Mapping[str, Any], timings: Mapping[str, Any]) -> None:
        self._progress.step(step, metrics, timings)
        figures = {**numbers(metrics, "train"), **numbers(timings, "time")}
        self._each(lambda tracker: tracker.log(step, figures))

    def message(self, text: str) -> None:
        self._progress.message(text)

    def stage_finished(self, name: str, record: Mapping[str, Any]) -> None:
        for label in ("before", "after"):
            found = record.get(label)
            if isinstance(found, Mapping):
                figures, step = numbers(found, f"held_out_{label}"), int(found.get("step", 0))
                self._each(lambda tracker, s=step, f=figures: tracker.log(s, f))  # type: ignore[misc]
        self._end_stage()
        self._progress.stage_finished(name, record)

    def close(self) -> None:
        """End what is open, and wait a bounded time for what is left to send."""
        self._end_stage()
        deadline = time.monotonic() + CLOSE_SECONDS
        for worker in self._workers:
            worker.close(deadline)
        self._tell_failures()

    def _end_stage(self) -> None:
        if self._open:
            self._each(lambda tracker: tracker.finish())
        self._open = False

    def _each(self, call: Callable[[Tracker], None]) -> None:
        for worker in self._workers:
            worker.put(lambda w=worker: call(w.tracker))  # type: ignore[misc]
        self._tell_failures()

    def _tell_failures(self) -> None:
        for worker in self._workers:
            if worker.failure is not None and not worker.told:
                worker.told = True
                self._progress.message(
                    f"the tracker {worker.name} failed ({worker.failure}); training goes on without it, and every figure is in "
                    "the run folder"
                )


def numbers(figures: Mapping[str, Any], prefix: str) -> dict[str, float]:
    """Return the figures that are numbers, each under "prefix/name"."""
    return {
        f"{prefix}/{name}": float(value)
        for name, value in figures.items()
        if isinstance(value, Real) and not isinstance(value, bool) and name != "step"
    }
