"""The code grader in the real sandbox: what is paid, and the verdicts, in each language."""

import json
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dunwu.config.code import CodeConfig, RunLimits
from dunwu.errors import SandboxError
from dunwu.records import Problem, RewardPart
from dunwu.rewards.code import judge_code
from dunwu.rewards.code_fault import code_fault
from dunwu.sandbox.executor import Executor
from dunwu.sandbox.records import Command, Execution, Limits

CONFIG = CodeConfig(test_limits=RunLimits(cpu_seconds=1.0, wall_seconds=10.0, memory_mib=256, output_kib=64))


def within(**limits: float) -> CodeConfig:
    return CONFIG.model_copy(update={"test_limits": CONFIG.test_limits.model_copy(update=limits)})


HASTY, PATIENT = within(cpu_seconds=0.3), within(cpu_seconds=20.0, wall_seconds=60.0)
CONFIGS = {"TLE": HASTY, "MLE": PATIENT, "OLE": PATIENT}
"""So that the limit that a test is about is the first to be reached, however slow the machine is."""
SUMS = [
    {"stdin": "1 2\n", "stdout": "3\n"},
    {"stdin": "4 5\n", "stdout": "9\n"},
    {"stdin": "0 0", "stdout": "0"},
]
RIGHT = {
    "python": "a, b = map(int, input().split())\nprint(a + b)\n",
    "cpp": "#include <iostream>\nint main() { int a, b; std::cin >> a >> b; std::cout << a + b; }\n",
    "javascript": "const [a, b] = require('fs').readFileSync(0, 'utf8').split(' ').map(Number); console.log(a + b);\n",
}
CALLS = [
    {"function": "pair", "args": [[1, 2], "é"], "expected": [3, "é"]},
    {"function": "pair", "args": [[], ""], "expected": [0, ""]},
]

Judge = Callable[..., RewardPart]


def problem(reference: str = "", **task: Any) -> Problem:
    return Problem("p", "code", "Add them.", reference, "code", metadata=task)


@pytest.fixture
def judge(executor: Executor) -> Judge:
    def run(answer: str, config: CodeConfig = CONFIG, **task: Any) -> RewardPart:
        return judge_code(problem(**task), answer, executor, config)

    return run


def fenced(code: str, language: str = "python") -> str:
    return f"Here it is:\n```{language}\n{code}\n```\n"


@pytest.mark.parametrize("language", RIGHT)
def test_a_right_program_is_paid_in_each_language(judge, language):
    part = judge(fenced(RIGHT[language], language), tests=SUMS, language=language)
    assert part == RewardPart(1.0, "ok", "AC: 3 of 3 tests passed")


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("print(3)", "WA"),
        ("a, b = map(int, input().split())\nprint(a + b", "CE"),
        ("while True: pass", "TLE"),
        ("import time\ntime.sleep(600)", "TLE"),
        ("x = bytearray(2**30)", "MLE"),
        ("x = []\nwhile True: x.append(bytearray(2**20))", "MLE"),
        ("while True: print('x' * 10000)", "OLE"),
        ("raise ValueError('no')", "RE"),
        ("import os\nos.kill(os.getpid(), 11)", "RE"),
        ("print(3)\nimport sys\nsys.exit(4)", "RE"),
        ("exec('x = (')", "RE"),
        ("import numpy_of_tomorrow", "RE"),
    ],
)
def test_verdicts_on_python(judge, code, verdict):
    config = within(wall_seconds=0.5) if "sleep" in code else CONFIGS.get(verdict, CONFIG)
    part = judge(fenced(code), config=config, tests=SUMS)
    assert (part.value, part.status) == (0.0, "ok")
    assert part.detail.startswith(f"{verdict}: "), part.detail


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("int main() { return 0; }", "WA"),
        ("int main() { return 0 }", "CE"),
        ("int main() { for (volatile int i = 0;; i++); }", "TLE"),
        ("#include <vector>\nint main() { std::vector<int> v; for (;;) v.push_back(1); }", "MLE"),
        ('#include <cstdio>\nint main() { for (;;) puts("xxxxxxxxxxxxxxx"); }', "OLE"),
        ("int main() { volatile int* p = 0; return *p; }", "RE"),
        ("int main() { return 7; }", "RE"),
    ],
)
def test_verdicts_on_cpp(judge, code, verdict):
    part = judge(fenced(code, "c++"), config=CONFIGS.get(verdict, CONFIG), tests=SUMS, language="cpp")
    assert (part.value, part.status) == (0.0, "ok")
    assert part.detail.startswith(f"{verdict}: "), part.detail


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("console.log(3)", "WA"),
        ("console.log(3", "CE"),
        ("for (;;);", "TLE"),
        ("const x = []; for (;;) x.push(new Array(1000).fill(1.5));", "MLE"),
        ("throw new Error('no')", "RE"),
    ],
)
def test_verdicts_on_javascript(judge, code, verdict):
    part = judge(fenced(code, "js"), config=CONFIGS.get(verdict, CONFIG), tests=SUMS, language="js")
    assert (part.value, part.status) == (0.0, "ok")
    assert part.detail.startswith(f"{verdict}: "), part.detail


@pytest.mark.parametrize(
    ("language", "code"),
    [
        (
            "python",
            "import sys\nsys.setrecursionlimit(10**6)\ndef f(n): return f(n - 1) + 1 if n else 0\nprint(f(50000))",
        ),
        ("javascript", "function f(n) { return n ? f(n - 1) + 1 : 0 } console.log(f(50000))"),
        (
            "cpp",
            "#include <cstdio>\nint f(int n) { volatile char b[99]; b[0] = 0; return n ? f(n - 1) + 1 + b[0] : 0; }\n"
            'int main() { printf("%d", f(50000)); }',
        ),
    ],
)
def test_deep_recursion_is_no_error(judge, language, code):
    assert judge(fenced(code, language), tests=[{"stdout": "50000"}], language=language).value == 1.0


def test_scores_by_name(judge):
    two_of_three = fenced("a, b = map(int, input().split())\nprint(a + b if a != 4 else 0)")
    assert judge(two_of_three, tests=SUMS).value == 0.0
    fraction = CONFIG.model_copy(update={"score": "fraction"})
    part = judge(two_of_three, config=fraction, tests=SUMS)
    assert part.value == pytest.approx(2 / 3)
    assert part.detail == "WA: 2 of 3 tests passed; test 2 (token 1: expected '9', got '0'); " + (
        "input '4 5\\n'; expected '9\\n'; got '0\\n'"
    )
    compiles = CONFIG.model_copy(update={"score": "compile"})
    assert judge(two_of_three, config=compiles, tests=SUMS).value == 1.0
    assert judge(fenced("print(("), config=compiles, tests=SUMS).value == 0.0
    assert judge(fenced("int main() {}", "cpp"), config=compiles, tests=SUMS, language="cpp").value == 1.0
    assert judge(fenced("int main() {", "cpp"), config=compiles, tests=SUMS, language="cpp").value == 0.0
    assert judge(fenced("let x = 1", "js"), config=compiles, tests=SUMS, language="js").value == 1.0
    assert judge(fenced("let x = ", "js"), config=compiles, tests=SUMS, language="js").value == 0.0


class Counting:
    """Counts the runs of an executor."""

    def __init__(self, inner: Executor) -> None:
        self.inner = inner
        self.runs = 0

    def __getattr__(self, name: str) -> Any:
        if name in ("run", "compile", "run_python"):
            self.runs += 1
        return getattr(self.inner, name)


def test_with_all_the_tests_end_at_the_first_that_fails(executor):
    counting = Counting(executor)
    answer = fenced("print(3)")
    judge_code(problem(tests=SUMS), answer, counting, CONFIG)
    assert counting.runs == 2
    counting.runs = 0
    judge_code(problem(tests=SUMS), answer, counting, CONFIG.model_copy(update={"score": "fraction"}))
    assert counting.runs == 3


def test_calls_in_python(judge):
    assert (
        judge(fenced("def pair(x, y):\n    print('aside')\n    return sum(x), y"), calls=CALLS).value == 1.0
    )
    leetcode = "class Solution:\n    def pair(self, x, y):\n        return [sum(x), y]"
    assert judge(fenced(leetcode), calls=CALLS).value == 1.0
    annotated = leetcode.replace("self, x, y", "self, x: List[int], y: Optional[str]").replace(
        "sum(x)", "reduce(add, [*x, 0])"
    )
    annotated = "from operator import add\n" + annotated + "  # deque, heappush and inf are there too"
    assert judge(fenced(annotated), calls=CALLS).value == 1.0
    assert "NameError" in judge(fenced("def pair(x: List[int], y):\n    return 1"), calls=CALLS).detail
    named = [{**call, "function": "Solution.pair"} for call in CALLS]
    assert judge(fenced(leetcode), calls=named).value == 1.0
    keywords = [{"function": "f", "args": [1], "kwargs": {"b": 2}, "expected": {"a": 1, "b": 2}}]
    assert judge(fenced("def f(a, b):\n    return {'a': a, 'b': b}"), calls=keywords).value == 1.0


@pytest.mark.parametrize(
    ("code", "verdict", "why"),
    [
        ("def pair(x, y):\n    return [sum(x), 'z']", "WA", "got '[3, \"z\"]'"),
        ("def pair(x, y):\n    return {3}", "RE", "returned a set, which JSON has no form for"),
        (
            "def pair(x, y):\n    return 1 / 0",
            "RE",
            "ZeroDivisionError: division by zero (line 2 of the program)",
        ),
        ("def pair(x, y):\n    return [", "CE", "was never closed"),
        ("def other(): ...", "RE", "has no attribute 'pair'"),
        ("def pair(x, y):\n    while True: pass", "TLE", "time"),
        ("def pair(x, y):\n    return bytearray(2**30)", "MLE", ""),
        ("import os\nos._exit(0)", "RE", "ended before the function returned"),
        ("def pair(x, y):\n    x = []\n    x.append(x)\n    return x", "RE", "RecursionError"),
        ("def pair(x, y):\n    return 10**5000", "RE", "ValueError"),
    ],
)
def test_verdicts_on_calls(judge, code, verdict, why):
    part = judge(fenced(code), config=CONFIGS.get(verdict, CONFIG), calls=CALLS)
    assert part.value == 0.0
    assert part.detail.startswith(f"{verdict}: "), part.detail
    assert why in part.detail


def test_calls_in_javascript(judge):
    def javascript(code: str) -> RewardPart:
        return judge(fenced(code, "js"), calls=CALLS, language="javascript")

    assert javascript("const pair = (x, y) => [x.reduce((a, b) => a + b, 0), y];").value == 1.0
    assert javascript("async function pair(x, y) { return [x.reduce((a, b) => a + b, 0), y]; }").value == 1.0
    assert (
        javascript("class Solution { pair(x, y) { return [x.reduce((a, b) => a + b, 0), y]; } }").value == 1.0
    )
    assert javascript("var pair = (x, y) => 3").detail.startswith("WA")
    assert "returned undefined" in javascript("var pair = (x, y) => {}").detail
    assert "Error: no" in javascript("var pair = (x, y) => { throw new Error('no') }").detail


def test_a_tolerance_and_a_comparison_of_the_tasks_own(judge):
    third = [{"stdin": "", "stdout": "0.33333333"}]
    assert judge(fenced("print(0.3333)"), tests=third).value == 0.0
    assert judge(fenced("print(0.3333)"), tests=third, tolerance=1e-3).value == 1.0
    grid = [{"stdin": "", "stdout": "a b\nc d"}]
    assert judge(fenced("print('a b c d')"), tests=grid).value == 1.0
    assert judge(fenced("print('a b c d')"), tests=grid, comparison="lines").value == 0.0
    calls = [{"function": "f", "expected": 0.3}]
    assert judge(fenced("def f(): return 0.1 + 0.2"), calls=calls).value == 0.0
    assert judge(fenced("def f(): return 0.1 + 0.2"), calls=calls, tolerance=1e-9).value == 1.0


FACTORS = [{"stdin": "15", "stdout": "3 5"}]
TESTLIB = """
import sys
given, printed, answer = (open(path).read().split() for path in sys.argv[1:4])
if len(printed) != 2:
    sys.exit("two numbers are wanted")
a, b = map(int, printed)
sys.exit(0 if 1 < a < int(given[0]) and a * b == int(given[0]) else 1)
"""
PRINTS = "import sys\na, b = map(int, open(sys.argv[3]).read().split())\nprint(int(a * b == int(open(sys.argv[1]).read())))"
CPP_CHECKER = """
#include <fstream>
int main(int, char** argv) { std::ifstream in(argv[1]), out(argv[2]); int n, a, b; in >> n; out >> a >> b; return a * b != n; }
"""


@pytest.mark.parametrize(
    "checker",
    [
        {"source": TESTLIB},
        {"source": PRINTS, "protocol": "prints"},
        {"source": CPP_CHECKER, "language": "cpp"},
    ],
)
def test_a_checker_accepts_any_right_output(judge, checker):
    assert judge(fenced("print(5, 3)"), tests=FACTORS, checker=checker).value == 1.0
    assert judge(fenced("print(3, 5)"), tests=FACTORS, checker=checker).value == 1.0
    part = judge(fenced("print(2, 7)"), tests=FACTORS, checker=checker)
    assert (part.value, part.detail[:2]) == (0.0, "WA")
    assert judge(fenced("1 / 0"), tests=FACTORS, checker=checker).detail.startswith("RE")


def test_an_output_on_which_the_checker_fails_is_wrong(judge):
    """Were it an error instead, a policy could escape its zero by printing what no checker expects."""
    prints = {"source": PRINTS, "protocol": "prints"}
    assert judge(fenced("print(1)"), tests=FACTORS, checker=prints).detail.startswith("WA")
    endless = {"source": "while True: pass"}
    part = judge(fenced("print(3, 5)"), tests=FACTORS, checker=endless)
    assert (part.value, part.status) == (0.0, "ok")
    assert "the checker did not end well" in part.detail
    wordy = {"source": "print('yes')", "protocol": "prints"}
    assert judge(fenced("print(3, 5)"), tests=FACTORS, checker=wordy).value == 0.0


@pytest.mark.parametrize(
    ("checker", "why"),
    [
        ({"source": TESTLIB}, None),
        ({"source": CPP_CHECKER, "language": "cpp"}, None),
        ({"source": "int main( {", "language": "cpp"}, "checker does not compile"),
        ({"source": "raise ValueError"}, "its checker refuses the expected output of test 1"),
        ({"source": "pass"}, "its checker accepts a program that prints nothing"),
    ],
)
def test_a_checker_is_checked_before_training(executor, judge, checker, why):
    fault = code_fault(problem(tests=FACTORS, checker=checker), executor, CONFIG)
    assert (fault is None) if why is None else (fault is not None and why in fault), fault
    if why is not None and "compile" in why:
        assert judge(fenced("print(1)"), tests=FACTORS, checker=checker).status == "not_gradable"


def test_a_checker_is_compiled_once(executor):
    counting = Counting(executor)
    checker = {"source": CPP_CHECKER + "// once\n", "language": "cpp"}
    for _ in range(3):
        part = judge_code(problem(tests=FACTORS, checker=checker), fenced("print(3, 5)"), counting, CONFIG)
        assert part.value == 1.0
    assert counting.runs == 1 + 3 * 2


def test_programs_that_cannot_be_written_to_a_file_or_are_too_large_are_wrong(judge):
    part = judge(fenced("print('\ud800')"), tests=SUMS)
    assert (part.value, part.detail) == (0.0, "CE: the program is not valid Unicode")
    large = "char data[40 << 20] = {1};\nint main() { return data[0] - 1; }"
    roomy = CONFIG.model_copy(
        update={"compile_limits": CONFIG.compile_limits.model_copy(update={"file_mib": 256})}
    )
    part = judge(fenced(large, "cpp"), config=roomy, tests=SUMS, language="cpp")
    assert (part.value, part.status) == (0.0, "ok")
    assert part.detail.startswith("MLE: 0 of 1 tests passed; test 1 (the compiled program has 4"), part.detail


def test_the_tasks_limits_hold_in_place_of_the_configured_ones(judge):
    slow = fenced("import time\nwhile time.process_time() < 0.5: pass\nprint(sum(map(int, input().split())))")
    assert judge(slow, tests=SUMS[:1]).value == 1.0
    assert judge(slow, tests=SUMS, time_limit=0.2).detail.startswith("TLE")
    large = fenced("x = bytearray(100 * 2**20)\nprint(sum(map(int, input().split())))")
    assert judge(large, tests=SUMS).value == 1.0
    assert judge(large, tests=SUMS, memory_limit=64).detail.startswith("MLE")


def test_the_deadline_of_the_whole_problem_counts_what_is_left_as_tle(executor):
    hasty = CONFIG.model_copy(update={"problem_seconds": 1.0, "score": "fraction"})
    sleepy = fenced("import time\ntime.sleep(0.7)\nprint(sum(map(int, input().split())))")
    part = judge_code(problem(tests=SUMS), sleepy, executor, hasty)
    assert part.value == pytest.approx(1 / 3)
    assert part.detail.startswith("TLE: 1 of 3 tests passed; test 2")
    spent = CONFIG.model_copy(update={"problem_seconds": 0.001, "score": "fraction"})
    part = judge_code(problem(tests=SUMS, language="cpp"), fenced(RIGHT["cpp"], "cpp"), executor, spent)
    assert (part.value, part.status) == (0.0, "ok")


def test_an_answer_without_a_program_or_with_too_long_a_one_is_not_run(judge):
    assert "CE: the answer holds no closed block of python code" in judge("```js\n1\n```", tests=SUMS).detail
    assert judge("", tests=SUMS).value == 0.0
    short = CONFIG.model_copy(update={"max_code_kib": 1})
    assert "longer than 1 KiB" in judge(fenced("#" * 2000), config=short, tests=SUMS).detail


def test_details_are_shortened(judge):
    part = judge(fenced("print('x' * 5000)"), tests=[{"stdin": "y" * 5000, "stdout": "z" * 5000}])
    assert len(part.detail) < 4 * CONFIG.detail_chars
    assert " ... " in part.detail


def test_a_malformed_task_is_not_gradable(judge):
    part = judge(fenced("print(1)"), tests=[])
    assert (part.value, part.status) == (None, "not_gradable")
    assert "the code task is malformed" in part.detail


class Broken:
    """An executor that does not work."""

    def __init__(self, execution: Execution | None = None) -> None:
        self._execution = execution

    def run(self, command: Command, limits: Limits) -> Execution:
        if self._execution is None:
            raise SandboxError("the sandbox is broken")
        return self._execution

    def run_python(self, source: str, stdin: bytes, files: Mapping[str, bytes], limits: Limits) -> Execution:
        return self.run(Command(("python3",)), limits)

    def compile(
        self, command: Command, limits: Limits, outputs: Any
    ) -> tuple[Execution, Mapping[str, bytes]]:
        return self.run(command, limits), {}


REFUSED = Execution(
    "refused", None, None, b"", b"", 0.0, 0.0, None, "there is no program 'node' in the sandbox"
)


@pytest.mark.parametrize("execution", [None, REFUSED])
@pytest.mark.parametrize(
    "task",
    [
        {"tests": SUMS},
        {"tests": SUMS, "language": "cpp"},
        {"tests": SUMS, "language": "js"},
        {"calls": CALLS},
        {"test_program": "assert f()"},
        {"repository": {"a.py": "x"}, "fail_to_pass": ["t.T.a"]},
    ],
)
def test_a_sandbox_that_fails_is_an_error_and_never_zero(execution, task):
    answer = "--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-x\n+y\n" if "repository" in task else "print(1)"
    part = judge_code(problem(**task), answer, Broken(execution), CONFIG)
    assert (part.value, part.status) == (None, "error")
    assert ("the sandbox is broken" if execution is None else "there is no program") in part.detail


def test_a_missing_interpreter_is_named_with_what_to_install():
    part = judge_code(problem(tests=SUMS, language="js"), fenced("1", "js"), Broken(REFUSED), CONFIG)
    assert "javascript needs node (Debian, Ubuntu: apt install nodejs) in the sandbox" in part.detail
    fault = code_fault(problem(tests=SUMS, language="js"), Broken(REFUSED), CONFIG)
    assert fault is not None
    assert "apt install nodejs" in fault
    assert "could not be checked: SandboxError" in (code_fault(problem(tests=SUMS), Broken(), CONFIG) or "")


@pytest.mark.parametrize(
    ("reference", "task", "why"),
    [
        (RIGHT["python"], {"tests": SUMS}, None),
        (fenced(RIGHT["cpp"], "cpp"), {"tests": SUMS, "language": "cpp"}, None),
        ("", {"tests": SUMS}, None),
        ("print(3)", {"tests": SUMS}, "its reference solution fails: WA: 1 of 3"),
        ("", {"tests": []}, "the code task is malformed"),
        ("", {"tests": [{"stdin": "1", "stdout": " \n"}]}, "a program that prints nothing passes its tests"),
        ("", {"calls": [{"function": "f", "expected": None}]}, "a function that returns nothing passes"),
        (
            "",
            {"test_program": "def check(f): f(1)", "entry_point": "f"},
            "a function that returns nothing passes",
        ),
        ("", {"test_program": "def check(f): assert f(1) == 2", "entry_point": "f"}, None),
        ("", {"test_program": "assert f(1) == 2"}, None),
        ("", {"test_program": "x = 1"}, "a function that returns nothing passes"),
        ("def f(x): return 2", {"test_program": "assert f(1) == 2", "entry_point": "f"}, None),
        ("def f(x): return 3", {"test_program": "assert f(1) == 2"}, "its reference solution fails: WA"),
        ("", {"test_program": "assert f(1)", "prompt": "def f(:"}, "not the beginning of a Python program"),
        ("def f(x): return 1", {"test_program": "assert f(object())"}, "cannot run apart from the solution"),
    ],
)
def test_what_cannot_be_graded_is_found_before_training(executor, reference, task, why):
    fault = code_fault(problem(reference, **task), executor, CONFIG)
    assert (fault is None) if why is None else (fault is not None and why in fault), fault


def test_the_task_objects_of_the_guide_can_be_graded(executor):
    guide = (Path(__file__).parents[2] / "docs" / "code-reward.md").read_text()
    objects = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", guide, re.DOTALL)]
    assert len(objects) == 5
    for task in objects:
        assert task.pop("kind") == "code"
        assert code_fault(problem(**task), executor, CONFIG) is None


def test_the_same_verdicts_from_many_threads_at_once(judge):
    answers = [fenced(RIGHT["python"]), fenced("print(3)"), fenced("raise ValueError")] * 6
    with ThreadPoolExecutor(9) as threads:
        parts = list(threads.map(lambda answer: judge(answer, tests=SUMS), answers))
    assert [part.detail[:2] for part in parts] == ["AC", "WA", "RE"] * 6
