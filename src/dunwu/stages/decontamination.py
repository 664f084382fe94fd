"""Keeps evaluation items out of what a stage trains on, and leaves a report of it in the stage's folder.

Every stage that asks or trains on problems or conversations passes them through here, by the key of its configuration that they
come from. Made by the pipeline, once for a run; reached through the stage's context.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any, NamedTuple

from dunwu.config.base import ConfigModel
from dunwu.config.recipe import Recipe
from dunwu.data.conversations import Conversation, ConversationSet, load_conversations
from dunwu.data.decontamination import Leak, LeakIndex
from dunwu.data.evaluation_sets import CONVERSATIONS, TASKS, answered, asked, evaluation_items
from dunwu.data.tasks import load_problems
from dunwu.errors import DataError
from dunwu.records import Problem
from dunwu.runs.progress import Progress
from dunwu.runs.stage_folder import StageFolder

MAX_EXAMPLES = 20
_SHOWN_CHARACTERS = 300
_SUSPICIOUS_SHARE = 0.2
_REMOVED = "removed."  # how the pins begin that say which samples were removed


class Sample(NamedTuple):
    """A training sample as it is compared: what it asks, what else it holds (solutions, answers), and its name in reports."""

    questions: Sequence[str]
    texts: Sequence[str]
    name: str


@dataclass(frozen=True)
class Removal:
    """A training sample that was left out: its position, its name, and the leak."""

    index: int
    name: str
    leak: Leak


@dataclass(frozen=True)
class CleanConversations:
    """A set of conversations without those that were removed, by their positions; read anew whenever it is gone through."""

    conversations: ConversationSet
    removed: frozenset[int]

    def __iter__(self) -> Iterator[Conversation]:
        for index, conversation in enumerate(self.conversations):
            if index not in self.removed:
                yield conversation


class Decontamination:
    """All evaluation sets of a recipe, compared with what its stages train on.

    The evaluation sets are read when the first stage asks.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe

    @cached_property
    def _index(self) -> LeakIndex | None:
        config = self._recipe.decontamination
        if config is None:
            return None
        return LeakIndex(evaluation_items(self._recipe), config.ngram_size, config.common_items)

    def clean_problems(
        self, key: str, problems: Sequence[Problem], folder: StageFolder, progress: Progress
    ) -> tuple[Problem, ...]:
        """Return the training problems without those that an evaluation set holds, and report what was left out.

        Args:
            key: of the stage's configuration that the problems come from, for example "task".
        Raises:
            DataError: none would be left.
        """
        removed = self.clean_samples(key, map(_of_problem, problems), folder, progress)
        return tuple(problem for index, problem in enumerate(problems) if index not in removed)

    def clean_conversations(
        self, key: str, conversations: ConversationSet, folder: StageFolder, progress: Progress
    ) -> CleanConversations:
        """Return the training conversations without those that give an evaluation item away, and report what was left out.

        Args:
            key: of the stage's configuration that the conversations come from, for example "data".
        Raises:
            DataError: none would be left, or what reading raises.
        """
        removed = self.clean_samples(key, map(_of_conversation, conversations), folder, progress)
        return CleanConversations(conversations, removed)

    def clean_samples(
        self, key: str, samples: Iterable[Sample], folder: StageFolder, progress: Progress
    ) -> frozenset[int]:
        """Return the positions of the samples that give an evaluation item away, and report them as left out.

        Raises:
            DataError: all of them do.
        """
        count, removed = self._compare(samples)
        self._report(key, count, removed, folder, progress)
        return frozenset(removal.index for removal in removed)

    def digest(self, part: ConfigModel, seed: int) -> str | None:
        """Return `removed_digest` of the training samples that a part of a recipe names; None for a part of another kind than
        tasks and conversations."""
        if isinstance(part, TASKS):
            return removed_digest(self._compare(map(_of_problem, load_problems(part, seed).train))[1])
        if isinstance(part, CONVERSATIONS):
            return removed_digest(self._compare(map(_of_conversation, load_conversations(part).train))[1])
        return None

    def _compare(self, samples: Iterable[Sample]) -> tuple[int, list[Removal]]:
        """Count samples, and find those that give an evaluation item away."""
        removed = []
        count = 0
        for index, sample in enumerate(samples):
            count += 1
            leak = self._index.find(sample.questions, sample.texts) if self._index is not None else None
            if leak is not None:
                removed.append(Removal(index, sample.name, leak))
        return count, removed

    def _report(
        self, key: str, count: int, removed: Sequence[Removal], folder: StageFolder, progress: Progress
    ) -> None:
        config = self._recipe.decontamination
        folder.pin({_REMOVED + key: removed_digest(removed)})
        if config is None or self._index is None:
            progress.message(
                f"{folder.name}.{key} is not compared with any evaluation set: decontamination is switched off"
            )
            return
        sets = Counter(removal.leak.item.set_name for removal in removed)
        items = Counter(item.set_name for item in self._index.items)
        report = folder.read_decontamination()
        report[key] = {
            "ngram_size": config.ngram_size,
            "samples": count,
            "removed": len(removed),
            "evaluation_sets": {name: {"items": items[name], "removed": sets[name]} for name in items},
            "examples": [_example(removal) for removal in removed[:MAX_EXAMPLES]],
        }
        folder.write_decontamination(report)
        if removed:
            progress.message(_told(folder.name, key, count, removed))
        if len(removed) == count:
            raise DataError(
                f"every training sample of {folder.name}.{key} holds an evaluation item, the first is "
                f"{removed[0].name[:120]!r}, which shares {removed[0].leak.shared[:120]!r} with {removed[0].leak.item.set_name}; "
                'train on other data, or set decontamination.common_items lower, or decontamination = "none"'
            )


def _of_problem(problem: Problem) -> Sample:
    return Sample([problem.question], [problem.reference], problem.question)


def _of_conversation(conversation: Conversation) -> Sample:
    questions = asked(conversation.messages)
    name = f"{conversation.where}: {questions[0] if questions else ''}"
    return Sample(questions, answered(conversation.messages), name)


def removed_key(pinned: str) -> str | None:
    """Return the key of the configuration whose removed samples a pin is about; None for another pin."""
    return pinned.removeprefix(_REMOVED) if pinned.startswith(_REMOVED) else None


def removed_digest(removed: Sequence[Removal]) -> str:
    """Return 32 hex digits that change when other samples are removed."""
    return blake2b(repr([removal.index for removal in removed]).encode(), digest_size=16).hexdigest()


def _told(stage: str, key: str, count: int, removed: Sequence[Removal]) -> str:
    first = removed[0]
    text = (
        f"{len(removed):,} of {count:,} training samples of {stage}.{key} are left out because they hold an evaluation item "
        f"(the first: {first.name[:80]!r}, which is in the {first.leak.item.set_name})"
    )
    if len(removed) > _SUSPICIOUS_SHARE * count:
        text += "; that is much: if it is a shared instruction or template and no leak, set decontamination.common_items lower"
    return text


def _example(removal: Removal) -> dict[str, Any]:
    item = removal.leak.item
    return {
        "sample": removal.name[:_SHOWN_CHARACTERS],
        "shared": removal.leak.shared[:_SHOWN_CHARACTERS],
        "evaluation_set": item.set_name,
        "evaluation_item": item.id,
        "evaluation_question": item.question[:_SHOWN_CHARACTERS],
    }
