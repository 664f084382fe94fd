"""From a recipe's task to train and held-out problems that share nothing. Called by the stages and by
evaluation."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b

from dunwu.config.task import FileTask, ReasoningGymTask, Task, WorldTask
from dunwu.data.separation import drop_duplicates, require_separate
from dunwu.data.task_file import load_file_problems
from dunwu.data.task_reasoning_gym import load_gym_held_out, load_gym_problems
from dunwu.data.world.problems import generate_problems
from dunwu.errors import DataError
from dunwu.records import Problem

_WORLD_HELD_OUT_SEED = 0  # not the run's: runs with different seeds are judged on the same problems


@dataclass(frozen=True)
class ProblemSets:
    """What a task gives. No question occurs twice in a set, and none in both.

    `num_duplicates` counts repeated questions that were dropped, of either set.
    """

    train: Sequence[Problem]
    held_out: Sequence[Problem]
    num_duplicates: int = 0


def load_problems(task: Task, seed: int) -> ProblemSets:
    """Load or generate a task's problems.

    The held-out set does not depend on the seed, so that runs with different seeds can be compared.

    Args:
        task: where the problems come from.
        seed: of the run; draws the train problems of generated tasks.
    Raises:
        DataError: the source is wrong (see each source), or train and held-out problems overlap.
        DependencyError: an optional package that the source needs is missing.
    """
    match task:
        case WorldTask():
            drawn = generate_problems(task.kinds, task.languages, task.num_train, seed, "train")
            held_out = _world_held_out(task)
            train, num_duplicates = drop_duplicates(drawn)
        case ReasoningGymTask():
            train, held_out, num_duplicates = load_gym_problems(task, seed)
        case FileTask():
            train, held_out, num_duplicates = load_file_problems(task)
    require_separate(train, held_out)
    return ProblemSets(tuple(train), tuple(held_out), num_duplicates)


def load_held_out(task: Task) -> tuple[Problem, ...]:
    """Load or generate a task's held-out problems alone, the same as `load_problems` gives with any seed; raises as that does."""
    match task:
        case WorldTask():
            return tuple(_world_held_out(task))
        case ReasoningGymTask():
            return tuple(load_gym_held_out(task))
        case FileTask():
            return tuple(load_file_problems(task)[1])


def _world_held_out(task: WorldTask) -> list[Problem]:
    return generate_problems(task.kinds, task.languages, task.num_held_out, _WORLD_HELD_OUT_SEED, "held_out")


def first_held_out(problems: Sequence[Problem], wanted: int, key: str = "num_problems") -> Sequence[Problem]:
    """Return the first `wanted` of a task's held-out problems.

    Args:
        key: of the recipe that says how many, for the message.
    Raises:
        DataError: there are fewer.
    """
    if len(problems) < wanted:
        raise DataError(
            f"{key} is {wanted}, but the task has {len(problems)} held-out problems; lower it, or give the task more held-out "
            "problems"
        )
    return problems[:wanted]


def fingerprint(problem_sets: ProblemSets) -> str:
    """Return 32 hex digits that change when any field of any problem, or the order of a set, changes."""
    digest = blake2b(digest_size=16)
    for name, problems in (("train", problem_sets.train), ("held_out", problem_sets.held_out)):
        digest.update(f"{name} {len(problems)}\n".encode())
        for problem in problems:
            content = {**asdict(problem), "metadata": dict(problem.metadata)}
            digest.update(json.dumps(content, sort_keys=True, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()
