"""Generates reasoning-gym problems in a process of its own: `python -m dunwu.data.gym_generator`, JSON in,
JSON out.

A process of its own because some data sets go through Python sets, whose order follows PYTHONHASHSEED: with a
fixed one the same seed gives the same problems on every run, which a resumed run relies on. Called by
`data.task_reasoning_gym`.
"""

import contextlib
import dataclasses
import json
import random
import sys
from typing import Any

from dunwu.data.gym_entries import encode_entry
from dunwu.data.separation import normalise_question

OVERDRAW = 4
"""Indices tried for each question asked for, before a data set is taken to have no more different ones."""


def generate(request: dict[str, Any]) -> dict[str, Any]:
    """Return `num` entries with different questions for each part of a request, no question in two parts.

    Request: {"dataset", "params", "parts": [{"seed", "num"}, ...]}. Reply: {"parts": [{"entries": [encoded
    entry, ...], "num_repeated": int}, ...]}, with fewer entries where the data set holds no more; or
    {"unknown_dataset": names}, {"unknown_param": [name, names]}, {"invalid": message}.
    """
    from reasoning_gym.factory import DATASETS

    name, params = request["dataset"], request["params"]
    if name not in DATASETS or name == "composite":
        return {"unknown_dataset": sorted(set(DATASETS) - {"composite"})}
    known = {field.name for field in dataclasses.fields(DATASETS[name][1])} - {"seed", "size"}
    for param in params:
        if param not in known:
            return {"unknown_param": [param, sorted(known)]}
    seen: set[str] = set()
    try:
        return {"parts": [_generate_part(name, params, part, seen) for part in request["parts"]]}
    except (AssertionError, ValueError, TypeError) as error:
        return {"invalid": str(error) or type(error).__name__}


def _generate_part(name: str, params: dict[str, Any], part: dict[str, int], seen: set[str]) -> dict[str, Any]:
    import reasoning_gym

    size = OVERDRAW * part["num"]
    random.seed(part["seed"])  # for the data sets that draw from the global generator
    dataset = reasoning_gym.create_dataset(name, **params, seed=part["seed"], size=size)
    entries: list[Any] = []
    num_repeated = 0
    for index in range(size):
        entry = dataset[index]
        key = normalise_question(entry["question"])
        if key in seen:
            num_repeated += 1
            continue
        seen.add(key)
        entries.append(encode_entry(entry))
        if len(entries) == part["num"]:
            break
    return {"entries": entries, "num_repeated": num_repeated}


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):  # data sets may print
        reply = generate(json.load(sys.stdin))
    json.dump(reply, sys.stdout)
