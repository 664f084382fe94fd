"""The instruction grader: which of a prompt's verifiable instructions does a response follow?

The task's metadata is a row of IFEval: "instruction_id_list" and, for each id, its arguments in "kwargs". Two
keys are ours: "mode" ("strict", or "loose": the response may also be read without its first or last line and
without asterisks) and "score" ("all", or "fraction" of the instructions followed). Called by `accuracy`.
"""

from collections.abc import Mapping
from typing import Any

from dunwu.records import Problem, RewardPart
from dunwu.rewards.answers import last_tagged
from dunwu.rewards.instruction_checks import argument_fault, follows

MAX_RESPONSE_CHARS = 200_000
_MODES, _SCORES = ("strict", "loose"), ("all", "fraction")


def instructions_fault(problem: Problem) -> str | None:
    """Return why no response to a problem can be judged: an unknown instruction, or an argument that is
    missing or wrong."""
    metadata = problem.metadata
    ids, arguments = metadata.get("instruction_id_list"), metadata.get("kwargs", [])
    if not isinstance(ids, list | tuple) or not ids:
        return f"instruction_id_list is {ids!r:.80}; it must be a list of instruction ids"
    if not isinstance(arguments, list | tuple) or len(arguments) not in (0, len(ids)):
        return f"kwargs is {arguments!r:.80}; it must be a list with one object for each of the {len(ids)} instructions"
    if not all(argument is None or isinstance(argument, Mapping) for argument in arguments):
        return "kwargs holds something that is no object"
    for name, allowed in (("mode", _MODES), ("score", _SCORES)):
        if metadata.get(name, allowed[0]) not in allowed:
            return f"{name} is {metadata[name]!r}; it must be {' or '.join(allowed)}"
    return next((fault for pair in _instructions(problem) if (fault := argument_fault(*pair))), None)


def judge_instructions(summary: str | None, problem: Problem) -> RewardPart:
    """Return 1 if a response follows every instruction, else 0; or the fraction that it follows.

    Args:
        summary: what follows the thinking; of an answer in tags their content is the response. An empty
            response follows nothing.
        problem: without a fault (`instructions_fault`).
    """
    tagged = None if summary is None else last_tagged(summary)
    response = (summary or "") if tagged is None else tagged
    if not response.strip():
        return RewardPart(0.0, detail="no response after thinking has ended")
    if len(response) > MAX_RESPONSE_CHARS:
        return RewardPart(0.0, detail=f"the response has more than {MAX_RESPONSE_CHARS} characters")
    loose = problem.metadata.get("mode", "strict") == "loose"
    readings = [text for text in (_readings(response) if loose else [response]) if text.strip()]
    instructions = _instructions(problem)
    missed = [
        instruction
        for instruction, arguments in instructions
        if not any(follows(instruction, arguments, reading) for reading in readings)
    ]
    fraction = 1 - len(missed) / len(instructions)
    value = fraction if problem.metadata.get("score", "all") == "fraction" else float(not missed)
    return RewardPart(value, detail=f"does not follow {', '.join(missed)}" if missed else "")


def _instructions(problem: Problem) -> list[tuple[str, dict[str, Any]]]:
    """Return each instruction with its arguments; None stands for an argument that it does not have, as in a
    table."""
    ids = problem.metadata["instruction_id_list"]
    arguments = problem.metadata.get("kwargs") or [{}] * len(ids)
    return [
        (str(name), {key: _whole(value) for key, value in (given or {}).items() if value is not None})
        for name, given in zip(ids, arguments, strict=True)
    ]


def _whole(value: Any) -> Any:
    """Return a whole number as an integer: tables with gaps turn counts into floats."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _readings(response: str) -> list[str]:
    lines = response.split("\n")
    cut = [response, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    return [*cut, *(text.replace("*", "") for text in cut)]
