"""What the pipeline hands to every stage."""

from collections.abc import Mapping
from dataclasses import dataclass

from dunwu.config.training import ModelConfig
from dunwu.runs.progress import Progress
from dunwu.runs.stage_folder import StageFolder


@dataclass(frozen=True)
class StageContext:
    """Where a stage starts, the run's seed, the stage's folder, and someone to tell.

    Args:
        model: what the stage's `start` means: the recipe's base model, another one of it, or the finished model of an earlier
            stage; the base model for a stage without `start`.
        models: every model that the stage's configuration names, by that name, each as a folder or hub name to load.
    """

    model: ModelConfig
    models: Mapping[str, ModelConfig]
    seed: int
    folder: StageFolder
    progress: Progress
