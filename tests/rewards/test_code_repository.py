"""Bug fixing: a patch judged by the repository's unit tests, in the real sandbox."""

import importlib.metadata
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dunwu.config.code import CodeConfig, RunLimits
from dunwu.config.sandbox import BubblewrapSandbox
from dunwu.records import Problem
from dunwu.rewards.code import judge_code
from dunwu.rewards.code_fault import code_fault
from dunwu.sandbox.executor import Executor
from dunwu.sandbox.open import open_executor

CONFIG = CodeConfig(test_limits=RunLimits(cpu_seconds=3.0, wall_seconds=15.0, memory_mib=256))
CORE = '''"""A bank."""

from bank.errors import Overdrawn
from .money import cents


class Account:
    """Holds money."""

    def __init__(self, balance=0):
        self.balance = balance
        self.log = []

    def withdraw(self, amount):
        if amount > self.balance:
            raise Overdrawn(amount)
        self.balance += amount
        self.log.append(("out", amount))
        return self

    def deposit(self, amount, notify=None):
        self.balance += cents(amount)
        if notify:
            notify(self.balance)
        return self.balance
'''
TESTS = """
import unittest
from unittest import mock
from bank import core
from bank.core import Account
from bank.errors import Overdrawn
from tests.samples import AMOUNT


class Withdraw(unittest.TestCase):
    def setUp(self):
        self.account = Account(10)

    def test_withdraw(self):
        self.assertEqual(self.account.withdraw(AMOUNT).balance, 7)
        self.assertEqual(self.account.log, [("out", 3)])

    def test_overdrawn(self):
        with self.assertRaises(Overdrawn) as caught:
            self.account.withdraw(11)
        self.assertEqual(caught.exception.args, (11,))
        self.assertIsInstance(caught.exception, ValueError)


class Deposit(unittest.TestCase):
    def test_deposit(self):
        seen = []
        self.assertEqual(Account().deposit(5, notify=seen.append), 5)
        self.assertEqual(seen, [5])

    def test_patched(self):
        with mock.patch("bank.core.cents", side_effect=lambda amount: 100 * amount):
            self.assertEqual(Account().deposit(5), 500)
        self.assertEqual(Account().deposit(5), 5)

    def test_loops(self):
        core.loop()

    @unittest.skip("not yet")
    def test_skipped(self):
        pass
"""
FILES = {
    "bank/__init__.py": "",
    "bank/core.py": CORE + "\n\ndef loop():\n    while True:\n        pass\n",
    "bank/errors.py": "class Overdrawn(ValueError):\n    pass\n",
    "bank/money.py": "def cents(amount):\n    return amount\n",
    "tests/samples.py": "AMOUNT = 3\n",
    "tests/test_core.py": TESTS,
}
PATCH = """```diff
--- a/bank/core.py
+++ b/bank/core.py
@@ -17,4 +17,4 @@
             raise Overdrawn(amount)
-        self.balance += amount
+        self.balance -= amount
         self.log.append(("out", amount))
         return self
```"""
FAILING = ["tests.test_core.Withdraw.test_withdraw"]
PASSING = [
    "tests.test_core.Withdraw.test_overdrawn",
    "tests.test_core.Deposit.test_deposit",
    "tests.test_core.Deposit.test_patched",
]
TASK = {"repository": FILES, "fail_to_pass": FAILING, "pass_to_pass": PASSING}

PYTEST_TESTS = """
import pytest
from bank.core import Account
from bank.errors import Overdrawn


@pytest.mark.parametrize(("amount", "left"), [(3, 7), (10, 0)])
def test_withdraw(account, amount, left):
    assert account.withdraw(amount).balance == left


class TestDeposit:
    def test_deposit(self, account, monkeypatch):
        assert account.deposit(5) == 15
        monkeypatch.setattr("bank.core.cents", lambda amount: 0)
        assert account.deposit(5) == 15

    def test_overdrawn(self, account):
        with pytest.raises(Overdrawn, match="11"):
            account.withdraw(11)
"""
CONFTEST = "import pytest\nfrom bank.core import Account\n\n\n@pytest.fixture\ndef account():\n    return Account(10)\n"
PYTEST_FILES = {
    **{path: text for path, text in FILES.items() if not path.startswith("tests/")},
    "tests/conftest.py": CONFTEST,
    "tests/test_bank.py": PYTEST_TESTS,
}
PYTEST_TASK = {
    "repository": PYTEST_FILES,
    "runner": "pytest",
    "fail_to_pass": ["tests/test_bank.py::test_withdraw[3-7]", "tests/test_bank.py::test_withdraw[10-0]"],
    "pass_to_pass": [
        "tests/test_bank.py::TestDeposit::test_deposit",
        "tests/test_bank.py::TestDeposit::test_overdrawn",
    ],
}


def problem(reference: str = "", **task: Any) -> Problem:
    return Problem("p", "bug", "Mend it.", reference, "code", metadata=task)


@pytest.fixture(scope="module")
def with_pytest() -> Iterator[Executor]:
    """A sandbox whose Python has pytest, from a folder that the sandbox's own /work and /tmp do not hide."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="dunwu-pytest-"))
    try:
        folder.chmod(0o755)
        for package in ("pytest", "pluggy", "iniconfig", "packaging", "pygments"):
            for file in importlib.metadata.files(package) or ():
                if file.suffix != ".pyc" and ".." not in file.parts:
                    (folder / file).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(file.locate(), folder / file)
        with open_executor(BubblewrapSandbox(max_parallel=1, python_path=(str(folder),))) as opened:
            yield opened
    finally:
        shutil.rmtree(folder)


def test_a_patch_that_mends_is_paid(executor):
    part = judge_code(problem(**TASK), PATCH, executor, CONFIG)
    assert (part.value, part.detail) == (1.0, "AC: 4 of 4 tests passed")
    whole = f"`bank/core.py`:\n```python\n{FILES['bank/core.py'].replace('+= amount', '-= amount')}\n```"
    assert judge_code(problem(**TASK), whole, executor, CONFIG).value == 1.0


def test_a_patch_that_does_not_mend_or_breaks_something_else_is_not(executor):
    other = PATCH.replace("-= amount", "-= 2 * amount")
    part = judge_code(problem(**TASK), other, executor, CONFIG)
    assert part.value == 0.0
    assert part.detail.startswith("WA: 3 of 4 tests passed; test 1")
    assert "AssertionError: 4 != 7" in part.detail
    breaks = (
        FILES["bank/core.py"]
        .replace("+= amount", "-= amount")
        .replace("raise Overdrawn(amount)", "raise KeyError")
    )
    part = judge_code(problem(**TASK), f"```python bank/core.py\n{breaks}```", executor, CONFIG)
    assert part.value == 0.0
    assert part.detail.startswith("RE: 3 of 4 tests passed; test 2")
    fraction = CONFIG.model_copy(update={"score": "fraction"})
    assert judge_code(problem(**TASK), other, executor, fraction).value == 0.75


def test_a_patch_that_only_applies_is_paid_by_the_score_compile(executor):
    compiles = CONFIG.model_copy(update={"score": "compile"})
    useless = PATCH.replace("-= amount", "-= 2 * amount")
    assert judge_code(problem(**TASK), useless, executor, compiles).value == 1.0
    assert judge_code(problem(**TASK), "nothing", executor, compiles).value == 0.0


def test_where_one_test_hangs_the_others_still_get_their_verdicts(executor):
    limits = RunLimits(cpu_seconds=0.4, wall_seconds=10.0, memory_mib=256)
    config = CONFIG.model_copy(update={"score": "fraction", "test_limits": limits})
    task = {
        **TASK,
        "fail_to_pass": [*FAILING, "tests.test_core.Deposit.test_loops"],
        "pass_to_pass": PASSING[:1],
    }
    part = judge_code(problem(**task), PATCH, executor, config)
    assert part.value == pytest.approx(2 / 3)
    assert part.detail.startswith("TLE: 2 of 3 tests passed; test 2")


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ("import os\nos._exit(0)\n", "RE"),
        ("raise SystemExit\n", "RE"),
        ("def broken(:\n", "RE"),
        ("import a_package_of_tomorrow\n", "RE"),
    ],
)
def test_a_repository_that_does_not_load_fails_every_test(executor, change, verdict):
    broken = f"```python bank/core.py\n{change}{FILES['bank/core.py'].replace('+= amount', '-= amount')}```"
    part = judge_code(problem(**TASK), broken, executor, CONFIG)
    assert part.value == 0.0
    assert part.detail.startswith(f"{verdict}: 0 of 4"), part.detail


def test_with_pytest_its_fixtures_and_parameters(with_pytest):
    part = judge_code(problem(**PYTEST_TASK), PATCH, with_pytest, CONFIG)
    assert (part.value, part.detail) == (1.0, "AC: 4 of 4 tests passed")
    part = judge_code(problem(**PYTEST_TASK), PATCH.replace("-= amount", "-= 3"), with_pytest, CONFIG)
    assert part.value == 0.0
    assert part.detail.startswith("WA: 3 of 4 tests passed; test 2")


def test_source_folders_and_modules_that_stand_alone(executor):
    files = {
        "src/shapes.py": "def area(a):\n    return a\n",
        "top.py": "import shapes\n\ndef twice(a):\n    return 2 * shapes.area(a)\n",
        "test_shapes.py": "import unittest\nimport shapes\nfrom top import twice\n\nclass T(unittest.TestCase):\n"
        "    def test_a(self):\n        self.assertEqual((shapes.area(3), twice(2)), (9, 8))\n",
    }
    task = {"repository": files, "fail_to_pass": ["test_shapes.T.test_a"]}
    right = "```python src/shapes.py\ndef area(a):\n    return a * a\n```"
    assert judge_code(problem(**task), right, executor, CONFIG).value == 1.0
    assert judge_code(problem(**task), right.replace("a * a", "a + a"), executor, CONFIG).value == 0.0


def test_values_of_the_repositorys_own_classes_are_compared_by_it_only_where_the_task_says_so(executor):
    files = {
        "points.py": "import dataclasses\n\n@dataclasses.dataclass\nclass Point:\n    x: int\n\ndef move(p):\n    return p\n",
        "test_points.py": "import unittest\nfrom points import Point, move\n\nclass T(unittest.TestCase):\n"
        "    def test_move(self):\n        self.assertEqual(move(Point(1)), Point(2))\n",
    }
    mended = "```python points.py\n" + files["points.py"].replace("return p", "return Point(p.x + 1)") + "```"
    task = {"repository": files, "fail_to_pass": ["test_points.T.test_move"]}
    assert judge_code(problem(**task), mended, executor, CONFIG).value == 0.0
    assert "reference solution fails" in (code_fault(problem(mended, **task), executor, CONFIG) or "")
    assert judge_code(problem(**task, own_equality=True), mended, executor, CONFIG).value == 1.0
    assert code_fault(problem(mended, **task, own_equality=True), executor, CONFIG) is None


@pytest.mark.parametrize(
    ("reference", "change", "why"),
    [
        (PATCH, {}, None),
        ("", {}, None),
        (PATCH.replace("-= amount", "-= 1"), {}, "its reference solution fails"),
        ("no patch", {}, "its reference solution fails: CE"),
        ("", {"fail_to_pass": PASSING[:1], "pass_to_pass": []}, "test_overdrawn is passed"),
        ("", {"pass_to_pass": ["tests.test_core.Withdraw.test_nothing"]}, "test_nothing is not passed (RE"),
        ("", {"pass_to_pass": ["tests.test_core.Deposit.test_skipped"]}, "test_skipped is not passed (WA"),
        (
            "",
            {"runner": "pytest", "fail_to_pass": ["tests/test_core.py::x"], "pass_to_pass": ["y"]},
            "y is not passed",
        ),
    ],
)
def test_a_repository_whose_tests_tell_nothing_is_found_before_training(executor, reference, change, why):
    fault = code_fault(problem(reference, **{**TASK, **change}), executor, CONFIG)
    assert (fault is None) if why is None else (fault is not None and why in fault), fault
