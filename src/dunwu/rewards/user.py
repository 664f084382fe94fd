"""A user's reward function: completions queue up, and processes of its own call it for one or for several at once.

A call that fails as a whole (it raises, takes too long, returns a list of the wrong length, crashes its process)
is repeated completion by completion, so that only those at fault pay for it. Faults become parts with status
"error", never exceptions. Called by `grading`; the processes are `worker_pool`'s, what runs in them is
`user_worker`.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from dunwu.config.functions import FUNCTION_ARGUMENTS
from dunwu.config.reward import FunctionReward
from dunwu.records import RewardPart
from dunwu.rewards.item import GradingItem
from dunwu.rewards.service import BusyLog
from dunwu.rewards.worker_pool import JobCrashError, JobLimits, JobLostError, JobTimeoutError, WorkerPool

_ASYNC_GRACE_SECONDS = (
    2.0  # a coroutine ends itself at its limit; the process is ended when that does not help
)


@dataclass(frozen=True)
class FunctionVerdict:
    """What a function says of one completion: its part, and the entries that the part is the sum of, if any."""

    part: RewardPart
    entries: Mapping[str, RewardPart] = field(default_factory=dict)


class UserFunction:
    """Calls one function; its processes start with the first completion.

    Args:
        config: the reward; `function_fault` has found nothing wrong with its path.
        busy: is told when each call was at work.
    """

    def __init__(self, config: FunctionReward, busy: BusyLog) -> None:
        self._config = config
        self._busy = busy
        self._pool = WorkerPool(config.num_processes, "dunwu.rewards.user_worker", keep_stderr=True)
        self._waiting: deque[tuple[GradingItem, Future[FunctionVerdict]]] = deque()
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._calls_many = config.batched  # an async function too, as its first reply tells

    @property
    def num_retries(self) -> int:
        """Calls that were lost and made again."""
        return self._pool.num_retries

    def submit(self, item: GradingItem) -> "Future[FunctionVerdict]":
        """Queue one completion; never blocks. The future never raises."""
        future: Future[FunctionVerdict] = Future()
        with self._changed:
            if self._closed:
                future.set_result(_error("the grader is closed"))
                return future
            self._waiting.append((item, future))
            if len(self._threads) < self._config.num_processes:
                thread = threading.Thread(target=self._serve, name=self._config.part_name, daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify()
        return future

    def close(self) -> None:
        """End the processes; what waits or is at work gets status "error"."""
        with self._changed:
            self._closed = True
            waiting, self._waiting = self._waiting, deque()
            self._changed.notify_all()
        for _, future in waiting:
            future.set_result(_error("the grader is closed"))
        self._pool.close()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while taken := self._take():
            start = time.monotonic()
            try:
                verdicts = self._judge([item for item, _ in taken])
            except (
                Exception
            ) as error:  # our own fault, and still no reason to leave a rollout without verdict
                verdicts = [_error(f"{type(error).__name__}: {error}")] * len(taken)
            self._busy.add(start, time.monotonic())
            for (_, future), verdict in zip(taken, verdicts, strict=True):
                future.set_result(verdict)

    def _take(self) -> list[tuple[GradingItem, "Future[FunctionVerdict]"]]:
        """Wait for completions and take as many as one call may have; none when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            most = self._config.batch_size if self._calls_many else 1
            count = 0 if self._closed else min(len(self._waiting), most)
            return [self._waiting.popleft() for _ in range(count)]

    def _judge(self, items: Sequence[GradingItem]) -> list[FunctionVerdict]:
        reply = self._call(items)
        if isinstance(reply, list):
            return [_verdict(result) for result in reply]
        if len(items) == 1 or self._closed:
            return [_error(reply)] * len(items)
        return [verdict for item in items for verdict in self._judge([item])]

    def _call(self, items: Sequence[GradingItem]) -> list[dict[str, Any]] | str:
        """Make one call; return a result for each item, or why the call as a whole failed."""
        config = self._config
        seconds = config.timeout_seconds
        job = {
            "path": config.path,
            "params": config.params,
            "batched": config.batched,
            "items": [_arguments(item) for item in items],
            "item_seconds": seconds,
        }
        alone = config.batched or len(items) == 1
        try:
            reply = self._pool.run(job, JobLimits(seconds + (0.0 if alone else _ASYNC_GRACE_SECONDS)))
        except (JobTimeoutError, JobCrashError, JobLostError, RuntimeError) as cause:
            return str(cause)
        self._calls_many |= reply.get("asynchronous", False)
        results: list[dict[str, Any]] | str = reply.get("results") or reply["fault"]
        return results


def _arguments(item: GradingItem) -> dict[str, Any]:
    """Return what a function may ask for, by the names of FUNCTION_ARGUMENTS."""
    problem = item.problem
    values = (
        item.text,
        item.prompt_text,
        problem.question,
        problem.reference,
        item.answer,
        item.reasoning,
        item.num_tokens,
        item.finish_reason,
        problem.language,
        problem.kind,
        problem.id,
        dict(problem.metadata),
    )
    return dict(zip(FUNCTION_ARGUMENTS, values, strict=True))


def _verdict(result: Mapping[str, Any]) -> FunctionVerdict:
    match result:
        case {"fault": fault}:
            return _error(fault)
        case {"entries": entries}:
            parts = {name: _part(value) for name, value in entries.items()}
            known = [value for value in entries.values() if value is not None]
            return FunctionVerdict(_part(sum(known) if known else None), parts)
    return FunctionVerdict(_part(result["value"]))


def _part(value: float | None) -> RewardPart:
    return RewardPart(None, "not_applicable") if value is None else RewardPart(value)


def _error(why: str) -> FunctionVerdict:
    return FunctionVerdict(RewardPart(None, "error", why))
