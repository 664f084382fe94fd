"""What in a comparison of models cannot work, as far as the recipe and model folders tell. Called by `config.check`."""

from collections.abc import Iterator

from dunwu.config.asked_as import HasChatTemplate, asked_as
from dunwu.config.comparison import ComparisonStage, WorldTruth
from dunwu.config.recipe import Recipe
from dunwu.config.task import FileTask, Task, WorldTask
from dunwu.errors import ConfigError


def comparison_problems(
    stage: ComparisonStage, recipe: Recipe, has_chat_template: HasChatTemplate
) -> Iterator[str]:
    """Say which columns cannot be asked and which prompts are too few or cannot be judged, each with its key."""
    yield from _count_problems("num_problems", stage.num_problems, "task", stage.task)
    if stage.general is not None:
        yield from _count_problems("num_general", stage.num_general, "general", stage.general)
        if isinstance(stage.general_judge, WorldTruth) and not isinstance(stage.general, WorldTask):
            yield (
                f'general_judge.kind is "world", and general.kind is "{stage.general.kind}": the embedded world knows the truth '
                'about its own prompts only; use the judge "reward_model" or "pairwise"'
            )
    for column in stage.columns:
        try:
            asked_as(column, recipe, has_chat_template)
        except ConfigError as error:
            yield f"columns.{column.label}: {error}"


def _count_problems(key: str, wanted: int, task_key: str, task: Task) -> Iterator[str]:
    counted = not (isinstance(task, FileTask) and task.held_out is not None)
    if counted and task.num_held_out < wanted:
        yield (
            f"{key} is {wanted}, and the task holds out {task.num_held_out} ({task_key}.num_held_out); lower the one or raise "
            "the other"
        )
