"""The threads that grade: bounded, with a deadline, and none that another waits for."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future

import pytest

from dunwu.rewards.service import BusyLog, GradingService, flattened, joined

LATE = "late"


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Holds gradings up; open at the end, so that no thread stays behind."""
    event = threading.Event()
    yield event
    event.set()


def service(num_workers: int = 2, max_pending: int = 100, deadline: float = 30.0) -> GradingService:
    return GradingService(num_workers, max_pending, deadline, BusyLog())


def grading_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("grading")}


def until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def test_results_and_errors_come_back() -> None:
    graders = service()

    def broken() -> int:
        raise ZeroDivisionError("oops")

    good, bad = graders.submit(lambda: 5, lambda: 0), graders.submit(broken, lambda: 0)
    assert good.result(20) == 5
    with pytest.raises(ZeroDivisionError, match="oops"):
        bad.result(20)
    graders.close()
    assert graders.num_late == 0


def test_at_most_as_many_run_at_once_as_there_are_workers(gate: threading.Event) -> None:
    graders, running, most = service(num_workers=3), [], []

    def work() -> None:
        running.append(1)
        most.append(len(running))
        gate.wait(0.02)
        running.pop()

    for future in [graders.submit(work, lambda: None) for _ in range(30)]:
        future.result(20)
    graders.close()
    assert max(most) == 3


def test_a_stuck_grading_gets_the_late_answer_and_its_place_is_taken(gate: threading.Event) -> None:
    graders = service(num_workers=1, deadline=0.2)
    stuck = graders.submit(lambda: str(gate.wait(60)), lambda: LATE)
    behind = [graders.submit(lambda: "done", lambda: LATE) for _ in range(5)]
    assert stuck.result(20) == LATE
    assert [future.result(20) for future in behind] == ["done"] * 5
    assert graders.num_late == 1
    graders.close()  # does not wait for the stuck one
    gate.set()
    assert stuck.result() == LATE


def test_waiting_does_not_count_towards_the_deadline() -> None:
    graders = service(num_workers=1, deadline=0.5)
    futures = [graders.submit(lambda: time.sleep(0.1), lambda: LATE) for _ in range(10)]
    assert [future.result(30) for future in futures] == [None] * 10
    assert graders.num_late == 0
    graders.close()


def test_submit_blocks_while_too_many_are_pending(gate: threading.Event) -> None:
    graders = service(num_workers=1, max_pending=2)
    futures = [graders.submit(lambda: gate.wait(20), lambda: False) for _ in range(2)]
    third = threading.Thread(
        target=lambda: futures.append(graders.submit(lambda: True, lambda: False)), daemon=True
    )
    third.start()
    third.join(0.2)
    assert third.is_alive()
    gate.set()
    third.join(20)
    assert [future.result(20) for future in futures] == [True] * 3
    graders.close()


def test_closing_waits_for_what_runs_cancels_what_waits_and_leaves_no_thread() -> None:
    before = grading_threads()
    graders, started = service(num_workers=1), threading.Event()

    def work() -> str:
        started.set()
        time.sleep(0.2)
        return "done"

    first, second = graders.submit(work, lambda: LATE), graders.submit(work, lambda: LATE)
    started.wait(20)
    assert len(grading_threads() - before) == 2  # one that grades, one that watches
    graders.close()
    assert first.result(0) == "done"
    with pytest.raises(CancelledError):
        second.result(0)
    for _ in range(200):  # a refused submission takes no place
        with pytest.raises(RuntimeError, match="closed"):
            graders.submit(work, lambda: LATE)
    assert until(lambda: grading_threads() <= before)


def test_the_log_holds_when_each_was_at_work() -> None:
    busy = BusyLog()
    graders = GradingService(1, 10, 30.0, busy)
    start = time.monotonic()
    for future in [graders.submit(lambda: time.sleep(0.02), lambda: None) for _ in range(3)]:
        future.result(20)
    graders.close()
    intervals = busy.take()
    assert len(intervals) == 3
    assert start <= intervals[0][0] < intervals[0][1] <= intervals[1][0]
    assert all(end - begin >= 0.02 for begin, end in intervals)
    assert busy.take() == []


def done(value: object) -> "Future[object]":
    future: Future[object] = Future()
    future.set_result(value)
    return future


def test_joined_gives_what_all_give_together() -> None:
    parts: dict[str, Future[int]] = {name: Future() for name in "abc"}
    whole = joined(parts, lambda results: sum(results.values()))
    parts["b"].set_result(3)
    parts["a"].set_result(1)
    assert not whole.done()
    parts["c"].set_result(2)
    assert whole.result(0) == 6
    assert joined({}, len).result(0) == 0
    assert joined({"a": done(1)}, dict).result(0) == {"a": 1}


def test_joined_hands_errors_on() -> None:
    failed: Future[int] = Future()
    failed.set_exception(ZeroDivisionError("oops"))
    with pytest.raises(ZeroDivisionError):
        joined({"a": failed}, dict).result(0)
    with pytest.raises(TypeError):
        joined({"a": done(1)}, sum).result(0)  # type: ignore[arg-type]  # adds up names


def test_flattened_gives_what_the_inner_future_gives() -> None:
    outer: Future[Future[int]] = Future()
    inner: Future[int] = Future()
    whole = flattened(outer)
    outer.set_result(inner)
    assert not whole.done()
    inner.set_result(5)
    assert whole.result(0) == 5


@pytest.mark.parametrize("which", ["outer", "inner"])
def test_flattened_hands_errors_and_cancelling_on(which: str) -> None:
    outer: Future[Future[int]] = Future()
    inner: Future[int] = Future()
    whole = flattened(outer)
    if which == "inner":
        outer.set_result(inner)
    {"outer": outer, "inner": inner}[which].set_exception(ValueError(which))  # type: ignore[dict-item]
    with pytest.raises(ValueError, match=which):
        whole.result(0)
    cancelled: Future[Future[int]] = Future()
    cancelled.cancel()
    with pytest.raises(CancelledError):
        flattened(cancelled).result(0)
