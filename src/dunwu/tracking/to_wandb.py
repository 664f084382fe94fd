"""Weights & Biases through its own library: a run for each stage, all stages of a run folder in one group."""

import hashlib
from pathlib import Path
from typing import Any

from dunwu.config.tracking import WandbTracker
from dunwu.tracking.tracker import Figures, StageFacts


class ToWandb:
    """A `Tracker` that logs to W&B, online or into files for `wandb sync`."""

    def __init__(self, config: WandbTracker, folder: Path) -> None:
        self._config = config
        self._folder = folder

    def start(self, stage: StageFacts) -> None:
        """Begin the stage's run; one that goes on has the same id."""
        import wandb

        self._folder.mkdir(parents=True, exist_ok=True)
        self._run: Any = wandb.init(
            project=self._config.project,
            entity=self._config.entity,
            dir=str(self._folder),
            id=hashlib.sha256(stage.key.encode()).hexdigest()[:16],
            name=f"{stage.run_name}/{stage.name}",
            group=stage.run_name,
            config=dict(stage.recipe),
            resume="allow",
            mode=self._config.mode,
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True, save_code=False),
        )
        self._run.define_metric("step", hidden=True)
        self._run.define_metric("*", step_metric="step")

    def log(self, step: int, figures: Figures) -> None:
        """Log the figures over the stage's own steps."""
        self._run.log({**figures, "step": step})

    def finish(self) -> None:
        """End the run."""
        self._run.finish()
