"""Grading processes: limits, replacement, and that none is left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from dunwu.rewards import worker_pool
from dunwu.rewards.worker_pool import JobLostError, JobTimeoutError, WorkerPool

QUICK = {"kind": "math", "answer": "2^{3}", "reference": "8"}
ENDLESS = {"kind": "math", "answer": "9^{9^{9^{9}}}", "reference": "8"}


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(1)
    yield pool
    pool.close()


def workers_of(pid: int) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(pid).children():
        try:
            if "dunwu.rewards.worker" in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


class Mine:
    """The grading processes started since; other fixtures of the session may have theirs."""

    def __init__(self) -> None:
        self.before = {process.pid for process in workers_of(os.getpid())}

    def now(self) -> list[psutil.Process]:
        return [process for process in workers_of(os.getpid()) if process.pid not in self.before]


def kill_each(mine: Mine, number: signal.Signals, count: int) -> None:
    """Send a signal to the first `count` processes, each once it is at work."""
    seen: set[int] = set()

    def killed() -> bool:
        for process in mine.now():
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.pid not in seen and process.cpu_times().user > 0.2:
                    time.sleep(0.2)
                    process.send_signal(number)
                    seen.add(process.pid)
        return len(seen) >= count

    wait_until(killed, 15)


def test_one_process_serves_many_jobs_and_holds_no_torch() -> None:
    mine, pool = Mine(), WorkerPool(2)
    assert mine.now() == []  # none before it is needed
    for _ in range(5):
        assert pool.run(QUICK, 5.0) == {"right": True, "detail": ""}
    (process,) = mine.now()
    assert not any("torch" in entry.path for entry in process.memory_maps())
    pool.close()
    assert wait_until(lambda: not mine.now(), 10)


def test_endless_job_ends_at_its_processor_time_and_the_next_job_works(pool: WorkerPool) -> None:
    mine = Mine()
    pool.run(QUICK, 5.0)
    start = time.monotonic()
    with pytest.raises(JobTimeoutError, match=r"0\.3 s of processor time"):
        pool.run(ENDLESS, 0.3)
    assert time.monotonic() - start < 10
    assert wait_until(lambda: not mine.now(), 10)
    assert pool.run(QUICK, 5.0)["right"] is True


def test_the_first_job_of_a_process_has_all_of_its_time(pool: WorkerPool) -> None:
    # Building the parser's tables takes more than this; an answer takes a hundredth of it.
    assert pool.run({"kind": "math_reference", "reference": "x^2-1"}, 0.15) == {"fault": None}


def test_waiting_for_a_process_is_not_grading_time() -> None:
    pool = WorkerPool(1)
    with ThreadPoolExecutor(8) as threads:
        endless = threads.submit(pool.run, ENDLESS, 0.8)
        time.sleep(0.2)
        quick = [threads.submit(pool.run, QUICK, 0.5) for _ in range(7)]
        assert all(job.result()["right"] for job in quick)  # each waited longer than its own limit
        with pytest.raises(JobTimeoutError):
            endless.result()
    pool.close()


def test_a_job_without_processor_time_is_lost_not_wrong(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool.run(QUICK, 5.0)
    monkeypatch.setattr(worker_pool, "WALL_GRACE_SECONDS", -59.5)
    with pytest.raises(JobLostError, match="processor time was not used up"):
        pool.run(ENDLESS, 60.0)


@pytest.mark.parametrize(
    ("number", "error", "num_retries"),
    [(signal.SIGKILL, worker_pool.JobLostError, 1), (signal.SIGSEGV, worker_pool.JobCrashError, 0)],
)
def test_a_process_that_dies_at_work(
    pool: WorkerPool, number: signal.Signals, error: type[Exception], num_retries: int
) -> None:
    mine = Mine()
    pool.run(QUICK, 5.0)
    killer = threading.Thread(target=kill_each, args=(mine, number, 1 + num_retries))
    killer.start()
    with pytest.raises(error):
        pool.run(ENDLESS, 30.0)
    killer.join(20)
    assert pool.num_retries == num_retries
    assert pool.run(QUICK, 5.0)["right"] is True


def test_a_lost_job_is_tried_once_more_and_counted(pool: WorkerPool) -> None:
    mine = Mine()
    pool.run(QUICK, 5.0)
    killer = threading.Thread(target=kill_each, args=(mine, signal.SIGKILL, 1))
    killer.start()
    with pytest.raises(JobTimeoutError):  # the second process is left alone, and reaches the limit
        pool.run(ENDLESS, 1.0)
    killer.join(20)
    assert pool.num_retries == 1


def test_a_process_that_dies_idle_is_replaced_unseen(pool: WorkerPool) -> None:
    mine = Mine()
    pool.run(QUICK, 5.0)
    (process,) = mine.now()
    process.kill()
    assert wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE, 10)
    assert pool.run(QUICK, 5.0)["right"] is True


def test_an_error_in_the_grader_names_it(pool: WorkerPool) -> None:
    with pytest.raises(JobLostError, match="KeyError"):
        pool.run({"kind": "math", "answer": "5"}, 5.0)
    with pytest.raises(JobLostError, match="there is no job kind 'what'"):
        pool.run({"kind": "what"}, 5.0)


def test_closed_pool_refuses_and_ends_what_is_at_work() -> None:
    mine, pool = Mine(), WorkerPool(1)
    with ThreadPoolExecutor(1) as threads:
        endless = threads.submit(pool.run, ENDLESS, 60.0)
        assert wait_until(lambda: bool(mine.now()), 20)
        time.sleep(0.5)
        pool.close()
        with pytest.raises(JobLostError):
            endless.result(20)
    with pytest.raises(RuntimeError, match="closed"):
        pool.run(QUICK, 5.0)
    assert wait_until(lambda: not mine.now(), 10)


def test_a_forked_child_has_its_own_processes_and_waits_for_none_of_the_parent(pool: WorkerPool) -> None:
    pool.run(QUICK, 5.0)
    with ThreadPoolExecutor(1) as threads:
        endless = threads.submit(pool.run, ENDLESS, 1.0)  # holds the only slot while we fork
        time.sleep(0.3)
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            right = pool.run(QUICK, 5.0)["right"]
            own = len(workers_of(os.getpid()))
            pool.close()
            os._exit(0 if right is True and own == 1 else 1)
        assert os.waitpid(child, 0)[1] == 0
        with pytest.raises(JobTimeoutError):
            endless.result()
    assert pool.run(QUICK, 5.0)["right"] is True


def test_no_process_outlives_a_parent_killed_with_9() -> None:
    script = textwrap.dedent(f"""
        import threading, time
        from dunwu.rewards.worker_pool import WorkerPool
        pool = WorkerPool(2)
        pool.run({QUICK!r}, 5.0)
        threading.Thread(target=pool.run, args=({ENDLESS!r}, 2.0)).start()
        pool.run({QUICK!r}, 5.0)
        print("ready", flush=True)
        time.sleep(60)
    """)
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    workers = workers_of(parent.pid)
    assert len(workers) == 2  # one idle, one at work for at most 2 s of processor time
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert wait_until(lambda: not any(worker.is_running() for worker in workers), 40)
