"""What a stage that makes preference data or trains a reward model gets wrong on this machine. Called by `config.check`."""

from collections.abc import Iterator
from typing import Any

from dunwu.config.part_checks import asked_problems, file_problems, length_problems, task_problems
from dunwu.config.preference_data import PreferenceDataStage
from dunwu.config.reward_model import RewardModelStage


def preference_data_problems(stage: PreferenceDataStage, settings: dict[str, Any]) -> Iterator[str]:
    """Say what in a stage that makes preference data cannot work."""
    yield from task_problems(stage.task, evaluates=False)
    yield from length_problems("sampling", stage.sampling, stage.engine, settings)
    trains = getattr(stage.task, "num_train", None)
    if trains is not None and stage.num_prompts is not None and stage.num_prompts > trains:
        yield f"num_prompts is {stage.num_prompts}, and the task has {trains} (task.num_train); raise it, or lower num_prompts"
    yield from asked_problems("judge.by", stage.judge.by)


def reward_model_problems(stage: RewardModelStage) -> Iterator[str]:
    """Say which files of a reward-model stage are not there, and what in it cannot work."""
    for key, names in (("train", stage.data.train), ("held_out", stage.data.held_out or ())):
        for name in names:
            yield from file_problems(f"data.{key}", name)
    warmup = stage.optimizer.schedule.warmup_steps
    if stage.max_steps is not None and warmup >= stage.max_steps:
        yield (
            f"optimizer.schedule.warmup_steps is {warmup}, and the stage has at most {stage.max_steps} steps: the "
            f"learning rate would never reach its peak; use at most {stage.max_steps - 1}"
        )
