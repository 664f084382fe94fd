"""A process that calls one user function: reads jobs from a socket, answers each, carries its own time limit.

Like `worker`, but for code that the user trusts: no guard and no memory limit, and what it prints goes to the
standard error of the run. Started by `worker_pool`; imports no torch unless the user's module does.
"""

import asyncio
import inspect
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from numbers import Real
from typing import Any

from dunwu.config.functions import (
    FUNCTION_ARGUMENTS,
    FunctionError,
    failing_line,
    load_function,
    wanted_arguments,
)
from dunwu.rewards.worker import PARENT_CHECK_SECONDS, serve, set_signals

Result = dict[str, Any]
"""Of one completion: {"value": number or None}, {"entries": {name: number or None}} or {"fault": sentence}."""


class FunctionCaller:
    """Loads a function once and calls it for jobs.

    A job is {"path", "params", "batched", "items": [arguments by name], "item_seconds"}; its reply is
    {"results": one `Result` for each item, "asynchronous"} or, where the call as a whole failed, {"fault"}.
    """

    def __init__(self) -> None:
        self._function: Callable[..., Any] | FunctionError | None = None
        self._arguments: list[str] = []
        self._loop = asyncio.Runner()

    def prepare(self, job: dict[str, Any]) -> None:
        """Load the function of the first job; the process serves no other."""
        if self._function is None:
            try:
                self._function = load_function(job["path"])
                self._arguments = wanted_arguments(self._function, FUNCTION_ARGUMENTS, job["params"])
            except FunctionError as error:
                self._function = error

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """Call the function for a job's items and return the reply."""
        if isinstance(self._function, FunctionError):
            return {"fault": str(self._function)}
        items = [{name: item[name] for name in self._arguments} for item in job["items"]]
        if job["batched"]:
            return self._call_batch(items, job["params"])
        return self._call_each(items, job["params"], job["item_seconds"])

    def _call_batch(self, items: Sequence[dict[str, Any]], params: dict[str, Any]) -> dict[str, Any]:
        assert callable(self._function)
        columns = {name: [item[name] for item in items] for name in self._arguments}
        try:
            values = self._function(**columns, **params)
            if inspect.isawaitable(values):
                values = self._loop.run(_wait_for(values))
        except (Exception, SystemExit) as error:
            return {"fault": fault_of(error)}
        if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__len__"):
            return {"fault": f"it returned {_shown(values)}; a batched function returns a list of results"}
        if len(values) != len(items):
            return {"fault": f"it returned {len(values)} results for {len(items)} completions"}
        return {"results": [read_result(value) for value in values]}

    def _call_each(
        self, items: Sequence[dict[str, Any]], params: dict[str, Any], seconds: float
    ) -> dict[str, Any]:
        assert callable(self._function)
        results: list[Result | Awaitable[Any]] = []
        for item in items:
            try:
                value = self._function(**item, **params)
            except (Exception, SystemExit) as error:
                results.append({"fault": fault_of(error)})
                continue
            results.append(value if inspect.isawaitable(value) else read_result(value))
        asynchronous = any(inspect.isawaitable(result) for result in results)
        return {"results": self._loop.run(_gather(results, seconds)), "asynchronous": asynchronous}


async def _wait_for(value: Awaitable[Any]) -> Any:
    return await value


async def _gather(results: Sequence[Result | Awaitable[Any]], seconds: float) -> list[Result]:
    """Wait for the asynchronous among the results, side by side, each within its own limit."""

    async def finished(result: Result | Awaitable[Any]) -> Result:
        if isinstance(result, dict):
            return result
        try:
            return read_result(await asyncio.wait_for(result, seconds))
        except TimeoutError:
            return {"fault": f"no result within {seconds:g} s"}
        except (Exception, SystemExit) as error:
            return {"fault": fault_of(error)}

    return list(await asyncio.gather(*(finished(result) for result in results)))


def read_result(value: Any) -> Result:
    """Check what a function returned for one completion."""
    if value is None:
        return {"value": None}
    if isinstance(value, Mapping):
        return _read_entries(value)
    number, why = _read_number(value)
    return {"value": number} if why is None else {"fault": f"it returned {why}"}


def _read_entries(entries: Mapping[Any, Any]) -> Result:
    found: dict[str, float | None] = {}
    for name, value in entries.items():
        if not isinstance(name, str) or not name or not name.replace("-", "_").isidentifier():
            return {"fault": f"it returned an entry called {name!r}; call it by letters, digits, _ and -"}
        number, why = (None, None) if value is None else _read_number(value)
        if why is not None:
            return {"fault": f"its entry {name!r} is {why}"}
        found[name] = number
    return {"entries": found} if found else {"fault": "it returned an empty dict; return None instead"}


def _read_number(value: Any) -> tuple[float | None, str | None]:
    if not isinstance(value, Real) and hasattr(value, "item") and getattr(value, "size", 1) != 0:
        try:
            value = value.item()  # a scalar of numpy or torch
        except (TypeError, ValueError, RuntimeError):
            return None, f"{_shown(value)}; it must be one number"
    if not isinstance(value, Real):
        return None, f"{_shown(value)}; it must be a number, None or a dict of them"
    try:
        number = float(value)
    except (OverflowError, ValueError, TypeError) as error:
        return None, f"a number that cannot be used: {error}"
    return (number, None) if math.isfinite(number) else (None, f"{number}; it must be finite")


def fault_of(error: BaseException) -> str:
    """Name an exception that a function raised, and where."""
    return f"{type(error).__name__}: {error}"[:500] + failing_line(error)


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"


def _end_with_parent() -> None:
    """End this process and what it started as soon as the parent is gone, whatever the function is doing."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_CHECK_SECONDS)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    os.dup2(2, 1)
    set_signals()
    _end_with_parent()
    caller = FunctionCaller()
    serve(Connection(int(sys.argv[1])), caller.run, caller.prepare)
