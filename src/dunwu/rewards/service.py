"""Runs gradings in threads beside generation: a bounded queue, a deadline for each, nothing that hangs for ever.

Knows functions and futures, nothing of rewards. A grading that outlives its deadline keeps its thread, which no one
can end, but no longer its place: its future gets the answer for late gradings, and another thread takes over. The
threads are daemons, so that not even a stuck one keeps the program from ending. Called by `grading`.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from dunwu.functional.intervals import Interval

T = TypeVar("T")
R = TypeVar("R")
_WATCH_SECONDS = 0.5


class BusyLog:
    """When gradings were at work, on the clock `time.monotonic`; thread-safe. Holds the latest 131,072."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._intervals: deque[Interval] = deque(maxlen=1 << 17)

    def add(self, start: float, end: float) -> None:
        """Take down one."""
        with self._lock:
            self._intervals.append((start, end))

    def take(self) -> list[Interval]:
        """Return what was taken down since the last call, and forget it."""
        with self._lock:
            taken = list(self._intervals)
            self._intervals.clear()
        return taken


@dataclass(eq=False)
class _Task(Generic[T]):
    work: Callable[[], T]
    late: Callable[[], T]
    future: "Future[T]"
    started: float = 0.0


class GradingService:
    """Threads that grade.

    Args:
        num_workers: gradings at the same time, >= 1.
        max_pending: gradings that may wait or be at work; `submit` blocks beyond.
        deadline_seconds: of one grading, counted from when it starts.
        busy: is told when each grading was at work.
    """

    def __init__(self, num_workers: int, max_pending: int, deadline_seconds: float, busy: BusyLog) -> None:
        self._num_workers = num_workers
        self._deadline_seconds = deadline_seconds
        self._busy = busy
        self._free = threading.BoundedSemaphore(max_pending)
        self._changed = threading.Condition()
        self._waiting: deque[_Task[object]] = deque()
        self._running: dict[threading.Thread, _Task[object]] = {}
        self._threads: set[threading.Thread] = set()
        self._watching = False
        self._closed = False
        self.num_late = 0
        """Gradings that outlived their deadline."""

    def submit(self, work: Callable[[], T], late: Callable[[], T]) -> "Future[T]":
        """Start a grading beside other work; blocks while as many as may are pending.

        Args:
            work: grades; what it raises, the future raises.
            late: gives the result in place of a grading that outlives its deadline.
        Raises:
            RuntimeError: the service is closed.
        """
        self._free.acquire()
        task = _Task(work, late, Future())
        task.future.add_done_callback(lambda _: self._free.release())
        with self._changed:
            if self._closed:
                self._free.release()
                raise RuntimeError("the grader is closed")
            self._waiting.append(task)  # type: ignore[arg-type]  # a task of T is a task of objects to the threads
            if len(self._threads) < self._num_workers:
                self._start_thread()
            self._changed.notify_all()
        return task.future

    def close(self) -> None:
        """Cancel what waits and wait for what is at work, until its deadline at the latest."""
        with self._changed:
            self._closed = True
            waiting, self._waiting = self._waiting, deque()
            self._changed.notify_all()
        for task in waiting:
            task.future.cancel()
        while True:
            with self._changed:
                thread = next(iter(self._running), None)
            if thread is None:
                return
            thread.join(0.1)

    def _start_thread(self) -> None:
        if not self._watching:
            self._watching = True
            threading.Thread(target=self._watch, name="grading-deadline", daemon=True).start()
        thread = threading.Thread(target=self._serve, name="grading", daemon=True)
        self._threads.add(thread)
        thread.start()

    def _serve(self) -> None:
        thread = threading.current_thread()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed or thread not in self._threads)
                if thread not in self._threads or not self._waiting:
                    self._threads.discard(thread)
                    return
                task = self._waiting.popleft()
                if not task.future.set_running_or_notify_cancel():
                    continue
                task.started = time.monotonic()
                self._running[thread] = task
            self._grade(thread, task)

    def _grade(self, thread: threading.Thread, task: _Task[object]) -> None:
        result, error = None, None
        try:
            result = task.work()
        except Exception as raised:  # handed on to whoever waits for the result
            error = raised
        with self._changed:
            in_time = self._running.pop(thread, None) is task
        if not in_time:
            return  # given up at the deadline
        self._busy.add(task.started, time.monotonic())
        if error is None:
            task.future.set_result(result)
        else:
            task.future.set_exception(error)

    def _watch(self) -> None:
        """Give up each grading at its deadline; ends when the service is closed and nothing is at work."""
        while True:
            with self._changed:
                if self._closed and not self._running:
                    return
                now = time.monotonic()
                late = [
                    (thread, task)
                    for thread, task in self._running.items()
                    if now - task.started >= self._deadline_seconds
                ]
                for thread, _ in late:
                    del self._running[thread]
                    self._threads.discard(thread)
                    self.num_late += 1
                    if not self._closed:
                        self._start_thread()
                earliest = min((task.started for task in self._running.values()), default=now)
                wait = earliest + self._deadline_seconds - now
            for _, task in late:
                self._busy.add(task.started, now)
                task.future.set_result(task.late())
            time.sleep(min(max(wait, 0.01), _WATCH_SECONDS))


def joined(parts: "Mapping[str, Future[T]]", combine: Callable[[Mapping[str, T]], R]) -> "Future[R]":
    """Return a future of what several futures give together. No thread waits for it.

    Args:
        combine: called with the results in the thread that finishes last; at once where there are none.
    """
    whole: Future[R] = Future()
    missing = threading.Semaphore(len(parts))

    def finished(_: object) -> None:
        if missing.acquire(blocking=False):  # this one was missing, and so may others be
            return
        try:
            whole.set_result(combine({name: future.result() for name, future in parts.items()}))
        except Exception as error:
            whole.set_exception(error)

    for future in parts.values():
        future.add_done_callback(finished)
    finished(None)
    return whole


def flattened(outer: "Future[Future[T]]") -> "Future[T]":
    """Return a future of what the future that a future gives gives; cancelled if the outer one is."""
    whole: Future[T] = Future()

    def inner_finished(inner: "Future[T]") -> None:
        error = inner.exception()
        if error is None:
            whole.set_result(inner.result())
        else:
            whole.set_exception(error)

    def outer_finished(_: object) -> None:
        if outer.cancelled():
            whole.cancel()
            whole.set_running_or_notify_cancel()
        elif (error := outer.exception()) is not None:
            whole.set_exception(error)
        else:
            outer.result().add_done_callback(inner_finished)

    outer.add_done_callback(outer_finished)
    return whole
