"""What the pipeline hands to every stage."""

from dataclasses import dataclass

from dunwu.config.training import ModelConfig
from dunwu.runs.progress import Progress
from dunwu.runs.stage_folder import StageFolder


@dataclass(frozen=True)
class StageContext:
    """The model to start from, the run's seed, the stage's folder, and someone to tell."""

    model: ModelConfig
    seed: int
    folder: StageFolder
    progress: Progress
