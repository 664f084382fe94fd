"""What every training stage does around its steps: go on from a checkpoint, load the policy, evaluate once, measure.

Called by the loops of the stages.
"""

import resource
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dunwu.config.training import CheckpointConfig, ModelConfig
from dunwu.errors import RunError
from dunwu.functional.phases import phase
from dunwu.models.loading import load_policy
from dunwu.models.policy import Policy
from dunwu.records import RolloutGroup
from dunwu.runs.checkpoints import Checkpoint
from dunwu.stages.context import StageContext
from dunwu.training.weights import policy_folder


def go_back(context: StageContext) -> Checkpoint | None:
    """Put the stage's folder back to its newest whole checkpoint, or to its beginning, and return that checkpoint.

    Raises:
        RunError: what the stage has written up to there is missing or damaged.
    """
    checkpoint = context.folder.latest_checkpoint()
    context.folder.rewind(0 if checkpoint is None else checkpoint.step)
    context.folder.require_samples()
    return checkpoint


def stage_model(context: StageContext, checkpoint: Checkpoint | None) -> ModelConfig:
    """Return the model that a checkpoint holds, or the one the stage starts from."""
    if checkpoint is None:
        return context.model
    path = str(policy_folder(checkpoint.path))
    return ModelConfig.model_validate({**context.model.model_dump(), "path": path})


def load_stage_policy(context: StageContext, checkpoint: Checkpoint | None) -> Policy:
    """Load the policy of a checkpoint, or the model the stage starts from."""
    return load_policy(stage_model(context, checkpoint))


def evaluate_once(
    context: StageContext,
    label: str,
    step: int,
    evaluate: Callable[[], tuple[Mapping[str, Any], Sequence[RolloutGroup]]],
    *,
    state_step: int,
) -> Mapping[str, Any]:
    """Evaluate after `step` and write figures and samples into the run folder, unless that evaluation is already there.

    Args:
        evaluate: returns the figures, which must be the same on every repetition, and the samples behind them.
        state_step: the step after which the stage's model stands now, `step` or a later one.
    Returns:
        The figures as they are in the run folder.
    Raises:
        RunError: the evaluation is not there, and the model that it is of is not there any more.
    """
    folder = context.folder
    written = folder.read_evaluation(label)
    if written is None and state_step > step:
        raise RunError(
            f"the evaluation {label} of stage {folder.name}, made after step {step}, is missing, and its model is gone: the "
            f"stage stands at step {state_step}. Restore {label}.json and {label}.parquet in {folder.path / 'evaluation'} "
            f"from a copy, or delete {folder.path} to start the stage again"
        )
    if written is None:
        start = time.monotonic()
        figures, groups = evaluate()
        folder.write_evaluation(label, figures, groups, step=step)
        folder.run.log("evaluated", stage=folder.name, label=label, seconds=time.monotonic() - start)
        written = folder.read_evaluation(label)
        assert written is not None
    return written


@phase("checkpoint")
def save_checkpoint(
    context: StageContext,
    config: CheckpointConfig,
    step: int,
    write: Callable[[Path], None],
    score: Callable[[Mapping[str, Any]], float | None],
) -> None:
    """Write a checkpoint after `step`, scored by the evaluation that was made there, if there was one.

    Args:
        score: makes of an evaluation's figures a number that is higher for a better model.
    """
    figures = context.folder.read_evaluation(evaluation_label(step))
    context.folder.save_checkpoint(
        step,
        write,
        config.keep_last,
        keep_best=config.keep_best,
        score=None if figures is None else score(figures),
    )


def without_evaluation(context: StageContext, steps: Iterable[int]) -> list[int]:
    """Return those of the steps whose evaluation is not in the run folder."""
    labels = set(context.folder.evaluation_labels())
    return [step for step in steps if evaluation_label(step) not in labels]


def evaluation_label(step: int) -> str:
    """Return what an evaluation during a stage is called."""
    return f"step-{step:06d}"


def wall_seconds(context: StageContext) -> float:
    """Seconds of work in the stage's steps and evaluations; time lost to a kill is not in it."""
    evaluations: dict[str, float] = {}
    for event in context.folder.run.read_events():
        if event.get("stage") == context.folder.name:
            if event["event"] == "stage begun":
                evaluations.clear()  # those before are of a stage of this name that was set aside
            elif event["event"] == "evaluated":
                evaluations[event["label"]] = event["seconds"]
    steps = sum(record["wall_seconds"] for record in context.folder.read_timings())
    return round(steps + sum(evaluations.values()), 1)


def peak_memory_bytes() -> int:
    """The most memory that this process has had resident so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
