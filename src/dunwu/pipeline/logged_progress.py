"""Progress that also leaves in the run folder how many steps a stage has, for whoever watches from another terminal."""

from collections.abc import Mapping
from typing import Any

from dunwu.runs.folder import RunFolder
from dunwu.runs.progress import Progress


class LoggedProgress:
    """Hands everything on to another `Progress`, and logs the beginning of each stage."""

    def __init__(self, progress: Progress, run: RunFolder) -> None:
        self._progress = progress
        self._run = run

    def stage_started(self, name: str, num_steps: int, done_steps: int = 0) -> None:
        self._run.log("stage started", stage=name, num_steps=num_steps, done_steps=done_steps)
        self._progress.stage_started(name, num_steps, done_steps)

    def evaluation(self, label: str, done: int, total: int) -> None:
        self._progress.evaluation(label, done, total)

    def generation(self, done: int, total: int) -> None:
        self._progress.generation(done, total)

    def step(self, step: int, metrics: Mapping[str, Any], timings: Mapping[str, Any]) -> None:
        self._progress.step(step, metrics, timings)

    def message(self, text: str) -> None:
        self._progress.message(text)

    def stage_finished(self, name: str, record: Mapping[str, Any]) -> None:
        self._progress.stage_finished(name, record)
