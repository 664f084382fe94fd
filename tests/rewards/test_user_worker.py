"""What is made of a user function's answers, in the process that calls it."""

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dunwu.config.functions import FUNCTION_ARGUMENTS
from dunwu.rewards.user_worker import FunctionCaller, read_result

ITEM: dict[str, Any] = dict.fromkeys(FUNCTION_ARGUMENTS)


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (1, {"value": 1.0}),
        (True, {"value": 1.0}),
        (0.25, {"value": 0.25}),
        (Fraction(1, 2), {"value": 0.5}),
        (np.float32(0.5), {"value": 0.5}),
        (np.array(2), {"value": 2.0}),
        (None, {"value": None}),
        ({"a": 1, "b": None}, {"entries": {"a": 1.0, "b": None}}),
        ({"a-b": np.int64(3)}, {"entries": {"a-b": 3.0}}),
    ],
)
def test_what_counts_as_a_result(value: object, result: dict[str, Any]) -> None:
    assert read_result(value) == result


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (math.nan, "it returned nan; it must be finite"),
        (-math.inf, "it returned -inf; it must be finite"),
        (10**400, "it returned a number that cannot be used: int too large"),
        ("1.0", "it returned '1.0' (str); it must be a number, None or a dict of them"),
        ([1.0], "it returned [1.0] (list); it must be a number"),
        (np.array([1.0, 2.0]), "it returned array([1., 2.]) (ndarray); it must be one number"),
        (1j, "it returned 1j (complex); it must be a number"),
        ({}, "it returned an empty dict; return None instead"),
        ({"a": math.nan}, "its entry 'a' is nan; it must be finite"),
        ({"a": "x"}, "its entry 'a' is 'x' (str); it must be a number"),
        ({1: 1.0}, "it returned an entry called 1;"),
        ({"a.b": 1.0}, "it returned an entry called 'a.b'; call it by letters"),
    ],
)
def test_what_is_a_fault(value: object, fault: str) -> None:
    assert read_result(value)["fault"].startswith(fault)


@pytest.fixture
def call(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Calls a function, given by its source, for completions."""

    def run(source: str, completions: list[str], **job: Any) -> dict[str, Any]:
        (tmp_path / "mine.py").write_text(source)
        job = {"path": f"{tmp_path}/mine.py:f", "params": {}, "batched": False, "item_seconds": 5.0, **job}
        job["items"] = [{**ITEM, "completion": text} for text in completions]
        caller = FunctionCaller()
        caller.prepare(job)
        return caller.run(job)

    return run


def test_each_completion_has_its_own_fault(call: Callable[..., dict[str, Any]]) -> None:
    source = (
        "def f(completion):\n    if completion == 'b':\n        raise KeyError(completion)\n    return 1\n"
    )
    reply = call(source, ["a", "b", "c"])
    assert reply == {
        "results": [{"value": 1.0}, {"fault": "KeyError: 'b' (mine.py line 3)"}, {"value": 1.0}],
        "asynchronous": False,
    }


def test_leaving_the_program_is_a_fault_too(call: Callable[..., dict[str, Any]]) -> None:
    assert call("import sys\ndef f(completion): sys.exit(3)\n", ["a"])["results"] == [
        {"fault": "SystemExit: 3 (mine.py line 2)"}
    ]


def test_async_functions_run_side_by_side_each_with_its_own_limit(
    call: Callable[..., dict[str, Any]],
) -> None:
    source = """
import asyncio
meeting = None
async def f(completion):
    global meeting
    meeting = meeting or asyncio.Barrier(2)
    if completion == "hangs":
        await asyncio.sleep(60)
    if completion == "raises":
        raise ValueError("no")
    await meeting.wait()
    return 0.5
"""
    reply = call(source, ["a", "hangs", "raises", "b"], item_seconds=1.0)
    assert reply["asynchronous"] is True
    assert reply["results"] == [
        {"value": 0.5},
        {"fault": "no result within 1 s"},
        {"fault": "ValueError: no (mine.py line 10)"},
        {"value": 0.5},
    ]


@pytest.mark.parametrize("how", ["def", "async def"])
def test_a_batched_function_gets_and_returns_lists(call: Callable[..., dict[str, Any]], how: str) -> None:
    source = f"{how} f(completion, *, bonus):\n    return [len(text) + bonus for text in completion]\n"
    reply = call(source, ["a", "bb"], batched=True, params={"bonus": 0.5})
    assert reply == {"results": [{"value": 1.5}, {"value": 2.5}]}


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("return [1.0]", "it returned 1 results for 2 completions"),
        ("return 1.0", "it returned 1.0 (float); a batched function returns a list of results"),
        ("return {'a': 1, 'b': 2}", "it returned {'a': 1, 'b': 2} (dict); a batched"),
        ("return 'ab'", "it returned 'ab' (str); a batched"),
        ("raise OSError('full')", "OSError: full (mine.py line 2)"),
    ],
)
def test_a_batched_call_that_fails_as_a_whole(
    call: Callable[..., dict[str, Any]], body: str, fault: str
) -> None:
    reply = call(f"def f(completion):\n    {body}\n", ["a", "b"], batched=True)
    assert reply["fault"].startswith(fault)


def test_a_function_that_cannot_be_loaded_says_so_for_every_job(
    call: Callable[..., dict[str, Any]],
) -> None:
    assert "has no function f; did you mean ff?" in call("def ff(completion): return 1\n", ["a"])["fault"]
    assert "needs an argument solution" in call("def f(solution): return 1\n", ["a"])["fault"]
