"""Write recipes/data/easy-tasks.jsonl: sums of reasoning-gym and one-line Python functions, for a model of 135 M parameters.

    python tools/make_easy_tasks.py

The functions are checked in the sandbox by calls with inputs that the question does not show. Same file on every call.
"""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import reasoning_gym

OUT = Path(__file__).parents[1] / "recipes" / "data" / "easy-tasks.jsonl"
NUM_SUMS = 240
SUMS = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
INPUTS = (0, 3, 7, -2)
FUNCTIONS: dict[str, tuple[str, Callable[[int, int], Any]]] = {
    "add_{n}": ("x plus {n}", lambda x, n: x + n),
    "subtract_{n}": ("x minus {n}", lambda x, n: x - n),
    "times_{n}": ("x times {n}", lambda x, n: x * n),
    "bigger_{n}": ("the larger of x and {n}", lambda x, n: max(x, n)),
    "smaller_{n}": ("the smaller of x and {n}", lambda x, n: min(x, n)),
    "remainder_{n}": ("the remainder of x divided by {n}", lambda x, n: x % n),
    "is_{n}": ("True if x is equal to {n}, otherwise False", lambda x, n: x == n),
    "above_{n}": ("True if x is greater than {n}, otherwise False", lambda x, n: x > n),
}


def sums() -> Iterator[dict[str, Any]]:
    """Yield sums of two numbers, each question once."""
    seen: set[str] = set()
    for item in reasoning_gym.create_dataset("chain_sum", size=3 * NUM_SUMS, seed=1, **SUMS):
        question = item["question"].strip()
        if question not in seen and len(seen) < NUM_SUMS:
            seen.add(question)
            yield {
                "kind": "sum",
                "question": question,
                "task": {"kind": "math", "reference": str(item["answer"])},
            }


def functions() -> Iterator[dict[str, Any]]:
    """Yield functions of one argument and a number from 2 to 31."""
    for name, (what, function) in FUNCTIONS.items():
        for n in range(2, 32):
            called = name.format(n=n)
            calls = [{"function": called, "args": [x], "expected": function(x, n)} for x in (*INPUTS, n)]
            yield {
                "kind": "function",
                "question": f"Write a Python function {called}(x) that returns {what.format(n=n)}.",
                "task": {"kind": "code", "language": "python", "calls": calls},
            }


def main() -> None:
    """Write the file, its rows shuffled."""
    rows = [*sums(), *functions()]
    random.Random(1).shuffle(rows)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    print(f"{len(rows)} rows in {OUT}")


if __name__ == "__main__":
    main()
