"""Thousands of hostile and honest completions at full concurrency: right verdicts, no hang, no false time-out, no leak.

500 in every run of the tests, 10,000 in the slow ones (`-rP` shows the figures). What is measured is this process and
everything it starts.
"""

import gc
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from dunwu.config.code import CodeConfig, RunLimits
from dunwu.config.reward import AccuracyReward, FormatReward, FunctionReward
from dunwu.config.sandbox import BubblewrapSandbox
from dunwu.errors import DependencyError
from dunwu.records import Problem, Reward
from dunwu.rewards.grading import Grader
from dunwu.sandbox.open import open_executor

NUM_SUBMITTERS = 8
CPU_SECONDS = 0.3
MEBIBYTE = 1 << 20
FUNCTION = """
import os, time
def judge(completion, columns):
    match columns["act"]:
        case "raise": raise ValueError("no")
        case "nan": return float("nan")
        case "hang": time.sleep(600)
        case "die": os._exit(1)
        case "none": return None
    return len(completion)
"""
ERROR, RIGHT, WRONG = "error", 1.0, 0.0


@dataclass(frozen=True)
class Case:
    """A completion and what must come of it: accuracy (a value or a status), and the function's value or status."""

    kind: str
    problem: Problem
    text: str
    accuracy: float | str
    function: float | str


HOSTILE_PROGRAMS = (
    "while True: pass",
    "import os\nwhile True: os.fork()",
    "x = bytearray(10**11)",
    "while True: print('x' * 10**6)",
    "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nos.kill(1, signal.SIGKILL)",
    "import os, sys\nif os.fork() == 0:\n    os.setsid()\n    while True: pass\nsys.exit(0)",
    "import threading\nwhile True: threading.Thread(target=lambda: input()).start()",
)
CODE = CodeConfig(test_limits=RunLimits(cpu_seconds=0.5, memory_mib=128, output_kib=64))


def answered(answer: str) -> str:
    return f"<think>t</think><answer>{answer}</answer>"


def case(n: int) -> Case:
    """The n-th case: none is like another, so that no verdict comes from memory."""
    hostile, honest = n % 50 == 0, n % 50
    if n % 20 == 5:
        return program_case(n)
    if hostile:
        kind, reference, answer = hostile_answer(n // 50)
        accuracy: float | str = WRONG
    elif honest % 10 == 1:
        kind, reference, answer, accuracy = "bad reference", rf"\frac{{{n}", str(n), "not_gradable"
    elif honest % 10 == 2:
        kind, reference, answer, accuracy = "wrong", str(n), rf"\sqrt{{{n}}}+1", WRONG
    elif honest % 10 == 3:
        kind, reference, answer, accuracy = "set", rf"\{{{n},{n + 1}\}}", rf"\{{{n + 1},{n}\}}", RIGHT
    elif honest % 10 == 4:
        kind, reference, answer, accuracy = "algebra", f"x^2-{n * n}", f"(x-{n})(x+{n})", RIGHT
    else:
        kind, reference, answer, accuracy = "number", f"{n}.5", rf"\frac{{{2 * n + 1}}}{{2}}", RIGHT
    text = answered(answer) if kind != "unclosed" else answer
    act, function = function_act(n, text)
    metadata = {"act": act}
    return Case(
        kind, Problem(f"p{n}", "k", "q", reference, "math", metadata=metadata), text, accuracy, function
    )


def program_case(n: int) -> Case:
    """A program that adds n to a number, or every fifth time one that is meant to hurt."""
    tests = [{"stdin": "1", "stdout": str(n + 1)}]
    task = {"language": "python", "tests": tests, "act": "length"}
    kind, program, accuracy = "program", f"print(int(input()) + {n})", RIGHT
    if n % 100 == 5:
        kind, accuracy = "hostile program", WRONG
        program = f"# {n}\n{HOSTILE_PROGRAMS[n // 100 % len(HOSTILE_PROGRAMS)]}"
    text = answered(f"```python\n{program}\n```")
    return Case(kind, Problem(f"p{n}", "k", "q", "", "code", metadata=task), text, accuracy, float(len(text)))


def hostile_answer(n: int) -> tuple[str, str, str]:
    """A kind, its reference and an answer that is meant to hurt."""
    answers: list[tuple[str, str]] = [
        ("tower", f"9^{{9^{{9^{{9^{n + 2}}}}}}}"),
        ("factorial", rf"\left({n + 10}!\right)!!!"),
        ("braces", "{" * (2000 + n) + "x"),
        ("fractions", r"\frac{1}{" * (150 + n % 50) + "x" + "}" * (150 + n % 50)),
        ("long", f"{n}+" * 30_000 + "1"),
        ("product", "*".join(f"(x+{i})" for i in range(n + 2, n + 60)) + "^{40}"),
        ("control characters", "\x00\x1b[2J\u202e" * 200 + str(n)),
        ("unclosed", "<think>" * 3000 + "<answer>" * 3000 + "\\boxed{" * 3000 + str(n)),
        ("quantifiers", "a" * 5000 + "!" + "$" * 5000 + str(n)),
    ]
    kind, answer = answers[n % len(answers)]
    return kind, f"y+{n}", answer


def function_act(n: int, text: str) -> tuple[str, float | str]:
    if n % 500 == 77:
        return "hang", ERROR
    if n % 250 == 33:
        return "die", ERROR
    return {
        1: ("raise", ERROR),
        2: ("nan", ERROR),
        3: ("none", "not_applicable"),
    }.get(n % 40, ("length", float(len(text))))  # type: ignore[return-value]


def outcome(reward: Reward, part: str) -> float | str:
    graded = reward.parts[part]
    return graded.status if graded.value is None else graded.value


def has_sandbox() -> bool:
    """Whether programs can be run here; where they cannot, the other cases are graded."""
    try:
        open_executor(BubblewrapSandbox()).close()
    except DependencyError:
        return False
    return True


class Watch:
    """Samples this process and its children while gradings run."""

    def __init__(self) -> None:
        self.process = psutil.Process()
        self.samples: list[dict[str, int]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def sample(self) -> dict[str, int]:
        return {
            "memory": self.process.memory_info().rss,
            "handles": self.process.num_fds(),
            "threads": self.process.num_threads(),
            "children": len(self.process.children()),
            "descendants": len(self.process.children(recursive=True)),
        }

    def _run(self) -> None:
        while not self._stop.wait(0.25):
            self.samples.append(self.sample())

    def most(self, name: str, start: float = 0.0, end: float = 1.0) -> int:
        """The largest value in a stretch of the run, both ends as shares of it."""
        count = len(self.samples)
        stretch = self.samples[int(start * count) : max(int(end * count), int(start * count) + 1)]
        return max(sample[name] for sample in stretch)


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


@pytest.fixture
def soak(tmp_path: Path) -> Callable[[int], dict[str, Any]]:
    """Grades `num` cases and checks everything; returns the figures."""
    (tmp_path / "mine.py").write_text(FUNCTION)
    function = FunctionReward(path=f"{tmp_path}/mine.py:judge", name="mine", weight=0, timeout_seconds=1.0)
    rewards = [AccuracyReward(timeout_seconds=CPU_SECONDS, code=CODE), FormatReward(), function]
    code = has_sandbox()

    def run(num: int) -> dict[str, Any]:
        cases = [each for n in range(num) if (each := case(n)).problem.grader != "code" or code]
        watch = Watch()
        before = watch.sample()
        start = time.monotonic()
        with watch, Grader(rewards) as grader:
            with ThreadPoolExecutor(NUM_SUBMITTERS) as submitters:  # all at once, from many threads
                futures: list[Future[Reward]] = list(
                    submitters.map(lambda c: grader.submit(c.problem, c.text), cases)
                )
            rewards_found = [future.result(1800) for future in futures]
            counts = dict(grader.counts)
        seconds = time.monotonic() - start
        for each, reward in zip(cases, rewards_found, strict=True):
            assert outcome(reward, "accuracy") == each.accuracy, (each.kind, each.problem, reward.parts)
            assert outcome(reward, "mine") == each.function, (each.kind, each.problem, reward.parts)
        details = Counter(
            "time" if "processor time" in r.parts["accuracy"].detail else "other" for r in rewards_found
        )
        del futures, rewards_found
        gc.collect()
        assert counts["late_gradings"] == 0
        assert wait_until(lambda: watch.sample()["descendants"] <= before["descendants"])
        assert wait_until(lambda: watch.sample()["threads"] <= before["threads"])
        assert wait_until(lambda: watch.sample()["handles"] <= before["handles"])
        return {
            "gradings": len(cases),
            "kinds": dict(Counter(each.kind for each in cases)),
            "seconds": round(seconds, 1),
            "gradings_per_second": round(len(cases) / seconds, 1),
            "ended_at_their_limit": details["time"],
            "most_children": watch.most("children") - before["children"],
            "most_descendants": watch.most("descendants"),
            "most_handles": watch.most("handles") - before["handles"],
            "most_threads": watch.most("threads"),
            "memory_mib_first_fifth": watch.most("memory", 0.0, 0.2) // MEBIBYTE,
            "memory_mib_last_fifth": watch.most("memory", 0.8, 1.0) // MEBIBYTE,
            **counts,
        }

    return run


def check(figures: dict[str, Any]) -> None:
    # Grading processes and one that calls the function, each perhaps ending while its successor starts, and the sandbox.
    assert figures["most_children"] <= 2 * (min(4, len(os.sched_getaffinity(0))) + 1) + 1
    assert figures["ended_at_their_limit"] > 0
    # Two handles for each process, and those of the moment: far from one for each grading.
    assert figures["most_handles"] <= 64
    # The cases themselves, their results and the remembered verdicts are in the growth.
    assert figures["memory_mib_last_fifth"] - figures["memory_mib_first_fifth"] <= 48


def test_500_gradings(soak: Callable[[int], dict[str, Any]]) -> None:
    figures = soak(500)
    print(figures)
    check(figures)


@pytest.mark.slow
def test_10000_gradings(soak: Callable[[int], dict[str, Any]]) -> None:
    figures = soak(10_000)
    print(figures)
    check(figures)
