"""Task objects of code problems: our own names, those of the field's data sets, and what is refused."""

import json

import pytest

from dunwu.rewards.code_task import CodeTaskError, is_inner_path, read_code_task

TESTS = [{"stdin": "1", "stdout": "2"}]
CALLS = [{"function": "f", "args": [1], "expected": 2}]


def test_printed_output_in_our_names_and_in_those_of_codeforces_and_apps():
    ours = read_code_task({"language": "C++", "tests": TESTS, "where": "row 3"})
    assert (ours.language, ours.tests[0].stdin, ours.tests[0].stdout) == ("cpp", "1", "2")
    codeforces = read_code_task(
        {"tests": [{"input": "1", "output": "2"}], "time_limit": 2.0, "memory_limit": 256.0}
    )
    assert (codeforces.tests, codeforces.cpu_seconds, codeforces.memory_mib) == (ours.tests, 2.0, 256)
    assert codeforces.language == "python"
    assert read_code_task({"inputs": [["1", "2"]], "outputs": ["2"]}).tests[0].stdin == "1\n2"
    assert read_code_task({"tests": json.dumps(TESTS)}).tests == ours.tests


def test_calls_in_our_names_and_in_those_of_livecodebench():
    ours = read_code_task({"calls": [{"function": "f", "args": [[1, 2], "x"], "expected": {"a": None}}]})
    bench = read_code_task(
        {
            "func_name": "f",
            "tests": [{"input": '[1, 2]\n"x"', "output": '{"a": null}', "testtype": "functional"}],
        }
    )
    assert bench.calls == ours.calls
    assert not bench.tests


def test_test_programs_in_our_names_and_in_those_of_humaneval_and_mbpp():
    ours = read_code_task({"test_program": "check", "prompt": "def f():\n", "entry_point": "f"})
    theirs = read_code_task({"test": "check", "prompt": "def f():\n", "entry_point": "f"})
    assert ours == theirs
    assert ours.test_program == ("check",)
    mbpp = read_code_task({"test_list": ["assert f(1)", "assert f(2)"], "test_setup_code": "import math"})
    assert mbpp.test_program == ("import math\nassert f(1)", "import math\nassert f(2)")


def test_a_repository_beside_its_tests_or_with_them():
    keys = {"fail_to_pass": ["t.T.a"], "pass_to_pass": ["t.T.b"], "runner": "pytest", "protected": ["x.py"]}
    beside = read_code_task({"repository": {"a.py": ""}, **keys}).repository
    inside = read_code_task({"repository": {"files": {"a.py": ""}, **keys}}).repository
    assert beside == inside
    assert beside is not None
    assert (beside.runner, beside.fail_to_pass, beside.protected) == ("pytest", ("t.T.a",), ("x.py",))


@pytest.mark.parametrize(
    ("task", "complaint"),
    [
        ({}, "exactly one of tests, calls, test_program, repository must be given"),
        ({"tests": []}, "none of them, or an empty one"),
        ({"tests": TESTS, "calls": CALLS}, "found tests and calls"),
        ({"tests": [{"stdin": "1"}]}, "tests.0.stdout: Field required"),
        ({"tests": "no json"}, "tests 'no json' is not JSON"),
        ({"tests": TESTS, "language": "cobol"}, "language: Input should be 'python', 'cpp' or 'javascript'"),
        ({"calls": CALLS, "language": "cpp"}, "calls can be used with python and javascript, not with cpp"),
        (
            {"test_program": "x", "language": "js"},
            "test_program can be used with python, not with javascript",
        ),
        ({"calls": [{"function": "f(1)", "expected": 1}]}, "function is 'f(1)'"),
        ({"calls": [{"function": "f", "args": []}]}, "calls.0.expected: Field required"),
        ({"calls": [{"function": "f", "expected": float("nan")}], "tolerance": -1}, "tolerance"),
        ({"test_program": "  \n"}, "test_program is empty"),
        ({"tests": TESTS, "checker": {"source": ""}}, "checker.source"),
        ({"calls": CALLS, "checker": {"source": "x"}}, "a checker judges printed output: it needs tests"),
        ({"func_name": "f", "tests": [{"input": "{", "output": "1"}]}, "input '{' is not JSON"),
        ({"func_name": "f", "tests": [{"stdin": "1"}]}, "a test with func_name needs input and output"),
        ({"inputs": ["1"], "outputs": []}, "lists of the same length"),
        (
            {"repository": {"../a.py": ""}, "fail_to_pass": ["t"]},
            "'../a.py' is not a path inside the repository",
        ),
        ({"repository": {"a.py": ""}}, "repository.fail_to_pass"),
        (
            {"repository": {"a.py": ""}, "fail_to_pass": ["t"], "pass_to_pass": ["t"]},
            "'t' is in fail_to_pass and in pass_to_pass",
        ),
    ],
)
def test_what_no_answer_could_be_judged_by_is_refused(task, complaint):
    with pytest.raises(CodeTaskError) as caught:
        read_code_task(task)
    assert "the code task is malformed" in str(caught.value)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("path", ["a.py", "a/b.py", ".hidden", "..a/b"])
def test_inner_paths(path):
    assert is_inner_path(path)


@pytest.mark.parametrize(
    "path", ["", ".", "..", "/a", "../a", "a/../b", "a/../../b", "./a", "a//b", "a\0b", "a\\b"]
)
def test_paths_that_lead_out_or_have_a_shorter_form(path):
    assert not is_inner_path(path)
