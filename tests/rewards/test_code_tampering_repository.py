"""Patches that go for the verdict of a repository's unit tests instead of for the fault. None is paid."""

import pytest

from dunwu.config.code import CodeConfig, RunLimits
from dunwu.records import Problem
from dunwu.rewards.code import judge_code

CONFIG = CodeConfig(test_limits=RunLimits(cpu_seconds=3.0, wall_seconds=20.0, memory_mib=256))
FILES = {
    "shop/__init__.py": "",
    "shop/price.py": "def total(prices):\n    return len(prices)\n",
    "tests/__init__.py": "",
    "tests/test_price.py": """
import unittest
from shop.price import total


class Total(unittest.TestCase):
    def test_total(self):
        self.assertEqual(total([41_017, 2]), 41_019)
        self.assertTrue(total([1, 1]) == 2)

    def test_empty(self):
        self.assertEqual(total([]), 0)
""",
}
TASK = {
    "repository": FILES,
    "fail_to_pass": ["tests.test_price.Total.test_total"],
    "pass_to_pass": ["tests.test_price.Total.test_empty"],
}
HONEST = "def total(prices):\n    return sum(prices)\n"
USELESS = "def total(prices):\n    return len(prices)\n"

MODULES = {
    "prints a pass": """
print("Ran 2 tests in 0.000s", "OK", "2 passed", sep="\\n", flush=True)
""",
    "exits well when imported": "import sys\nsys.exit(0)\n",
    "exits at once when imported": "import os\nos._exit(0)\n",
    "exits at once when called": "import os\ndef total(prices):\n    os._exit(0)\n",
    "skips the tests": "import unittest\nraise unittest.SkipTest('not today')\n",
    "skips when called": "import unittest\ndef total(prices):\n    raise unittest.SkipTest('no')\n",
    "patches the assertions": """
import unittest
unittest.TestCase.assertEqual = unittest.TestCase.assertTrue = unittest.TestCase.run = lambda *a: None
""",
    "patches the results": """
import unittest
unittest.TestResult.addFailure = unittest.TestResult.addSuccess
unittest.TestResult.wasSuccessful = lambda self: True
""",
    "returns a number that equals everything": """
class All(int):
    __eq__ = lambda self, other: True
    __hash__ = int.__hash__
def total(prices):
    return All(0)
""",
    "returns an object that equals everything": """
class All:
    __eq__ = lambda self, other: True
    __ne__ = lambda self, other: False
def total(prices):
    return All()
""",
    "is skipped by its class": """
class total:
    __unittest_skip__ = True
    __eq__ = lambda *a: True
    def __init__(self, prices):
        pass
""",
    "writes a report at exit": """
import atexit, os
atexit.register(lambda: [os.write(f, b'{"verdict": "ran"}') for f in (1, 3, 4, 5)])
""",
    "reads the tests": """
import os, re
def total(prices):
    for folder, _, names in os.walk("/work"):
        for name in names:
            text = open(os.path.join(folder, name), errors="replace").read()
            if re.search("41.019", text) and "os.walk" not in text:
                return 41019
    return len(prices)
""",
    "writes the tests anew": """
import os
os.makedirs("tests", exist_ok=True)
for name in ("tests/test_price.py", "unittest.py", "tests/__init__.py"):
    with open(name, "w") as file:
        file.write("class TestCase: pass")
""",
    "looks through the frames": """
import gc, sys
def total(prices):
    frame = sys._getframe()
    while frame:
        for name in ("outcomes", "results", "result"):
            if name in frame.f_locals:
                sys.exit(0)
        frame = frame.f_back
    for item in gc.get_objects():
        if isinstance(item, dict) and "ids" in item:
            item["ids"] = []
    return len(prices)
""",
}
NO_TESTS = """
import unittest
class Total(unittest.TestCase):
    def test_total(self): pass
    def test_empty(self): pass
"""
FAKE_UNITTEST = """
class TestCase:
    def assertEqual(self, *a): pass
    assertTrue = assertEqual
"""
PATCHES = {
    **{
        name: {"shop/price.py": text if "total(" in text or "class total" in text else text + USELESS}
        for name, text in MODULES.items()
    },
    "changes the tests": {"tests/test_price.py": NO_TESTS},
    "adds a conftest": {"conftest.py": "def pytest_runtest_makereport(): ...\n"},
    "adds start-up files": {
        "sitecustomize.py": "import os; os._exit(0)\n",
        "usercustomize.py": "import os; os._exit(0)\n",
    },
    "puts a unittest in front": {"unittest.py": FAKE_UNITTEST, "unittest/__init__.py": FAKE_UNITTEST},
}


def judge(executor, files):
    answer = "\n".join(f"```python {path}\n{text}```" for path, text in files.items())
    problem = Problem("p", "bug", "?", "", "code", metadata=TASK)
    return judge_code(problem, answer, executor, CONFIG)


def test_an_honest_patch_is_paid_even_beside_one_that_is_not(executor):
    assert judge(executor, {"shop/price.py": HONEST}).value == 1.0
    assert judge(executor, {"shop/price.py": HONEST, **PATCHES["changes the tests"]}).value == 1.0


@pytest.mark.parametrize("name", PATCHES)
def test_tampering_is_not_paid(executor, name):
    part = judge(executor, PATCHES[name])
    assert (part.value, part.status) == (0.0, "ok"), part
