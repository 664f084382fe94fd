"""Scorers of reasoning-gym: no text is run as code, partial scores are wrong."""

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("reasoning_gym")

import reasoning_gym
from reasoning_gym.factory import DATASETS

from dunwu.data.gym_entries import decode_entry, encode_entry
from dunwu.rewards import gym_scorer
from dunwu.rewards.gym_scorer import evaluates_answers, is_formula, score


@pytest.mark.parametrize(
    "text",
    [
        "6*x**2 + 3*x",
        "x^2 + C",
        "2x + 3",
        "5!",
        "sin(x)*exp(-x) + Rational(1, 2)",
        "(1 + 2) * 3 = 9",
        "[['Q', '_'], ['_', 'Q']]",
        "[1, 2, -3]",
        '{"a": 1.5, "b": true}',
        "-12",
        "",
    ],
)
def test_literals_and_formulas_pass(text: str) -> None:
    assert is_formula(text)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "__import__('os').system('true') + 5!",
        "open('/etc/passwd').read()",
        "open('/etc/passwd')",
        "().__class__.__bases__",
        "x.y",
        "5! + x.y",
        "exec('1')",
        "[c for c in 'abc']",
        "lambda: 1",
        "f'{1}'",
        "sin(x, evaluate=False)",
        "(lambda: 1)()",
        "getattr(x, 'y')",
        "exit() 5!",
        "a := 5!",
        "'a' 5!",
        "x[0]",
    ],
)
def test_code_does_not_pass(text: str) -> None:
    assert not is_formula(text)


def test_scorers_that_evaluate_are_known_by_their_source() -> None:
    def of(name: str) -> bool:
        return evaluates_answers(DATASETS[name][0])

    assert of("countdown")
    assert of("string_insertion")
    assert of("polynomial_multiplication")
    assert not of("chain_sum")
    assert not of("codeio")


def test_no_scorer_evaluates_in_a_function_it_calls() -> None:
    """`evaluates_answers` reads the scorer's own source; this reads every other function of those modules."""
    unseen = []
    for name, (dataset, _) in DATASETS.items():
        tree = ast.parse(Path(inspect.getfile(dataset)).read_text())
        scorer = getattr(dataset, "score_answer", None)
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef) or node.name in ("score_answer", "__getitem__"):
                continue
            called = {
                n.func.id for n in ast.walk(node) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
            }
            if {"eval", "exec"} & called and node.name in inspect.getsource(scorer):
                unseen.append((name, node.name))
    assert unseen == [("bitwise_arithmetic", "verify_solution")]  # evaluates the problem, not the answer


def made(name: str, **params: Any) -> tuple[Any, str]:
    entry = reasoning_gym.create_dataset(name, **params, seed=3, size=3)[0]
    return encode_entry(entry), entry["answer"]


def test_full_score_is_right_and_part_of_it_is_wrong() -> None:
    entry, answer = made("chain_sum", min_terms=3)
    assert score("chain_sum", {"min_terms": 3}, entry, answer) == (True, "score 1")
    right, detail = score("chain_sum", {"min_terms": 3}, entry, f"{answer} or so")
    assert right is False
    assert 0 < float(detail.removeprefix("score ")) < 1


def test_numbers_that_were_not_given_make_no_24() -> None:
    entry, answer = made("puzzle24")
    assert reasoning_gym.create_dataset("puzzle24").score_answer("1*2*3*4", decode_entry(entry)) == 1.0
    assert score("puzzle24", {}, entry, answer) == (True, "score 1")
    right, detail = score("puzzle24", {}, entry, "1*2*3*4")
    assert right is False
    assert "it uses 1, 2, 3, 4; given are" in detail
    entry, answer = made("countdown")
    assert score("countdown", {}, entry, answer) == (True, "score 1")
    assert score("countdown", {}, entry, f"Abs({answer})")[0] is False


def test_code_is_not_handed_to_a_scorer_that_would_run_it(tmp_path: Path) -> None:
    entry, _ = made("string_insertion")
    mark = tmp_path / "mark"
    right, detail = score("string_insertion", {}, entry, f"open({str(mark)!r}, 'w')")
    assert right is False
    assert "run it as code" in detail
    assert not mark.exists()


def test_a_scorer_that_fails_on_one_answer_calls_it_wrong_and_one_that_fails_on_all_is_broken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entry, answer = made("prime_factorization")
    assert score("prime_factorization", {}, entry, answer)[0] is True
    right, detail = score("prime_factorization", {}, entry, "seven")
    assert right is False
    assert "fails on this answer: ValueError" in detail

    class Broken:
        def score_answer(self, answer: str, entry: Any) -> float:
            raise KeyError("metadata")

    monkeypatch.setattr(gym_scorer, "_scorer", lambda dataset, params: (Broken(), False))
    with pytest.raises(KeyError, match="metadata"):
        score("prime_factorization", {}, entry, "seven")


def test_memory_error_is_handed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Greedy:
        def score_answer(self, answer: str, entry: Any) -> float:
            raise MemoryError

    monkeypatch.setattr(gym_scorer, "_scorer", lambda dataset, params: (Greedy(), False))
    with pytest.raises(MemoryError):
        score("x", {}, {"answer": "1"}, "5")
