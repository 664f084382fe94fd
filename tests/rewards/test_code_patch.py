"""Patches to a repository: applied in the sandbox, protected files kept."""

import pytest

from dunwu.rewards.code_patch import PatchedRepository, apply_answer, is_protected, recounted
from dunwu.rewards.code_task import Repository
from dunwu.rewards.code_verdict import TestResult
from dunwu.sandbox.records import Limits

FILES = {
    "calc/core.py": "def add(a, b):\n    return a - b\n\n\ndef sub(a, b):\n    return a - b\n",
    "calc/old.py": "x = 1\n",
    "tests/test_core.py": "assert False\n",
    "data.txt": "ä\n",
}
REPOSITORY = Repository(
    files=FILES, fail_to_pass=("tests.test_core.T.a",), protected=("data.*", "calc/secret/*")
)
FIX = "@@ -1,2 +1,2 @@\n def add(a, b):\n-    return a - b\n+    return a + b\n"
FIXED = FILES["calc/core.py"].replace("a - b", "a + b", 1)


@pytest.fixture
def apply(executor):
    def run(answer: str) -> PatchedRepository | TestResult:
        return apply_answer(answer, REPOSITORY, executor, Limits())

    return run


@pytest.mark.parametrize(
    "answer",
    [
        f"```diff\n--- a/calc/core.py\n+++ b/calc/core.py\n{FIX}```",
        f"--- a/calc/core.py\n+++ b/calc/core.py\n{FIX}",
        f"--- calc/core.py\n+++ calc/core.py\n{FIX}",
        f"diff --git a/calc/core.py b/calc/core.py\nindex 1..2 100644\n--- a/calc/core.py\n+++ b/calc/core.py\n{FIX}",
        f"--- a/calc/core.py\n+++ b/calc/core.py\n{FIX.replace('-1,2 +1,2', '-7,9 +3,1')}",  # counts and lines are off
        f"```python calc/core.py\n{FIXED}```",
    ],
)
def test_a_change_in_each_form(apply, answer):
    assert apply(answer) == PatchedRepository({**FILES, "calc/core.py": FIXED}, ())


def test_hunks_are_counted_anew():
    patch = (
        "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,9 +1,9 @@ def f\n a\n\n--- b\n+c\n+d\n@@ -8 +9 @@\n-e\n"
        "--- a/y\n+++ b/y\n@@ -1 +1 @@\n-f\n\\ No newline at end of file\n+g\n"
    )
    assert recounted(patch) == (
        "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,3 +1,4 @@ def f\n a\n \n--- b\n+c\n+d\n@@ -8,1 +9,0 @@\n-e\n"
        "--- a/y\n+++ b/y\n@@ -1,1 +1,1 @@\n-f\n\\ No newline at end of file\n+g\n"
    )


def test_files_can_be_made_renamed_and_deleted(apply):
    made = apply("--- /dev/null\n+++ b/calc/new.py\n@@ -0,0 +1 @@\n+y = 2\n")
    assert made == PatchedRepository({**FILES, "calc/new.py": "y = 2\n"}, ())
    deleted = apply("--- a/calc/old.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-x = 1\n")
    assert deleted == PatchedRepository({p: t for p, t in FILES.items() if p != "calc/old.py"}, ())
    renamed = apply(
        "diff --git a/calc/old.py b/calc/newer.py\nsimilarity index 100%\nrename from calc/old.py\n"
        "rename to calc/newer.py\ndiff --git a/calc/core.py b/calc/core.py\n--- a/calc/core.py\n+++ b/calc/core.py\n"
        + FIX
    )
    assert isinstance(renamed, PatchedRepository)
    assert (renamed.files.get("calc/newer.py"), "calc/old.py" in renamed.files) == ("x = 1\n", False)


def test_protected_files_stay_as_they_were(apply):
    both = (
        f"--- a/calc/core.py\n+++ b/calc/core.py\n{FIX}"
        "--- a/tests/test_core.py\n+++ b/tests/test_core.py\n@@ -1 +1 @@\n-assert False\n+assert True\n"
        "--- /dev/null\n+++ b/conftest.py\n@@ -0,0 +1 @@\n+import sys\n"
        "--- a/data.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-ä\n"
    )
    kept = ("conftest.py", "data.txt", "tests/test_core.py")
    assert apply(both) == PatchedRepository({**FILES, "calc/core.py": FIXED}, kept)
    whole = "```python tests/test_core.py\npass\n```\n```python calc/old.py\nx = 2\n```"
    assert apply(whole) == PatchedRepository({**FILES, "calc/old.py": "x = 2\n"}, ("tests/test_core.py",))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("I would change add.", "the answer changes nothing"),
        ("```python\nx\n```", "the answer changes nothing"),
        (f"--- a/calc/core.py\n+++ b/calc/core.py\n{FIX.replace('a - b', 'a * b')}", "does not apply"),
        ("--- a/calc/core.py\n+++ b/calc/core.py\nnothing\n", "does not apply"),
        ("--- a/../x.py\n+++ b/../x.py\n@@ -0,0 +1 @@\n+y\n", "'../x.py', which is not a path inside"),
        ("--- /dev/null\n+++ /etc/x\n@@ -0,0 +1 @@\n+y\n", "'/etc/x', which is not a path inside"),
        ("--- /dev/null\n+++ b/x.bin\n@@ -0,0 +1 @@\n+\udcff\n", "changes nothing"),
    ],
)
def test_what_cannot_be_applied_is_a_compile_error(apply, answer, why):
    try:
        result = apply(answer)
    except UnicodeEncodeError:
        assert "\udcff" in answer  # `judge_code` refuses such an answer before
        return
    assert isinstance(result, TestResult)
    assert result.verdict == "CE"
    assert why in result.detail


def test_a_link_in_a_patch_shows_nothing_of_the_sandbox(apply):
    link = (
        "diff --git a/calc/link.py b/calc/link.py\nnew file mode 120000\n--- /dev/null\n+++ b/calc/link.py\n"
        "@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\n"
    )
    result = apply(link)
    files = {} if isinstance(result, TestResult) else result.files
    assert "root" not in files.get("calc/link.py", "")


@pytest.mark.parametrize(
    "path",
    [
        *("tests/test_core.py", "a/tests/b/c.json", "test/x.py", "test_x.py", "a/b_test.py", "conftest.py"),
        *(
            "a/conftest.py",
            "pytest.ini",
            "setup.cfg",
            "pyproject.toml",
            "sitecustomize.py",
            "x.pth",
            "data.csv",
        ),
        *("calc/secret/x.py", "calc/secret/y/z.py", ".git/config"),
    ],
)
def test_protected(path):
    assert is_protected(path, REPOSITORY)


@pytest.mark.parametrize(
    "path", ["calc/core.py", "contest.py", "latest/x.py", "calc/testing.py", "src/attest.py"]
)
def test_not_protected(path):
    assert not is_protected(path, REPOSITORY)
