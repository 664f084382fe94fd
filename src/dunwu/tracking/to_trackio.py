"""Trackio through its own library: a run for each stage, in its local database."""

from typing import Any

from dunwu.config.tracking import TrackioTracker
from dunwu.tracking.tracker import Figures, StageFacts


class ToTrackio:
    """A `Tracker` that logs to Trackio."""

    def __init__(self, config: TrackioTracker) -> None:
        self._config = config

    def start(self, stage: StageFacts) -> None:
        """Begin the stage's run, or go on with it."""
        import trackio

        self._run: Any = trackio.init(
            project=self._config.project,
            name=f"{stage.run_name}-{stage.name}",
            group=stage.run_name,
            space_id=self._config.space_id,
            config=dict(stage.recipe),
            resume="allow" if stage.done_steps else "never",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def log(self, step: int, figures: Figures) -> None:
        """Log the figures of a step."""
        self._run.log(dict(figures), step=step)

    def finish(self) -> None:
        """Send what is left, and end the run."""
        self._run.finish()
