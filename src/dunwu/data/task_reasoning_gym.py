"""Problems from the data sets of the reasoning-gym package, judged by their own scorers."""

import importlib.util
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import dunwu
from dunwu.config.keys import nearest
from dunwu.config.task import ReasoningGymTask
from dunwu.data.gym_entries import decode_entry
from dunwu.data.separation import question_hash
from dunwu.errors import DataError, DependencyError, DunwuWarning
from dunwu.functional.seeds import derive_seed
from dunwu.records import Problem

_HELD_OUT_SEED = 0  # not the run's: runs with different seeds are judged on the same problems


def load_gym_problems(task: ReasoningGymTask, seed: int) -> tuple[list[Problem], list[Problem], int]:
    """Return train problems, held-out problems, and how many repeated questions were passed over.

    The held-out problems come first, from a seed that is the same in every run; questions that came up among
    them are passed over when the train problems are drawn.

    Raises:
        DependencyError: reasoning-gym is not installed.
        DataError: unknown data set or parameter (the nearest is named), a value it refuses, or no train
            problem left.
    Warns:
        DunwuWarning: the data set holds fewer different questions than asked for.
    """
    parts = [_held_out_part(task), {"seed": _gym_seed(seed, task, "train"), "num": task.num_train}]
    reply = _generated(task, parts)
    held_out, train = ([_problem(task, entry) for entry in part["entries"]] for part in reply["parts"])
    if not train:
        raise DataError(
            f"reasoning-gym's {task.dataset} has only about {len(held_out)} different questions with these "
            "parameters, and all are held out; set num_held_out lower or make the task wider"
        )
    for found, wanted, name in (
        (train, task.num_train, "num_train"),
        (held_out, task.num_held_out, "num_held_out"),
    ):
        if len(found) < wanted:
            warnings.warn(
                f"reasoning-gym's {task.dataset} gave {len(found)} different questions for {name} = {wanted}",
                DunwuWarning,
                stacklevel=2,
            )
    return train, held_out, sum(part["num_repeated"] for part in reply["parts"])


def load_gym_held_out(task: ReasoningGymTask) -> list[Problem]:
    """Return the held-out problems alone, the same as `load_gym_problems` gives; raises as that does."""
    (part,) = _generated(task, [_held_out_part(task)])["parts"]
    return [_problem(task, entry) for entry in part["entries"]]


def _held_out_part(task: ReasoningGymTask) -> dict[str, int]:
    return {"seed": _gym_seed(_HELD_OUT_SEED, task, "held_out"), "num": task.num_held_out}


def _generated(task: ReasoningGymTask, parts: list[dict[str, int]]) -> dict[str, Any]:
    if importlib.util.find_spec("reasoning_gym") is None:
        raise DependencyError("the task needs the reasoning-gym package: pip install 'dunwu[tasks]'")
    if fixed := {"seed", "size"} & task.params.keys():
        raise DataError(
            f"task.params sets {', '.join(sorted(fixed))}; use the recipe's seed, num_train, num_held_out"
        )
    return run_generator({"dataset": task.dataset, "params": task.params, "parts": parts})


def _gym_seed(seed: int, task: ReasoningGymTask, split: str) -> int:
    # Entry i of a data set is drawn from seed + i, so the seeds of two splits must lie far apart.
    return derive_seed(seed, "reasoning_gym", task.dataset, split) % 2**31


def run_generator(request: dict[str, Any]) -> dict[str, Any]:
    """Run `gym_generator` in a process with a fixed hash seed, and return its checked reply.

    Raises:
        DataError: the generator fails, or what `checked_reply` raises.
    """
    package_root = str(Path(dunwu.__file__).parent.parent)
    python_path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "dunwu.data.gym_generator"],
        input=json.dumps(request),
        env={**os.environ, "PYTHONPATH": python_path, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = done.stderr.strip().rpartition("\n")[2]
        raise DataError(
            f"reasoning-gym's {request['dataset']} fails to generate with {request['params']}: {reason}"
        )
    return checked_reply(request, json.loads(done.stdout))


def checked_reply(request: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
    """Return a generator's reply if it holds problems.

    Raises:
        DataError: it says that the data set or a parameter is unknown, or that a value is refused.
    """
    dataset = request["dataset"]
    match reply:
        case {"unknown_dataset": names}:
            raise DataError(f"reasoning-gym has no data set {dataset!r}{_hint(dataset, names)}")
        case {"unknown_param": [param, names]}:
            raise DataError(f"reasoning-gym's {dataset} has no parameter {param!r}{_hint(param, names)}")
        case {"invalid": message}:
            raise DataError(
                f"reasoning-gym's {dataset} refuses the parameters {request['params']}: {message}"
            )
    return reply


def _hint(word: str, names: list[str]) -> str:
    near = nearest(word, names)
    return f"; did you mean {near!r}?" if near else f"; there are {', '.join(names)}"


def _problem(task: ReasoningGymTask, encoded: Any) -> Problem:
    entry = decode_entry(encoded)
    question = entry["question"]
    if task.answer_instruction:
        question = f"{question}\n\n{task.answer_instruction}"
    return Problem(
        id=f"{task.dataset}-{question_hash(entry['question'])}",
        kind=task.dataset,
        question=question,
        reference="" if entry["answer"] is None else str(entry["answer"]),
        grader=task.grader,
        metadata={"dataset": task.dataset, "params": task.params, "entry": encoded},
    )
