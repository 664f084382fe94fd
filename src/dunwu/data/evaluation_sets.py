"""The evaluation sets of a whole recipe, as items that training texts are compared with.

They are the held-out problems and conversations of every stage, and the files that `[decontamination]` names. What a stage makes
is no source of them: it is made of training problems. Called by the stages' decontamination.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from dunwu.config.base import ConfigModel
from dunwu.config.decontamination import EvaluationFile
from dunwu.config.recipe import Recipe
from dunwu.config.references import references
from dunwu.config.sft import MessagesData, PairsData, WorldData
from dunwu.config.task import FileTask, ReasoningGymTask, WorldTask
from dunwu.data.conversations import load_conversations
from dunwu.data.decontamination import EvaluationItem
from dunwu.data.tables import read_rows
from dunwu.data.tasks import load_held_out

TASKS = (WorldTask, ReasoningGymTask, FileTask)
CONVERSATIONS = (MessagesData, PairsData, WorldData)
Part = WorldTask | ReasoningGymTask | FileTask | MessagesData | PairsData | WorldData


class EvaluationSource(NamedTuple):
    """Part of a stage's configuration that holds something out, and what reports call that."""

    name: str
    part: Part


def evaluation_sources(recipe: Recipe) -> list[EvaluationSource]:
    """List the parts of all stages that hold something out, each once, but for those whose data a stage makes."""
    found: list[EvaluationSource] = []
    for stage in recipe.stages:
        for key, part in _parts(stage):
            made_here = any(reference.stage is not None for reference in references(part))
            if not made_here and all(part != source.part for source in found):
                found.append(EvaluationSource(f"held-out set of {stage.name}.{key}", part))
    return found


def evaluation_items(recipe: Recipe) -> Iterator[EvaluationItem]:
    """Yield every item of every evaluation set.

    Problems that a generator makes are alike by construction, and are compared as a whole only; so are conversations held out of
    a training file, which share its way of writing.

    Raises:
        DataError, DependencyError: a source cannot be read.
    """
    for source in evaluation_sources(recipe):
        if isinstance(source.part, TASKS):
            yield from _problem_items(source.name, source.part)
        else:
            yield from _conversation_items(source.name, source.part)
    if recipe.decontamination is not None:
        for file in recipe.decontamination.against:
            yield from _file_items(file)


def _parts(config: Any, key: str = "") -> Iterator[tuple[str, Part]]:
    """Yield every task and every source of conversations in a part of a recipe, with its key."""
    if isinstance(config, (*TASKS, *CONVERSATIONS)):
        yield key, config
    elif isinstance(config, ConfigModel):
        for name in type(config).model_fields:
            yield from _parts(getattr(config, name), f"{key}.{name}".lstrip("."))
    elif isinstance(config, tuple | list):
        for index, inner in enumerate(config):
            yield from _parts(inner, f"{key}.{index}")


def _problem_items(name: str, task: WorldTask | ReasoningGymTask | FileTask) -> Iterator[EvaluationItem]:
    whole_only = not isinstance(task, FileTask)
    for problem in load_held_out(task):
        where = str(problem.metadata.get("where", problem.id))
        yield EvaluationItem(name, where, problem.question, problem.reference, whole_only)


def _conversation_items(name: str, data: MessagesData | PairsData | WorldData) -> Iterator[EvaluationItem]:
    whole_only = data.held_out is None and data.held_out_split is None
    for conversation in load_conversations(data).held_out:
        for question in asked(conversation.messages):
            yield EvaluationItem(name, conversation.where, question, whole_only=whole_only)


def _file_items(file: EvaluationFile) -> Iterator[EvaluationItem]:
    columns = [column for column in (file.question_column, file.answer_column) if column is not None]
    for row in read_rows(file.source, columns, split=file.split, subset=file.subset):
        solution = row.values[file.answer_column] if file.answer_column is not None else ""
        yield EvaluationItem(file.source, row.where, str(row.values[file.question_column]), str(solution))


def asked(messages: Sequence[Any]) -> list[str]:
    """Return what users say in a conversation."""
    return [message["content"] for message in messages if message["role"] == "user"]


def answered(messages: Sequence[Any]) -> list[str]:
    """Return what a conversation's assistant says and thinks."""
    texts = []
    for message in messages:
        if message["role"] == "assistant":
            texts += [message["content"], message.get("reasoning_content") or ""]
    return texts
