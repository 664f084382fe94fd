"""Workers that take turns: the protocol, the deadline, the log of one that died, the memory of its tree."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.worker import Worker, WorkerError

Start = Callable[..., Worker]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Makes a worker process from the body of its module."""
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{root}")

    def make(body: str, *, timeout_seconds: float = 20.0) -> Worker:
        source = f"import sys, time\nfrom benchmarks.worker import Channel\n{textwrap.dedent(body)}"
        (tmp_path / "bench_worker_for_test.py").write_text(source)
        return Worker("bench_worker_for_test", "an argument", tmp_path / "worker", timeout_seconds)

    return make


def test_a_worker_steps_when_asked_and_may_print_what_it_likes(start: Start) -> None:
    worker = start("""
        channel = Channel()
        print("a library's banner")
        channel.send(argument=sys.argv[1])
        for number in range(2):
            channel.await_step()
            print("noise")
            channel.send(number=number)
    """)
    assert worker.ready() == {"argument": "an argument"}
    assert worker.step() == {"number": 0}
    assert worker.step() == {"number": 1}
    worker.close()
    assert worker.log.read_text().splitlines() == ["a library's banner", "noise", "noise"]


def test_a_worker_that_dies_is_named_with_the_end_of_its_log(start: Start) -> None:
    worker = start('raise SystemExit("no such model")')
    with pytest.raises(
        WorkerError, match=r"(?s)bench_worker_for_test ended with exit status 1.*no such model"
    ):
        worker.ready()
    worker.close()


def test_a_worker_that_hangs_is_given_up(start: Start) -> None:
    worker = start("time.sleep(60)", timeout_seconds=0.5)
    with pytest.raises(WorkerError, match=r"gave no answer within 0\.5 s"):
        worker.ready()
    worker.close()


def test_memory_counts_spikes_that_are_over_and_children(start: Start) -> None:
    worker = start("""
        import subprocess
        channel = Channel()
        spike = b"x" * (200 << 20)
        del spike
        channel.send()
        channel.await_step()
        hungry = "import time; held = b'x' * (300 << 20); print('held', flush=True); time.sleep(60)"
        child = subprocess.Popen([sys.executable, "-c", hungry], stdout=subprocess.PIPE)
        child.stdout.readline()
        time.sleep(1.0)
        channel.send()
        channel.await_step()
    """)
    worker.ready()
    assert 200 << 20 <= worker.peak_bytes() < 290 << 20
    worker.step()
    assert worker.close() >= 300 << 20
