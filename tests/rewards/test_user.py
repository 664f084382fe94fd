"""Reward functions of a user's own, as the grader calls them: what they get, and that only the one at fault pays."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from dunwu.config.reward import AccuracyReward, FunctionReward
from dunwu.records import Problem, Reward
from dunwu.rewards.grading import Grader

PROBLEM = Problem("p7", "sum", "What is 2 + 3?", "5", "numeric", language="en", metadata={"level": 3})
MakeGrader = Callable[..., Grader]


@pytest.fixture
def grader(tmp_path: Path) -> Iterator[MakeGrader]:
    """Makes a grader whose one reward is the function f of a source text."""
    made: list[Grader] = []

    def make(source: str, *others: Any, **config: Any) -> Grader:
        (tmp_path / "mine.py").write_text(source)
        reward = FunctionReward(path=f"{tmp_path}/mine.py:f", **{"timeout_seconds": 10.0, **config})
        made.append(Grader([reward, *others], num_workers=2))
        return made[-1]

    yield make
    for each in made:
        each.close()


def grade(grader: Grader, *texts: str) -> list[Reward]:
    return grader.grade_all([(PROBLEM, text, "stop") for text in texts])


def seen(rewards: list[Reward], name: str = "function") -> list[tuple[float | None, str, str]]:
    return [(part.value, part.status, part.detail) for part in (r.parts[name] for r in rewards)]


def workers() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if "dunwu.rewards.user_worker" in p.cmdline()]


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def test_what_a_function_gets(grader: MakeGrader, tmp_path: Path) -> None:
    source = """
import json
def f(**everything):
    columns = everything["columns"]
    with open(everything.pop("to"), "w") as file:
        json.dump(everything, file)
    return columns["level"] / 4
"""
    made = grader(source, params={"to": f"{tmp_path}/seen.json"})
    text = "<think>2 + 3 is 5</think><answer>five</answer>"
    reward = made.submit(PROBLEM, text, "length", num_tokens=17, prompt_text="User: What").result()
    assert (reward.total, reward.parts["function"].value) == (0.75, 0.75)
    assert json.loads((tmp_path / "seen.json").read_text()) == {
        "completion": text,
        "prompt": "User: What",
        "question": "What is 2 + 3?",
        "reference": "5",
        "answer": "five",
        "reasoning": "2 + 3 is 5",
        "num_tokens": 17,
        "finish_reason": "length",
        "language": "en",
        "kind": "sum",
        "id": "p7",
        "columns": {"level": 3},
    }


FAULTS = """
import math, time
def judge(text):
    if text == "raises": raise LookupError("not there")
    if text == "hangs": time.sleep(600)
    if text == "nan": return math.nan
    if text == "inf": return math.inf
    if text == "text": return "high"
    if text == "none": return None
    return len(text)
"""
TEXTS = ["a", "raises", "bb", "hangs", "nan", "inf", "text", "none", "ccc"]
EXPECTED = [
    (1.0, "ok", ""),
    (None, "error", "LookupError: not there (mine.py line 4)"),
    (2.0, "ok", ""),
    (None, "error", "no result within 1 s"),
    (None, "error", "it returned nan; it must be finite"),
    (None, "error", "it returned inf; it must be finite"),
    (None, "error", "it returned 'high' (str); it must be a number, None or a dict of them"),
    (None, "not_applicable", ""),
    (3.0, "ok", ""),
]


@pytest.mark.parametrize(
    ("definition", "batched"),
    [
        ("def f(completion): return judge(completion)", False),
        ("async def f(completion): return judge(completion)", False),
        ("def f(completion): return [judge(text) for text in completion]", True),
        ("async def f(completion): return [judge(text) for text in completion]", True),
    ],
    ids=["plain", "async", "batched", "async batched"],
)
def test_a_fault_is_named_on_its_own_rollout_alone(
    grader: MakeGrader, definition: str, batched: bool
) -> None:
    made = grader(f"{FAULTS}\n{definition}\n", batched=batched, batch_size=4, timeout_seconds=1.0)
    assert seen(grade(made, *TEXTS)) == EXPECTED
    assert seen(grade(made, "again")) == [(5.0, "ok", "")]


@pytest.mark.parametrize("body", ["return [1.0] * (len(completion) - 1)", "return [1.0] * 99"])
def test_a_batch_of_the_wrong_length_is_tried_one_by_one(grader: MakeGrader, body: str) -> None:
    source = f"def f(completion):\n    if 'bad' in completion: {body}\n    return [2.0] * len(completion)\n"
    values = seen(grade(grader(source, batched=True), "a", "b", "bad", "c"))
    assert [value for value, _, _ in values] == [2.0, 2.0, None, 2.0]
    assert "results for 1 completions" in values[2][2]


def test_a_batched_function_gets_what_waits_and_no_more_than_a_batch(grader: MakeGrader) -> None:
    source = "import time\ndef f(completion):\n    time.sleep(0.1)\n    return [len(completion)] * len(completion)\n"
    sizes = [reward.total for reward in grade(grader(source, batched=True, batch_size=5), *"abcdefghijk")]
    assert max(size for size in sizes if size) == 5.0
    assert len(sizes) == 11


@pytest.mark.parametrize(
    ("crash", "why"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "the grading process crashed: SIGSEGV"),
        ("os._exit(3)", "the grading process ended with status 3"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "the grading process ended with status -9"),
    ],
)
def test_a_crash_is_a_fault_of_its_rollout(grader: MakeGrader, crash: str, why: str) -> None:
    source = f"import os, signal\ndef f(completion):\n    if completion == 'bad': {crash}\n    return 1\n"
    made = grader(source)
    assert seen(grade(made, "a", "bad", "b")) == [(1.0, "ok", ""), (None, "error", why), (1.0, "ok", "")]


def test_a_job_lost_to_something_else_is_made_again(grader: MakeGrader, tmp_path: Path) -> None:
    source = f"""
import os, signal
def f(completion):
    if not os.path.exists("{tmp_path}/once"):
        open("{tmp_path}/once", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return 1
"""
    made = grader(source)
    assert seen(grade(made, "a")) == [(1.0, "ok", "")]
    assert made.counts == {"late_gradings": 0, "grading_retries": 1}


def test_a_function_that_sets_its_own_alarm_is_ended_all_the_same(grader: MakeGrader) -> None:
    source = """
import signal, time
def f(completion):
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0)
    time.sleep(600)
"""
    (only,) = seen(grade(grader(source, timeout_seconds=0.5), "a"))
    assert only == (None, "error", "no result within 0.5 s")


def test_a_record_is_summed_and_its_entries_are_logged(grader: MakeGrader) -> None:
    source = (
        "def f(completion): return {'style': 0.5, 'tone': 0.25, 'rhyme': None} if completion else {'x': None}"
    )
    made = grader(source, AccuracyReward(), name="taste", weight=2.0)
    with_entries, without = grade(made, "<answer>5</answer>", "")
    assert {name: part.value for name, part in with_entries.parts.items()} == {
        "taste": 0.75,
        "accuracy": 1.0,
        "taste.style": 0.5,
        "taste.tone": 0.25,
        "taste.rhyme": None,
    }
    assert with_entries.parts["taste.rhyme"].status == "not_applicable"
    assert (with_entries.total, with_entries.correct) == (2.5, True)
    assert without.parts["taste"].status == "not_applicable"
    assert without.total == 0.0  # accuracy alone


def test_an_error_excludes_the_rollout_unless_the_part_is_only_watched(grader: MakeGrader) -> None:
    source = "def f(completion): raise ValueError('no')"
    assert grade(grader(source, AccuracyReward()), "<answer>5</answer>")[0].total is None
    assert grade(grader(source, AccuracyReward(), weight=0), "<answer>5</answer>")[0].total == 1.0


def test_processes_start_when_needed_and_none_stays_with_what_it_started(
    grader: MakeGrader, tmp_path: Path
) -> None:
    before = workers()
    source = f"""
import subprocess, time
def f(completion):
    child = subprocess.Popen(["sleep", "600"])
    open("{tmp_path}/child", "w").write(str(child.pid))
    if completion == "hangs": time.sleep(600)
    return 1
"""
    made = grader(source, timeout_seconds=1.0)
    assert workers() == before
    for text in ("hangs", "ends"):
        grade(made, text)
        child = psutil.Process(int((tmp_path / "child").read_text()))
        made.close() if text == "ends" else None
        assert wait_until(lambda child=child: not child.is_running())  # type: ignore[misc]
    assert wait_until(lambda: workers() == before)


def test_closing_gives_what_waits_an_error(grader: MakeGrader) -> None:
    made = grader("import time\ndef f(completion): time.sleep(600)")
    futures = [made.submit(PROBLEM, text) for text in "abc"]
    assert wait_until(lambda: len(workers()) > 0)
    time.sleep(0.5)
    made.close()
    statuses = {future.result(20).parts["function"].status for future in futures}
    assert statuses == {"error"}
    function = made._functions["function"]
    assert function.submit(object()).result(0).part.detail == "the grader is closed"  # type: ignore[arg-type]


def test_a_function_of_a_killed_run_ends_with_what_it_started(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import os, subprocess, time\n"
        "def f(completion):\n"
        "    child = subprocess.Popen(['sleep', '600'])\n"
        "    print(os.getpid(), child.pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    script = (
        "from dunwu.config.reward import FunctionReward\nfrom dunwu.records import Problem\n"
        "from dunwu.rewards.grading import Grader\n"
        "grader = Grader([FunctionReward(path='mine.py:f', timeout_seconds=300)])\n"
        "grader.grade(Problem('p', 'k', 'q', '5', 'numeric'), 'x')\n"
    )
    run = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert run.stderr is not None
    processes = [psutil.Process(int(pid)) for pid in run.stderr.readline().split()]
    assert len(processes) == 2
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    run.stderr.close()
    assert wait_until(lambda: not any(process.is_running() for process in processes), 30)
